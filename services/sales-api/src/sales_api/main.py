"""The console scripts: sales-api, sales-relay, sales-consumer and sales-migrate."""

from service_kit.signals import exit_on_signals

exit_on_signals()  # the imports below take seconds

import asyncio

import sales_api
from event_contracts.catalogue import SALES_TOPIC
from sales_api.app import create
from sales_api.from_service import ServiceEvents
from sales_api.planning_rules.use_cases import INTERVALS
from sales_api.settings import ConsumerSettings, SalesSettings
from service_kit import logs, migrations, runner
from service_kit.database import create_engine
from service_kit.health import database_check
from service_kit.kafka import KafkaServers
from service_kit.planned_work.intervals import IntervalPlanner
from service_kit.relay import Relay
from service_kit.retention import (
    RetentionJob,
    audit_entries,
    idempotency_keys,
    imported_records,
    settled_dead_letters,
)


def api() -> None:
    """Serve the API until SIGTERM."""
    settings = SalesSettings()
    runner.serve("sales-api", settings, create(settings))


def relay() -> None:
    """Publish the outbox, and clean the database, until SIGTERM."""
    settings = SalesSettings()
    engine = create_engine(settings, application="sales-relay")
    moving = Relay(engine=engine, kafka=KafkaServers.of(settings), watermarked=SALES_TOPIC)
    retention = RetentionJob(
        engine,
        [
            audit_entries(settings.audit_days),
            idempotency_keys(),
            imported_records(settings.imported_record_days),
            settled_dead_letters(settings.dead_letter_days),
        ],
    )

    async def both(stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(moving.run(stop))
            group.create_task(retention.job.run(stop))

    runner.work(
        "sales-relay",
        settings,
        both,
        live={"relay": moving.heartbeat.check, retention.job.name: retention.job.heartbeat.check},
        ready={"database": database_check(engine), "log": moving.check_log},
    )


def consumer() -> None:
    """Take up what service suggests and whom metrics finds at risk, mirror service's events, and plan at intervals."""
    settings = ConsumerSettings()
    # What a crash of the database loses is read again from Kafka: offsets and effects are one transaction.
    engine = create_engine(settings, application="sales-consumer", synchronous_commit=False)
    events = ServiceEvents(
        engine,
        KafkaServers.of(settings),
        offset_reset=settings.consumer_offset_reset,
        suggestion_days=settings.suggestion_days,
        risk_days=settings.risk_days,
        revision=migrations.newest_revision(sales_api),
    )
    intervals = IntervalPlanner(engine, INTERVALS)

    async def work(stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(events.run(stop))
            group.create_task(intervals.job.run(stop))

    runner.work(
        "sales-consumer",
        settings,
        work,
        live={
            "events": events.consumer.heartbeat.check,
            "timeline": events.timeline.heartbeat.check,
            intervals.job.name: intervals.job.heartbeat.check,
        },
        ready={
            "database": database_check(engine),
            "dead letters": events.consumer.circuit_breaker.check,
            "dead letters of the timeline": events.timeline.circuit_breaker.check,
        },
    )


def migrate() -> None:
    """Migrate the database to the newest version."""
    settings = SalesSettings()
    logs.configure("sales-migrate", settings.log_level, settings.log_format)
    asyncio.run(migrations.migrate(sales_api, settings))
