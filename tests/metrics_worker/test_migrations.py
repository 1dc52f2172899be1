"""The migrations make exactly the tables that the code declares, each in its schema."""

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.database import AUTHORITATIVE
from metrics_worker.schema import authoritative, derived
from service_kit.migrations import schema_options


async def differences_of(engine: AsyncEngine) -> object:
    """Return what Alembic would have to change for the database to have the tables of the code."""

    declared = [derived, authoritative]

    def compare(connection: sa.Connection) -> object:
        options = {"compare_type": True, **schema_options(AUTHORITATIVE, declared)}
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, declared)  # type: ignore[arg-type]  # it takes several, as in env.py

    async with engine.connect() as connection:
        return await connection.run_sync(compare)


async def test_migrated_tables_are_those_of_the_code(engine: AsyncEngine) -> None:
    assert await differences_of(engine) == []
