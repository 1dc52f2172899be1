"""The three services' databases on one PostgreSQL, emptied for each run, with connections that outlive runs."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

import metrics_worker
import metrics_worker.schema
import sales_api
import sales_api.schema
import service_api
import service_api.schema
from metrics_worker.database import SEARCH_PATH
from service_kit.audit.entries import PURPOSE
from service_kit.database import discard_closed_connections
from service_kit.migrations import migrate
from service_kit.settings import DatabaseSettings
from tests.simulation.scheduler import Process, current_process

SETTINGS: Final = {
    "timezone": "UTC",
    "jit": "off",
    "lock_timeout": "5000",
    "plan_cache_mode": "force_generic_plan",
    # The first is where the simulated clock is, before PostgreSQL's own; the next are of metrics.
    "search_path": f"simulation, {SEARCH_PATH}, pg_catalog",
}
PRODUCTS: Final = ("lamp", "desk", "chair")
CLOCK: Final = """
    CREATE SCHEMA simulation;
    CREATE TABLE simulation.clock (time timestamptz NOT NULL);
    CREATE FUNCTION simulation.now() RETURNS timestamptz STABLE LANGUAGE sql RETURN (SELECT time FROM simulation.clock);
    INSERT INTO simulation.clock VALUES ('2025-01-01')
