"""The migrations make exactly the tables that the models describe, and can be taken back."""

from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

import service_api
from service_api.schema import metadata
from service_kit.migrations import migrations_of


async def test_models_and_migrations_agree(empty_database: AsyncEngine) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, metadata))

    async with empty_database.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_constraints_and_indexes_are_the_models_to_the_letter(
    empty_database: AsyncEngine, new_database: Callable[[str], str]
) -> None:
    """Alembic compares no checks and no conditions of indexes; PostgreSQL's own words for them are compared here."""

    async def described(engine: AsyncEngine) -> set[tuple[str, ...]]:
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
            return {tuple(row) for row in (*constraints, *indexes) if row[0] != "alembic_version"}

    modelled = create_async_engine(new_database("modelled"), poolclass=sa.NullPool)
    async with modelled.begin() as connection:
        await connection.run_sync(metadata.create_all)
    found = await described(empty_database)
    assert found == await described(modelled)
    assert any("CHECK" in definition for _, _, definition in found)


async def test_the_initial_revision_can_be_undone(empty_database: AsyncEngine) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations_of(service_api)))

    def back(connection: Connection) -> list[str]:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        return sa.inspect(connection).get_table_names()

    async with empty_database.connect() as connection:
        assert await connection.run_sync(back) == ["alembic_version"]


def test_migrations_are_found_beside_the_sources() -> None:
    assert (migrations_of(service_api) / "env.py").is_file()
    assert Path(migrations_of(service_api), "versions", "0001_initial.py").is_file()
