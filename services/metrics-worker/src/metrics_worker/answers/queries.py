"""Reads sums from the books: balances when at most one dimension is involved, postings for combinations."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from metrics_worker.answers.period import Interval, Period
from metrics_worker.books.fold import ALL, NO_VALUE
from metrics_worker.books.tables import BALANCE, POSTING
from metrics_worker.kpis.kinds import Kind

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
) -> dict[Cell, tuple[int, ...]]:
    """The measures' sums for each bucket and group that has any; `limit` cells at most.

    A filter's value None means: without a value. Without `group_by` every cell's key is None.
    """
    involved = set(filters) | ({group_by} if group_by else set())
    if len(involved) <= 1:
        table: sa.Table = BALANCE[kind]
        dimension = next(iter(involved), ALL)
        conditions = [table.c.dimension == dimension]
        conditions += [table.c.value == (value if value is not None else NO_VALUE) for value in filters.values()]
        key: sa.ColumnElement[Any] = sa.func.nullif(table.c.value, NO_VALUE)
    else:
        table = POSTING[kind]
        conditions = [
            table.c[name].is_(None) if value is None else table.c[name] == value for name, value in filters.items()
        ]
        if kind.split_by is not None:
            # Shares when the split dimension is asked about, wholes when not: never both.
            conditions.append(table.c.split == sa.literal(kind.split_by in involved))
        key = table.c[group_by] if group_by else sa.null()
    bucket: sa.ColumnElement[Any] = (
        sa.cast(sa.func.date_trunc(interval, sa.cast(table.c.day, sa.DateTime)), sa.Date) if interval else sa.null()
    )
    query = (
        sa.select(
            bucket.label("bucket"),
            (key if group_by else sa.null()).label("key"),
            *(sa.func.sum(table.c[name]) for name in measures),
        )
        .where(*conditions, table.c.day.between(period.start, period.end))
        .limit(limit)
    )
    by: list[sa.ColumnElement[Any]] = [
        *([sa.literal_column("1")] if interval else []),
        *([sa.literal_column("2")] if group_by else []),
    ]
    rows = await session.execute(query.group_by(*by) if by else query)
    return {
        (row[0], row[1]): tuple(int(amount) for amount in row[2:])
        for row in rows
        # Without any group, PostgreSQL answers an empty range with one row of nulls.
        if row[2] is not None
    }
