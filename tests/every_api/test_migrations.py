"""The migrations of sales and service make exactly what their models describe, and can be undone."""

from collections.abc import Callable
from types import ModuleType

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

import sales_api
import sales_api.schema
import service_api
import service_api.schema
from service_kit.migrations import migrate, migrations_of
from service_kit.settings import DatabaseSettings

METADATA = {sales_api: sales_api.schema.metadata, service_api: service_api.schema.metadata}

each_service = pytest.mark.parametrize("package", METADATA, ids=lambda package: package.__name__)


@each_service
async def test_models_and_migrations_agree(package: ModuleType, new_database: Callable[[str], str]) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, METADATA[package]))

    url = new_database("migrated")
    await migrate(package, DatabaseSettings(database_url=url))
    await migrate(package, DatabaseSettings(database_url=url))
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


@each_service
async def test_constraints_and_indexes_are_exactly_the_models(
    package: ModuleType, new_database: Callable[[str], str]
) -> None:
    """Alembic compares no checks and no conditions of indexes; PostgreSQL's own words for them are compared here."""

    async def described(url: str) -> set[tuple[str, ...]]:
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            constraints = await connection.execute(
                sa.text(
                    "select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint"
                    " where connamespace = 'public'::regnamespace"
                )
            )
            indexes = await connection.execute(
                sa.text("select tablename::text, indexname, indexdef from pg_indexes where schemaname = 'public'")
            )
            found = {tuple(row) for row in (*constraints, *indexes) if row[0] != "alembic_version"}
        await engine.dispose()
        return found

    migrated, modelled = new_database("migrated"), new_database("modelled")
    await migrate(package, DatabaseSettings(database_url=migrated))
    engine = create_async_engine(modelled)
    async with engine.begin() as connection:
        await connection.run_sync(METADATA[package].create_all)
    await engine.dispose()
    found = await described(migrated)
    assert found == await described(modelled)
    assert any("CHECK" in definition for _, _, definition in found)


@each_service
async def test_the_migrations_can_be_undone_and_repeated(
    package: ModuleType, new_database: Callable[[str], str]
) -> None:
    def undo(connection: Connection) -> list[str]:
        config = Config()
        config.set_main_option("script_location", str(migrations_of(package)))
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        return sa.inspect(connection).get_table_names()

    url = new_database("undone")
    await migrate(package, DatabaseSettings(database_url=url))
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        assert await connection.run_sync(undo) == ["alembic_version"]
    await engine.dispose()
    await migrate(package, DatabaseSettings(database_url=url))


@each_service
def test_migrations_are_found_beside_the_sources(package: ModuleType) -> None:
    assert (migrations_of(package) / "env.py").is_file()
    assert (migrations_of(package) / "versions" / "0001_initial.py").is_file()
