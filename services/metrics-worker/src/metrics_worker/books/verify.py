"""Proves the books: balances = sum of postings = a recomputation from the log, and says where not.

The recomputation shares `postings_for` with the consumer and nothing else: it reads the topics from their beginning
up to the offsets that the books stand at, keeps each subject's newest state in memory, and sums. It holds at any
moment, also while events flow, since books and offsets are read in one snapshot.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from operator import add
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from aiokafka import TopicPartition
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from metrics_worker.books.fold import (
    ALL,
    NO_VALUE,
    NOT_IN_BALANCES,
    SEGMENT_BUCKETS,
    BalanceKey,
    Entry,
    HistogramKey,
    Span,
    Sums,
    balances_of,
    decode,
    histograms_of,
)
from metrics_worker.books.keeping import CONSUMER, TOPICS
from metrics_worker.books.narrow import strayed
from metrics_worker.books.opening import kept_by
from metrics_worker.books.opening_balances import misbrought
from metrics_worker.books.recomputing import Newest, newest_of, recomputed
from metrics_worker.books.tables import BALANCE, HISTOGRAM, NARROW, OPENING, POSTING, SUBJECT, bucket_column
from metrics_worker.domain.kinds import TOLD_KINDS, Kind
from metrics_worker.domain.posting import Posting, Reporting
from service_kit.consumer.dead_letters import dead_letter, skipped_positions
from service_kit.consumer.log_identity import LogIdentity, TopicsMissing
from service_kit.consumer.log_reader import LogReader, UnreadableLog
from service_kit.consumer.offsets import Offsets, consumer_offset
from service_kit.consumer.records import Position, position_of

SHOWN_DIFFERENCES = 100
CATCH_UP_SECONDS = 60.0

CustomerKey = tuple[str, date]
"""Customer (`NO_VALUE` for none) and day."""


class CannotVerify(Exception):
    """The books could not be compared at all; says why and what to do."""


@dataclass
class Report:
    """What the comparison found."""

    events: int = 0
    """Records of the log that were decoded; undecodable ones are compared with the dead letters."""
    subjects: dict[str, int] = field(default_factory=dict)
    differences: list[dict[str, Any]] = field(default_factory=list)
    """The first hundred."""
    differences_found: int = 0

    def differ(self, table: str, key: Sequence[Any], **sides: Any) -> None:
        """Notes one difference."""
        self.differences_found += 1
        if len(self.differences) < SHOWN_DIFFERENCES:
            self.differences.append({"table": table, "key": [str(part) for part in key], **sides})

    def to_json(self) -> dict[str, Any]:
        """As `metrics-verify` prints it."""
        return {
            "ok": not self.differences_found,
            "events": self.events,
            "subjects": self.subjects,
            "differences_found": self.differences_found,
            "differences": self.differences,
        }


@dataclass
class _Books:
    """What the database holds, of one moment."""

    offsets: Offsets
    dead_letters: dict[Position, str]
    """The status of each."""
    skipped_positions: frozenset[Position]
    """Those whose records do not count as they came, whoever can read them now."""
    subjects: dict[str, dict[UUID, int]]
    balances: dict[str, dict[BalanceKey, Sums]]
    postings: dict[str, dict[BalanceKey, Sums]]
    by_customer: dict[str, dict[CustomerKey, Sums]]
    histograms: dict[str, dict[HistogramKey, int]]
    counted: dict[str, dict[HistogramKey, int]]
    """What the histograms should be, by the postings."""
    strayed: dict[str, list[tuple[str, tuple[Any, ...]]]]
    """What the postings and their narrow copies do not agree on."""
    misbrought: dict[str, list[tuple[date, tuple[Any, ...], dict[str, int]]]]
    """What opening balances do not owe to the postings."""


@dataclass
class _Log:
    """What the topics hold, up to the same moment."""

    events: int = 0
    undecodable: set[Position] = field(default_factory=set)
    newest: dict[Kind, dict[UUID, Newest]] = field(default_factory=lambda: defaultdict(dict))


async def verify(
    engine: AsyncEngine,
    bootstrap_servers: str,
    reporting: Reporting,
    *,
    topics: Sequence[str] = TOPICS,
    catch_up_seconds: float = CATCH_UP_SECONDS,
) -> Report:
    """Compares the books with the log. Waits until they have reached the log's present end.

    Raises `CannotVerify` when they don't within `catch_up_seconds`, or the log no longer begins at its beginning.
    """
    try:
        async with LogReader.open(bootstrap_servers, topics, partial(decode, reporting=reporting)) as reader:
            identity = reader.identity
            await reader.add_partitions(
                TopicPartition(topic, number) for topic in topics for number in range(identity.partitions[topic])
            )
            await _caught_up(engine, await reader.end_offsets(), catch_up_seconds)
            books = await _read_books(engine, topics, identity, reporting)
            reader.skipped_positions = books.skipped_positions
            log = await read_log(reader, {part: books.offsets.get(part, 0) for part in reader.next_offsets})
    except (TopicsMissing, UnreadableLog) as error:
        raise CannotVerify(str(error)) from error
    return _compare(books, log, reporting)


async def _stored_offsets(connection: AsyncConnection, topics: Sequence[str]) -> Offsets:
    rows = await connection.execute(
        sa.select(consumer_offset.c.topic, consumer_offset.c.partition, consumer_offset.c.next_offset).where(
            consumer_offset.c.consumer == CONSUMER, consumer_offset.c.topic.in_(topics)
        )
    )
    return {TopicPartition(row.topic, row.partition): row.next_offset for row in rows}


async def _caught_up(engine: AsyncEngine, end: Offsets, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        async with engine.connect() as connection:
            stored = await _stored_offsets(connection, sorted({part.topic for part in end}))
        behind = sum(max(offset - stored.get(part, 0), 0) for part, offset in end.items())
        if not behind:
            return
        if time.monotonic() > deadline:
            raise CannotVerify(f"the books are {behind} records behind the log: is the consumer up?")
        await asyncio.sleep(0.1)


async def _read_books(
    engine: AsyncEngine, topics: Sequence[str], identity: LogIdentity, reporting: Reporting
) -> _Books:
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        offsets = await _stored_offsets(connection, topics)
        if (await kept_by(connection) or reporting) != reporting:
            raise CannotVerify("the books were rebuilt meanwhile; compare again")
        return _Books(
            offsets=offsets,
            dead_letters={
                (row.topic, row.partition, row.offset): row.status
                for row in await connection.execute(
                    sa.select(dead_letter).where(dead_letter.c.consumer == CONSUMER, dead_letter.c.topic.in_(topics))
                )
            },
            skipped_positions=await skipped_positions(connection, CONSUMER, identity.topic_ids),
            subjects={
                kind.name: {
                    row.id: row.sequence for row in await connection.execute(sa.select(table.c.id, table.c.sequence))
                }
                for kind, table in SUBJECT.items()
            },
            balances={kind.name: await stored_balances(connection, kind) for kind in BALANCE},
            postings={kind.name: await summed_postings(connection, kind) for kind in POSTING},
            by_customer={kind.name: await posted_by_customer(connection, kind) for kind in POSTING},
            histograms={kind.name: await stored_histograms(connection, kind) for kind in HISTOGRAM},
            counted={kind.name: await counted_postings(connection, kind) for kind in HISTOGRAM},
            strayed={kind.name: await strayed(connection, kind) for kind in NARROW},
            misbrought={kind.name: await misbrought(connection, kind) for kind in OPENING},
        )


async def stored_balances(connection: AsyncConnection, kind: Kind) -> dict[BalanceKey, Sums]:
    """A kind's balances; what sums to zero is left out."""
    table = BALANCE[kind]
    measures = [table.c[name] for name in kind.measures]
    rows = await connection.execute(sa.select(table.c.dimension, table.c.span, table.c.day, table.c.value, *measures))
    return _non_zero(rows)


