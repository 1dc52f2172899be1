"""Runs a service's Alembic migrations once, however many replicas start at the same time."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import sqlalchemy as sa
import structlog
from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData
from sqlalchemy.engine import Connection

from service_kit.database import unpooled_engine
from service_kit.database_roles import DatabaseRole, grant_roles
from service_kit.settings import DatabaseSettings

LOCK = 0x7461_6E64_656D_0002
"""The session advisory lock that lets one migrator at a time in."""

log = structlog.get_logger()


def migrations_of(package: ModuleType) -> Path:
    """Where a service's migrations are: inside the installed package, or beside `src` in a checkout."""
    inside = Path(str(package.__file__)).parent / "migrations"
    return inside if inside.is_dir() else Path(str(package.__file__)).parents[2] / "migrations"


def newest_revision(package: ModuleType) -> str:
    """Return the revision of the schema that this release of a service is for."""
    head = ScriptDirectory(str(migrations_of(package))).get_current_head()
    assert head is not None  # noqa: S101 -- every service has migrations
    return head


Upgrade = Callable[[str], None]
"""Brings the database to a revision."""


async def migrate(
    package: ModuleType,
    settings: DatabaseSettings,
    *,
    beforehand: Callable[[Connection, Upgrade], None] = lambda connection, upgrade: None,
) -> None:
    """Brings the database to the newest version, in one transaction. Waits while another migrator is at work.

    `beforehand` is called first, within the transaction.
    """
    config = Config()
    config.set_main_option("script_location", str(migrations_of(package)))
    engine = unpooled_engine(settings)
    try:
        async with engine.connect() as connection:
            await connection.execute(sa.select(sa.func.pg_advisory_lock(LOCK)))
            await connection.commit()
            await connection.run_sync(_upgrade, config, beforehand)
            await connection.commit()
    finally:
        await engine.dispose()
    log.info("migrated", package=package.__name__)


def _upgrade(connection: Connection, config: Config, beforehand: Callable[[Connection, Upgrade], None]) -> None:
    config.attributes["connection"] = connection

    def upgrade(revision: str) -> None:
        command.upgrade(config, revision)

    beforehand(connection, upgrade)
    upgrade("head")


def run_migrations(
    *metadata: MetaData,
    schema: str | None = None,
    roles: Sequence[DatabaseRole] = (),
    beforehand: Callable[[Connection], None] | None = None,
    afterwards: Callable[[Connection], None] | None = None,
) -> None:
    """What each service's `env.py` calls: online by the given connection, offline (`--sql`) without one.

    A service with tables in a `schema` of its own, beside `public`, has Alembic's version there too: a backup of the
    schema then tells which revision it is of. Migrations find the tables of both by their names alone.

    Both functions are called online only, to make what follows from the code, such as views: `beforehand` when there is
    something to migrate, to take away what would be in the way, `afterwards` at the newest version, migrated or not.
    Then `roles` are granted what they may do.
    """
    connection: Connection | None = context.config.attributes.get("connection")
    options: dict[str, Any] = {
        "target_metadata": metadata,
        "compare_type": True,
        "transaction_per_migration": True,
        **schema_options(schema, metadata),
    }
    if context.is_offline_mode():
        context.configure(dialect_name="postgresql", literal_binds=True, **options)
        with context.begin_transaction():
            for statement in _schema_statements(schema):
                context.execute(statement)
            context.run_migrations()
    elif connection is None:
        # `alembic revision --autogenerate` from a shell: the address comes from the environment.
        asyncio.run(_run_from_shell(options, schema))
    else:
        _use_schema(connection, schema)
        if beforehand is not None and _is_behind(connection, schema):
            beforehand(connection)
        _run_online(connection, options)
        if not _is_behind(connection, schema):
            if afterwards is not None:
                afterwards(connection)
            grant_roles(connection, metadata, roles, version_schema=schema or "public")


def schema_options(schema: str | None, metadata: Sequence[MetaData]) -> dict[str, Any]:
    """Return Alembic's options for a service with tables in a schema of its own, beside `public`."""
    if schema is None:
        return {}
    own = {table.name for each in metadata for table in each.tables.values() if table.schema == schema}
    own.add("alembic_version")

    def is_compared(name: str | None, kind: str, parents: Mapping[str, str | None]) -> bool:
        if kind == "schema":
            return name in (None, schema)
        # What the search path finds without a schema is found again in its schema.
        return kind != "table" or parents["schema_name"] == schema or name not in own

    return {"version_table_schema": schema, "include_schemas": True, "include_name": is_compared}


def _schema_statements(schema: str | None) -> list[str]:
    if schema is None:
        return []
    return [f"CREATE SCHEMA IF NOT EXISTS {schema}", f"SET search_path = public, {schema}"]


def _use_schema(connection: Connection, schema: str | None) -> None:
    for statement in _schema_statements(schema):
        connection.execute(sa.text(statement))
    if schema is not None:
        # Of releases before the schema.
        former, version = (
            connection.scalar(sa.text("SELECT to_regclass(:table)"), {"table": f"{one}.alembic_version"})
            for one in ("public", schema)
        )
        if former is not None and version is None:
            connection.execute(sa.text(f"ALTER TABLE public.alembic_version SET SCHEMA {schema}"))


def _is_behind(connection: Connection, schema: str | None) -> bool:
    here = MigrationContext.configure(connection, opts={"version_table_schema": schema}).get_current_heads()
    return set(here) != set(context.script.get_heads())


def _run_online(connection: Connection, options: dict[str, Any]) -> None:
    context.configure(connection=connection, **options)
    with context.begin_transaction():
        context.run_migrations()


async def _run_from_shell(options: dict[str, Any], schema: str | None) -> None:
    engine = unpooled_engine(DatabaseSettings())
    async with engine.connect() as connection:
        await connection.run_sync(_use_schema, schema)
        await connection.run_sync(_run_online, options)
        await connection.commit()
    await engine.dispose()
