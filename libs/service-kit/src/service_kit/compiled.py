"""Core statements that SQLAlchemy compiles once, and that go to the driver as they are.

SQLAlchemy spends some 0.1 ms of CPU on each execution of a statement, most of it to find out once more what it found
out before; asyncpg spends a fifth of that. For what is done once a request only, this is not worth a second way.
"""

from functools import cached_property
from typing import Any, Protocol, cast

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import visitors
from sqlalchemy.sql.compiler import SQLCompiler

_DIALECT: Dialect = registry.load("postgresql.asyncpg")()


class Connected(Protocol):
    """A unit of work, as a statement that takes part in it needs it."""

    async def driver_for(self, statement: "CompiledStatement") -> asyncpg.Connection:
        """Return the connection that the statement goes to."""


Through = Connected | asyncpg.Connection
"""What a statement goes through: a unit of work, or a connection of asyncpg's own."""


class CompiledStatement:
    """A statement with `bindparam`s.

    Values go to asyncpg as they are, without SQLAlchemy's conversions: JSON is passed as text. `locks` means that a
    select locks rows. `sees_all` is false for one that need not see what its unit of work has not sent yet. Raises
    asyncpg's own exceptions, which `problems` knows as well as SQLAlchemy's.
    """

    def __init__(self, statement: sa.ClauseElement, *, locks: bool = False, sees_all: bool = True) -> None:
        self._statement = statement
        self.sees_all = sees_all
        self.only_reads = isinstance(statement, sa.Select) and not locks

    async def execute(self, through: Through, **values: Any) -> None:
        """Run it."""
        await (await self._driver(through)).execute(self.sql, *self.arguments(values))

    async def one_or_none(self, through: Through, **values: Any) -> asyncpg.Record | None:
        """Return its first row."""
        return await (await self._driver(through)).fetchrow(self.sql, *self.arguments(values))

    async def all(self, through: Through, **values: Any) -> list[asyncpg.Record]:
        """Return its rows."""
        return await (await self._driver(through)).fetch(self.sql, *self.arguments(values))

    @property
    def sql(self) -> str:
        """The text that PostgreSQL gets."""
        return self._compiled[0]

    @cached_property
    def tables(self) -> frozenset[sa.Table] | None:
        """The tables that it names; None where it is a text."""
        elements = list(visitors.iterate(self._statement))
        if any(isinstance(element, sa.TextClause) for element in elements):
            return None
        return frozenset(element for element in elements if isinstance(element, sa.Table))

    def arguments(self, values: dict[str, Any]) -> list[Any]:
        """Return the values in the order of the text's parameters."""
        _, names, literals = self._compiled
        return [values[name] if name in values else literals[name] for name in names]

    async def _driver(self, through: Through) -> asyncpg.Connection:
        if isinstance(through, asyncpg.Connection):
            return through
        return await through.driver_for(self)

    @cached_property
    def _compiled(self) -> tuple[str, list[str], dict[str, Any]]:
        compiled = self._statement.compile(dialect=_DIALECT)
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - what a dialect compiles statements to
        literals = {name: value for name, value in compiled.params.items() if value is not None}
        return compiled.string, list(compiled.positiontup or ()), literals


async def driver_of(connection: AsyncConnection) -> asyncpg.Connection:
    """Return the connection of asyncpg's that this one speaks through."""
    # By way of the adapter: a connection that is detached from its pool has no driver_connection itself.
    adapter = cast("sa.AdaptedConnection", (await connection.get_raw_connection()).dbapi_connection)
    return cast("asyncpg.Connection", adapter.driver_connection)
