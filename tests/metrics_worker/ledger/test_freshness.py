"""The ledger is as fresh as the partition that is furthest behind."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.ledger.status import CompletenessHeartbeat, complete_partitions, fresh_as_of
from metrics_worker.ledger.tables import metadata
from tests.metrics_worker.facts import MORNING

LATER = MORNING + timedelta(minutes=5)


async def assign(engine: AsyncEngine, *partitions: int) -> None:
    table = metadata.tables["consumer_offset"]
    async with engine.begin() as connection:
        for partition in partitions:
            await connection.execute(
                table.insert().values(consumer="c", cluster_id="k", topic="t", partition=partition, next_offset=0)
            )


async def note(engine: AsyncEngine, complete_until: dict[tuple[str, int], datetime]) -> datetime | None:
    async with engine.begin() as connection:
        await complete_partitions(connection, complete_until)
        return await fresh_as_of(connection)


async def test_nothing_is_known_before_every_partition_was_read(engine: AsyncEngine) -> None:
    await assign(engine, 0, 1)
    assert await note(engine, {}) is None
    assert await note(engine, {("t", 0): MORNING}) is None
    assert await note(engine, {("t", 1): LATER}) == MORNING


async def test_the_partition_that_is_furthest_behind_decides(engine: AsyncEngine) -> None:
    await assign(engine, 0, 1)
    assert await note(engine, {("t", 0): LATER, ("t", 1): MORNING}) == MORNING
    assert await note(engine, {("t", 1): LATER}) == LATER


async def test_a_late_event_takes_nothing_back(engine: AsyncEngine) -> None:
    await assign(engine, 0)
    assert await note(engine, {("t", 0): LATER}) == LATER
    assert await note(engine, {("t", 0): MORNING}) == LATER


async def test_a_pulse_writes_once_a_second_at_most(engine: AsyncEngine) -> None:
    await assign(engine, 0)
    pulse = CompletenessHeartbeat(engine)
    await pulse.beat([("t", 0)])
    query = sa.select(metadata.tables["freshness"].c.complete_until)
    async with engine.connect() as connection:
        first = (await connection.execute(query)).scalar_one()
    await pulse.beat([("t", 0)])
    async with engine.connect() as connection:
        assert (await connection.execute(query)).scalar_one() == first
