"""The statements that go to PostgreSQL, BEGIN and COMMIT included: each is one round trip."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest import mock

import sqlalchemy as sa
from asyncpg.connection import LoggedQuery
from sqlalchemy.ext.asyncio import AsyncEngine


@asynccontextmanager
async def statements_of(engine: AsyncEngine) -> AsyncIterator[list[str]]:
    """Yield the list that the statements of connections taken meanwhile are added to.

    The custom fields that were read once stay known meanwhile, instead of for some seconds.
    """
    sent: list[str] = []
    heard: list[Any] = []

    def note(query: LoggedQuery) -> None:
        # What asyncpg asks about types is asked once a connection.
        if not any(word in query.query for word in ("typeinfo_tree", "'jit'")):
            sent.append(query.query)

    def listen(connection: Any, *_: object) -> None:
        driver = connection.driver_connection
        if driver not in heard:
            driver.add_query_logger(note)
            heard.append(driver)

    def note_prepared(_: Any, __: Any, statement: str, *___: Any) -> None:
        sent.append(statement)

    sa.event.listen(engine.sync_engine.pool, "checkout", listen)
    # What SQLAlchemy prepares is not among what asyncpg reports.
    sa.event.listen(engine.sync_engine, "before_cursor_execute", note_prepared)
    try:
        with mock.patch("service_kit.custom_fields.queries.REQUIRED_WITHIN_SECONDS", math.inf):
            yield sent
        # asyncpg reports a query in the loop's next turn.
        await asyncio.sleep(0)
    finally:
        sa.event.remove(engine.sync_engine.pool, "checkout", listen)
        sa.event.remove(engine.sync_engine, "before_cursor_execute", note_prepared)
        for driver in heard:
            driver.remove_query_logger(note)


async def plan_of(engine: AsyncEngine, statement: sa.UpdateBase) -> str:
    """Return the statement's plan on a table of any size: no sequential scan where an index serves."""
    sql = statement.compile(engine.sync_engine, compile_kwargs={"literal_binds": True})
    async with engine.begin() as connection:
        await connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        return "\n".join((await connection.exec_driver_sql(f"EXPLAIN {sql}")).scalars())
