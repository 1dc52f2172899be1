"""Check-ins plan themselves by declared rules: after an onboarding, after a bad rating, and at intervals."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from event_contracts.service import CheckInCancelled, CheckInPlanned
from service_api.check_ins import CheckIn
from service_api.customers.from_sales import copy_accounts
from service_api.planning_rules.use_cases import INTERVALS
from service_kit.identifiers import new_id
from service_kit.planned_work.intervals import IntervalPlanner
from tests.service_api.conftest import Service, a_customer, a_ticket, an_agent, make, serving
from tests.service_api.test_care import consume, reopened, won
from tests.service_api.test_customers_from_sales import merged, record, registered
from tests.service_api.test_surveys import a_survey, entry
from tests.service_kit.conftest import assert_problem

DAY = timedelta(days=1)


pytestmark = pytest.mark.clock


@pytest.fixture(scope="module")
async def company(
    new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """A company of its own: rules are for everybody's customers."""
    async with serving(new_database("planning"), tmp_path_factory.mktemp("issuer")) as found:
        yield found


@pytest.fixture
async def service(company: Service) -> AsyncIterator[Service]:
    """The company, without the rules of other tests."""
    yield company
    async with company.client("service-manager") as manager:
        for rule in (await manager.get("/v1/planning-rules?active=true")).json()["items"]:
            await manager.patch(f"/v1/planning-rules/{rule['id']}", json={"active": False})


async def a_rule(manager: httpx.AsyncClient, trigger: str, **fields: Any) -> dict[str, Any]:
    asked = {"name": "Call them", "trigger": trigger, "days": 2, "purpose": "care"} | fields
    return await make(manager, "/v1/planning-rules", **asked)


async def check_ins_of(manager: httpx.AsyncClient, customer_id: object) -> list[dict[str, Any]]:
    """What there is for a customer, the first one first."""
    answer = await manager.get(f"/v1/check-ins?customer_id={customer_id}")
    items: list[dict[str, Any]] = answer.json()["items"]
    return list(reversed(items))


async def rate(http: httpx.AsyncClient, survey: dict[str, Any], score: int) -> None:
    """Answer as the customer does, by their link."""
    answer = await http.post(survey["answer_path"], json={"score": score})
    assert answer.is_success, answer.text


def outcomes(check_ins: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(each["status"], each["cancel_reason"]) for each in check_ins]


