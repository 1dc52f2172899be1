"""Activities plan themselves by declared rules: once for each closing, at intervals, and no more once taken back."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_contracts.sales import ActivityCancelled, ActivityPlanned
from sales_api.planning_rules.use_cases import INTERVALS
from service_kit.planned_work.intervals import IntervalPlanner
from service_kit.planned_work.rules import WorkRule
from tests.sales_api.conftest import selling
from tests.sales_api.sales import Body, Sales, pointers

DAY = timedelta(days=1)


pytestmark = pytest.mark.clock


@pytest.fixture(scope="module")
async def company(new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sales]:
    """A company of its own: rules are for everybody's deals."""
    async with selling(new_database("planning"), tmp_path_factory.mktemp("issuer")) as found:
        yield found


@pytest.fixture
async def sales(company: Sales) -> AsyncIterator[Sales]:
    """The company, without the rules of other tests."""
    yield company
    for rule in (await company.get("/v1/planning-rules?active=true"))["items"]:
        await company.patch(f"/v1/planning-rules/{rule['id']}", {"active": False})


async def a_rule(sales: Sales, trigger: str = "deal_won", **fields: Any) -> Body:
    asked = {"name": "Call after a win", "trigger": trigger, "days": 14, "purpose": "after-win"} | fields
    return await sales.post("/v1/planning-rules", asked, status=201, role="sales-manager")


async def planned_for(sales: Sales, deal: Body) -> list[Body]:
    """What there is for a deal, the first one first."""
    page = await sales.get(f"/v1/activities?deal_id={deal['id']}")
    return list(reversed(page["items"]))


def due(activity: Body) -> datetime:
    return datetime.fromisoformat(activity["due_at"])


async def close(sales: Sales, deal: Body, outcome: str = "won", **fields: Any) -> Body:
    return await sales.post(f"/v1/deals/{deal['id']}/close", {"outcome": outcome} | fields)


async def test_a_won_deal_is_followed_by_what_the_rule_says_and_once_only(sales: Sales) -> None:
    rule = await a_rule(sales)
    rep = await sales.rep()
    deal = await sales.deal(owner_id=rep["id"], region="south")
    won = await close(sales, deal)
    (task,) = await planned_for(sales, deal)
    assert (task["status"], task["kind"], task["purpose"]) == ("planned", "follow_up", "after-win")
    assert (task["planning_rule_id"], task["trigger_id"]) == (rule["id"], deal["id"])
    assert (task["owner_id"], task["team_id"], task["region"]) == (rep["id"], rep["team_id"], "south")
    assert (task["account_id"], task["planned_at"]) == (deal["account_id"], won["closed_at"])
    assert due(task) == datetime.fromisoformat(won["closed_at"]) + 14 * DAY
    assert (await sales.get(f"/v1/activities?planning_rule_id={rule['id']}"))["items"] == [task]
    (event,) = await sales.events_of(task["id"])
    assert isinstance(event.data, ActivityPlanned)
    assert event.data.planning_rule_id == UUID(rule["id"])
    entry = (await sales.send("GET", f"/v1/activities/{task['id']}/audit", role="sales-manager")).json()["items"][0]
    assert (entry["operation"], entry["action"]) == ("close_deal", "created")

    # Taken back, it is cancelled; won again, the deal is followed once more, and by one plan.
    await sales.post(f"/v1/deals/{deal['id']}/reopen", {})
    (task,) = await planned_for(sales, deal)
    assert (task["status"], task["cancel_reason"]) == ("cancelled", "deal-reopened")
    assert isinstance((await sales.events_of(task["id"]))[-1].data, ActivityCancelled)
    await close(sales, deal)
    assert [each["status"] for each in await planned_for(sales, deal)] == ["cancelled", "planned"]
    # What was done stays done, and is not planned a second time.
    await sales.post(f"/v1/activities/{(await planned_for(sales, deal))[1]['id']}/done", {})
    await sales.post(f"/v1/deals/{deal['id']}/reopen", {})
    await close(sales, deal)
    assert [each["status"] for each in await planned_for(sales, deal)] == ["cancelled", "done"]


