"""Sums whole books at once: balances and histograms from nothing but the postings that stand there.

The consumer adds to the sums batch by batch, some dozens of rows for an event. Where nobody reads them yet, as while
books are rebuilt, the database makes them all in the end, reading each posting once.
"""

from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.books.fold import ALL, NO_VALUE, NOT_IN_BALANCES, SEGMENT_BUCKETS
from metrics_worker.books.tables import BALANCE, HISTOGRAM, POSTING, bucket_column
from metrics_worker.domain.kinds import Kind

MEMORY: Final = "64MB"
"""What one step of the database may take before it goes to the disk."""


async def sum_up(connection: AsyncConnection, kind: Kind) -> None:
    """Fills a kind's balances and histograms, which have to be empty, with all that its postings add to them.

    Tables are those of the connection's search path. The caller begins and commits the transaction.
    """
    await connection.execute(sa.text(f"SET LOCAL work_mem = '{MEMORY}'"))
    for statement in _STATEMENTS[kind]:
        await connection.execute(statement)


def _statements(kind: Kind) -> Iterator[sa.TextClause]:
    by = [name for name in kind.dimensions if name != NOT_IN_BALANCES]
    if kind.split_by is None:
        parts = [("true", (None, *by))]
    else:
        # As postings say of themselves: shares count by what splits them, and nowhere else.
        parts = [
            ("NOT split", (None, *(name for name in by if name != kind.split_by))),
            ("split", (kind.split_by,)),
        ]
    for condition, dimensions in parts:
        yield sa.text(_balances(kind, condition, dimensions))
        for duration, counting in zip(kind.durations, kind.counting, strict=True):
            yield sa.text(_histogram(kind, duration, kind.measures[counting], condition, dimensions))


def _balances(kind: Kind, condition: str, dimensions: tuple[str | None, ...]) -> str:
    added = ", ".join(f"coalesce(sum({name}), 0) AS {name}" for name in kind.measures)
    measures = ", ".join(kind.measures)
    longer = " UNION ALL ".join(
        f"SELECT dimension, '{span}' AS span, {_first_day(span)} AS day, value, {added} FROM days GROUP BY 1, 3, 4"  # noqa: S608 -- names of ours
        for span in ("month", "year")
    )
    return f"""
        INSERT INTO {BALANCE[kind].name} (dimension, span, day, value, {measures})
        WITH days AS MATERIALIZED (
            SELECT {_place(dimensions)}, day, {added} FROM {POSTING[kind].name} WHERE {condition}
            GROUP BY GROUPING SETS ({_sets("day", dimensions)})
        )
        SELECT * FROM (SELECT dimension, 'day' AS span, day, value, {measures} FROM days UNION ALL {longer}) AS sums
        WHERE {" OR ".join(f"{name} <> 0" for name in kind.measures)}
        ORDER BY dimension, span, day, value
    """  # noqa: S608 -- names of ours


def _histogram(kind: Kind, duration: str, counting: str, condition: str, dimensions: tuple[str | None, ...]) -> str:
    counts = ", ".join(
        f"coalesce(sum(added) FILTER (WHERE bucket % {SEGMENT_BUCKETS} = {position}), 0)"
        for position in range(SEGMENT_BUCKETS)
    )
    return f"""
        INSERT INTO {HISTOGRAM[kind].name} (duration, dimension, span, day, value, segment, counts)
        WITH posted AS (
            SELECT {_first_day("month")} AS month, {bucket_column(duration)} AS bucket, {counting} AS counted, posting.*
            FROM {POSTING[kind].name} AS posting WHERE {bucket_column(duration)} IS NOT NULL AND {condition}
        ), months AS MATERIALIZED (
            SELECT {_place(dimensions)}, month, bucket, sum(counted) AS added FROM posted
            GROUP BY GROUPING SETS ({_sets("month, bucket", dimensions)}) HAVING sum(counted) <> 0
        )
        SELECT '{duration}', dimension, spans.span, spans.day, value, bucket / {SEGMENT_BUCKETS}, ARRAY[{counts}]
        FROM months CROSS JOIN LATERAL (
            VALUES ('month', month), ('year', {_first_day("year", "month")})
        ) AS spans (span, day)
        GROUP BY dimension, spans.span, spans.day, value, bucket / {SEGMENT_BUCKETS}
        ORDER BY dimension, spans.span, spans.day, value, bucket / {SEGMENT_BUCKETS}
    """  # noqa: S608 -- names of ours


def _place(dimensions: tuple[str | None, ...]) -> str:
    """SQL for the dimension that a group is of, and its value there."""
    told = [name for name in dimensions if name is not None]
    names = " ".join(f"WHEN GROUPING({name}) = 0 THEN '{name}'" for name in told)
    values = " ".join(f"WHEN GROUPING({name}) = 0 THEN coalesce({name}, '{NO_VALUE}')" for name in told)
    return f"CASE {names} ELSE '{ALL}' END AS dimension, CASE {values} ELSE '{NO_VALUE}' END AS value"


def _sets(common: str, dimensions: tuple[str | None, ...]) -> str:
    return ", ".join(f"({common})" if name is None else f"({common}, {name})" for name in dimensions)


def _first_day(span: str, day: str = "day") -> str:
    return f"date_trunc('{span}', {day}::timestamp)::date"


_STATEMENTS: Final = {kind: tuple(_statements(kind)) for kind in BALANCE}
