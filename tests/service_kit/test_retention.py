"""What has expired is deleted whatever its number, and nothing else is."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from service_kit.idempotency import idempotency_key
from service_kit.retention import BATCH, RetentionJob, RetentionRule, idempotency_keys
from tests.support import eventually

_INSERT = sa.text("""
    INSERT INTO idempotency_key (digest, fingerprint, status, headers, body, created_at)
    SELECT sha256(gen_random_uuid()::text::bytea), '', 200, '{}', '', now() - make_interval(days => :days)
    FROM generate_series(1, :count) AS n
""")


@pytest.fixture
async def keys(engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    yield engine
    async with engine.begin() as connection:
        await connection.execute(sa.delete(idempotency_key))


async def insert(engine: AsyncEngine, count: int, *, days: int) -> None:
    """Insert idempotency keys that are so many days old."""
    async with engine.begin() as connection:
        await connection.execute(_INSERT, {"count": count, "days": days})


async def ages(engine: AsyncEngine) -> dict[int, int]:
    """Return the number of keys by their age in days."""
    age = sa.extract("day", sa.func.now() - idempotency_key.c.created_at)
    async with engine.connect() as connection:
        found = await connection.execute(sa.select(age, sa.func.count()).group_by(age))
        return {int(days): count for days, count in found}


async def plan_of(engine: AsyncEngine, rule: RetentionRule) -> str:
    """Return the plan of a rule's statement, without sequential scans where an index serves."""
    statement = rule.statement().compile(engine.sync_engine, compile_kwargs={"literal_binds": True})
    async with engine.begin() as connection:
        await connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        return "\n".join((await connection.exec_driver_sql(f"EXPLAIN {statement}")).scalars())


async def test_the_job_deletes_all_that_has_expired_however_much_it_is(keys: AsyncEngine) -> None:
    await insert(keys, 12 * BATCH, days=8)
    await insert(keys, 3, days=6)
    stop = asyncio.Event()
    running = asyncio.create_task(RetentionJob(keys, [idempotency_keys()]).job.run(stop))

    async def only_valid_ones_are_left() -> bool:
        return await ages(keys) == {6: 3}

    await eventually(only_valid_ones_are_left, 30)
    stop.set()
    await asyncio.wait_for(running, 10)


async def test_a_run_takes_one_batch_and_reports_whether_more_has_expired(keys: AsyncEngine) -> None:
    await insert(keys, BATCH + 1, days=8)
    job = RetentionJob(keys, [idempotency_keys()])
    assert await job.run_once() is True
    assert await ages(keys) == {8: 1}
    assert await job.run_once() is False
    assert await ages(keys) == {}


async def test_a_key_that_another_transaction_holds_is_skipped_and_not_waited_for(keys: AsyncEngine) -> None:
    await insert(keys, 2, days=8)
    job = RetentionJob(keys, [idempotency_keys()])
    async with keys.begin() as other:
        await other.execute(sa.select(idempotency_key.c.digest).limit(1).with_for_update())
        await asyncio.wait_for(job.run_once(), 3)
        assert await ages(keys) == {8: 1}
    await job.run_once()
    assert await ages(keys) == {}


async def test_the_deletion_finds_expired_keys_by_an_index(keys: AsyncEngine) -> None:
    assert "idempotency_key_created_at_idx" in await plan_of(keys, idempotency_keys())
