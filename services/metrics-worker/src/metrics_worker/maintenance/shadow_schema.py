"""The schema beside the live one in which a rebuild makes the ledger anew."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from metrics_worker.database import SEARCH_PATH
from metrics_worker.ledger.tables import DERIVED, POSTING
from service_kit.database import encryption
from service_kit.settings import DatabaseSettings

SHADOW: Final = "ledger_rebuilt"
REBUILT: Final = tuple(table.name for table in DERIVED)
"""The tables that are rebuilt and swapped; all others are kept."""


def shadow_engine(settings: DatabaseSettings) -> AsyncEngine:
    """Return an engine of one connection whose tables are those of the shadow schema."""
    return create_async_engine(
        settings.database_url,
        pool_size=1,
        max_overflow=0,
        connect_args=encryption(settings)
        | {
            "server_settings": {
                "application_name": "metrics-replay",
                "timezone": "UTC",
                "search_path": f"{SHADOW}, {SEARCH_PATH}",
                # What a crash loses is rebuilt with the rest.
                "synchronous_commit": "off",
                "jit": "off",
            }
        },
    )


async def create_shadow_schema(connection: AsyncConnection) -> list[str]:
    """Create the new tables, empty; return the statements that create the indexes to be added when they are filled."""
    await drop_schema(connection, SHADOW)
    await connection.execute(sa.text(f"CREATE SCHEMA {SHADOW}"))
    for table in REBUILT:
        await connection.execute(sa.text(f"CREATE TABLE {SHADOW}.{table} (LIKE public.{table} INCLUDING ALL)"))
    # All but this is copied by the above.
    comments = await connection.execute(
        sa.text("""
            SELECT format('COMMENT ON TABLE %I.%I IS %L', CAST(:shadow AS text), relname,
                          obj_description(oid, 'pg_class'))
            FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = ANY(:names)
        """),
        {"names": list(REBUILT), "shadow": SHADOW},
    )
    for comment in comments.scalars().all():
        await connection.exec_driver_sql(comment)
    # While the tables are unknown to others: dropping an index waits for everyone who reads its table.
    indexes = await _drop_indexes(connection)
    await connection.commit()
    return indexes


async def _drop_indexes(connection: AsyncConnection) -> list[str]:
    """Drop the indexes of the new postings that filling them does not need; return what creates them again.

    Where customers were merged it needs them all: each merge looks up a customer's postings.
    """
    if (await connection.execute(sa.text("SELECT EXISTS (SELECT FROM public.account_merge)"))).scalar_one():
        return []
    found = await connection.execute(
        sa.text("""
            SELECT indexrelid::regclass AS name, pg_get_indexdef(indexrelid) AS definition
            FROM pg_index WHERE indrelid = ANY(CAST(:tables AS regclass[])) AND NOT indisprimary
        """),
        {"tables": [f"{SHADOW}.{table.name}" for table in POSTING.values()]},
    )
    indexes = found.all()
    for index in indexes:
        await connection.execute(sa.text(f"DROP INDEX {index.name}"))
    return [index.definition for index in indexes]


async def analyze_shadow_schema(connection: AsyncConnection) -> None:
    """Give PostgreSQL's planner statistics of the new tables before their first reader."""
    await connection.execute(sa.text("ANALYZE " + ", ".join(f"{SHADOW}.{name}" for name in REBUILT)))


async def drop_schema(connection: AsyncConnection, schema: str) -> None:
    """Drop a schema that may be absent, one table after the other, each in a transaction of its own.

    A reader whose query met the swap may still hold some of the former tables and want another: a transaction that
    waits for one table while holding others would deadlock with it.
    """
    for name in await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names(schema)):
        await connection.execute(sa.text(f"DROP TABLE {schema}.{name} CASCADE"))
        await connection.commit()
    await connection.execute(sa.text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
    await connection.commit()