async def summed_postings(connection: AsyncConnection, kind: Kind) -> dict[BalanceKey, Sums]:
    """What a kind's balances should be, by the database's own sums over the postings."""
    table = POSTING[kind]
    measures = [sa.func.sum(table.c[name]) for name in kind.measures]
    found: dict[BalanceKey, Sums] = {}
    for dimension in _balanced(kind):
        for span in ("day", "month", "year"):
            query = sa.select(
                sa.literal(dimension), sa.literal(span), _first_day(table, span), _value(table, dimension)
            )
            if kind.split_by is not None:
                query = query.where(table.c.split == sa.literal(dimension == kind.split_by))
            rows = await connection.execute(query.add_columns(*measures).group_by(sa.text("3"), sa.text("4")))
            found |= _non_zero(rows)
    return found


async def posted_by_customer(connection: AsyncConnection, kind: Kind) -> dict[CustomerKey, Sums]:
    """The sums of a kind's postings by what no balance is kept by; what sums to zero is left out."""
    if NOT_IN_BALANCES not in kind.dimensions:
        return {}
    table = POSTING[kind]
    customer, measures = table.c[NOT_IN_BALANCES], [sa.func.sum(table.c[name]) for name in kind.measures]
    query = sa.select(customer, table.c.day, *measures).group_by(customer, table.c.day)
    if kind.split_by is not None:
        query = query.where(~table.c.split)
    return {
        (row[0] or NO_VALUE, row[1]): tuple(int(amount or 0) for amount in row[2:])
        for row in await connection.execute(query)
        if any(row[2:])
    }


