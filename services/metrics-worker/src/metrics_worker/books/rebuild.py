"""Rebuilds the books from the log beside the live ones, then swaps the two, while reads and new events go on.

The new books are kept by the very code that keeps the live ones, in a schema of their own that the connection's
search path puts first. What the live books had read at the beginning is booked without sums, which the database makes
afterwards. Then they follow the log up to the live books' offsets; for the last few records the consumer's next
transaction is made to wait, so that both stand at the same offsets when the tables change places in one transaction.
A crash before that leaves the live books untouched and a schema that the next rebuild drops.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import asyncpg
import sqlalchemy as sa
import structlog
from aiokafka import TopicPartition
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from event_contracts.codec import UndecodableEvent
from metrics_worker.books import fold
from metrics_worker.books.fold import Entry
from metrics_worker.books.keeping import CONSUMER, TOPICS
from metrics_worker.books.ledger import Ledger
from metrics_worker.books.narrow import LOCK as NARROWING
from metrics_worker.books.opening import open_books
from metrics_worker.books.summing import sum_up
from metrics_worker.books.tables import BALANCE, POSTING, metadata
from metrics_worker.domain.kinds import KINDS
from metrics_worker.domain.posting import Reporting
from service_kit.compiled import driver_of
from service_kit.consumer.dead_letters import DeadLetter, dead_letter, insert_dead_letters, skipped_positions
from service_kit.consumer.log_identity import NO_TOPIC_ID, LogIdentity
from service_kit.consumer.log_reader import LogReader, UnreadableLog
from service_kit.consumer.offsets import Offsets, consumer_offset
from service_kit.consumer.records import DecodedRecord, Position, position_of
from service_kit.problems import is_transient, sqlstate_of

LOCK: Final = 0x7461_6E64_656D_0005
"""The session advisory lock that lets one rebuild at a time in."""
BESIDE: Final = "books_rebuilt"
BEFORE: Final = "books_before"
CLOSE_ENOUGH: Final = 10
"""Records behind the live books at which the consumer is made to wait: some milliseconds of work."""
SWAP_LOCK_MILLISECONDS: Final = 200
"""Under PostgreSQL's own deadlock time-out: whoever reads is never the one that is turned away."""
SWAP_ATTEMPTS: Final = 100
HELPERS_LOCK_MILLISECONDS: Final = 5_000
"""Over PostgreSQL's deadlock time-out, after which its own vacuums give way to whoever waits for them."""

REBUILT: Final = tuple(
    table.name
    for table in metadata.sorted_tables
    if table.name in ("books", "narrowed", "opening_balance", "sequence_gap")
    or table.name.startswith(tuple(f"{kind.name}_" for kind in KINDS))
)
"""The tables that follow from the log and change places; all others are kept."""

Progress = Callable[[int, int], None]
"""Told how many records are done, of how many."""

log = structlog.get_logger()


class CannotRebuild(Exception):
    """The books cannot be rebuilt now; says why and what to do."""


@dataclass
class _Source:
    """The log that the books are rebuilt from."""

    reader: LogReader[list[Entry]]
    reporting: Reporting
    dead_letters: dict[Position, DeadLetter] = field(default_factory=dict)
    """The records that cannot be booked."""