async def test_a_bad_rating_is_followed_once_and_no_more_once_it_is_revised(
    service: Service, manager: httpx.AsyncClient, importer: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    rule = await a_rule(manager, "bad_rating", purpose="bad-rating")
    assert rule["max_score"] == 2
    team = await make(manager, "/v1/teams", name="Desk")
    rita = await an_agent(manager, team_id=team["id"])
    ticket = await a_ticket(manager, agent_id=rita["id"], product="boiler")
    await make(manager, f"/v1/tickets/{ticket['id']}/resolve")
    survey = await a_survey(importer, ticket_id=ticket["id"])
    await rate(anonymous, survey, 2)
    answered = (await manager.get(f"/v1/surveys/{survey['id']}")).json()
    (check_in,) = await check_ins_of(manager, ticket["customer_id"])
    due_on = (datetime.fromisoformat(answered["answered_at"]) + 2 * DAY).astimezone(UTC).date()
    expected = {
        "status": "planned", "purpose": "bad-rating", "planning_rule_id": rule["id"], "trigger_id": survey["id"],
        "agent_id": rita["id"], "team_id": team["id"], "product": "boiler", "region": "baltics", "segment": "smb",
        "due_on": due_on.isoformat(), "planned_at": answered["answered_at"],
    }  # fmt: skip
    assert check_in.items() >= expected.items()
    found = (await manager.get(f"/v1/check-ins?planning_rule_id={rule['id']}")).json()
    assert found["items"] == [check_in]
    (planned,) = await service.events_of(f"checkins/{check_in['id']}")
    assert isinstance(planned.data, CheckInPlanned)
    assert planned.data.planning_rule_id == UUID(rule["id"])

    # Still bad: the same check-in. Good: none. Bad again: one more.
    await rate(anonymous, survey, 1)
    assert await check_ins_of(manager, ticket["customer_id"]) == [check_in]
    await rate(anonymous, survey, 4)
    (check_in,) = await check_ins_of(manager, ticket["customer_id"])
    assert outcomes([check_in]) == [("cancelled", "rating-revised")]
    assert isinstance((await service.events_of(f"checkins/{check_in['id']}"))[-1].data, CheckInCancelled)
    await rate(anonymous, survey, 2)
    _, again = await check_ins_of(manager, ticket["customer_id"])
    await make(manager, f"/v1/check-ins/{again['id']}/done")
    # What was done is not undone, nor done twice.
    for score in (5, 1):
        await rate(anonymous, survey, score)
    assert [each["status"] for each in await check_ins_of(manager, ticket["customer_id"])] == ["cancelled", "done"]


async def test_a_rule_names_whose_ratings_count_and_who_calls(manager: httpx.AsyncClient) -> None:
    team = await make(manager, "/v1/teams", name="Rescue")
    rescuer = await an_agent(manager, team_id=team["id"])
    rule = await a_rule(
        manager, "bad_rating", max_score=3, priority="urgent", region="baltics", product="boiler",
        agent_id=rescuer["id"],
    )  # fmt: skip
    assert (rule["agent_id"], rule["team_id"]) == (rescuer["id"], team["id"])
    of_team = await a_rule(manager, "bad_rating", segment="smb", team_id=team["id"])
    for score, fields, expected in (
        (3, {"priority": "urgent", "product": "boiler"}, [(rule["id"], rescuer["id"])]),
        (3, {"priority": "high", "product": "boiler"}, []),
        (2, {"priority": "urgent"}, [(of_team["id"], None)]),
        (4, {"priority": "urgent", "product": "boiler"}, []),
    ):
        ticket = await a_ticket(manager, **fields)
        survey = await a_survey(manager, ticket_id=ticket["id"])
        await make(manager, f"/v1/surveys/{survey['id']}/answer", **entry(score=score))
        found = await check_ins_of(manager, ticket["customer_id"])
        assert [(each["planning_rule_id"], each["agent_id"]) for each in found] == expected, (score, fields)
        assert {each["team_id"] for each in found} <= {team["id"]}
    # The rule's own threshold decides which check-ins a better score takes back.
    ticket = await a_ticket(manager, priority="urgent", product="boiler")
    survey = await a_survey(manager, ticket_id=ticket["id"])
    for score, still_open in ((1, 2), (3, 1), (5, 0)):
        await make(manager, f"/v1/surveys/{survey['id']}/answer", **entry(score=score))
        found = await check_ins_of(manager, ticket["customer_id"])
        assert [each["status"] for each in found].count("planned") == still_open


async def test_a_bad_review_is_followed_unless_it_was_recorded_wrongly(manager: httpx.AsyncClient) -> None:
    rule = await a_rule(manager, "bad_rating")
    await a_rule(manager, "bad_rating", priority="urgent")
    customer = await a_customer(manager)
    review = await make(manager, "/v1/reviews", customer_id=customer["id"], score=1, product="boiler")
    await make(manager, "/v1/reviews", customer_id=customer["id"], score=3)
    (check_in,) = await check_ins_of(manager, customer["id"])
    assert (check_in["planning_rule_id"], check_in["trigger_id"]) == (rule["id"], review["id"])
    assert (check_in["agent_id"], check_in["product"]) == (None, "boiler")
    path = f"/v1/reviews/{review['id']}"
    await manager.patch(path, json={"score": 2, "product": "heat-pump"})
    assert await check_ins_of(manager, customer["id"]) == [check_in]
    await manager.patch(path, json={"score": 4})
    assert outcomes(await check_ins_of(manager, customer["id"])) == [("cancelled", "rating-revised")]


async def test_an_onboarding_is_followed_by_a_check_in_until_its_deal_is_taken_back(
    service: Service, manager: httpx.AsyncClient
) -> None:
    rule = await a_rule(manager, "onboarding_ended", days=30, purpose="how-is-it")
    account_id, deal_id, lately = new_id(), new_id(), datetime.now(UTC) - 2 * DAY
    await consume(
        service, record(registered(account_id), 1), record(won(account_id, deal_id, closed_at=lately), 3),
        onboarding_days=30,
    )  # fmt: skip
    (ticket,) = (await manager.get(f"/v1/tickets?customer_id={account_id}")).json()["items"]
    assert await check_ins_of(manager, account_id) == []
    rita = await an_agent(manager)
    path = f"/v1/tickets/{ticket['id']}"
    resolved = await make(manager, f"{path}/resolve", agent_id=rita["id"])
    (check_in,) = await check_ins_of(manager, account_id)
    assert (check_in["planning_rule_id"], check_in["trigger_id"]) == (rule["id"], ticket["id"])
    assert (check_in["agent_id"], check_in["purpose"]) == (rita["id"], "how-is-it")
    ended = datetime.fromisoformat(resolved["resolved_at"]).astimezone(UTC)
    assert date.fromisoformat(check_in["due_on"]) == (ended + 30 * DAY).date()
    # Not done after all.
    await make(manager, f"{path}/reopen")
    await make(manager, f"{path}/resolve")
    first, second = await check_ins_of(manager, account_id)
    assert outcomes([first, second]) == [("cancelled", "onboarding-reopened"), ("planned", None)]
    # The deal is taken back, by the consumer, however often its event comes; and won again.
    back = record(reopened(account_id, deal_id), 4)
    for _ in range(2):
        await consume(service, back, onboarding_days=30)
    assert outcomes(await check_ins_of(manager, account_id))[1:] == [("cancelled", "onboarding-cancelled")]
    again = record(won(account_id, deal_id, closed_at=datetime.now(UTC), reopen_count=1), 5)
    for _ in range(2):
        await consume(service, again, onboarding_days=30)
    assert outcomes(await check_ins_of(manager, account_id))[2:] == [("planned", None)]
    # Another ticket is no onboarding.
    other = await a_ticket(manager, kind="installation")
    await make(manager, f"/v1/tickets/{other['id']}/resolve")
    assert await check_ins_of(manager, other["customer_id"]) == []


async def test_an_erased_customer_is_followed_no_more(service: Service, manager: httpx.AsyncClient) -> None:
    await a_rule(manager, "bad_rating")
    ticket = await a_ticket(manager)
    other = await a_ticket(manager, customer_id=ticket["customer_id"])
    survey, later = [await a_survey(manager, ticket_id=each["id"]) for each in (ticket, other)]
    await make(manager, f"/v1/surveys/{survey['id']}/answer", **entry(score=1))
    await make(manager, "/v1/check-ins", customer_id=ticket["customer_id"], due_on="2199-01-01", status="planned")
    await manager.post(f"/v1/customers/{ticket['customer_id']}/erase")
    found = await check_ins_of(manager, ticket["customer_id"])
    assert outcomes(found) == [("cancelled", "customer-erased"), ("planned", None)]
    await make(manager, f"/v1/surveys/{later['id']}/answer", **entry(score=1))
    assert len(await check_ins_of(manager, ticket["customer_id"])) == 2


async def test_managers_declare_rules(manager: httpx.AsyncClient, agent: httpx.AsyncClient) -> None:
    asked = {"name": "Call", "trigger": "interval", "days": 90, "purpose": "care"}
    assert_problem(await agent.post("/v1/planning-rules", json=asked), 403, "forbidden")
    rule = await make(manager, "/v1/planning-rules", **asked)
    path = f"/v1/planning-rules/{rule['id']}"
    assert (await agent.get(path)).json() == rule
    for wrong in ({"max_score": 2}, {"product": "boiler"}, {"priority": "low"}):
        (name,) = wrong
        answer = await manager.post("/v1/planning-rules", json=asked | wrong)
        assert_problem(answer, 422, "invalid-request")
        assert [each["pointer"] for each in answer.json()["errors"]] == [f"#/{name}"]
        assert_problem(await manager.patch(path, json=wrong), 422, "invalid-request")
    assert (await agent.get(path)).json() == rule
    unknown = asked | {"agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a99"}
    assert_problem(await manager.post("/v1/planning-rules", json=unknown), 422, "unknown-reference")
    team = await make(manager, "/v1/teams", name="Desk")
    rita = await an_agent(manager, team_id=team["id"])
    changed = (await manager.patch(path, json={"agent_id": rita["id"], "segment": "smb"})).json()
    assert (changed["team_id"], changed["segment"], changed["version"]) == (team["id"], "smb", 2)
    audit = (await manager.get(f"{path}/audit")).json()["items"]
    assert [each["operation"] for each in audit] == ["change_planning_rule", "create_planning_rule"]
    assert (await agent.get("/v1/planning-rules?trigger=interval&include=agent")).json()["included"]["agent"]


async def test_customers_of_a_segment_have_their_check_ins_at_intervals(
    service: Service, manager: httpx.AsyncClient
) -> None:
    team = await make(manager, "/v1/teams", name="Care")
    rule = await a_rule(manager, "interval", days=90, segment="smb", team_id=team["id"], purpose="quarterly")
    known_since = (datetime.now(UTC) - 100 * DAY).isoformat()
    customer = await a_customer(manager, occurred_at=known_since)
    other = await a_customer(manager, segment="factories")
    planners = [IntervalPlanner(service.engine, INTERVALS) for _ in range(3)]
    for _ in range(2):
        await asyncio.gather(*(planner.tick() for planner in planners))
    (first,) = await check_ins_of(manager, customer["id"])
    assert (first["planning_rule_id"], first["trigger_id"]) == (rule["id"], customer["id"])
    assert (first["team_id"], first["agent_id"], first["purpose"]) == (team["id"], None, "quarterly")
    assert date.fromisoformat(first["due_on"]) == (datetime.fromisoformat(known_since) + 180 * DAY).date()
    assert await check_ins_of(manager, other["id"]) == []
    # It stays theirs: for the rule they would have had no turn.
    answer = await manager.patch(f"/v1/check-ins/{first['id']}", json={"customer_id": other["id"]})
    assert_problem(answer, 409, "planned-by-rule")
    corrected = await manager.patch(f"/v1/check-ins/{first['id']}", json={"purpose": "yearly"})
    assert (corrected.status_code, corrected.json()["purpose"]) == (200, "yearly")
    done = await make(manager, f"/v1/check-ins/{first['id']}/done")
    await asyncio.gather(*(planner.tick() for planner in planners))
    _, second = await check_ins_of(manager, customer["id"])
    ended = datetime.fromisoformat(done["completed_at"]).astimezone(UTC)
    assert date.fromisoformat(second["due_on"]) == (ended + 90 * DAY).date()
    # A customer whom sales merged into another has that one's turns.
    account_id, into = new_id(), new_id()
    one, two = (registered(each, segment="smb") for each in (account_id, into))
    async with service.engine.begin() as connection:
        await copy_accounts(connection, [record(one, 1), record(two, 1)])
    while await planners[0].tick():
        pass
    async with service.engine.begin() as connection:
        await copy_accounts(connection, [record(merged(account_id, into), 2)])
    while await planners[0].tick():
        pass
    assert outcomes(await check_ins_of(manager, account_id)) == [("cancelled", "customer-merged")]
    assert outcomes(await check_ins_of(manager, into)) == [("planned", None)]


async def test_a_rule_that_fails_does_not_keep_the_others_from_their_turns(
    service: Service, manager: httpx.AsyncClient
) -> None:
    broken = await a_rule(manager, "interval", days=90, segment="smb")
    customer = await a_customer(manager)
    planner = IntervalPlanner(service.engine, INTERVALS)
    await planner.tick()
    (planned,) = await check_ins_of(manager, customer["id"])
    # No request does so: the customer has had this turn, and no check-in of it.
    stranger = await a_customer(manager, segment="factories")
    async with service.engine.begin() as connection:
        moved = sa.update(CheckIn.table).where(CheckIn.table.c.id == UUID(planned["id"]))
        await connection.execute(moved.values(customer_id=UUID(stranger["id"])))
    later = await a_rule(manager, "interval", days=30, segment="factories")
    assert later["id"] > broken["id"]
    waiting = await a_customer(manager, segment="factories")
    with pytest.raises(ExceptionGroup):
        await planner.tick()
    assert [each["planning_rule_id"] for each in await check_ins_of(manager, waiting["id"])] == [later["id"]]
