"""The migrations make what the models say, and can be taken back."""

from collections.abc import Callable

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

import sales_api
from sales_api.schema import metadata
from service_kit.migrations import migrate, migrations_of


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, metadata))


def _checks(connection: Connection) -> dict[str, set[str | None]]:
    inspector = sa.inspect(connection)
    return {
        table: {check["name"] for check in inspector.get_check_constraints(table)}
        for table in inspector.get_table_names()
    }


async def test_the_migrated_database_is_what_the_models_describe(new_database: Callable[[str], str]) -> None:
    url = new_database("migrated")
    await migrate(sales_api, url)
    await migrate(sales_api, url)
    migrated, created = create_async_engine(url), create_async_engine(new_database("created"))
    async with migrated.connect() as one, created.begin() as other:
        await other.run_sync(metadata.create_all)
        assert await one.run_sync(_differences) == []
        checks = await one.run_sync(_checks)
        del checks["alembic_version"]
        # Alembic's comparison leaves these out.
        assert checks == await other.run_sync(_checks)
    await migrated.dispose()
    await created.dispose()


async def test_the_migrations_can_be_taken_back(new_database: Callable[[str], str]) -> None:
    url = new_database("back")
    await migrate(sales_api, url)
    engine = create_async_engine(url)

    def down(connection: Connection) -> list[str]:
        config = Config()
        config.set_main_option("script_location", str(migrations_of(sales_api)))
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        return sa.inspect(connection).get_table_names()

    async with engine.connect() as connection:
        assert await connection.run_sync(down) == ["alembic_version"]
    await engine.dispose()
    await migrate(sales_api, url)