async def rebuild(
    database_url: str,
    bootstrap_servers: str,
    reporting: Reporting | None = None,
    *,
    default: Reporting,
    topics: Sequence[str] = TOPICS,
    progress: Progress = lambda done, total: None,
) -> int:
    """Puts books kept by `reporting` in the place of the live ones; returns how many records they were made from.

    Without `reporting` they are kept by the time zone and currency of the live ones, or by `default` where those were
    never opened. Raises `CannotRebuild`; the live books are then as they were.
    """
    control = create_async_engine(database_url, poolclass=NullPool)
    beside = create_async_engine(
        database_url,
        pool_size=1,
        max_overflow=0,
        connect_args={
            "server_settings": {
                "application_name": "metrics-replay",
                "timezone": "UTC",
                "search_path": f"{BESIDE}, public",
                # What a crash loses is rebuilt with the rest.
                "synchronous_commit": "off",
                "jit": "off",
            }
        },
    )
    try:
        async with control.connect() as guard:
            if not (await guard.execute(sa.select(sa.func.pg_try_advisory_lock(LOCK)))).scalar_one():
                raise CannotRebuild("another rebuild of these books is under way")
            await guard.commit()
            kept = await _kept_by(guard)
            indexes = await _make_room(guard)
            reporting = await open_books(beside, reporting or kept or default)
            decode = partial(fold.decode, reporting=reporting)
            async with LogReader.open(bootstrap_servers, topics, decode) as reader:
                reader.skipped_positions = await skipped_positions(guard, CONSUMER, reader.identity.topic_ids)
                source = _Source(reader, reporting)
                await _book_whole_log(guard, beside, source, topics, progress, indexes)
                ledger = Ledger(reporting)
                await _follow(guard, beside, ledger, source, topics, progress)
                await guard.commit()
                await _count_rows(beside)
                await _swap(guard, beside, ledger, source, topics, progress)
                return sum(reader.next_offsets.values())
    except UnreadableLog as error:
        raise CannotRebuild(str(error)) from error
    finally:
        await beside.dispose()
        await control.dispose()


async def _kept_by(connection: AsyncConnection) -> Reporting | None:
    # Not opening.kept_by: books by other rules are what a rebuild is for.
    row = (await connection.execute(sa.text("SELECT timezone, currency FROM public.books"))).one_or_none()
    await connection.commit()
    return None if row is None else Reporting(zone=ZoneInfo(row.timezone), currency=row.currency)


async def _make_room(connection: AsyncConnection) -> list[str]:
    """Makes the new tables, empty; returns the statements that make those indexes that are to follow."""
    for schema in (BESIDE, BEFORE):
        await drop_schema(connection, schema)
    await connection.execute(sa.text(f"CREATE SCHEMA {BESIDE}"))
    for table in REBUILT:
        await connection.execute(sa.text(f"CREATE TABLE {BESIDE}.{table} (LIKE public.{table} INCLUDING ALL)"))
    # All but this is copied by the above.
    comments = await connection.execute(
        sa.text("""
            SELECT format('COMMENT ON TABLE %I.%I IS %L', CAST(:beside AS text), relname,
                          obj_description(oid, 'pg_class'))
            FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = ANY(:names)
        """),
        {"names": list(REBUILT), "beside": BESIDE},
    )
    for comment in comments.scalars().all():
        await connection.exec_driver_sql(comment)
    # Before anybody else knows of the tables: to take an index away means to wait for all who look at its table.
    indexes = await _take_indexes(connection)
    await connection.commit()
    return indexes


async def _take_indexes(connection: AsyncConnection) -> list[str]:
    """Takes from the new postings the indexes that filling them does not need; returns what makes them again.

    Where customers were merged it needs them all: each merge looks for a customer's postings.
    """
    if (await connection.execute(sa.text("SELECT EXISTS (SELECT FROM public.account_merge)"))).scalar_one():
        return []
    found = await connection.execute(
        sa.text("""
            SELECT indexrelid::regclass AS name, pg_get_indexdef(indexrelid) AS definition
            FROM pg_index WHERE indrelid = ANY(CAST(:tables AS regclass[])) AND NOT indisprimary
        """),
        {"tables": [f"{BESIDE}.{table.name}" for table in POSTING.values()]},
    )
    indexes = found.all()
    for index in indexes:
        await connection.execute(sa.text(f"DROP INDEX {index.name}"))
    return [index.definition for index in indexes]


async def _live_offsets(connection: AsyncConnection, topics: Sequence[str]) -> dict[TopicPartition, Any]:
    rows = await connection.execute(
        sa.select(consumer_offset).where(consumer_offset.c.consumer == CONSUMER, consumer_offset.c.topic.in_(topics))
    )
    return {TopicPartition(row.topic, row.partition): row for row in rows}


