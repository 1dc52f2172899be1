"""Blocks hold what was added to them, whatever was rolled back, evicted, or written by another writer meanwhile."""

import asyncio
import json
from collections.abc import Sequence
from datetime import date
from typing import Literal

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.domain.kinds import KIND_BY_NAME
from metrics_worker.domain.posting import Posting
from metrics_worker.ledger.blocks import (
    BUCKET_BITS,
    DAY_BITS,
    Block,
    BlockKey,
    Blocks,
    BlockWriter,
    block_of,
    blocks_of,
    row_of,
)
from metrics_worker.ledger.bulk_insert import write
from metrics_worker.maintenance.stored_sums import stored_blocks
from service_kit.compiled import driver_of
from tests.metrics_worker.conftest import empty
from tests.support import eventually

LEAD, TICKET = KIND_BY_NAME["lead"], KIND_BY_NAME["ticket"]
days = st.sampled_from([date(2026, 1, 31), date(2026, 2, 1), date(2026, 2, 28), date(2027, 2, 1)])
amounts = st.integers(-3, 3) | st.sampled_from([2**61, -(2**61), 2**63, -(2**70)])


@st.composite
def postings(draw: st.DrawFn) -> list[Posting]:
    found = []
    for _ in range(draw(st.integers(1, 4))):
        dimensions = tuple(draw(st.sampled_from([None, "A", "B"])) for _ in LEAD.dimensions)
        measures = tuple(draw(amounts) if number in (0, 5, 9) else 0 for number in range(len(LEAD.measures)))
        # Counts stay small: they are rows of a histogram.
        counted = tuple(min(max(amount, -3), 3) for amount in measures)
        found.append(Posting(draw(days), dimensions, counted, buckets=(draw(st.integers(0, 3)),)))
    return found


Outcome = Literal["committed", "rolled back", "broken off"]
"""What becomes of a transaction; it may break off before it has written anything."""
outcomes: st.SearchStrategy[Outcome] = st.sampled_from(["committed", "committed", "rolled back", "broken off"])
steps = st.lists(st.tuples(st.integers(0, 1), postings(), outcomes), min_size=3, max_size=12)
"""Of each transaction: which of two writers, what it adds, and how it ends."""


async def written(engine: AsyncEngine, writer: BlockWriter, added: Blocks, outcome: Outcome = "committed") -> None:
    async with engine.connect() as connection:
        await connection.execute(sa.text("SELECT 1"))
        driver = await driver_of(connection)
        await writer.begin(driver)
        await writer.add(driver, added)
        if outcome != "broken off":
            await write(driver, writer.rows())
        await (connection.commit if outcome == "committed" else connection.rollback)()


async def stored(engine: AsyncEngine) -> Blocks:
    async with engine.connect() as connection:
        blocks, contradictory = await stored_blocks(connection)
    assert contradictory == []
    return blocks


@given(steps=steps, parts=st.sampled_from([(0, 0), (0, 1)]), cells=st.sampled_from([0, 20, 10_000]))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_blocks_hold_what_was_committed(
    shared_engine: AsyncEngine,
    steps: Sequence[tuple[int, list[Posting], Outcome]],
    parts: tuple[int, int],
    cells: int,
) -> None:
    await empty(shared_engine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("metrics_worker.ledger.blocks.CELLS_IN_MEMORY", cells)
        writers = [BlockWriter(part) for part in parts]
    committed: list[Posting] = []
    for number, posted, outcome in steps:
        await written(shared_engine, writers[number], blocks_of(LEAD, posted), outcome)
        committed += posted if outcome == "committed" else []
    assert await stored(shared_engine) == blocks_of(LEAD, committed)


ONE = blocks_of(LEAD, [Posting(date(2026, 1, 1), (None,) * 7, (1, *[0] * 9))])


async def total(engine: AsyncEngine) -> int:
    [block] = [block for key, block in (await stored(engine)).items() if key[:3] == ("lead", "all", "month")]
    return sum(block.cells.values())


async def test_what_breaks_off_leaves_no_trace(engine: AsyncEngine) -> None:
    writer = BlockWriter()
    await written(engine, writer, ONE)
    await written(engine, writer, ONE, "broken off")
    await written(engine, writer, ONE)
    assert await total(engine) == 2


async def test_of_two_writers_that_begin_a_part_at_once_one_waits_for_the_other(engine: AsyncEngine) -> None:
    first, second = BlockWriter(5), BlockWriter(5)
    async with engine.begin() as connection:
        await connection.execute(sa.text("SELECT 1"))
        driver = await driver_of(connection)
        await first.begin(driver)
        await first.add(driver, ONE)
        waiting = asyncio.create_task(written(engine, second, ONE))
        await eventually(lambda: is_locked_out(engine))
        await write(driver, first.rows())
    await waiting
    assert await total(engine) == 2


async def is_locked_out(engine: AsyncEngine) -> bool:
    query = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"
    )
    async with engine.connect() as connection:
        return bool(await connection.scalar(sa.text(query)))


async def test_a_writer_forgets_blocks_of_tables_that_were_replaced(engine: AsyncEngine) -> None:
    writer = BlockWriter()
    await written(engine, writer, ONE)
    async with engine.begin() as connection:
        await connection.execute(sa.text("DELETE FROM block"))
        await connection.execute(sa.text("UPDATE block_part SET revision = 0"))
    await written(engine, writer, ONE)
    assert await stored(engine) == ONE


@given(
    cells=st.dictionaries(st.tuples(st.integers(0, 30), st.integers(1, 31)), amounts),
    buckets=st.dictionaries(st.tuples(st.integers(0, 4), st.integers(0, 543)), st.integers(-5, 5)),
    span=st.sampled_from(["month", "year"]),
)
def test_a_row_holds_a_whole_block_of_any_amounts(
    cells: dict[tuple[int, int], int], buckets: dict[tuple[int, int], int], span: str
) -> None:
    block = Block()
    for (measure, day), amount in cells.items():
        number = measure << DAY_BITS | (day if span == "month" else 0)
        block.cells[number] = block.cells.get(number, 0) + amount
    block.buckets = {duration << BUCKET_BITS | bucket: count for (duration, bucket), count in buckets.items()}
    key = BlockKey("lead", "all", "month" if span == "month" else "year", date(2026, 1, 1), "")
    row = row_of(key, block, 3)
    assert row[:6] == (*key, 3)
    sums, cell_numbers, cell_amounts, bucket_numbers, counts = (json.loads(f"[{text[1:-1]}]") for text in row[6:])
    assert all(-(2**63) <= amount < 2**63 for amount in [*sums, *cell_amounts])
    assert all(0 <= number < 2**15 for number in [*cell_numbers, *bucket_numbers])
    assert block_of(key.span, sums, cell_numbers, cell_amounts, bucket_numbers, counts) == block


def test_a_whole_counts_once_in_the_total_and_by_each_dimension() -> None:
    dimensions = ("EMEA", None, "desk", "web", "owner", "team", "customer", "low", "problem")
    measures = tuple(int(name == "opened") for name in TICKET.measures)
    found = blocks_of(TICKET, [Posting(date(2026, 2, 3), dimensions, measures)])
    of_month = {(key.dimension, key.value): block.cells for key, block in found.items() if key.span == "month"}
    assert of_month == {
        (name, value or ""): {3: 1}
        for name, value in [("all", None), *zip(TICKET.dimensions, dimensions, strict=True)]
        if name != "customer"
    }