async def test_a_rule_is_for_what_and_whom_it_names(sales: Sales) -> None:
    rep, other = await sales.rep(), await sales.rep()
    product = await sales.product()
    wide = await a_rule(sales, name="All")
    narrow = await a_rule(
        sales, product=product, region="north", segment="homes", channel="referral", kind="visit", days=30,
        assign_to="account_owner", purpose="site-visit",
    )  # fmt: skip
    lost = await a_rule(sales, "deal_lost", kind="call", purpose="win-back", days=90)
    account = await sales.account(owner_id=other["id"], region="north", segment="homes", channel="referral")
    line = {"product": product, "quantity": 1, "unit_price": "10.00"}
    deal = await sales.deal(account_id=account["id"], owner_id=rep["id"], lines=[line])
    await close(sales, deal)
    by_rule = {each["planning_rule_id"]: each for each in await planned_for(sales, deal)}
    assert by_rule.keys() == {wide["id"], narrow["id"]}
    assert (by_rule[wide["id"]]["owner_id"], by_rule[narrow["id"]]["owner_id"]) == (rep["id"], other["id"])
    assert (by_rule[narrow["id"]]["kind"], by_rule[narrow["id"]]["purpose"]) == ("visit", "site-visit")
    assert due(by_rule[narrow["id"]]) - due(by_rule[wide["id"]]) == 16 * DAY
    # Another product; another segment; a deal without an owner, which is the account's owner's then.
    for terms in ({}, {"segment": "hotels", "lines": [line]}):
        plain = await sales.deal(account_id=account["id"], **terms)
        await close(sales, plain)
        (only,) = await planned_for(sales, plain)
        assert (only["planning_rule_id"], only["owner_id"]) == (wide["id"], other["id"])
    away = await sales.deal(account_id=account["id"])
    await close(sales, away, "lost")
    (task,) = await planned_for(sales, away)
    assert (task["planning_rule_id"], task["kind"], task["purpose"]) == (lost["id"], "call", "win-back")
    # Lost and then won: each by its own rule.
    await sales.post(f"/v1/deals/{away['id']}/reopen", {})
    await close(sales, away)
    statuses = [(each["planning_rule_id"], each["status"]) for each in await planned_for(sales, away)]
    assert statuses == [(lost["id"], "cancelled"), (wide["id"], "planned")]


async def test_a_salesperson_closes_a_deal_that_a_rule_gives_to_another_person(sales: Sales) -> None:
    await a_rule(sales, assign_to="account_owner")
    rep, other = await sales.rep(subject="auth0|ana"), await sales.rep()
    account = await sales.account(owner_id=other["id"])
    deal = await sales.deal(account_id=account["id"], owner_id=rep["id"])
    closed = await sales.send("POST", f"/v1/deals/{deal['id']}/close", {"outcome": "won"}, role="sales-rep",
                              subject="auth0|ana")  # fmt: skip
    assert closed.status_code == 200, closed.text
    (task,) = await planned_for(sales, deal)
    assert task["owner_id"] == other["id"]


async def test_what_happened_before_a_rule_or_without_one_in_use_plans_nothing(sales: Sales) -> None:
    rule = await a_rule(sales, since="2026-03-01T00:00:00Z")
    before, after, later = [await sales.deal(occurred_at="2026-02-01T09:00:00Z") for _ in range(3)]
    await close(sales, before, occurred_at="2026-02-28T23:59:59Z")
    await close(sales, after, occurred_at="2026-03-01T00:00:00Z")
    assert await planned_for(sales, before) == []
    (task,) = await planned_for(sales, after)
    assert due(task) == datetime(2026, 3, 15, tzinfo=UTC)
    path = f"/v1/planning-rules/{rule['id']}"
    changed = await sales.patch(path, {"active": False, "days": 7})
    assert (changed["active"], changed["days"], changed["version"]) == (False, 7, 2)
    await close(sales, later)
    assert await planned_for(sales, later) == []
    # What was planned stays as it was planned.
    assert (await planned_for(sales, after)) == [task]
    # A rule of now is not for what is entered late.
    await a_rule(sales)
    imported = await sales.deal(occurred_at="2026-02-01T09:00:00Z")
    await close(sales, imported, occurred_at="2026-04-01T09:00:00Z")
    assert await planned_for(sales, imported) == []


async def test_an_erased_customer_is_followed_no_more(sales: Sales) -> None:
    await a_rule(sales)
    deal, other = await sales.deal(), await sales.deal()
    await close(sales, deal)
    by_hand = await sales.post(
        "/v1/activities", {"kind": "call", "deal_id": deal["id"], "due_at": "2199-01-01T00:00:00Z"}, status=201
    )
    await sales.post(f"/v1/accounts/{deal['account_id']}/erase", {}, role="sales-manager")
    task, _ = await planned_for(sales, deal)
    assert (task["status"], task["cancel_reason"]) == ("cancelled", "customer-erased")
    assert (await sales.get(f"/v1/activities/{by_hand['id']}"))["status"] == "planned"
    await sales.post(f"/v1/accounts/{other['account_id']}/erase", {}, role="sales-manager")
    await close(sales, other)
    assert await planned_for(sales, other) == []


