"""Reads sums from the books: balances when at most one dimension is involved, postings for combinations."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from metrics_worker.answers.period import Interval, Period
from metrics_worker.books.fold import ALL, NO_VALUE, NOT_IN_HISTOGRAMS
from metrics_worker.books.tables import BALANCE, HISTOGRAM, POSTING, bucket_column
from metrics_worker.kpis.kinds import Kind

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
    source = _source(kind, filters, group_by, BALANCE, as_of)
    table = source.table
    bucket = _bucket(table.c.day, period, interval, from_the_beginning)
    query = (
        sa.select(bucket.label("bucket"), source.key.label("key"), *(sa.func.sum(table.c[name]) for name in measures))
        .where(*source.conditions, _days(table.c.day, period, from_the_beginning))
        .limit(limit)
    )
    by: list[sa.ColumnElement[Any]] = [
        *([sa.literal_column("1")] if interval or from_the_beginning else []),
        *([sa.literal_column("2")] if group_by else []),
    ]
    rows = await session.execute(query.group_by(*by) if by else query)
    return {
        (row[0], row[1]): tuple(int(amount) for amount in row[2:])
        for row in rows
        # Without any group, PostgreSQL answers an empty range with one row of nulls.
        if row[2] is not None
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
    # What histograms are not kept by is counted from the postings.
    kept = HISTOGRAM if NOT_IN_HISTOGRAMS not in {*filters, group_by} else {}
    source = _source(kind, filters, group_by, kept, as_of)
    table = source.table
    if kind in kept and table is kept[kind]:
        conditions = [*source.conditions, table.c.duration == duration]
        histogram_bucket, count = table.c.bucket, sa.func.sum(table.c["count"])
    else:
        histogram_bucket = table.c[bucket_column(duration)]
        conditions = [*source.conditions, histogram_bucket.is_not(None)]
        count = sa.func.sum(table.c[kind.measures[kind.counting[kind.durations.index(duration)]]])
    bucket = _bucket(table.c.day, period, interval, False)
    query = (
        sa.select(bucket.label("bucket"), source.key.label("key"), histogram_bucket, count)
        .where(*conditions, _days(table.c.day, period, False))
        .group_by(
            *([sa.literal_column("1")] if interval else []),
            *([sa.literal_column("2")] if group_by else []),
            histogram_bucket,
        )
        .limit(limit)
    )
    found: dict[Cell, dict[int, int]] = {}
    for row in await session.execute(query):
        found.setdefault((row[0], row[1]), {})[row[2]] = int(row[3])
    return found


async def valueless(
    session: AsyncSession, kind: Kind, measures: Sequence[str], period: Period, *, from_the_beginning: bool = False
) -> dict[str, tuple[int, ...]]:
    """The measures' sums of what carries no value of a dimension, by dimension; under `ALL` the whole.

    A dimension of which everything carries a value is left out.
    """
    table = BALANCE[kind]
    query = (
        sa.select(table.c.dimension, *(sa.func.sum(table.c[name]) for name in measures))
        .where(
            # Spelled out, so that the primary key leads to the rows.
            table.c.dimension.in_([ALL, *kind.dimensions]),
            table.c.value == NO_VALUE,
            _days(table.c.day, period, from_the_beginning),
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
            _days(table.c.day, period, from_the_beginning),
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
) -> _Source:
    involved = set(filters) | ({group_by} if group_by else set())
    if len(involved) <= 1 and kind in kept and as_of is None:
        table = kept[kind]
        conditions = [table.c.dimension == next(iter(involved), ALL)]
        conditions += [table.c.value == (value if value is not None else NO_VALUE) for value in filters.values()]
        return _Source(table, conditions, sa.func.nullif(table.c.value, NO_VALUE) if group_by else sa.null())
    table = POSTING[kind]
    conditions = [
        table.c[name].is_(None) if value is None else table.c[name] == value for name, value in filters.items()
    ]
    if kind.split_by is not None:
        # Shares when the split dimension is asked about, wholes when not: never both.
        conditions.append(table.c.split == sa.literal(kind.split_by in involved))
    if as_of is not None:
        conditions.append(table.c.recorded_time <= as_of)
    return _Source(table, conditions, table.c[group_by] if group_by else sa.null())


def _days(day: sa.ColumnElement[date], period: Period, from_the_beginning: bool) -> sa.ColumnElement[bool]:
    return day <= period.end if from_the_beginning else day.between(period.start, period.end)


def _bucket(
    day: sa.ColumnElement[date], period: Period, interval: Interval | None, from_the_beginning: bool
) -> sa.ColumnElement[Any]:
    bucket: sa.ColumnElement[Any] = (
        sa.cast(sa.func.date_trunc(interval, sa.cast(day, sa.DateTime)), sa.Date) if interval else sa.null()
    )
    if not from_the_beginning:
        return bucket
    return sa.case((day < period.start, sa.literal(OPENING, sa.Date)), else_=bucket)