"""
"""What leases expire by: with the real time, a run would depend on how fast it goes."""
KEPT: Final = frozenset({"product", "list_value", "alembic_version"})
"""Tables that no run changes."""


class _Connection(asyncpg.Connection):
    """A connection that goes back to its database when a process closes it: a new one would take five milliseconds."""

    home: "Database"
    owner: Process | None
    codecs: set[str]

    async def set_type_codec(self, typename: str, **options: Any) -> None:
        """Set a codec once; SQLAlchemy does so at every connect."""
        if typename not in self.codecs:
            await super().set_type_codec(typename, **options)
            self.codecs.add(typename)

    async def close(self, **_: Any) -> None:
        """Give it back."""
        self.home.give_back(self)

    def terminate(self) -> None:
        """Give it back, too."""
        self.home.give_back(self)


@dataclass
class Database:
    """One service's database."""

    name: str
    url: str
    declared: Sequence[sa.Table]
    """Its tables, those that refer to others last."""
    engine: AsyncEngine = field(init=False)
    _free: list[_Connection] = field(default_factory=list)
    _used: list[_Connection] = field(default_factory=list)
    _dirty: list[_Connection] = field(default_factory=list)
    clock_error: float = 0.0
    """By how many seconds its clock is fast."""

    def __post_init__(self) -> None:
        self.engine = create_async_engine("postgresql+asyncpg://", async_creator=self._connect, pool_size=10)
        discard_closed_connections(self.engine)
        event.listen(self.engine.sync_engine, "checkout", self._note_owner)

    async def _connect(self) -> asyncpg.Connection:
        await self.settle()
        connection = self._free.pop() if self._free else await self._new()
        self._used.append(connection)
        return connection

    def _note_owner(self, adapter: Any, *_: object) -> None:
        try:
            adapter.driver_connection.owner = current_process()
        except LookupError:
            adapter.driver_connection.owner = None

    async def _new(self) -> _Connection:
        dsn = self.url.replace("+asyncpg", "")
        connection: _Connection = await asyncpg.connect(
            dsn, connection_class=_Connection, server_settings=SETTINGS, command_timeout=15
        )
        connection.home, connection.owner, connection.codecs = self, None, set()
        return connection

    def give_back(self, connection: _Connection) -> None:
        """Take a connection back, whatever state it is in."""
        if connection in self._used:
            self._used.remove(connection)
            connection.owner = None
            if not connection.is_closed():
                self._dirty.append(connection)

    async def settle(self) -> None:
        """Roll back and clean what was given back."""
        giving_back = [each for each in asyncio.all_tasks() if getattr(each.get_coro(), "__name__", "") == "_give_back"]
        if giving_back:
            # A unit of work that was cut off gives its connection back behind its task.
            await asyncio.wait(giving_back)
        while self._dirty:
            connection = self._dirty.pop()
            try:
                await connection.reset()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncpg.Connection.close(connection)
            else:
                self._free.append(connection)

    async def cut(self, owner: Process | None = None) -> None:
        """End the connections of a process, or all that processes have, from the server's side."""
        cut = [each for each in self._used if owner is None or each.owner is owner]
        pids = [each.get_server_pid() for each in cut if not each.is_closed()]
        async with self.session() as session:
            await session.execute("SELECT pg_terminate_backend(pid, 5000) FROM unnest($1::int[]) AS pid", pids)
            for connection in cut:
                while not connection.is_closed():
                    await session.execute("SELECT")

    @asynccontextmanager
    async def session(self) -> AsyncIterator[asyncpg.Connection]:
        """Yield a connection that no fault reaches."""
        await self.settle()
        connection = self._free.pop() if self._free else await self._new()
        try:
            yield connection
        finally:
            self._free.append(connection)

    @property
    def tables(self) -> list[str]:
        """The names of its tables, those that refer to others last."""
        return [table.name for table in self.declared if table.name not in KEPT]

    async def empty(self) -> None:
        """Delete all rows: TRUNCATE would make new files for every table."""
        async with self.session() as session:
            deletions = [f"DELETE FROM {name}" for name in reversed(self.tables)]
            await session.execute("; ".join([f"SELECT set_config('{PURPOSE}', 'retention', true)", *deletions]))

    async def set_clock(self, seconds: float) -> None:
        """Set its clock to a simulated time."""
        async with self.session() as session:
            await session.execute(
                "UPDATE simulation.clock SET time = timestamptz '2025-01-01' + make_interval(secs => $1)",
                seconds + self.clock_error,
            )

    async def snapshot(self) -> dict[str, bytes]:
        """Return all rows."""
        found = {}
        async with self.session() as session, session.transaction(isolation="repeatable_read"):
            for name in self.tables:
                held = io.BytesIO()
                await session.copy_from_table(name, output=held, format="binary")
                found[name] = held.getvalue()
        return found

    async def restore(self, snapshot: dict[str, bytes]) -> None:
        """Put all rows back as they were."""
        await self.empty()
        async with self.session() as session:
            for name, rows in snapshot.items():
                await session.copy_to_table(name, source=io.BytesIO(rows), format="binary")

    async def dispose(self) -> None:
        """Close all connections."""
        await self.engine.dispose()
        await self.settle()
        for connection in self._free:
            await asyncpg.Connection.close(connection)


@dataclass(frozen=True)
class Databases:
    """The databases of the three services."""

    sales: Database
    service: Database
    metrics: Database

    def __iter__(self) -> Any:
        return iter((self.sales, self.service, self.metrics))


@asynccontextmanager
async def open_databases(new_database: Callable[[str], str]) -> AsyncIterator[Databases]:
    """Yield three migrated databases."""
    modules = {"sales": sales_api, "service": service_api, "metrics": metrics_worker}
    tables = {
        "sales": sales_api.schema.metadata.sorted_tables,
        "service": service_api.schema.metadata.sorted_tables,
        "metrics": metrics_worker.schema.TABLES,
    }
    found = {}
    for name, module in modules.items():
        url = new_database(f"simulation_{name}")
        await migrate(module, DatabaseSettings(database_url=url))
        found[name] = Database(name, url, tables[name])
    databases = Databases(**found)
    for database in databases:
        async with database.session() as session:
            await session.execute(CLOCK)
    async with databases.sales.session() as session:
        for product in PRODUCTS:
            await session.execute(
                "INSERT INTO product (id, version, code, name, active) VALUES (gen_random_uuid(), 1, $1, $1, true)",
                product,
            )
    yield databases
    for database in databases:
        await database.dispose()
