"""The unit of work: what a request or a message reads and writes, sent with as few statements as it can be.

Reads go at once. Rows, events and the stored answer wait and leave together at the end, in one statement, which is a
transaction by itself; BEGIN is sent only when something is locked, or when one statement is not enough.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import cache, partial
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar, cast
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from asyncpg.transaction import Transaction
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from service_kit import failpoints
from service_kit.access import Access
from service_kit.audit import entries
from service_kit.audit.entries import Action, Actor, Changes, audit_entry
from service_kit.compiled import CompiledStatement
from service_kit.entities import Binding, Entity
from service_kit.write_statement import Change, Loaded, Write, statement_of, write_of

E = TypeVar("E", bound=Entity)

Lock = Literal["update", "no key update", "key share"]
"""How a row is locked until the transaction ends, in PostgreSQL's words. See `edit` and `protect` first."""

_EMPTY: Final = sa.text("select")
TURN_SECONDS: Final = 3.0
"""How long a unit of work waits for a connection that others use. A statement's time-out may follow."""


def units_of_work(
    engine: AsyncEngine, *, process: str | None = None, on_commit: Callable[[], None] | None = None
) -> Callable[..., "UnitOfWork"]:
    """Return what begins a unit of work on the engine's connections. `on_commit` is called after one that wrote.

    `process` is who acts, for the audit; without it the unit of work only reads, or is given an `actor`.
    """
    # SQLAlchemy begins nothing: the transaction is asyncpg's, so that there is none where none is needed.
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
    actor = None if process is None else entries.process(process)
    return partial(UnitOfWork, autocommit, Turns(engine), actor=actor, on_commit=on_commit, process_cache={})


