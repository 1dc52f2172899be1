"""Runs a service's Alembic migrations once, however many replicas start at the same time."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import sqlalchemy as sa
import structlog
from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

LOCK = 0x7461_6E64_656D_0002
"""The session advisory lock that lets one migrator at a time in."""

log = structlog.get_logger()


def migrations_of(package: ModuleType) -> Path:
    """Where a service's migrations are: inside the installed package, or beside `src` in a checkout."""
    inside = Path(str(package.__file__)).parent / "migrations"
    return inside if inside.is_dir() else Path(str(package.__file__)).parents[2] / "migrations"


async def migrate(package: ModuleType, database_url: str) -> None:
    """Brings the database to the newest version. Waits while another migrator is at work."""
    config = Config()
    config.set_main_option("script_location", str(migrations_of(package)))
    engine = create_async_engine(database_url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.execute(sa.select(sa.func.pg_advisory_lock(LOCK)))
            await connection.commit()
            await connection.run_sync(_upgrade, config)
            await connection.commit()
    finally:
        await engine.dispose()
    log.info("migrated", package=package.__name__)


def _upgrade(connection: Connection, config: Config) -> None:
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def run_migrations(
    metadata: MetaData,
    *,
    beforehand: Callable[[Connection], None] | None = None,
    afterwards: Callable[[Connection], None] | None = None,
) -> None:
    """What each service's `env.py` calls: online by the given connection, offline (`--sql`) without one.

    Both are called online only, to make what follows from the code, such as views: `beforehand` when there is
    something to migrate, to take away what would be in the way, `afterwards` at the newest version, migrated or not.
    """
    connection: Connection | None = context.config.attributes.get("connection")
    options: dict[str, Any] = {"target_metadata": metadata, "compare_type": True, "transaction_per_migration": True}
    if context.is_offline_mode():
        context.configure(dialect_name="postgresql", literal_binds=True, **options)
        with context.begin_transaction():
            context.run_migrations()
    elif connection is None:
        # `alembic revision --autogenerate` from a shell: the address comes from the environment.
        asyncio.run(_run_from_shell(options))
    else:
        if beforehand is not None and _is_behind(connection):
            beforehand(connection)
        _run_online(connection, options)
        if afterwards is not None and not _is_behind(connection):
            afterwards(connection)


def _is_behind(connection: Connection) -> bool:
    here = MigrationContext.configure(connection).get_current_heads()
    return set(here) != set(context.script.get_heads())


def _run_online(connection: Connection, options: dict[str, Any]) -> None:
    context.configure(connection=connection, **options)
    with context.begin_transaction():
        context.run_migrations()


async def _run_from_shell(options: dict[str, Any]) -> None:
    from service_kit.settings import ServiceSettings

    engine = create_async_engine(ServiceSettings().database_url, poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(_run_online, options)
        await connection.commit()
    await engine.dispose()
