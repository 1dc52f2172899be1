"""The console scripts: metrics-migrate, metrics-consumer, metrics-api and metrics-verify."""

import asyncio

import metrics_worker
from metrics_worker.app import create
from metrics_worker.books.keeping import Bookkeeper
from metrics_worker.settings import ConsumerSettings, MetricsSettings
from service_kit import logs, migrations, runner
from service_kit.database import create_engine
from service_kit.health import database_check


def migrate() -> None:
    """Brings the books' database to the newest version."""
    settings = MetricsSettings()
    logs.configure("metrics-migrate", settings.log_level, settings.log_format)
    asyncio.run(migrations.migrate(metrics_worker, settings.database_url))


def consumer() -> None:
    """Keeps the books until SIGTERM."""
    settings = ConsumerSettings()
    # What a crash of the database loses is read again from Kafka: offsets and books are one transaction.
    engine = create_engine(settings, application="metrics-consumer", synchronous_commit=False)
    bookkeeper = Bookkeeper(engine, settings.kafka_bootstrap_servers, settings.reporting)
    runner.work(
        "metrics-consumer",
        settings,
        bookkeeper.run,
        live={"consumer": bookkeeper.consumer.heartbeat.check},
        ready={"database": database_check(engine)},
    )


def api() -> None:
    """Serves the KPIs and the dashboard until SIGTERM."""
    settings = MetricsSettings()
    runner.serve("metrics-api", settings, create(settings))
