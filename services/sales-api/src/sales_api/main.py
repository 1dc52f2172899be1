"""The processes of sales: the API, the relay that takes its events to Kafka, and the one-shot migration."""

from service_kit.signals import exit_on_signals

exit_on_signals()  # the imports below take seconds

import asyncio

import sales_api
from sales_api.app import create
from sales_api.settings import SalesSettings
from service_kit import logs, migrations, runner
from service_kit.database import create_engine
from service_kit.health import database_check
from service_kit.kafka import KafkaServers
from service_kit.relay import Relay


def api() -> None:
    """Serve the API until SIGTERM."""
    settings = SalesSettings()
    runner.serve("sales-api", settings, create(settings))


def relay() -> None:
    """Publish the outbox until SIGTERM."""
    settings = SalesSettings()
    engine = create_engine(settings, application="sales-relay")
    moving = Relay(engine=engine, kafka=KafkaServers(settings.kafka_bootstrap_servers))
    runner.work(
        "sales-relay",
        settings,
        moving.run,
        live={"relay": moving.heartbeat.check},
        ready={"database": database_check(engine)},
    )


def migrate() -> None:
    """Migrate the database to the newest version."""
    settings = SalesSettings()
    logs.configure("sales-migrate", settings.log_level, settings.log_format)
    asyncio.run(migrations.migrate(sales_api, settings.database_url))
