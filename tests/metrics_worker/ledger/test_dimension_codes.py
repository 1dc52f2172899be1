"""Codes of dimension values are right whatever becomes of the transaction that added them."""

import asyncio
from collections import Counter

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.domain.kinds import KIND_BY_NAME
from metrics_worker.ledger import dimension_codes
from metrics_worker.ledger.aggregate import SubjectState
from metrics_worker.ledger.writer import LedgerWriter
from metrics_worker.queries.export import exported
from tests.metrics_worker.facts import VILNIUS, decoded, lead
from tests.support import eventually


async def write(engine: AsyncEngine, writer: LedgerWriter, states: list[SubjectState], *, commit: bool = True) -> None:
    async with engine.connect() as connection:
        await connection.execute(sa.text("SELECT 1"))
        await writer.apply(connection, states)
        await (connection.commit() if commit else connection.rollback())


async def posted_regions(engine: AsyncEngine) -> Counter[str | None]:
    async with engine.connect() as connection:
        return Counter(row.region for row in await connection.execute(exported(KIND_BY_NAME["lead"])))


@pytest.mark.parametrize("deferred", [False, True], ids=["consumer", "rebuild"])
async def test_a_code_that_was_rolled_back_is_not_used_again(engine: AsyncEngine, deferred: bool) -> None:
    writer, other = LedgerWriter(VILNIUS, deferred=deferred), LedgerWriter(VILNIUS, part=1)
    await write(engine, writer, decoded(lead(region="NORTH")), commit=False)
    await write(engine, other, decoded(lead(region="SOUTH")))
    await write(engine, writer, decoded(lead(region="NORTH")))
    await write(engine, writer, decoded(lead(region="NORTH")))
    assert await posted_regions(engine) == {"NORTH": 2, "SOUTH": 1}


async def test_codes_that_a_crash_has_lost_are_not_used_again(engine: AsyncEngine) -> None:
    writer = LedgerWriter(VILNIUS)
    for _ in range(2):
        await write(engine, writer, decoded(lead(region="NORTH")))
    async with engine.begin() as connection:
        # Nothing of it had reached the disk.
        for table in ("lead_posting", "subject_state", "block", "block_part", "dimension_value"):
            await connection.execute(sa.text(f"DELETE FROM {table}"))
    await write(engine, writer, decoded(lead(region="NORTH")))
    assert await posted_regions(engine) == {"NORTH": 1}


async def test_two_writers_of_one_new_value_agree_on_its_code(engine: AsyncEngine) -> None:
    first, second = LedgerWriter(VILNIUS), LedgerWriter(VILNIUS, part=1)
    async with engine.connect() as connection:
        await connection.execute(sa.text("SELECT 1"))
        await first.apply(connection, decoded(lead(region="NORTH")))
        waiting = asyncio.create_task(write(engine, second, decoded(lead(region="NORTH"))))

        async def waits() -> bool:
            async with engine.connect() as watching:
                query = "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                return any("dimension_value" in each for each in await watching.scalars(sa.text(query)))

        await eventually(waits)
        await connection.commit()
    await waiting
    assert await posted_regions(engine) == {"NORTH": 2}


async def test_a_writer_that_knows_too_many_codes_looks_them_up_again(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dimension_codes, "CODES_IN_MEMORY", 2)
    writer = LedgerWriter(VILNIUS)
    for number in (1, 2, 1, 3, 2, 1):
        await write(engine, writer, decoded(lead(region=f"R{number}", channel=f"C{number}")))
    assert await posted_regions(engine) == {"R1": 3, "R2": 2, "R3": 1}
