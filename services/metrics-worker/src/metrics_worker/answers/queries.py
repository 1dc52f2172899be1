"""Reads sums from the books: balances when at most one dimension is involved, postings for combinations."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from metrics_worker.answers.period import Interval, Period
from metrics_worker.answers.spans import LARGEST, Piece, cover
from metrics_worker.books.fold import ALL, NO_VALUE, NOT_IN_BALANCES, SEGMENT_BUCKETS
from metrics_worker.books.tables import BALANCE, HISTOGRAM, POSTING, bucket_column
from metrics_worker.kpis.kinds import Kind
from metrics_worker.kpis.posting import EARLIEST_DAY

OPENING = date.min
"""The bucket of all that was before the period: what levels begin with."""

Cell = tuple[date | None, str | None]
"""A bucket's first day by the calendar (None without an interval) and a group's key (None for no value)."""


async def sums(
    session: AsyncSession,
    kind: Kind,
    measures: Sequence[str],
    period: Period,
    *,
    interval: Interval | None,
    group_by: str | None,
    filters: Mapping[str, str | None],
    limit: int,
    from_the_beginning: bool = False,
    as_of: datetime | None = None,
) -> dict[Cell, tuple[int, ...]]:
    """The measures' sums for each bucket and group that has any; `limit` cells at most.

    A filter's value None means: without a value. Without `group_by` every cell's key is None. With
    `from_the_beginning` there is the bucket `OPENING` besides.
    """
    pieces = _pieces(period, interval, from_the_beginning)
    source = _source(kind, filters, group_by, BALANCE, as_of, pieces)
    table = source.table
    bucket = _bucket(table.c.day, period, interval, from_the_beginning)
    query = (
        sa.select(bucket.label("bucket"), source.key.label("key"), *(sa.func.sum(table.c[name]) for name in measures))
        .where(*source.conditions)
        .limit(limit)
    )
    by: list[sa.ColumnElement[Any]] = [
        *([sa.literal_column("1")] if interval or from_the_beginning else []),
        *([sa.literal_column("2")] if group_by else []),
    ]
    rows = await session.execute(query.group_by(*by) if by else query)
    return {
        (row[0], row[1]): tuple(int(amount or 0) for amount in row[2:])
        for row in rows
        # Without any group, PostgreSQL answers an empty range with one row of nulls.
        if by or any(amount is not None for amount in row[2:])
    }


async def counts(
    session: AsyncSession,
    kind: Kind,
    duration: str,
    period: Period,
    *,
    interval: Interval | None,
    group_by: str | None,
    filters: Mapping[str, str | None],
    limit: int,
    as_of: datetime | None = None,
) -> dict[Cell, dict[int, int]]:
    """How many of a duration fall into each bucket of its histogram, for each bucket of days and group that has any.

    `limit` rows at most: cells times buckets.
    """
    pieces = _pieces(period, interval, False)
    found: dict[Cell, dict[int, int]] = {}
    if _kept_as_balances(filters, group_by, as_of):
        wholes = [piece for piece in pieces if piece.span != "day"]
        pieces = [piece for piece in pieces if piece.span == "day"]
        await _count_histograms(found, session, kind, duration, period, interval, group_by, filters, wholes)
    if not pieces:
        return found
    source = _source(kind, filters, group_by, {}, as_of, pieces)
    table = source.table
    histogram_bucket = table.c[bucket_column(duration)]
    counting = table.c[kind.measures[kind.counting[kind.durations.index(duration)]]]
    query = (
        sa.select(
            _bucket(table.c.day, period, interval, False).label("bucket"),
            source.key.label("key"),
            histogram_bucket,
            sa.func.sum(counting),
        )
        .where(*source.conditions, histogram_bucket.is_not(None))
        .group_by(
            *([sa.literal_column("1")] if interval else []),
            *([sa.literal_column("2")] if group_by else []),
            histogram_bucket,
        )
        .limit(limit)
    )
    for bucket, key, number, count in await session.execute(query):
        _count(found, (bucket, key), number, int(count or 0))
    return found


async def _count_histograms(
    found: dict[Cell, dict[int, int]],
    session: AsyncSession,
    kind: Kind,
    duration: str,
    period: Period,
    interval: Interval | None,
    group_by: str | None,
    filters: Mapping[str, str | None],
    pieces: Sequence[Piece],
) -> None:
    if not pieces:
        return
    source = _source(kind, filters, group_by, HISTOGRAM, None, pieces)
    table = source.table
    bucket = _bucket(table.c.day, period, interval, False)
    query = sa.select(bucket, source.key, table.c.segment, table.c.counts)
    query = query.where(*source.conditions, table.c.duration == duration)
    for first, key, segment, counts_of in await session.execute(query):
        for number, count in enumerate(counts_of, start=segment * SEGMENT_BUCKETS):
            if count:
                _count(found, (first, key), number, count)


def _count(found: dict[Cell, dict[int, int]], cell: Cell, number: int, count: int) -> None:
    histogram = found.setdefault(cell, {})
    histogram[number] = histogram.get(number, 0) + count


async def valueless(
    session: AsyncSession, kind: Kind, measures: Sequence[str], period: Period, *, from_the_beginning: bool = False
) -> dict[str, tuple[int, ...]]:
    """The measures' sums of what carries no value of a dimension, by dimension; under `ALL` the whole.

    A dimension of which everything carries a value is left out, and so is the customer.
    """
    table = BALANCE[kind]
    query = (
        sa.select(table.c.dimension, *(sa.func.sum(table.c[name]) for name in measures))
        .where(
            # Spelled out, so that the primary key leads to the rows.
            table.c.dimension.in_([ALL, *kind.dimensions]),
            table.c.value == NO_VALUE,
            _within(table, _pieces(period, None, from_the_beginning)),
        )
        .group_by(table.c.dimension)
    )
    return {row[0]: tuple(map(int, row[1:])) for row in await session.execute(query)}


async def by_value(
    session: AsyncSession,
    kind: Kind,
    measures: Sequence[str],
    dimensions: Sequence[str],
    period: Period,
    *,
    from_the_beginning: bool = False,
) -> dict[tuple[str, str], tuple[int, ...]]:
    """The measures' sums by dimension and value; what carries none is left out."""
    table = BALANCE[kind]
    query = (
        sa.select(table.c.dimension, table.c.value, *(sa.func.sum(table.c[name]) for name in measures))
        .where(
            table.c.dimension.in_(dimensions),
            table.c.value != NO_VALUE,
            _within(table, _pieces(period, None, from_the_beginning)),
        )
        .group_by(table.c.dimension, table.c.value)
    )
    return {(row[0], row[1]): tuple(map(int, row[2:])) for row in await session.execute(query)}


