"""What happens when a customer waits for too long: each step once, over restarts and several processes."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts.metrics import WaitDue, WaitEnded, WaitEscalated, WaitOverLimit
from event_contracts.service import Wait
from metrics_worker.jobs.waits import WaitClock
from metrics_worker.ledger.tables import open_wait
from metrics_worker.waiting.model import PublishedWait
from service_kit import outbox
from tandem_cli.issuer import Issuer
from tests.metrics_worker.conftest import Metrics, client_of, published
from tests.metrics_worker.facts import AGENT, CUSTOMER, REP, TEAM, account, lead, ticket
from tests.metrics_worker.waiting.test_waiting import ago

MANAGER = UUID(int=99)
CHAIN = {
    "name": "Chain",
    "limit_minutes": 60,
    "warn_minutes": 15,
    "escalation": [
        {"after_minutes": 30, "action": "tell_manager", "told_id": str(MANAGER)},
        {"after_minutes": 10, "action": "tell_account_owner"},
    ],
}


async def shift(engine: AsyncEngine, minutes: int) -> None:
    """Let so much time pass for everybody who waits: each wait stays the same one."""
    async with engine.begin() as connection:
        for table in (open_wait, PublishedWait.table):
            await connection.execute(sa.update(table).values(since=table.c.since - timedelta(minutes=minutes)))


async def steps(metrics: Metrics) -> list[tuple[Any, ...]]:
    """What was published: the type of event, the step and whom it names."""
    return [(type(each), each.step, each.action, each.told_id) for each in await metrics.published()]


@pytest.fixture
def clock(engine: AsyncEngine) -> WaitClock:
    return WaitClock(engine)


async def test_a_wait_is_warned_of_raised_at_its_limit_and_passed_up_until_we_answer(
    metrics: Metrics, clock: WaitClock, app: FastAPI, issuer: Issuer
) -> None:
    async with client_of(app, issuer, "service-manager") as manager:
        made = await manager.post("/v1/waiting-policies", json=CHAIN)
        assert [each["after_minutes"] for each in made.json()["escalation"]] == [10, 30]
    asked = ticket(opened_at=ago(minutes=44, seconds=30), waits=[Wait(since=ago(minutes=44, seconds=30))])
    await metrics.consume((account(id=CUSTOMER, owner_id=REP), 1), (asked, 1))
    await clock.run_once()
    assert await steps(metrics) == []
    expected: list[tuple[Any, ...]] = []
    for minutes, step in (
        (1, (WaitDue, 1, "warn", None)),
        (15, (WaitOverLimit, 2, "alert", None)),
        (10, (WaitEscalated, 3, "tell_account_owner", REP)),
        (20, (WaitEscalated, 4, "tell_manager", MANAGER)),
    ):
        await shift(metrics.engine, minutes)
        expected.append(step)
        for _ in range(2):
            await clock.run_once()
            assert await steps(metrics) == expected
        [wait] = (await metrics.get("/v1/waiting"))["items"]
        found = {name: wait["escalation"][name] for name in ("step", "steps", "action", "told_id")}
        told = None if step[3] is None else str(step[3])
        assert found == {"step": step[1], "steps": 4, "action": step[2], "told_id": told}
    answered = [Wait(since=asked.opened_at, until=ago(minutes=0))]
    await metrics.consume((ticket(id=asked.id, opened_at=asked.opened_at, waits=answered), 2))
    await clock.run_once()
    await clock.run_once()
    *_, ended = await metrics.published()
    assert isinstance(ended, WaitEnded)
    assert (ended.record_kind, ended.record_id, ended.owner_id, ended.team_id) == ("tickets", asked.id, AGENT, TEAM)
    assert [event.sequence for event in await published(metrics.engine)] == [1, 2, 3, 4, 5]
    # The answer was entered by mistake: they wait on, and that is published anew.
    await metrics.consume((ticket(id=asked.id, opened_at=asked.opened_at, waits=[Wait(since=asked.opened_at)]), 3))
    await shift(metrics.engine, 1)
    await clock.run_once()
    assert (await steps(metrics))[5:] == [(WaitDue, 1, "warn", None)]


async def test_several_clocks_publish_each_step_once_and_a_killed_one_leaves_none_out(
    metrics: Metrics, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await metrics.consume(*((lead(created_at=ago(minutes=61 + number)), 1) for number in range(20)))
    real, calls = outbox.write, 0

    def dies_once(*arguments: Any, **named: Any) -> UUID:
        nonlocal calls
        calls += 1
        if calls == 8:
            raise ConnectionError("killed")
        return real(*arguments, **named)

    monkeypatch.setattr(outbox, "write", dies_once)
    with pytest.raises(ConnectionError):
        await WaitClock(engine).run_once()
    monkeypatch.undo()
    assert len(await metrics.published()) == 7
    await asyncio.gather(*(WaitClock(engine).run_once() for _ in range(4)))
    await WaitClock(engine).run_once()
    found = await metrics.published()
    assert len(found) == len({each.id for each in found}) == 20
    assert {type(each) for each in found} == {WaitOverLimit}
    assert {each.id for each in found} == {UUID(each["id"]) for each in (await metrics.get("/v1/waiting"))["items"]}


async def test_nothing_is_published_of_what_was_entered_late_or_while_the_ledger_is_read(
    metrics: Metrics, clock: WaitClock
) -> None:
    await metrics.consume((lead(created_at=ago(days=400)), 1))
    await clock.run_once()
    assert await metrics.published() == []
    [wait] = (await metrics.get("/v1/waiting"))["items"]
    assert (wait["state"], wait["escalation"]) == ("over", None)
    await metrics.ingest((lead(created_at=ago(minutes=70)), 1))
    async with metrics.engine.begin() as connection:
        await connection.execute(sa.text("UPDATE consumer_offset SET log_end = 1000"))
    await clock.run_once()
    assert await metrics.published() == []
