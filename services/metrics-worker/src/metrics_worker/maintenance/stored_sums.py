"""What blocks hold, and what the postings sum up to by the database's own arithmetic: two sides of the proof."""

from collections.abc import Iterable
from datetime import date
from operator import add
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.domain.kinds import Kind
from metrics_worker.domain.posting import Posting
from metrics_worker.ledger.blocks import (
    ALL,
    BUCKET_BITS,
    DAY_BITS,
    NO_VALUE,
    NOT_IN_BLOCKS,
    Block,
    BlockKey,
    Blocks,
    Span,
    block_of,
    sums_of,
)
from metrics_worker.ledger.tables import POSTING, block, bucket_column, dimension_value

CustomerKey = tuple[str, date]
"""Customer (`NO_VALUE` for none) and day."""
CustomerSums = dict[CustomerKey, tuple[int, ...]]


async def stored_blocks(connection: AsyncConnection) -> tuple[Blocks, list[tuple[Any, ...]]]:
    """Return all blocks, the parts added up, without those that are zero; and the keys of rows that contradict
    themselves: a month whose sums are not those of its days."""
    found: Blocks = {}
    contradictory = []
    result = await connection.stream(sa.select(block))
    async for kind, dimension, span, start, value, part, sums, cells, amounts, buckets, counts in result:
        key = BlockKey(kind, dimension, span, start, value)
        of_part = block_of(span, sums, cells, amounts, buckets, counts)
        if sums_of(of_part) != sums_of(block_of("year", sums, (), (), (), ())):
            contradictory.append((*key, part))
        if key in found:
            found[key].add(of_part)
        else:
            found[key] = of_part
    return {key: each for key, each in found.items() if each}, contradictory


async def summed_postings(connection: AsyncConnection, kind: Kind) -> Blocks:
    """Return what a kind's blocks should be, by the database's sums over the postings."""
    table, found = POSTING[kind], Blocks()
    values: dict[int | None, str] = {
        row.code: row.value for row in await connection.execute(sa.select(dimension_value))
    }
    values[None] = NO_VALUE
    sums = [sa.func.sum(table.c[name]) for name in kind.measures]
    for dimension in (ALL, *kind.dimensions):
        if dimension == NOT_IN_BLOCKS:
            continue
        code = sa.null() if dimension == ALL else table.c[dimension]
        counted = [] if kind.split_by is None else [table.c.split == sa.literal(dimension == kind.split_by)]
        query = sa.select(table.c.day, code.label("code")).where(*counted).group_by("day", "code")
        for day, of_code, *amounts in await connection.execute(query.add_columns(*sums)):
            value = values.get(of_code, f"code {of_code}")
            for measure, amount in enumerate(amounts):
                if not amount:
                    continue
                number = measure << DAY_BITS
                for span, start, cell in _spans(day, number | day.day, number):
                    cells = found.setdefault(BlockKey(kind.name, dimension, span, start, value), Block()).cells
                    cells[cell] = cells.get(cell, 0) + int(amount)
        for number, (duration, counting) in enumerate(zip(kind.durations, kind.counters, strict=True)):
            bucket = table.c[bucket_column(duration)]
            count = sa.func.sum(table.c[kind.measures[counting]])
            month = sa.cast(sa.func.date_trunc("month", sa.cast(table.c.day, sa.DateTime)), sa.Date).label("month")
            by_bucket = sa.select(month, code.label("code"), bucket, count).where(bucket.is_not(None), *counted)
            for first, of_code, in_bucket, counts in await connection.execute(
                by_bucket.group_by("month", "code", bucket)
            ):
                value = values.get(of_code, f"code {of_code}")
                cell = number << BUCKET_BITS | in_bucket
                for span, start, _ in _spans(first, 0, 0):
                    buckets = found.setdefault(BlockKey(kind.name, dimension, span, start, value), Block()).buckets
                    buckets[cell] = buckets.get(cell, 0) + int(counts or 0)
    return {key: each for key, each in found.items() if each}


def _spans(day: date, in_month: int, in_year: int) -> tuple[tuple[Span, date, int], tuple[Span, date, int]]:
    return ("month", day.replace(day=1), in_month), ("year", day.replace(month=1, day=1), in_year)


async def posted_by_customer(connection: AsyncConnection, kind: Kind) -> CustomerSums:
    """Return the sums of a kind's postings by customer, of which there are no blocks; without zeros."""
    if NOT_IN_BLOCKS not in kind.dimensions:
        return {}
    table = POSTING[kind]
    customer, measures = table.c[NOT_IN_BLOCKS], [sa.func.sum(table.c[name]) for name in kind.measures]
    query = sa.select(customer, table.c.day, *measures).group_by(customer, table.c.day)
    if kind.split_by is not None:
        query = query.where(~table.c.split)
    return {
        (NO_VALUE if row[0] is None else str(row[0]), row[1]): tuple(int(amount or 0) for amount in row[2:])
        for row in await connection.execute(query)
        if any(row[2:])
    }


def sums_by_customer(kind: Kind, postings: Iterable[Posting]) -> CustomerSums:
    """Return the same sums, of given postings."""
    if NOT_IN_BLOCKS not in kind.dimensions:
        return {}
    found: CustomerSums = {}
    for posting in postings:
        if not posting.split:
            key = (posting.dimensions[kind.dimensions.index(NOT_IN_BLOCKS)] or NO_VALUE, posting.day)
            known = found.get(key)
            found[key] = posting.measures if known is None else tuple(map(add, known, posting.measures))
    return {key: measures for key, measures in found.items() if any(measures)}