async def _book_whole_log(
    guard: AsyncConnection,
    beside: AsyncEngine,
    source: _Source,
    topics: Sequence[str],
    progress: Progress,
    indexes: Sequence[str],
) -> None:
    """Books all that the live books have read by now: the empty new ones are filled, then indexed and summed up."""
    target = await _target(guard, source, topics)
    await guard.commit()
    await _book_up_to(beside, Ledger(source.reporting, sums=False), source, target, progress)
    async with beside.begin() as connection:
        for index in indexes:
            await connection.exec_driver_sql(index)
    for kind in BALANCE:
        async with beside.begin() as connection:
            await sum_up(connection, kind)


async def _follow(
    guard: AsyncConnection,
    beside: AsyncEngine,
    ledger: Ledger,
    source: _Source,
    topics: Sequence[str],
    progress: Progress,
) -> None:
    """Comes as close to the live books, which go on meanwhile, as they let it."""
    before = None
    while True:
        target = await _target(guard, source, topics)
        behind = source.reader.lag(target)
        if behind <= CLOSE_ENOUGH or (before is not None and behind >= before):
            return
        await _book_up_to(beside, ledger, source, target, progress)
        before = behind


async def _count_rows(beside: AsyncEngine) -> None:
    """Tells PostgreSQL's planner how large the new tables are: their first readers must not find out."""
    async with beside.begin() as connection:
        await connection.execute(sa.text("ANALYZE " + ", ".join(f"{BESIDE}.{name}" for name in REBUILT)))


async def _target(connection: AsyncConnection, source: _Source, topics: Sequence[str]) -> Offsets:
    """Return the live books' offsets. Raises `CannotRebuild` when they are of another log."""
    live = await _live_offsets(connection, topics)
    _require_same_log(source.reader.identity, live)
    await source.reader.add_partitions(live)
    return {part: row.next_offset for part, row in live.items()}


def _require_same_log(identity: LogIdentity, live: Mapping[TopicPartition, Any]) -> None:
    for part, row in live.items():
        known = (NO_TOPIC_ID, identity.topic_ids[part.topic])
        if row.cluster_id != identity.cluster_id or row.topic_id not in known:
            raise CannotRebuild(
                f"{part.topic} is not the log that the books were kept from; see metrics-consumer's log"
            )


async def _book_up_to(
    beside: AsyncEngine, ledger: Ledger, source: _Source, target: Offsets, progress: Progress
) -> None:
    """Books all records before the target offsets; while one batch is written, the next is read and decoded."""
    reader = source.reader
    writing: asyncio.Task[None] | None = None
    try:
        while reader.lag(target):
            decoded = await reader.read(target)
            if writing is not None:
                await writing
            writing = asyncio.create_task(_book_batch(beside, ledger, source, decoded))
            progress(sum(reader.next_offsets.values()), sum(target.values()))
        if writing is not None:
            await writing
    finally:
        if writing is not None and not writing.done():
            writing.cancel()
            await asyncio.wait([writing])


async def _book_batch(
    beside: AsyncEngine, ledger: Ledger, source: _Source, decoded: Sequence[DecodedRecord[list[Entry]]]
) -> None:
    booked = []
    for record, value in decoded:
        if isinstance(value, UndecodableEvent):
            source.dead_letters[position_of(record)] = DeadLetter(record, value.reason, value.detail)
        elif isinstance(value, Exception):
            source.dead_letters[position_of(record)] = DeadLetter(record, "handler-failed", type(value).__name__)
        else:
            booked.append((record, value))
    try:
        await _book(beside, ledger, [entry for _, entries in booked for entry in entries])
    except Exception as error:
        if is_transient(error):
            raise
        # As the consumer does it: one record stops nobody but itself.
        for record, entries in booked:
            try:
                await _book(beside, ledger, entries)
            except Exception as alone:
                if is_transient(alone):
                    raise
                source.dead_letters[position_of(record)] = DeadLetter(record, "handler-failed", type(alone).__name__)