async def test_managers_declare_rules_and_everybody_sees_them(sales: Sales) -> None:
    asked: Body = {"name": "Win back", "trigger": "deal_lost", "days": 90, "purpose": "win-back"}
    refused = await sales.send("POST", "/v1/planning-rules", asked, role="sales-rep")
    assert refused.status_code == 403
    rule = await a_rule(sales, **asked)
    assert (rule["active"], rule["kind"], rule["assign_to"], rule["product"]) == (True, "follow_up", "deal_owner", None)
    path = f"/v1/planning-rules/{rule['id']}"
    for role in ("sales-rep", "analyst", "service-agent"):
        assert (await sales.send("GET", path, role=role)).json() == rule
    assert (await sales.get("/v1/planning-rules?trigger=deal_lost&active=true"))["items"] == [rule]
    stale = await sales.send("PATCH", path, {"days": 60}, If_Match='"9"')
    assert stale.status_code == 412
    same = await sales.patch(path, {"days": 90})
    assert same["version"] == 1
    entries = (await sales.send("GET", f"{path}/audit", role="sales-manager")).json()["items"]
    assert [(each["operation"], each["action"]) for each in entries] == [("create_planning_rule", "created")]
    for wrong, pointer in (
        ({"days": 0}, "#/days"),
        ({"trigger": "interval", "product": await sales.product()}, "#/product"),
        ({"product": "nothing"}, "#/product"),
        ({"channel": "pigeon"}, "#/channel"),
    ):
        answer = await sales.send("POST", "/v1/planning-rules", asked | wrong, role="sales-manager")
        assert (answer.status_code, pointers(answer.json())) == (422, [pointer]), answer.text
    at_intervals = await a_rule(sales, "interval")
    answer = await sales.send("PATCH", f"/v1/planning-rules/{at_intervals['id']}", {"product": "nothing"})
    assert (answer.status_code, pointers(answer.json())) == (422, ["#/product"])


async def turns_of(sales: Sales, account: Body) -> list[Body]:
    return list(reversed((await sales.get(f"/v1/activities?account_id={account['id']}"))["items"]))


async def test_customers_of_a_segment_have_their_turn_at_intervals_one_at_a_time(sales: Sales) -> None:
    rep = await sales.rep()
    rule = await a_rule(sales, "interval", days=30, segment="hotels", kind="call", purpose="quarterly")
    registered = datetime.now(UTC).replace(microsecond=0) - 100 * DAY
    since = registered.isoformat().replace("+00:00", "Z")
    account = await sales.account(owner_id=rep["id"], segment="hotels", occurred_at=since)
    other = await sales.account(segment="farms")
    planner = IntervalPlanner(sales.engine, INTERVALS)
    assert await planner.tick() == 1
    assert await planner.tick() == 0
    (first,) = await turns_of(sales, account)
    assert (first["kind"], first["purpose"], first["owner_id"]) == ("call", "quarterly", rep["id"])
    assert (first["planning_rule_id"], first["trigger_id"]) == (rule["id"], account["id"])
    # Counted from when they became a customer: the first one that is still to come.
    assert due(first) == registered + 120 * DAY
    assert await turns_of(sales, other) == []
    done = await sales.post(f"/v1/activities/{first['id']}/done", {})
    assert await planner.tick() == 1
    _, second = await turns_of(sales, account)
    assert second["trigger_id"] == first["id"]
    assert due(second) == datetime.fromisoformat(done["completed_at"]) + 30 * DAY
    # Cancelled, it is their turn again after another interval.
    await sales.post(f"/v1/activities/{second['id']}/cancel", {"reason": "not-needed"})
    assert await planner.tick() == 1
    # Merged into another customer, they have that one's turns.
    into = await sales.account(segment="hotels")
    await sales.post(f"/v1/accounts/{account['id']}/merge", {"into": into["id"]})
    assert await planner.tick() == 2
    *_, third = await turns_of(sales, account)
    assert (third["status"], third["cancel_reason"]) == ("cancelled", "customer-merged")
    assert [each["status"] for each in await turns_of(sales, into)] == ["planned"]
    await sales.patch(f"/v1/planning-rules/{rule['id']}", {"active": False})
    await sales.post(f"/v1/activities/{(await turns_of(sales, into))[0]['id']}/missed", {})
    assert await planner.tick() == 0


