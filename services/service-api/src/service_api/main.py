"""The console scripts: service-api, service-relay, service-consumer and service-migrate."""

from service_kit.signals import exit_on_signals

exit_on_signals()  # the imports below take seconds

import asyncio

import service_api
from event_contracts.catalogue import SERVICE_TOPIC
from service_api.app import create
from service_api.customers.from_sales import SalesCustomers
from service_api.maintenance.visit_planner import VisitPlanner
from service_api.planning_rules.use_cases import INTERVALS
from service_api.settings import ConsumerSettings, RelaySettings, ServiceApiSettings
from service_api.sla_clock import SlaClock
from service_kit import logs, migrations, runner
from service_kit.database import create_engine
from service_kit.health import database_check
from service_kit.kafka import KafkaServers
from service_kit.outbox_notify import OutboxNotifier
from service_kit.planned_work.intervals import IntervalPlanner
from service_kit.relay import Relay
from service_kit.retention import (
    RetentionJob,
    audit_entries,
    idempotency_keys,
    imported_records,
    settled_dead_letters,
)


def migrate() -> None:
    """Migrate the database to the newest version."""
    settings = RelaySettings()
    logs.configure("service-migrate", settings.log_level, settings.log_format)
    asyncio.run(migrations.migrate(service_api, settings))


def api() -> None:
    """Serve the API until SIGTERM."""
    settings = ServiceApiSettings()
    runner.serve("service-api", settings, create(settings))


def relay() -> None:
    """Publish the outbox and the breaches that the SLA clock finds, plan visits, clean the database, until SIGTERM."""
    settings = RelaySettings()
    engine = create_engine(settings, application="service-relay")
    sender = Relay(engine=engine, kafka=KafkaServers.of(settings), watermarked=SERVICE_TOPIC)
    notifier = OutboxNotifier(engine)
    clock = SlaClock(engine, on_commit=notifier.notify)
    visits = VisitPlanner(engine, on_commit=notifier.notify)
    retention = RetentionJob(
        engine,
        [
            audit_entries(settings.audit_days),
            idempotency_keys(),
            imported_records(settings.imported_record_days),
            settled_dead_letters(settings.dead_letter_days),
        ],
    )

    async def work(stop: asyncio.Event) -> None:
        async with notifier.running(), asyncio.TaskGroup() as group:
            group.create_task(sender.run(stop))
            # Also while another relay is the active one: clocks do not get in each other's way.
            group.create_task(clock.job.run(stop))
            group.create_task(visits.job.run(stop))
            group.create_task(retention.job.run(stop))

    runner.work(
        "service-relay",
        settings,
        work,
        live={
            "relay": sender.heartbeat.check,
            **{each.job.name: each.job.heartbeat.check for each in (clock, visits, retention)},
        },
        ready={"database": database_check(engine), "log": sender.check_log},
    )


def consumer() -> None:
    """Copy customers, won deals, suggested sales and sales' events, open onboardings, and plan at intervals."""
    settings = ConsumerSettings()
    # What a crash of the database loses is read again from Kafka: offsets and copies are one transaction.
    engine = create_engine(settings, application="service-consumer", synchronous_commit=False)
    customers = SalesCustomers(
        engine,
        KafkaServers.of(settings),
        offset_reset=settings.consumer_offset_reset,
        onboarding_days=settings.onboarding_days,
        revision=migrations.newest_revision(service_api),
    )
    intervals = IntervalPlanner(engine, INTERVALS)

    async def work(stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(customers.run(stop))
            group.create_task(intervals.job.run(stop))

    runner.work(
        "service-consumer",
        settings,
        work,
        live={
            "accounts": customers.accounts.heartbeat.check,
            "names": customers.names.heartbeat.check,
            "timeline": customers.timeline.heartbeat.check,
            intervals.job.name: intervals.job.heartbeat.check,
        },
        ready={
            "database": database_check(engine),
            "dead letters of accounts": customers.accounts.circuit_breaker.check,
            "dead letters of names": customers.names.circuit_breaker.check,
            "dead letters of the timeline": customers.timeline.circuit_breaker.check,
        },
    )