def by_customer(kind: Kind, postings: Iterable[Posting]) -> dict[CustomerKey, Sums]:
    """The same sums, of given postings."""
    if NOT_IN_BALANCES not in kind.dimensions:
        return {}
    sums: dict[CustomerKey, Sums] = {}
    for posting in postings:
        if not posting.split:
            key = (posting.dimensions[kind.dimensions.index(NOT_IN_BALANCES)] or NO_VALUE, posting.day)
            standing = sums.get(key)
            sums[key] = posting.measures if standing is None else tuple(map(add, standing, posting.measures))
    return {key: measures for key, measures in sums.items() if any(measures)}


async def stored_histograms(connection: AsyncConnection, kind: Kind) -> dict[HistogramKey, int]:
    """A kind's histograms; what counts to zero is left out."""
    table = HISTOGRAM[kind]
    rows = await connection.execute(
        sa.select(
            table.c.duration,
            table.c.dimension,
            table.c.span,
            table.c.day,
            table.c.value,
            table.c.segment,
            table.c.counts,
        )
    )
    return {
        (duration, dimension, span, day, value, bucket): count
        for duration, dimension, span, day, value, segment, counts in rows
        for bucket, count in enumerate(counts, start=segment * SEGMENT_BUCKETS)
        if count
    }


async def counted_postings(connection: AsyncConnection, kind: Kind) -> dict[HistogramKey, int]:
    """What a kind's histograms should be, by the database's own sums over the postings."""
    table = POSTING[kind]
    found: dict[HistogramKey, int] = {}
    for name, counting in zip(kind.durations, kind.counting, strict=True):
        bucket = table.c[bucket_column(name)]
        count = sa.func.sum(table.c[kind.measures[counting]])
        for dimension in _balanced(kind):
            for span in ("month", "year"):
                query = sa.select(_first_day(table, span), _value(table, dimension), bucket, count)
                if kind.split_by is not None:
                    query = query.where(table.c.split == sa.literal(dimension == kind.split_by))
                by_bucket = query.where(bucket.is_not(None)).group_by(sa.text("1"), sa.text("2"), bucket)
                for row in await connection.execute(by_bucket):
                    if row[3]:
                        found[name, dimension, span, row[0], row[1], row[2]] = int(row[3])
    return found


def _balanced(kind: Kind) -> list[str]:
    return [name for name in (ALL, *kind.dimensions) if name != NOT_IN_BALANCES]


