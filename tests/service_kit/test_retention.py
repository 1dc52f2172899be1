"""What has expired is deleted whatever its number, and nothing else is."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from service_kit.consumer.dead_letters import dead_letter, skipped_positions
from service_kit.consumer.log_identity import NO_TOPIC_ID
from service_kit.idempotency import idempotency_key
from service_kit.retention import (
    BATCH,
    RetentionJob,
    RetentionRule,
    idempotency_keys,
    imported_records,
    settled_dead_letters,
)
from tests.statements import plan_of
from tests.support import eventually, within

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


async def test_the_job_deletes_all_that_has_expired_however_much_it_is(keys: AsyncEngine) -> None:
    await insert(keys, 12 * BATCH, days=8)
    await insert(keys, 3, days=6)
    stop = asyncio.Event()
    running = asyncio.create_task(RetentionJob(keys, [idempotency_keys()]).job.run(stop))

    async def only_valid_ones_are_left() -> bool:
        return await ages(keys) == {6: 3}

    await eventually(only_valid_ones_are_left, 30)
    stop.set()
    await within(running, 10)


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
        await within(job.run_once(), 3)
        assert await ages(keys) == {8: 1}
    await job.run_once()
    assert await ages(keys) == {}


@pytest.mark.parametrize(
    ("rule", "index"),
    [
        (idempotency_keys(), "idempotency_key_created_at_idx"),
        (imported_records(400), "imported_record_imported_at_idx"),
        (settled_dead_letters(90), "dead_letter_settled_at_idx"),
    ],
    ids=lambda case: case.table.name if isinstance(case, RetentionRule) else None,
)
async def test_expired_rows_are_found_by_an_index(engine: AsyncEngine, rule: RetentionRule, index: str) -> None:
    assert index in await plan_of(engine, rule.statement())


@pytest.fixture
async def letters(engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """Six dead letters: those at the offsets 0 to 3 were settled 91 days ago, 4 was 89 days ago; 5 is open and old."""
    settled: list[dict[str, Any]] = [
        {"status": "sent", "mended_value": None},
        {"status": "sent", "mended_value": b"mended"},
        {"status": "discarded", "mended_value": None},
        {"status": "discarded", "mended_value": b"mended", "key": None, "value": None},
        {"status": "discarded", "mended_value": None, "settled_at": _days_ago(89)},
        {"status": "open", "mended_value": b"mended", "settled_at": None},
    ]
    record = {"consumer": "c", "cluster_id": "here", "topic": "t", "partition": 0, "recorded_at": _days_ago(500)}
    content = {"key": b"k", "value": b"v", "headers": [["h", "dg=="]], "detail": "cut short"}
    async with engine.begin() as connection:
        for offset, values in enumerate(settled):
            row = record | content | {"offset": offset, "reason": "malformed", "settled_at": _days_ago(91)}
            await connection.execute(sa.insert(dead_letter).values(row | values))
    yield engine
    async with engine.begin() as connection:
        await connection.execute(sa.delete(dead_letter))


def _days_ago(days: int) -> sa.ColumnElement[Any]:
    return sa.func.now() - sa.func.make_interval(0, 0, 0, days)


async def letters_by_content(engine: AsyncEngine) -> dict[tuple[Any, ...], list[int]]:
    table = dead_letter.c
    content = (table.key, table.value, table.headers, table.detail)
    async with engine.connect() as connection:
        rows = await connection.execute(sa.select(table.offset, *content).order_by(table.offset))
        found: dict[tuple[Any, ...], list[int]] = {}
        for offset, key, value, headers, detail in rows:
            found.setdefault((key, value, bool(headers), detail), []).append(offset)
    return found


async def test_dead_letters_that_were_settled_long_ago_are_emptied_and_open_ones_never(letters: AsyncEngine) -> None:
    job = RetentionJob(letters, [settled_dead_letters(90)])
    await job.run_once()
    assert await letters_by_content(letters) == {
        (None, None, False, ""): [0, 1, 2, 3],
        (b"k", b"v", True, "cut short"): [4, 5],
    }
    async with letters.connect() as connection:
        mended = sa.select(dead_letter.c.mended_value).order_by(dead_letter.c.offset)
        assert list((await connection.execute(mended)).scalars()) == [None, b"", None, b"", None, b"mended"]


async def test_an_emptied_dead_letter_is_not_emptied_again(letters: AsyncEngine) -> None:
    job = RetentionJob(letters, [settled_dead_letters(90)])
    await job.run_once()
    async with letters.connect() as connection:
        statement = settled_dead_letters(90).statement()
        assert (await connection.execute(statement)).rowcount == 0


async def test_a_record_whose_dead_letter_was_emptied_is_still_skipped(letters: AsyncEngine) -> None:
    async def skipped() -> frozenset[Any]:
        async with letters.connect() as connection:
            return await skipped_positions(connection, "c", {"t": NO_TOPIC_ID})

    before = await skipped()
    assert before == {("t", 0, offset) for offset in (1, 2, 3, 4)}
    await RetentionJob(letters, [settled_dead_letters(90)]).run_once()
    assert await skipped() == before
