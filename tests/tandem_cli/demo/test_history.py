"""The demo's history goes through imports: in its order, once, whatever interrupts it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tandem_cli.api import Refused
from tandem_cli.demo.board import Board
from tandem_cli.demo.business import Business
from tandem_cli.demo.company import Company
from tandem_cli.demo.history import IMPORTS_AT_ONCE, RECENT_DAYS, STEPS_AT_ONCE, HistoryLoader
from tandem_cli.demo.legs import begins_leg, leg_of, row_of
from tandem_cli.demo.memory import Memory
from tandem_cli.demo.scenario import Scenario
from tandem_cli.problem import StackProblem

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAYS = [NOW.date() - timedelta(days=back) for back in range(70)]
BUSINESS = Business(Company(7, 40))
IDS = {ref: f"id of {ref.key}" for ref, _ in [*BUSINESS.company.things(), *BUSINESS.company.registrations()]}

Row = Mapping[str, Any]


class Service:
    """Imports what it is sent, once for each key, and fails the rows and requests that it is told to."""

    def __init__(self, name: str, answer: Callable[[Row], dict[str, Any] | None] = lambda _: None) -> None:
        self.url = f"http://{name}"
        self.rows: list[Row] = []
        self.requests: list[int] = []
        self.fail_after_taking = 0
        self._answer = answer
        self._known: dict[str, list[dict[str, Any]]] = {}

    async def import_rows(self, rows: Sequence[Row], *, key: str, ids_of: Sequence[str]) -> list[dict[str, Any]]:
        assert ids_of
        await asyncio.sleep(0)
        if key not in self._known:
            self._known[key] = [self._import(row) for row in rows]
        if self.fail_after_taking:
            self.fail_after_taking -= 1
            raise StackProblem("the answer is lost")
        return self._known[key]

    def _import(self, row: Row) -> dict[str, Any]:
        if (failed := self._answer(row)) is not None:
            return {"status": "failed", **failed}
        self.rows.append(row)
        number = len(self.rows)
        ids = {resource: f"{resource}-{number}" for resource in ("deals", "accounts", "surveys", "upsell-suggestions")}
        return {"status": "created", "id": f"{row['resource']}-{number}", "ids": ids}


def failing(slug: str, **more: Any) -> dict[str, Any]:
    return {"at": "#/record", "problem": {"type": f"urn:tandem:problem:{slug}", "status": 409, "title": slug, **more}}


async def load(memory: Memory, sales: Service, service: Service, *, keep: Callable[[], None] = lambda: None) -> Board:
    board = Board()

    async def go_on(scenario: Scenario) -> None:
        memory.end(scenario.key)

    apis: Any = {"sales": sales, "service": service}
    loader = HistoryLoader(BUSINESS, apis, memory, board, IDS, now=NOW, keep=keep, go_on=go_on)
    loaded = set(memory.loaded)
    await loader.run([day for day in DAYS if day.isoformat() not in loaded])
    return board


def a_memory() -> Memory:
    return Memory(7, 40, DAYS[-1].isoformat())


def steps_in(*services: Service) -> int:
    return sum(1 + len(row["history"]) for each in services for row in each.rows)


def due() -> list[Scenario]:
    return [each for day in DAYS for each in BUSINESS.day(day) if each.actions[0].at <= NOW]


def due_actions() -> int:
    return sum(action.at <= NOW for scenario in due() for action in scenario.actions)


async def test_all_that_has_happened_is_imported_and_what_is_to_come_is_remembered() -> None:
    memory, sales, service = a_memory(), Service("sales"), Service("service")
    board = await load(memory, sales, service)
    assert steps_in(sales, service) == board.actions_done == board.actions_total == due_actions()
    assert set(memory.loaded) == {day.isoformat() for day in DAYS[1:]}
    assert memory.batches == []
    assert set(memory.threads) == {each.key for each in due() if each.actions[-1].at > NOW}
    for key, thread in memory.threads.items():
        scenario = BUSINESS.scenario(key, NOW)
        assert scenario.actions[thread.actions - 1].at <= NOW < scenario.actions[thread.actions].at


async def test_a_later_run_adds_nothing_twice() -> None:
    memory, sales, service = a_memory(), Service("sales"), Service("service")
    await load(memory, sales, service)
    nothing, none = Service("sales"), Service("service")
    again = await load(memory, nothing, none)
    assert (again.actions_total, nothing.rows, none.rows) == (0, [], [])


async def test_a_run_that_was_cut_off_goes_on_and_repeats_the_request_whose_answer_was_lost() -> None:
    memory, sales, service = a_memory(), Service("sales"), Service("service")
    sales.fail_after_taking = 1
    kept: list[Memory] = []
    with pytest.raises(StackProblem):
        await load(memory, sales, service, keep=lambda: kept.append(memory))
    assert kept
    assert memory.batches
    await load(memory, sales, service)
    assert steps_in(sales, service) == due_actions()
    assert memory.batches == []


async def test_a_row_waits_until_the_other_service_is_known_to_have_what_it_names() -> None:
    refused: set[str] = set()

    def once(row: Row) -> dict[str, Any] | None:
        reference = row["record"].get("external_ref", "")
        if "onboard" not in reference or reference in refused:
            return None
        refused.add(reference)
        return failing("unknown-reference")

    memory, sales, service = a_memory(), Service("sales"), Service("service", once)
    board = await load(memory, sales, service)
    assert refused
    assert (board.refused, steps_in(sales, service)) == (0, due_actions())


async def test_a_record_that_the_other_service_made_first_is_taken_over() -> None:
    def taken(row: Row) -> dict[str, Any] | None:
        is_onboarding = "onboarding_deal_id" in row["record"]
        return failing("onboarding-already-opened", existing_id="theirs") if is_onboarding else None

    memory, went_on = a_memory(), []
    board = Board()

    async def go_on(scenario: Scenario) -> None:
        went_on.append(memory.threads[scenario.key].names["onboarding"])
        memory.end(scenario.key)

    apis: Any = {"sales": Service("sales"), "service": Service("service", taken)}
    await HistoryLoader(BUSINESS, apis, memory, board, IDS, now=NOW, keep=lambda: None, go_on=go_on).run(DAYS)
    assert set(went_on) == {"theirs"}
    assert board.refused == 0


async def test_another_refusal_ends_the_scenario_and_is_shown() -> None:
    service = Service("service", lambda row: failing("nope") if row["resource"] == "check-ins" else None)
    memory = a_memory()
    board = await load(memory, Service("sales"), service)
    assert board.refused > 0
    assert "nope" in board.last_refusal
    assert board.actions_done == board.actions_total


async def test_an_api_that_takes_no_imports_ends_the_demo() -> None:
    class Closed(Service):
        async def import_rows(self, *_: Any, **__: Any) -> list[dict[str, Any]]:
            raise Refused(403, {"type": "urn:tandem:problem:forbidden", "title": "Not allowed"})

    with pytest.raises(Exception, match="http://sales takes no imports"):
        await load(a_memory(), Closed("sales"), Service("service"))


async def test_requests_are_few_and_the_latest_days_come_first() -> None:
    memory, sales = a_memory(), Service("sales")
    await load(memory, sales, Service("service"))
    assert memory.next_batch < due_actions() / STEPS_AT_ONCE * 3 + 2 * IMPORTS_AT_ONCE
    days = [row["record"]["external_ref"].split(":")[1] for row in sales.rows[:50]]
    assert min(days) >= (NOW - timedelta(days=RECENT_DAYS)).date().isoformat()


def test_a_leg_is_a_record_with_its_history_in_one_api() -> None:
    deals = [each for day in DAYS for each in BUSINESS.day(day) if ":deal:" in each.key]
    scenario = next(each for each in deals if each.actions[-1].step.api == "service")
    first = leg_of(scenario, 0, scenario.actions[-1].at)
    assert {action.step.api for action in first} == {"sales"}
    assert begins_leg(scenario, 0)
    assert not begins_leg(scenario, 1)
    assert begins_leg(scenario, len(first))
    row = row_of(first, IDS.__getitem__, lambda action: f"ref of {action.step.name}")
    assert (row["resource"], row["record"]["external_ref"]) == ("deals", "ref of 1-open")
    stages = [step for step in row["history"] if step["action"] == "stage"]
    assert {step["of"] for step in stages} == {"deals"}
    activities = [step for step in row["history"] if step["of"] == "activities"]
    assert all(step["body"]["deal_id"] == {"id_of": "deals"} for step in activities)
    assert len(leg_of(scenario, 0, scenario.actions[0].at)) == 1
    # What the other service has to name is known from the report of the leg before.
    names = {"deal": "d1", "account": "a1"}
    second = scenario.actions[len(first) :]
    onboarding = row_of(second, lambda ref: names.get(ref.key) or IDS[ref], lambda action: action.step.name)
    assert onboarding["record"]["onboarding_deal_id"] == "d1"