def _first_day(table: sa.Table, span: Span) -> sa.ColumnElement[Any]:
    return sa.cast(sa.func.date_trunc(span, sa.cast(table.c.day, sa.DateTime)), sa.Date)


def _value(table: sa.Table, dimension: str) -> sa.ColumnElement[Any]:
    return sa.literal(NO_VALUE) if dimension == ALL else sa.func.coalesce(table.c[dimension], NO_VALUE)


def _non_zero(rows: Any) -> dict[BalanceKey, Sums]:
    found: dict[BalanceKey, Sums] = {}
    for dimension, span, day, value, *amounts in rows:
        sums = tuple(int(amount or 0) for amount in amounts)
        if any(sums):
            found[dimension, span, day, value] = sums
    return found


async def read_log(reader: LogReader[list[Entry]], until: Offsets) -> _Log:
    """Return what the reader's partitions hold, each up to but without the given offset."""
    log = _Log()
    while reader.lag(until):
        for record, value in await reader.read(until):
            if isinstance(value, Exception):
                log.undecodable.add(position_of(record))
            else:
                log.events += 1
                _keep_newest(log, value)
    return log


def _keep_newest(log: _Log, entries: Iterable[Entry]) -> None:
    for entry in entries:
        of_kind = log.newest[entry.kind]
        known = of_kind.get(entry.subject_id)
        if known is None or known.sequence < entry.sequence:
            of_kind[entry.subject_id] = newest_of(entry)


def _compare(books: _Books, log: _Log, reporting: Reporting) -> Report:
    report = Report(events=log.events, subjects={kind.name: len(log.newest[kind]) for kind in TOLD_KINDS})
    for letter in sorted(log.undecodable ^ books.dead_letters.keys()):
        if books.dead_letters.get(letter, "open") != "open":
            # Settled when it could not be read; books that were read anew have it now.
            continue
        report.differ("dead_letter", letter, log=letter in log.undecodable, books=letter in books.dead_letters)
    for kind in TOLD_KINDS:
        in_log = {subject_id: newest.sequence for subject_id, newest in log.newest[kind].items()}
        _compare_tables(report, f"{kind.name}_subject", (), log=in_log, books=books.subjects[kind.name])
    postings = recomputed({kind: list(log.newest[kind].values()) for kind in TOLD_KINDS}, reporting)
    for kind in BALANCE:
        expected = balances_of(kind, postings[kind])
        table = f"{kind.name}_balance"
        _compare_tables(report, table, kind.measures, log=expected, balances=books.balances[kind.name])
        _compare_tables(report, table, kind.measures, log=expected, postings=books.postings[kind.name])
        customers = by_customer(kind, postings[kind])
        posted = books.by_customer[kind.name]
        _compare_tables(report, f"{kind.name}_posting", kind.measures, log=customers, postings=posted)
        for side, row in books.strayed[kind.name]:
            report.differ(f"{kind.name}_narrow", row, only_in=side)
        for day, dimensions, off_by in books.misbrought.get(kind.name, []):
            report.differ(f"{kind.name}_opening", (day, *dimensions), off_by=off_by)
        if kind.durations:
            counts = histograms_of(kind, postings[kind])
            table = f"{kind.name}_histogram"
            _compare_tables(report, table, (), log=counts, histograms=books.histograms[kind.name])
            _compare_tables(report, table, (), log=counts, postings=books.counted[kind.name])
    return report


def _compare_tables(report: Report, table: str, measures: Sequence[str], **sides: Mapping[Any, Any]) -> None:
    (left_name, left), (right_name, right) = sides.items()
    for key in sorted({key for key in left.keys() | right.keys() if left.get(key) != right.get(key)}):
        shown = {
            name: dict(zip(measures, side[key], strict=True)) if measures and key in side else side.get(key)
            for name, side in ((left_name, left), (right_name, right))
        }
        report.differ(table, _parts(key), **shown)


def _parts(key: Any) -> tuple[Any, ...]:
    return key if isinstance(key, tuple) else (key,)