async def _book(beside: AsyncEngine, ledger: Ledger, entries: Sequence[Entry]) -> None:
    async with beside.begin() as connection:
        # asyncpg, which the ledger writes through, begins with SQLAlchemy's first statement.
        await connection.execute(sa.text("SELECT 1"))
        await ledger.apply(connection, entries)


async def _swap(
    guard: AsyncConnection,
    beside: AsyncEngine,
    ledger: Ledger,
    source: _Source,
    topics: Sequence[str],
    progress: Progress,
) -> None:
    """Holds the consumer back, books the last records, and lets the tables change places."""
    for attempt in range(1, SWAP_ATTEMPTS + 1):
        try:
            async with guard.begin():
                await _keep_helpers_away(guard)
                # Asked for before anybody waits: to write out views takes longer than all the rest.
                followers = [*await _grants(guard), *await _views(guard)]
                await _follow(guard, beside, ledger, source, topics, progress)
                began = time.monotonic()
                await guard.execute(sa.text(f"SET LOCAL lock_timeout = {SWAP_LOCK_MILLISECONDS * attempt}"))
                # Every batch begins with its offsets: from here on the consumer's next one waits.
                await guard.execute(sa.text("LOCK TABLE consumer_offset IN EXCLUSIVE MODE"))
                target = await _target(guard, source, topics)
                await _book_up_to(beside, ledger, source, target, progress)
                await guard.execute(sa.text(f"SET LOCAL lock_timeout = {SWAP_LOCK_MILLISECONDS}"))
                await _change_places(guard, followers)
                await _settle_dead_letters(guard, source, topics)
        except (DBAPIError, asyncpg.PostgresError) as error:
            if sqlstate_of(error) not in ("55P03", "40P01"):
                raise
            # Somebody reads the books just now, a long report for one; nobody shall wait for us.
            log.info("swap_waits_for_readers", attempt=attempt)
            await asyncio.sleep(0.05)
        else:
            log.info("books_swapped", consumer_waited_seconds=round(time.monotonic() - began, 3))
            break
    else:
        raise CannotRebuild("somebody has been reading the books all the time; try again when that has ended")
    await drop_schema(guard, BEFORE)
    await drop_schema(guard, BESIDE)


async def drop_schema(connection: AsyncConnection, schema: str) -> None:
    """Drops a schema that may be absent, one table after the other, each in a transaction of its own.

    Whoever was asking while the books changed places may still hold on to some of the former tables and want another:
    who waits for one while holding others would make a circle with them.
    """
    for name in await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names(schema)):
        await connection.execute(sa.text(f"DROP TABLE {schema}.{name} CASCADE"))
        await connection.commit()
    await connection.execute(sa.text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
    await connection.commit()


async def _keep_helpers_away(connection: AsyncConnection) -> None:
    """From here on nothing is cleaned up, counted or copied in the background until the transaction ends.

    That would keep the tables for longer than anybody is to wait for their lock. Reading and booking go on.
    """
    await connection.execute(sa.text(f"SET LOCAL lock_timeout = {HELPERS_LOCK_MILLISECONDS}"))
    await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(NARROWING)))
    tables = ", ".join(f"{schema}.{name}" for schema in ("public", BESIDE) for name in REBUILT)
    await connection.execute(sa.text(f"LOCK TABLE {tables} IN SHARE UPDATE EXCLUSIVE MODE"))


class _Follower(NamedTuple):
    """What belongs to some of the live tables: a grant, or a view over them."""

    tables: Sequence[str]
    statement: str
    """Gives it to those that have come in their place."""


