"""What the demo's driver sends, whatever cuts it short."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tandem_cli.api import Answer, Refused
from tandem_cli.demo.business import Business
from tandem_cli.demo.company import PLANNING_RULES, Company
from tandem_cli.demo.driver import Driver
from tandem_cli.demo.memory import Memory, Thread
from tandem_cli.demo.scenario import Action, After, Scenario
from tandem_cli.requests import Ref, Step

pytestmark = pytest.mark.clock

OPEN = Step("1-open", "sales", ("deals",), {"due_at": After(timedelta(days=1))}, gives={"deal": "id"})
WIN = Step("2-win", "sales", ("deals", Ref("self", "deal"), "close"), {"outcome": "won"})
SCENARIO = Scenario("live:1", (Action(datetime.now(UTC), OPEN), Action(datetime.now(UTC), WIN)))


class Sales:
    """Records every request, and fails the given ones."""

    url = "http://sales"

    def __init__(self, *failures: BaseException) -> None:
        self.heard: list[tuple[str, Any, str]] = []
        self._failures = list(failures)

    async def post(self, path: str, body: Any, *, key: str) -> Answer:
        self.heard.append((path, body, key))
        if self._failures:
            raise self._failures.pop(0)
        return Answer(201, {"id": "d1"}, False)

    async def get(self, path: str, params: dict[str, str] | None = None) -> Any:
        self.asked = (path, params)
        return {"items": [{"id": "a1", "purpose": "after-win"}]}


def driver(sales: Sales, memory: Memory) -> Driver:
    return Driver(Business(Company(1, 5)), {"sales": sales}, memory)  # type: ignore[dict-item]


def a_memory() -> Memory:
    return Memory(1, 5, "2026-01-01", threads={SCENARIO.key: Thread()})


async def test_a_live_action_that_was_cut_short_is_sent_again_as_it_was_begun() -> None:
    memory, sales = a_memory(), Sales(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await driver(sales, memory).send_next(SCENARIO, live=True)
    cut = memory.threads[SCENARIO.key]
    assert cut.actions == 0
    assert cut.at is not None
    cut.at = "2026-11-01T12:00:00+00:00"  # as if a later run came long after
    await driver(sales, memory).send_next(SCENARIO, live=True)
    assert sales.heard[1][1]["due_at"] == "2026-11-02T12:00:00Z"
    assert memory.threads[SCENARIO.key] == Thread(1, {"deal": "d1"})


async def test_what_a_rule_planned_is_done_unless_another_was_faster() -> None:
    rule = next(each for each in PLANNING_RULES if each.noun.startswith("sales/"))
    done = Refused(409, {"type": "urn:tandem:problem:work-not-planned", "status": 409})
    for failures, refused in (((), 0), ((done,), 1)):
        sales = Sales(*failures)
        run = driver(sales, a_memory())
        await run.do_planned(rule)
        assert sales.heard == []
        run._ids[rule] = "r1"
        await run.do_planned(rule)
        assert sales.asked == (
            "activities", {"planning_rule_id": "r1", "status": "planned", "sort": "due_at", "limit": "1"}
        )  # fmt: skip
        assert sales.heard[-1] == ("activities/a1/done", {}, "activities:a1:done")
        assert run.board.refused == refused


async def test_a_scenario_ends_where_a_conflict_leaves_its_subject_unknown() -> None:
    memory = a_memory()
    reused = Refused(409, {"type": "urn:tandem:problem:idempotency-key-reused", "status": 409})
    await driver(Sales(reused), memory).send_next(SCENARIO, live=True)
    assert memory.threads == {}


async def test_a_scenario_goes_on_after_a_conflict_over_what_is_done_already() -> None:
    memory, sales = a_memory(), Sales()
    run = driver(sales, memory)
    await run.send_next(SCENARIO, live=True)
    closed = Refused(409, {"type": "urn:tandem:problem:deal-already-closed", "status": 409})
    longer = Scenario(SCENARIO.key, (*SCENARIO.actions, SCENARIO.actions[1]))
    await driver(Sales(closed), memory).send_next(longer, live=True)
    assert memory.threads[SCENARIO.key].actions == 2