async def test_several_planners_at_once_plan_once_for_each_customer(sales: Sales) -> None:
    rules = [await a_rule(sales, "interval", days=days) for days in (30, 90)]
    accounts = [await sales.account() for _ in range(7)]
    planners = [IntervalPlanner(sales.engine, INTERVALS) for _ in range(4)]
    for _ in range(3):
        await asyncio.gather(*(planner.tick() for planner in planners))
        plans = [each for account in accounts for each in await turns_of(sales, account) if each["status"] == "planned"]
        keys = [(each["planning_rule_id"], each["account_id"]) for each in plans]
        assert sorted(keys) == sorted((rule["id"], account["id"]) for rule in rules for account in accounts)
        await asyncio.gather(*(sales.post(f"/v1/activities/{each['id']}/missed", {}) for each in plans[::2]))
        await asyncio.gather(*(planner.tick() for planner in planners))


async def test_the_database_takes_one_plan_of_a_rule_for_what_it_follows(sales: Sales) -> None:
    rule = await a_rule(sales)
    deal = await sales.deal()
    await close(sales, deal)
    again = sa.text(
        "INSERT INTO activity (id, version, kind, due_at, status, planning_rule_id, trigger_id, custom)"
        " SELECT :id, 1, kind, due_at, status, planning_rule_id, trigger_id, custom FROM activity"
        " WHERE planning_rule_id = :rule"
    )
    with pytest.raises(sa.exc.IntegrityError, match="activity_trigger_idx"):
        async with sales.engine.begin() as connection:
            await connection.execute(again, {"id": uuid4(), "rule": UUID(rule["id"])})


STEPS = st.lists(
    st.sampled_from(["won", "lost", "twice at once", "sent again", "reopen", "done", "missed", "cancel", "move"]),
    max_size=12,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_no_order_of_closing_and_reopening_plans_twice(sales: Sales, steps: list[str]) -> None:
    """Each rule has one plan at most that is not cancelled with its closing, and one that ended stays the only one."""
    if not (await sales.get("/v1/planning-rules?active=true"))["items"]:
        for trigger in ("deal_won", "deal_lost"):
            await a_rule(sales, trigger)
    rules = {each["trigger"]: each["id"] for each in (await sales.get("/v1/planning-rules?active=true"))["items"]}
    deal = await sales.deal()
    path, stage = f"/v1/deals/{deal['id']}", "open"
    expected: dict[str, Any] = dict.fromkeys(rules.values())
    """The status of each rule's one plan that counts."""
    for step in steps:
        is_closed = stage != "open"
        if step in ("won", "lost", "twice at once", "sent again"):
            outcome = "lost" if step == "lost" else "won"
            key = str(uuid4())
            if step == "twice at once":
                closings = (sales.send("POST", f"{path}/close", {"outcome": outcome}) for _ in range(2))
                answers = await asyncio.gather(*closings)
                assert sorted(each.status_code for each in answers) == ([409, 409] if is_closed else [200, 409])
            else:
                times = 2 if step == "sent again" else 1
                answers = [
                    await sales.send("POST", f"{path}/close", {"outcome": outcome}, Idempotency_Key=key)
                    for _ in range(times)
                ]
                assert {each.status_code for each in answers} == {409 if is_closed else 200}
            if not is_closed:
                stage = outcome
                expected[rules[f"deal_{outcome}"]] = expected[rules[f"deal_{outcome}"]] or "planned"
        elif step == "reopen":
            answer = await sales.send("POST", f"{path}/reopen", {})
            assert answer.status_code == (200 if is_closed else 409)
            stage = "open"
            expected = {rule: None if status == "planned" else status for rule, status in expected.items()}
        else:
            for task in await planned_for(sales, deal):
                if task["status"] == "planned":
                    body = {"due_at": "2199-01-01T00:00:00Z"} if step == "move" else {}
                    await sales.post(f"/v1/activities/{task['id']}/{step}", body)
                    ended = {"move": "planned", "cancel": "cancelled"}.get(step, step)
                    expected[task["planning_rule_id"]] = ended
        plans = await planned_for(sales, deal)
        counts = [each for each in plans if each["cancel_reason"] != "deal-reopened"]
        found = sorted((each["planning_rule_id"], each["status"]) for each in counts)
        assert found == sorted((rule, status) for rule, status in expected.items() if status is not None), steps


def test_the_next_turn_is_the_first_that_is_still_to_come() -> None:
    rule: Any = WorkRule(
        id=uuid4(), version=1, name="", trigger="interval", days=7, purpose="x", since=datetime.now(UTC), active=True
    )
    monday = datetime(2026, 3, 2, 9, tzinfo=UTC)
    for now, expected in itertools.chain(
        ((monday + days * DAY, monday + 7 * DAY) for days in (-1, 0, 6)),
        ((monday + days * DAY, monday + 14 * DAY) for days in (7, 13)),
    ):
        assert rule.next_due(monday, now) == expected, now
