"""Statements that every write makes: compiled once by SQLAlchemy, and handed to the driver as they are.

SQLAlchemy spends some 0.1 ms of CPU on each execution of a statement, most of it to find out once more what it found
out before; asyncpg spends a fifth of that. For what is done once a request only, this is not worth a second way.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any, cast
from weakref import WeakKeyDictionary

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import SessionTransaction
from sqlalchemy.sql.compiler import SQLCompiler

_DIALECT: Dialect = registry.load("postgresql.asyncpg")()
_BEGIN = sa.text("select")
_drivers: WeakKeyDictionary[SessionTransaction, asyncpg.Connection] = WeakKeyDictionary()
"""What each open transaction speaks through: a session takes a while to say so."""


Through = AsyncSession | asyncpg.Connection
"""A session, in whose transaction a statement takes part, or a connection of asyncpg's own."""


class CompiledStatement:
    """A statement with `bindparam`s.

    Values go to asyncpg as they are, without SQLAlchemy's conversions: JSON has to be given as text.
    Nothing is flushed before. Raises asyncpg's own exceptions, which `problems` knows as well as SQLAlchemy's.
    """

    def __init__(self, statement: sa.ClauseElement) -> None:
        self._statement = statement

    async def execute(self, through: Through, **values: Any) -> None:
        """Runs it."""
        sql, names = self._compiled
        await (await _driver(through)).execute(sql, *[values[name] for name in names])

    async def one_or_none(self, through: Through, **values: Any) -> asyncpg.Record | None:
        """Its first row."""
        sql, names = self._compiled
        return await (await _driver(through)).fetchrow(sql, *[values[name] for name in names])

    async def all(self, through: Through, **values: Any) -> list[asyncpg.Record]:
        """Its rows."""
        sql, names = self._compiled
        return await (await _driver(through)).fetch(sql, *[values[name] for name in names])

    @cached_property
    def _compiled(self) -> tuple[str, list[str]]:
        compiled = self._statement.compile(dialect=_DIALECT)
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - what a dialect compiles statements to
        return compiled.string, compiled.positiontup or []


async def driver_of(connection: AsyncConnection) -> asyncpg.Connection:
    """The connection of asyncpg's that this one speaks through."""
    return cast("asyncpg.Connection", (await connection.get_raw_connection()).driver_connection)


@asynccontextmanager
async def noticing_cuts(connection: AsyncConnection) -> AsyncIterator[None]:
    """For what goes past SQLAlchemy before SQLAlchemy itself has said anything: should the connection turn out to be
    cut, it finds that out too, and hands out none of that age any more."""
    try:
        yield
    except Exception:
        if (await driver_of(connection)).is_closed():
            await connection.execute(_BEGIN)
        raise


async def begun_driver_of(connection: AsyncConnection) -> asyncpg.Connection:
    """The same, in the connection's transaction: SQLAlchemy says BEGIN with its own first statement."""
    driver = await driver_of(connection)
    if not driver.is_in_transaction():
        await connection.execute(_BEGIN)
    return driver


async def _driver(session: Through) -> asyncpg.Connection:
    if isinstance(session, asyncpg.Connection):
        return session
    transaction = session.sync_session.get_transaction()
    if transaction is not None and (known := _drivers.get(transaction)) is not None:
        return known
    # Outside of it, ours would be a transaction by itself.
    driver = await begun_driver_of(await session.connection())
    transaction = session.sync_session.get_transaction()
    assert transaction is not None  # noqa: S101 - it has just been asked for its connection
    _drivers[transaction] = driver
    return driver
