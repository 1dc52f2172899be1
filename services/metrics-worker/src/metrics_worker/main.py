"""The console scripts of the processes: metrics-migrate, metrics-consumer, metrics-api and metrics-jobs."""

from service_kit.signals import exit_on_signals

exit_on_signals()  # the imports below take seconds

import asyncio

import metrics_worker
from metrics_worker.app import create
from metrics_worker.database import SEARCH_PATH
from metrics_worker.jobs.restatements import RestatementJob
from metrics_worker.jobs.targets import TargetEvaluator
from metrics_worker.jobs.waits import WaitClock
from metrics_worker.jobs.webhook_feed import WebhookFeed
from metrics_worker.jobs.webhooks import WebhookSender
from metrics_worker.ledger.consumer import LedgerConsumer
from metrics_worker.ledger.directory import DirectoryConsumer
from metrics_worker.maintenance.missing_ledger import create_missing_ledger
from metrics_worker.settings import ConsumerSettings, JobsSettings, MetricsSettings
from metrics_worker.webhooks.retention import ended_deliveries
from service_kit import logs, migrations, runner
from service_kit.database import create_engine
from service_kit.health import database_check
from service_kit.kafka import KafkaServers
from service_kit.outbox_notify import OutboxNotifier
from service_kit.relay import Relay
from service_kit.retention import RetentionJob, audit_entries, idempotency_keys, settled_dead_letters


def migrate() -> None:
    """Migrate the ledger's database to the newest version. Beside a restored backup, create an empty ledger first."""
    settings = MetricsSettings()
    logs.configure("metrics-migrate", settings.log_level, settings.log_format)
    asyncio.run(migrations.migrate(metrics_worker, settings, beforehand=create_missing_ledger))


def consumer() -> None:
    """Write the ledger until SIGTERM."""
    settings = ConsumerSettings()
    # What a crash of the database loses is read again from Kafka: offsets and ledger are one transaction.
    engine = create_engine(
        settings,
        application="metrics-consumer",
        synchronous_commit=False,
        plans="force_generic_plan",
        search_path=SEARCH_PATH,
    )
    revision = migrations.newest_revision(metrics_worker)
    bookkeeper = LedgerConsumer(
        engine,
        KafkaServers.of(settings),
        settings.reporting,
        offset_reset=settings.consumer_offset_reset,
        completeness=settings.completeness,
        revision=revision,
    )
    directory = DirectoryConsumer(
        engine, KafkaServers.of(settings), offset_reset=settings.consumer_offset_reset, revision=revision
    )

    async def work(stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as both:
            both.create_task(bookkeeper.run(stop))
            both.create_task(directory.run(stop))

    runner.work(
        "metrics-consumer",
        settings,
        work,
        live={"consumer": bookkeeper.consumer.heartbeat.check, "names": directory.consumer.heartbeat.check},
        ready={
            "database": database_check(engine),
            "dead letters": bookkeeper.consumer.circuit_breaker.check,
            "dead letters of names": directory.consumer.circuit_breaker.check,
        },
    )


def api() -> None:
    """Serve the KPIs and the dashboard until SIGTERM."""
    settings = MetricsSettings()
    app = create(settings)
    runner.serve("metrics-api", settings, app, on_stop=app.state.hub.close)


def jobs() -> None:
    """Run the jobs and the relay of metrics-worker until SIGTERM."""
    settings = JobsSettings()
    engine = create_engine(settings, application="metrics-jobs", search_path=SEARCH_PATH)
    relay = Relay(engine=engine, kafka=KafkaServers.of(settings))
    notifier = OutboxNotifier(engine)
    evaluator = TargetEvaluator(engine, settings.reporting, on_commit=notifier.notify)
    restatements = RestatementJob(engine, settings.reporting, on_commit=notifier.notify)
    waits = WaitClock(engine, on_commit=notifier.notify)
    feed = WebhookFeed(engine, KafkaServers.of(settings), revision=migrations.newest_revision(metrics_worker))
    sender = WebhookSender(engine, allow_loopback=settings.webhooks_allow_loopback)
    retention = RetentionJob(
        engine,
        [
            audit_entries(settings.audit_days),
            idempotency_keys(),
            settled_dead_letters(settings.dead_letter_days),
            *ended_deliveries(delivered_days=settings.webhook_delivered_days, dead_days=settings.webhook_dead_days),
        ],
    )

    async def work(stop: asyncio.Event) -> None:
        async with notifier.running(), asyncio.TaskGroup() as tasks:
            tasks.create_task(relay.run(stop))
            tasks.create_task(evaluator.job.run(stop))
            tasks.create_task(restatements.job.run(stop))
            tasks.create_task(waits.job.run(stop))
            tasks.create_task(feed.run(stop))
            tasks.create_task(sender.run(stop))
            tasks.create_task(retention.job.run(stop))

    runner.work(
        "metrics-jobs",
        settings,
        work,
        live={
            "relay": relay.heartbeat.check,
            "webhook feed": feed.consumer.heartbeat.check,
            **{each.job.name: each.job.heartbeat.check for each in (evaluator, restatements, waits, sender, retention)},
        },
        ready={"database": database_check(engine), "log": relay.check_log},
    )