async def _change_places(connection: AsyncConnection, followers: Sequence[_Follower]) -> None:
    # `books` first, as every reader does: whoever has it has the others too, and nobody waits in a circle.
    in_order = sorted(REBUILT, key=lambda name: (name != "books", name))
    await connection.execute(sa.text("LOCK TABLE " + ", ".join(f"public.{name}" for name in in_order)))
    # Of kinds that the company does not use, both are empty: each table that stays is a third of a millisecond less.
    rows = await connection.execute(_EVER_USED, {"beside": BESIDE, "names": list(REBUILT)})
    moved = set(rows.scalars())
    moves = [
        f"ALTER TABLE {schema}.{name} SET SCHEMA {target}"
        for name in in_order
        if name in moved
        for schema, target in (("public", BEFORE), (BESIDE, "public"))
    ]
    follow = [each.statement.rstrip(";") for each in followers if not moved.isdisjoint(each.tables)]
    # By one message: the consumer and every reader wait meanwhile.
    driver = await driver_of(connection)
    await driver.execute(";".join([f"CREATE SCHEMA {BEFORE}", *moves, *follow]))


_EVER_USED: Final = sa.text("""
    SELECT DISTINCT relname FROM pg_class
    WHERE relnamespace IN ('public'::regnamespace, CAST(:beside AS regnamespace)) AND relname = ANY(:names)
        AND pg_relation_size(oid) > 0
""")


async def _grants(connection: AsyncConnection) -> list[_Follower]:
    """Who may do what with the live tables: tables made like others do not inherit that."""
    rows = await connection.execute(
        sa.text("""
            SELECT ARRAY[c.relname], format('GRANT %s ON public.%I TO %s', acl.privilege_type, c.relname,
                          CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END)
            FROM pg_class AS c, aclexplode(c.relacl) AS acl
            WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY(:names) AND acl.grantee <> c.relowner
        """),
        {"names": list(REBUILT)},
    )
    return [_Follower(*row) for row in rows]


async def _views(connection: AsyncConnection) -> list[_Follower]:
    """What makes each view over the live tables anew: a view holds on to a table, whatever its name becomes."""
    before = (await connection.execute(sa.text("SHOW search_path"))).scalar_one()
    # With nothing on the path, every name in a definition is written out.
    await connection.execute(sa.text("SET LOCAL search_path = ''"))
    rows = await connection.execute(
        sa.text("""
            SELECT array_agg(DISTINCT t.relname),
                   format('CREATE OR REPLACE VIEW %s AS %s', v.oid::regclass, pg_get_viewdef(v.oid))
            FROM pg_depend AS d
            JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
            JOIN pg_class AS v ON v.oid = r.ev_class AND v.relkind = 'v'
            JOIN pg_class AS t ON d.refclassid = 'pg_class'::regclass AND t.oid = d.refobjid AND t.oid <> v.oid
            WHERE t.relnamespace = 'public'::regnamespace AND t.relname = ANY(:names)
            GROUP BY v.oid
        """),
        {"names": list(REBUILT)},
    )
    followers = [_Follower(*row) for row in rows]
    await connection.execute(sa.text("SELECT set_config('search_path', :path, true)"), {"path": before})
    return followers


async def _settle_dead_letters(connection: AsyncConnection, source: _Source, topics: Sequence[str]) -> None:
    """Delete the dead letters that can be booked now, and insert those that no longer can."""
    of_log = [dead_letter.c.consumer == CONSUMER, dead_letter.c.topic.in_(topics)]
    rows = await connection.execute(
        sa.select(dead_letter.c.id, dead_letter.c.topic, dead_letter.c.partition, dead_letter.c.offset).where(*of_log)
    )
    not_booked = source.dead_letters.keys() | source.reader.skipped_positions
    booked = [row.id for row in rows if (row.topic, row.partition, row.offset) not in not_booked]
    if booked:
        await connection.execute(sa.delete(dead_letter).where(dead_letter.c.id.in_(booked)))
    if source.dead_letters:
        in_order = [source.dead_letters[position] for position in sorted(source.dead_letters)]
        await insert_dead_letters(connection, CONSUMER, source.reader.identity, in_order)