class Turns:
    """The turns for the connections of an engine's pool: first come, first served.

    The pool itself lets newcomers overtake those that wait, until they time out.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        size = engine.pool.size() if isinstance(engine.pool, AsyncAdaptedQueuePool) else 1
        # The last connection is left to health checks.
        turns = max(size - 1, 1)
        self._free = asyncio.Semaphore(turns)
        # Some turns are left to reads, which would wait behind all writes of an overload.
        self._free_for_writes = asyncio.Semaphore(max(turns - max(turns // 4, 1), 1))

    async def take(self, *, only_reads: bool = False) -> None:
        """Wait for a turn. Raise TimeoutError."""
        async with asyncio.timeout(TURN_SECONDS):
            if not only_reads:
                await self._free_for_writes.acquire()
            try:
                await self._free.acquire()
            except BaseException:
                if not only_reads:
                    self._free_for_writes.release()
                raise

    def give_back(self, *, only_reads: bool = False) -> None:
        """End a turn."""
        self._free.release()
        if not only_reads:
            self._free_for_writes.release()


class StaleEntity(Exception):
    """Another transaction changed a row after this unit of work read it; the whole of it is worth another try."""


class UnknownActor(Exception):
    """A record would change without an actor: the unit of work was given none."""


class ClaimTaken(Exception):
    """A unit of work with the same claim is under way."""


class UnitOfWork:
    """A unit of work on a connection of the engine, taken when it is first needed and given back at the end.

    What was not committed is rolled back. An entity is read once, and whatever changes of it until the end is written,
    provided that its `version` in the table is the one that was read; otherwise `StaleEntity` is raised.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        turns: Turns,
        *,
        is_contended: bool = False,
        only_reads: bool = False,
        claim: int | None = None,
        actor: Actor | None = None,
        on_commit: Callable[[], None] | None = None,
        process_cache: dict[Any, Any] | None = None,
    ) -> None:
        """Begin nothing yet. `engine` is in autocommit: see `units_of_work`.

        `is_contended` locks before an edit what would otherwise be checked after it: for another try. `only_reads`
        lets every statement be a transaction by itself. `claim` is an advisory lock that goes with the first write and
        is kept until the transaction ends; while another one has it, that write raises `ClaimTaken`.
        """
        self.access: Access | None = None
        """What the caller of a request may do with whose records; None outside of requests."""
        self.actor = actor
        """Who changes what is changed, for the audit."""
        self.process_cache: Final = {} if process_cache is None else process_cache
        """What all units of work of this process may know, as old as it may be for each."""
        self._engine = engine
        self._turns = turns
        self._is_contended = is_contended
        self._only_reads = only_reads
        self._claim = claim
        self._on_commit = on_commit
        self._has_written = False
        self._connection: AsyncConnection | None = None
        self._driver: asyncpg.Connection | None = None
        self._transaction: Transaction | None = None
        self._is_guest = False
        self._is_unusable = False
        self._known: dict[tuple[type[Entity], Any], Entity] = {}
        self._loaded: defaultdict[sa.Table, dict[int, Loaded]] = defaultdict(dict)
        self._sent: list[Entity] = []
        self._protected: dict[int, Entity] = {}
        self._new: list[Entity] = []
        self._rows: dict[tuple[sa.Table, tuple[str, ...]], list[tuple[Any, ...]]] = {}

    @classmethod
    def within(cls, connection: AsyncConnection, process: str) -> "UnitOfWork":
        """Return a unit of work in the transaction that a consumer has begun, and commits, on its connection."""
        actor = entries.process(process)
        work = cls(connection.engine, Turns(connection.engine), is_contended=True, actor=actor)
        work._connection, work._driver, work._is_guest = connection, _driver_in(connection), True
        return work

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if self._connection is None or self._is_guest:
            return
        if kind is not None and not issubclass(kind, Exception):
            # It may have been cancelled within a statement: the state of the connection is not known.
            self._is_unusable = True
        if kind is None and self._transaction is None:
            try:
                await self._connection.close()
            finally:
                self._turns.give_back(only_reads=self._only_reads)
        else:
            await asyncio.shield(asyncio.ensure_future(self._give_back(self._connection)))

    async def get(self, entity: type[E], key: Any, *, lock: Lock | None = None) -> E | None:
        """Return the entity with this key, or None. Raises `StaleEntity` when it has changed since it was read."""
        known = self._known.get((entity, (key,)))
        if known is not None and (lock is None or id(known) not in self._loaded[entity.table]):
            # An entity that is not in the database yet needs no lock.
            return cast("E", known)
        rows = await _by_key(entity.binding, lock).all(self, key=key)
        if rows and lock is not None and entity.binding.child_type is not None:
            # In a statement of its own: one that waited for the lock would see child rows as they were before.
            rows = await _by_key(entity.binding).all(self, key=key)
        return self._made(entity, rows) if rows else None

    async def edit(self, entity: type[E], key: Any) -> E | None:
        """Return the entity with this key to be changed, or None.

        Its row is locked only after another transaction was quicker once; until then its version is checked on writing.
        """
        return await self.get(entity, key, lock="no key update" if self._is_contended else None)

    async def protect(self, entity: type[E], key: Any) -> E | None:
        """Return the entity with this key, or None. It is as it was read when what refers to it is written.

        Its row is locked only after another transaction was quicker once; until then its version is checked on writing.
        """
        if self._is_contended or "version" not in entity.binding.identity:
            return await self.get(entity, key, lock="key share")
        found = await self.get(entity, key)
        if found is not None:
            self._protected[id(found)] = found
        return found

    async def find(
        self,
        entity: type[E],
        *where: sa.ColumnElement[bool],
        order_by: Sequence[sa.ColumnElement[Any]] = (),
        lock: Lock | None = None,
        limit: int | None = None,
        skips_locked: bool = False,
    ) -> list[E]:
        """Return the entities that meet all conditions, in the given order.

        With a lock they are locked in this order, `limit` at most, leaving out those that others have locked if so
        asked.
        """
        key = entity.table.primary_key.columns[0]
        condition = sa.and_(sa.true(), *where)
        if lock is not None:
            keys = sa.select(key).where(condition).order_by(*order_by).limit(limit)
            locking = _locking(keys, lock, skips_locked=skips_locked)
            locked = [row[0] for row in await CompiledStatement(locking, locks=True).all(self)]
            if not locked:
                return []
            condition = key == sa.any_(sa.literal(locked, sa.ARRAY(key.type)))
        query = entity.binding.select.where(condition).order_by(*order_by, *entity.binding.child_order)
        found: dict[Any, list[asyncpg.Record]] = {}
        for row in await CompiledStatement(query).all(self):
            found.setdefault(entity.binding.key_in(tuple(row)), []).append(row)
        return [self._made(entity, rows) for rows in found.values()]

    def add(self, entity: Entity, *, by_caller: bool = True) -> None:
        """Insert a new entity with its child rows.

        What is added by a rule of the company, and not by the caller of the request, they need not see.
        """
        if self.access is not None and by_caller:
            self.access.touch(entity, entity.table, is_new=True)
        self._new.append(entity)
        binding = entity.binding
        self._known[type(entity), binding.key_in(binding.values_of(entity))] = entity

    def insert(self, table: sa.Table, row: Mapping[str, Any]) -> None:
        """Insert a row of a table that is no entity's, after all that was inserted into it before."""
        self._rows.setdefault((table, tuple(row)), []).append(tuple(row.values()))

    async def delete(self, entity: Entity) -> None:
        """Delete an entity that was read with a lock, at once."""
        binding = entity.binding
        if binding.is_audited:
            self._audit([entries.deletion(self._known_actor(), entity)])
        key = binding.key_in(binding.values_of(entity))
        where = (one == value for one, value in zip(entity.table.primary_key.columns, key, strict=True))
        await self.execute(sa.delete(entity.table).where(*where))
        self._known.pop((type(entity), key), None)
        self._loaded[entity.table].pop(id(entity), None)

    def audit(self, noun: str, record_id: UUID, action: Action, changes: Changes, version: int | None = None) -> None:
        """Add an audit entry about what is done otherwise than by an audited entity."""
        self._audit([entries.entry(self._known_actor(), noun, record_id, action, changes, version)])

    def _audit(self, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            self._rows.setdefault((audit_entry, entries.COLUMNS), []).extend(rows)

    def _known_actor(self) -> Actor:
        if self.actor is None:
            raise UnknownActor
        return self.actor

    async def execute(self, statement: sa.Executable, values: Any = None) -> sa.CursorResult[Any]:
        """Run a Core statement that is not compiled, by SQLAlchemy, after all that waits to be written."""
        if not self._only_reads:
            self._has_written = True
            await self.begin()
            await self.flush()
        await self._connect()
        assert self._connection is not None  # noqa: S101 - it has just been connected
        return await self._connection.execute(statement, values)

    async def connection(self) -> AsyncConnection:
        """Return the connection for plain reads, once what waits to be written has been sent.

        Where the unit of work only reads, all that is read from then on is of one moment.
        """
        if self._only_reads:
            await self._begin(isolation="repeatable_read", readonly=True)
        else:
            await self.flush()
        await self._connect()
        assert self._connection is not None  # noqa: S101 - it has just been connected
        return self._connection

    async def begin(self) -> None:
        """Begin a transaction, unless there is one."""
        await self._begin()

    async def _begin(self, **options: Any) -> None:
        if self._transaction is not None or self._is_guest:
            return
        driver = await self._connect()
        # Should BEGIN fail half-way, asyncpg takes the connection for one that has begun.
        self._is_unusable = True
        transaction = driver.transaction(**options)
        await transaction.start()
        self._transaction, self._is_unusable = transaction, False

    async def flush(self) -> None:
        """Send what waits to be written, within the transaction. Raises `StaleEntity`, `ClaimTaken`."""
        changes = self._changes()
        if changes or self._new or self._rows:
            await self.begin()
            await self._send(changes)

    async def commit(self) -> None:
        """Send what waits to be written, and end the transaction. Raises `StaleEntity`, `ClaimTaken`."""
        changes = self._changes()
        if len(changes) > 1:
            await self.begin()
        if self._transaction is None:
            failpoints.reach("write.before-commit")
        await self._send(changes)
        if self._transaction is not None:
            failpoints.reach("write.before-commit")
            transaction, self._transaction = self._transaction, None
            await transaction.commit()
        if self._has_written:
            failpoints.reach("write.after-commit")
            if self._on_commit is not None:
                self._on_commit()

    @contextlib.asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo, should it fail, all that is done within. What it has read and written is read anew after it."""
        await self.begin()
        await self.flush()
        self._sent.clear()
        before, claim = frozenset(self._known), self._claim
        transaction = (await self._connect()).transaction()
        await transaction.start()
        try:
            yield
            await self.flush()
        except BaseException:
            # What was read may have been changed since, and what was added is not there: all is read anew.
            self._sent.clear()
            self._known.clear()
            self._loaded.clear()
            self._protected.clear()
            self._new.clear()
            self._rows.clear()
            await transaction.rollback()
            # PostgreSQL releases with it what was locked within.
            self._claim = claim
            raise
        await transaction.commit()
        # An import of many rows would compare all that it has written before with each flush.
        for entity in self._sent:
            key = type(entity), entity.binding.key_in(entity.binding.values_of(entity))
            if key not in before:
                self._known.pop(key, None)
                self._loaded[entity.table].pop(id(entity), None)
        self._sent.clear()

    async def driver_for(self, statement: CompiledStatement) -> asyncpg.Connection:
        """Return the connection for a compiled statement, once what it has to see has been sent."""
        if not statement.only_reads:
            await self.begin()
        if not self._only_reads and statement.sees_all and self._has_waiting(statement.tables):
            await self.flush()
        return await self._connect()

    def _has_waiting(self, tables: frozenset[sa.Table] | None) -> bool:
        if tables is None:
            return bool(self._new or self._rows or self._changes())
        return (
            any(entity.table in tables for entity in self._new)
            or any(table in tables for table, _ in self._rows)
            or any(loaded.change() is not None for table in tables for loaded in self._loaded[table].values())
        )

    async def _connect(self) -> asyncpg.Connection:
        if self._driver is None:
            await self._turns.take(only_reads=self._only_reads)
            try:
                self._connection = await self._engine.connect()
            except BaseException:
                self._turns.give_back(only_reads=self._only_reads)
                raise
            self._driver = _driver_in(self._connection)
        return self._driver

    async def _give_back(self, connection: AsyncConnection) -> None:
        try:
            assert self._driver is not None  # noqa: S101 - it came with the connection
            if self._driver.is_closed():
                # SQLAlchemy finds it out by itself, and hands out no other connection of that age.
                with contextlib.suppress(sa.exc.DBAPIError):
                    await connection.execute(_EMPTY)
            elif self._is_unusable:
                await connection.invalidate()
            elif self._transaction is not None:
                await self._transaction.rollback()
        except Exception:
            # What brought us here matters more than that there was nothing left to roll back.
            await connection.invalidate()
        finally:
            try:
                await connection.close()
            finally:
                self._turns.give_back(only_reads=self._only_reads)

    def _made(self, entity: type[E], rows: Sequence[asyncpg.Record]) -> E:
        """Return the entity that is in the rows, one for each of its child rows."""
        binding = entity.binding
        values = tuple(rows[0].values())[: len(binding.names)]
        fields = binding.fields(values)
        key = binding.key_in(values)
        if (known := self._known.get((entity, key))) is not None:
            loaded = self._loaded[entity.table][id(known)].identity
            if not self._only_reads and any(fields[name] != loaded[name] for name in binding.identity):
                raise StaleEntity
            return cast("E", known)
        if binding.child_field is not None and binding.child_type is not None:
            child = binding.child_type
            beside = [tuple(row.values())[len(binding.names) :] for row in rows]
            fields[binding.child_field] = [child(**child.binding.fields(one)) for one in beside if one[0] is not None]
        made = entity(**fields)
        self._known[entity, key] = made
        self._loaded[entity.table][id(made)] = Loaded.of(made)
        return made

    def _changes(self) -> list[Change]:
        loaded = (one for of_table in self._loaded.values() for one in of_table.values())
        return [change for one in loaded if (change := one.change()) is not None]

    async def _send(self, changes: list[Change]) -> None:
        if any(one.binding.is_audited for one in (*(change.loaded.entity for change in changes), *self._new)):
            self._audit(entries.entries_of(self._known_actor(), changes, self._new))
        for change in changes[:-1]:
            await self._write(write_of(change, (), {}, claim=self._claim))
        if changes or self._new or self._rows:
            changed = {id(change.loaded.entity) for change in changes}
            protected = [
                self._loaded[entity.table][one]
                for one, entity in self._protected.items()
                if one in self._loaded[entity.table] and one not in changed
            ]
            last = changes[-1] if changes else None
            await self._write(write_of(last, self._new, self._rows, protected, claim=self._claim))
        for entity in (*(change.loaded.entity for change in changes), *self._new):
            self._loaded[entity.table][id(entity)] = Loaded.of(entity)
            self._sent.append(entity)
        # Once written they are locked until the transaction ends.
        self._protected.clear()
        self._new.clear()
        self._rows.clear()

    async def _write(self, write: Write) -> None:
        statement = statement_of(write.shape)
        driver = await self._connect()
        outcome = await driver.fetchrow(statement.sql, *statement.arguments(write.values))
        assert outcome is not None  # noqa: S101 - its select has one row
        if not outcome["is_claimed"]:
            raise ClaimTaken
        if not outcome["is_written"]:
            raise StaleEntity
        self._claim, self._has_written = None, True


def _driver_in(connection: AsyncConnection) -> asyncpg.Connection:
    # Nothing is waited for: the connection was taken from the pool before.
    assert connection.sync_connection is not None  # noqa: S101 - it has been connected
    # By way of the adapter: a connection that is detached from its pool has no driver_connection itself.
    adapter = cast("sa.AdaptedConnection", connection.sync_connection.connection.dbapi_connection)
    return cast("asyncpg.Connection", adapter.driver_connection)


def _locking(query: sa.Select[Any], lock: Lock, *, skips_locked: bool = False) -> sa.Select[Any]:
    is_shared = lock == "key share"
    return query.with_for_update(read=is_shared, key_share=lock != "update", skip_locked=skips_locked)


@cache
def _by_key(binding: Binding, lock: Lock | None = None) -> CompiledStatement:
    """Return the statement that reads an entity by its key, or locks its row and reads that."""
    (key,) = binding.table.primary_key.columns
    everything = binding.select.order_by(*binding.child_order)
    query = everything if lock is None else _locking(sa.select(binding.table), lock)
    # What waits to be written is known by its key, and not read.
    found = query.where(key == sa.bindparam("key", type_=key.type))
    return CompiledStatement(found, locks=lock is not None, sees_all=False)


@contextlib.asynccontextmanager
async def written_durably(connection: AsyncConnection, process: str) -> AsyncIterator[UnitOfWork]:
    """Yield a unit of work within a consumer's transaction, for effects that are published: it is durable.

    What a crash takes from a consumer's other effects is read again; but an event that was sent must never have
    been lost, or another would come under the same sequence.
    """
    await connection.execute(sa.text("set local synchronous_commit to on"))
    work = UnitOfWork.within(connection, process)
    yield work
    await work.flush()
