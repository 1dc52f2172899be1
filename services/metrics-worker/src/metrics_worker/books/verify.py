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
from operator import add
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from event_contracts.codec import UndecodableEvent
from metrics_worker.books.fold import (
    ALL,
    NO_VALUE,
    NOT_IN_BALANCES,
    SEGMENT_BUCKETS,
    BalanceKey,
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
from service_kit.consumer_tables import Place, consumer_offset, dead_letter, overruled

SHOWN_DIFFERENCES = 100
CATCH_UP_SECONDS = 60.0
POLL_MILLISECONDS = 500
SILENT_SECONDS = 20.0
"""A log that gives nothing for this long, though more is known to be there, cannot be read."""

Offsets = dict[TopicPartition, int]
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
    dead_letters: dict[Place, str]
    """The status of each."""
    overruled: frozenset[Place]
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
    undecodable: set[Place] = field(default_factory=set)
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
    partitions = await _partitions(bootstrap_servers, topics)
    kafka = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, enable_auto_commit=False, auto_offset_reset="none")
    try:
        await kafka.start()
        first: Offsets = await kafka.beginning_offsets(partitions)
        if cut := [part for part, offset in first.items() if offset > 0]:
            raise CannotVerify(f"the log of {cut[0].topic} was cut: it no longer begins at its beginning")
        end: Offsets = await kafka.end_offsets(partitions)
        await _caught_up(engine, end, catch_up_seconds)
        books = await _read_books(engine, topics, reporting)
        until = {part: books.offsets.get(part, 0) for part in partitions}
        log = await read_log(kafka, until, reporting, books.overruled)
    finally:
        await kafka.stop()
    return _compare(books, log, reporting)


async def _partitions(bootstrap_servers: str, topics: Sequence[str]) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=10_000)
    try:
        await admin.start()
        described = await admin.describe_topics(list(topics))
    finally:
        await admin.close()
    if absent := [entry["topic"] for entry in described if entry["error_code"]]:
        raise CannotVerify(f"Kafka has no topic {absent[0]}")
    return [TopicPartition(entry["topic"], part["partition"]) for entry in described for part in entry["partitions"]]


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


async def _read_books(engine: AsyncEngine, topics: Sequence[str], reporting: Reporting) -> _Books:
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
            overruled=await overruled(connection, CONSUMER),
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


async def read_log(
    kafka: AIOKafkaConsumer,
    until: Offsets,
    reporting: Reporting,
    overruled: frozenset[Place] = frozenset(),
) -> _Log:
    """Reads the topics from their beginning, each partition up to but without the given offset.

    Leaves out the records that are `overruled`.
    """
    log = _Log()
    open_partitions = {part for part, offset in until.items() if offset > 0}
    kafka.assign(sorted(open_partitions))
    for part in open_partitions:
        kafka.seek(part, 0)
    heard = time.monotonic()
    while open_partitions:
        polled = await kafka.getmany(timeout_ms=POLL_MILLISECONDS)
        if polled:
            heard = time.monotonic()
        elif time.monotonic() - heard > SILENT_SECONDS:
            raise CannotVerify(f"the log gave nothing for {SILENT_SECONDS:.0f} s: is Kafka up?")
        for part, records in polled.items():
            for record in records:
                if record.offset < until[part] and (part.topic, part.partition, record.offset) not in overruled:
                    _take(log, record, reporting)
        finished = {part for part in open_partitions if await kafka.position(part) >= until[part]}
        if finished:
            open_partitions -= finished
            kafka.pause(*finished)
    return log


def _take(log: _Log, record: Any, reporting: Reporting) -> None:
    try:
        entries = decode(record.value, reporting)
    except UndecodableEvent:
        log.undecodable.add((record.topic, record.partition, record.offset))
        return
    log.events += 1
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
