"""The demo's business, in small, moves all eight KPIs, and a later run continues it instead of repeating it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tandem_cli.api import Api
from tandem_cli.demo.business import Business
from tandem_cli.demo.company import Company
from tandem_cli.demo.driver import Driver
from tandem_cli.demo.memory import Memory
from tandem_cli.demo.screen import KPIS
from tandem_cli.stack import LocalStack
from tests.e2e.conftest import Kpis, booked, settled
from tests.faults.oracle import read_log
from tests.support import eventually

pytestmark = pytest.mark.clock

ALIVE = ("activities_completed", "stage_conversion", "pipeline_value", "sla_attainment", "maintenance_done_on_time")
"""What moves besides those that the demo's screen shows; of rarer things a short history may have none."""
ACCOUNTS = 30
DAYS = 30
NOON = datetime(2025, 7, 4, 12, tzinfo=UTC)
"""Where the history ends, whenever the test runs: the scenarios of a short one depend on its days."""
LAST_DAY = NOON.date()
FIRST_DAY = LAST_DAY - timedelta(days=DAYS)


def utc_now() -> datetime:
    return datetime.now(UTC)


def remembered(file: Path, first_day: date) -> Memory:
    return Memory.recall(file, seed=11, accounts=ACCOUNTS, first_day=first_day)


@asynccontextmanager
async def driver(
    stack: LocalStack, memory: Memory, clock: Callable[[], datetime] = utc_now, file: Path | None = None
) -> AsyncIterator[Driver]:
    token = stack.token("importer", subject="demo")
    async with Api(stack.urls["sales"], token) as sales, Api(stack.urls["service"], token) as service:
        business = Business(Company(memory.seed, memory.accounts))
        keep = (lambda: None) if file is None else (lambda: memory.keep(file))
        yield Driver(business, {"sales": sales, "service": service}, memory, speed=50, clock=clock, keep=keep)


async def test_a_short_history_moves_all_eight_kpis_and_a_second_run_adds_nothing(
    stack: LocalStack, kpis: Kpis, tmp_path: Path
) -> None:
    first, last = FIRST_DAY.isoformat(), LAST_DAY.isoformat()
    memory = remembered(tmp_path / "demo.json", FIRST_DAY)
    async with driver(stack, memory, lambda: NOON) as run:
        await run.prepare()
        await run.history()
        assert run.board.last_refusal == ""
        assert run.board.actions_done == run.board.actions_total > 100
        # A few imports, and not a request for each action.
        assert run.board.requests < run.board.actions_total / 2
    memory.keep(tmp_path / "demo.json")
    await booked(stack)
    for name in (*KPIS, *ALIVE):
        answer = await kpis.ask(name, first, last)
        assert answer["value"] not in (None, "0", "0.00"), name

    before = (await read_log(stack.bootstrap_servers)).events
    memory = remembered(tmp_path / "demo.json", FIRST_DAY)
    async with driver(stack, memory, lambda: NOON) as run:
        await run.prepare()
        # Every day but today, which is not over, is there.
        assert set(memory.loaded) >= {(LAST_DAY - timedelta(days=day)).isoformat() for day in range(1, DAYS + 1)}
        await run.history()
        assert run.board.last_refusal == ""
    await settled(stack)
    begun_since = sum(1 for key in memory.threads if key.startswith(LAST_DAY.isoformat()))
    after = (await read_log(stack.bootstrap_servers)).events
    assert after - before <= 10 * begun_since


async def test_a_history_that_was_interrupted_is_loaded_to_its_end(stack: LocalStack, tmp_path: Path) -> None:
    file = tmp_path / "demo.json"
    memory = Memory.recall(file, seed=12, accounts=ACCOUNTS, first_day=FIRST_DAY)
    async with driver(stack, memory, lambda: NOON, file) as run:
        await run.prepare()
        history = asyncio.create_task(run.history())

        async def has_imported_some() -> bool:
            if history.done():
                history.result()
            return run.board.actions_done > 0

        await eventually(has_imported_some, 60, every=0.01)
        history.cancel()
        await asyncio.gather(history, return_exceptions=True)
    # As after a kill: what it knew when the last request began.
    memory = Memory.recall(file, seed=12, accounts=ACCOUNTS, first_day=FIRST_DAY)
    async with driver(stack, memory, lambda: NOON, file) as later:
        await later.prepare()
        await later.history()
        assert (later.board.last_refusal, later.board.actions_done) == ("", later.board.actions_total)
        assert memory.batches == []
        days = [FIRST_DAY + timedelta(days=day) for day in range(DAYS)]
        assert set(memory.loaded) == {day.isoformat() for day in days}
        due = [each for day in days for each in later.business.day(day)]
        check_ins = sum(
            action.step.path == ("check-ins",) and action.at <= NOON for each in due for action in each.actions
        )
        customers = {await _id_of(later, f"account-{number}") for number in range(ACCOUNTS)}
        found = [
            each
            for each in await _all(later.apis["service"], "check-ins")
            if each["customer_id"] in customers and each["planning_rule_id"] is None
        ]
        assert len(found) == check_ins > 0


async def _id_of(run: Driver, account: str) -> str:
    reference = run.business.company.reference(account)
    (found,) = (await run.apis["sales"].get("accounts", {"external_ref": reference}))["items"]
    return str(found["id"])


async def _all(api: Api, collection: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    params = {"limit": "200"}
    while True:
        page = await api.get(collection, params)
        items += page["items"]
        if (cursor := page.get("next_cursor")) is None:
            return items
        params["cursor"] = cursor


async def test_live_traffic_goes_on_where_the_last_run_stopped(stack: LocalStack, kpis: Kpis, tmp_path: Path) -> None:
    today = utc_now().date()
    memory = remembered(tmp_path / "demo.json", today - timedelta(days=DAYS))
    async with driver(stack, memory) as run:
        await run.prepare()
        live = asyncio.create_task(run.live())

        async def has_sent_many() -> bool:
            if live.done():
                live.result()
            return run.board.requests > 200

        await eventually(has_sent_many, 60, every=0.2)
        live.cancel()
        assert run.board.last_refusal == ""
    memory.keep(tmp_path / "demo.json")
    open_scenarios = set(memory.threads)
    assert open_scenarios
    async with driver(stack, memory) as later:
        await later.prepare()
        live = asyncio.create_task(later.live())

        async def an_open_scenario_came_to_its_end() -> bool:
            if live.done():
                live.result()
            return not open_scenarios <= set(memory.threads)

        await eventually(an_open_scenario_came_to_its_end, 60, every=0.2)
        live.cancel()
        assert later.board.last_refusal == ""
    answer = await kpis.ask("tickets_opened", today.isoformat(), utc_now().date().isoformat())
    assert answer["numerator"] > 0