class _Source(NamedTuple):
    """Where sums are read from, under which conditions, and what the group's key is there."""

    table: sa.Table
    conditions: list[sa.ColumnElement[bool]]
    key: sa.ColumnElement[Any]


def _source(
    kind: Kind,
    filters: Mapping[str, str | None],
    group_by: str | None,
    kept: Mapping[Kind, sa.Table],
    as_of: datetime | None,
    pieces: Sequence[Piece],
) -> _Source:
    involved = set(filters) | ({group_by} if group_by else set())
    if kind in kept and _kept_as_balances(filters, group_by, as_of):
        table = kept[kind]
        conditions = [table.c.dimension == next(iter(involved), ALL), _within(table, pieces)]
        conditions += [table.c.value == (value if value is not None else NO_VALUE) for value in filters.values()]
        return _Source(table, conditions, sa.func.nullif(table.c.value, NO_VALUE) if group_by else sa.null())
    table = POSTING[kind]
    conditions = [
        table.c[name].is_(None) if value is None else table.c[name] == value for name, value in filters.items()
    ]
    conditions.append(_days(table.c.day, pieces))
    if kind.split_by is not None:
        # Shares when the split dimension is asked about, wholes when not: never both.
        conditions.append(table.c.split == sa.literal(kind.split_by in involved))
    if as_of is not None:
        conditions.append(table.c.recorded_time <= as_of)
    return _Source(table, conditions, table.c[group_by] if group_by else sa.null())


def _kept_as_balances(filters: Mapping[str, str | None], group_by: str | None, as_of: datetime | None) -> bool:
    involved = set(filters) | ({group_by} if group_by else set())
    return len(involved) <= 1 and NOT_IN_BALANCES not in involved and as_of is None


def _pieces(period: Period, interval: Interval | None, from_the_beginning: bool) -> list[Piece]:
    pieces = cover(period.start, period.end, LARGEST[interval])
    if from_the_beginning:
        pieces = cover(EARLIEST_DAY, period.start - timedelta(days=1), "year") + pieces
    return pieces


def _within(table: sa.Table, pieces: Sequence[Piece]) -> sa.ColumnElement[bool]:
    return sa.or_(
        sa.false(),
        *(sa.and_(table.c.span == piece.span, table.c.day.between(piece.first, piece.last)) for piece in pieces),
    )


def _days(day: sa.ColumnElement[date], pieces: Sequence[Piece]) -> sa.ColumnElement[bool]:
    """The days of some pieces, which follow each other or leave a gap between the first and the last."""
    runs: list[tuple[date, date]] = []
    for piece in pieces:
        if runs and piece.first <= runs[-1][1] + timedelta(days=1):
            runs[-1] = (runs[-1][0], piece.last)
        else:
            runs.append((piece.first, piece.last))
    return sa.or_(sa.false(), *(day.between(first, last) for first, last in runs))


def _bucket(
    day: sa.ColumnElement[date], period: Period, interval: Interval | None, from_the_beginning: bool
) -> sa.ColumnElement[Any]:
    bucket: sa.ColumnElement[Any] = (
        sa.cast(sa.func.date_trunc(interval, sa.cast(day, sa.DateTime)), sa.Date) if interval else sa.null()
    )
    if not from_the_beginning:
        return bucket
    return sa.case((day < period.start, sa.literal(OPENING, sa.Date)), else_=bucket)
