"""Steps of onboardings: planned once by templates when a deal is won, then done, moved, cancelled, or delivered."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from event_contracts.fields import Money
from event_contracts.sales import Promise
from event_contracts.service import (
    OnboardingStep,
    OnboardingStepAmended,
    OnboardingStepCancelled,
    OnboardingStepCompleted,
    OnboardingStepPlanned,
    PlannedOnboardingStepAmended,
)
from service_kit.identifiers import new_id
from tests.service_api.conftest import NOWHERE, Service, a_ticket, an_agent, make, serving
from tests.service_api.test_care import consume, reopened, won
from tests.service_api.test_customers_from_sales import record, registered
from tests.service_kit.conftest import assert_problem

pytestmark = pytest.mark.clock

LATELY = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
DAY = timedelta(days=1)
DELIVER_BY = LATELY.date() + 20 * DAY
STEPS = [{"step": "installation", "days": -3}, {"step": "set-up", "days": 0}, {"step": "training", "days": 7}]
Step = dict[str, Any]


@pytest.fixture(scope="module")
async def company(
    new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """A company of its own: a default template is for everybody's deals."""
    async with serving(new_database("onboardings"), tmp_path_factory.mktemp("issuer")) as found:
        yield found


@pytest.fixture
async def service(company: Service) -> AsyncIterator[Service]:
    """The company, without the templates of other tests."""
    yield company
    async with company.client("service-manager") as manager:
        for template in (await manager.get("/v1/onboarding-templates?active=true")).json()["items"]:
            await manager.patch(f"/v1/onboarding-templates/{template['id']}", json={"active": False})


def promised(deliver_by: date = DELIVER_BY) -> Promise:
    return Promise(deliver_by=deliver_by, price=Money(Decimal("30.00"), "EUR"), quality="gold")


async def win(service: Service, sequence: int = 2, *, account_id: UUID, deal_id: UUID, **more: Any) -> None:
    """Let service read that a deal is won, twice."""
    deal = won(account_id, deal_id, **({"closed_at": LATELY, "promise": promised()} | more))
    for _ in range(2):
        await consume(service, record(registered(account_id), 1), record(deal, sequence), onboarding_days=30)


async def onboarding_of(manager: httpx.AsyncClient, account_id: UUID) -> dict[str, Any]:
    (ticket,) = (await manager.get(f"/v1/tickets?customer_id={account_id}")).json()["items"]
    return dict(ticket)


async def steps_in(manager: httpx.AsyncClient, deal_id: UUID, status: str = "planned") -> dict[str, Step]:
    """The steps of a deal in a status, by their code."""
    answer = await manager.get(f"/v1/onboarding-steps?deal_id={deal_id}&status={status}&sort=due_on")
    assert answer.is_success, answer.text
    return {each["step"]: each for each in answer.json()["items"]}


def due_days(steps: dict[str, Step]) -> dict[str, str]:
    return {step: each["due_on"] for step, each in steps.items()}


def by_promise(deliver_by: date = DELIVER_BY) -> dict[str, str]:
    return {
        "installation": str(deliver_by - 3 * DAY),
        "delivery": str(deliver_by),
        "set-up": str(deliver_by),
        "training": str(deliver_by + 7 * DAY),
    }


async def test_a_won_deal_plans_the_steps_of_its_product_once(service: Service, manager: httpx.AsyncClient) -> None:
    team = await make(manager, "/v1/teams", name="Installers")
    rita = await an_agent(manager, team_id=team["id"])
    steps = [STEPS[0], STEPS[1] | {"agent_id": rita["id"]}, STEPS[2]]
    await make(manager, "/v1/onboarding-templates", name="All", steps=[{"step": "welcome", "days": 0}])
    await make(manager, "/v1/onboarding-templates", name="Before", product="scheduling", steps=STEPS[:1])
    made = await make(manager, "/v1/onboarding-templates", name="Scheduling", product="scheduling", steps=steps)
    assert [each["team_id"] for each in made["steps"]] == [None, team["id"], None]
    account_id, deal_id = new_id(), new_id()
    await win(service, account_id=account_id, deal_id=deal_id)
    ticket = await onboarding_of(manager, account_id)
    planned = await steps_in(manager, deal_id)
    assert due_days(planned) == by_promise()
    assert {step for step, each in planned.items() if each["promised"]} == {"delivery"}
    assert {step: each["agent_id"] for step, each in planned.items() if each["agent_id"]} == {"set-up": rita["id"]}
    for each in planned.values():
        assert (each["ticket_id"], each["customer_id"], each["product"]) == (
            ticket["id"],
            str(account_id),
            "scheduling",
        )
        (event,) = await service.events_of(f"onboardingsteps/{each['id']}")
        assert isinstance(event.data, OnboardingStepPlanned)
        assert (event.partition_key, event.time) == (str(account_id), LATELY)
    # What the agent has who takes over the onboarding, is theirs with it; what a template gave to another stays.
    ona = await an_agent(manager)
    await make(manager, f"/v1/tickets/{ticket['id']}/assign", agent_id=ona["id"])
    assert {step: each["agent_id"] for step, each in (await steps_in(manager, deal_id)).items()} == {
        step: rita["id"] if step == "set-up" else ona["id"] for step in by_promise()
    }
    *_, last = await service.events_of(f"onboardingsteps/{planned['training']['id']}")
    assert isinstance(last.data, PlannedOnboardingStepAmended)


async def test_without_a_promise_steps_count_from_the_win_and_no_delivery_is_waited_for(
    service: Service, manager: httpx.AsyncClient
) -> None:
    account_id, deal_id, plain = new_id(), new_id(), new_id()
    await win(service, account_id=account_id, deal_id=plain, promise=None)
    assert await steps_in(manager, plain) == {}
    long_before = {"step": "call", "days": -100}
    await make(manager, "/v1/onboarding-templates", name="All", promise_days=5, steps=[long_before, *STEPS])
    await win(service, account_id=account_id, deal_id=deal_id, promise=None)
    assert due_days(await steps_in(manager, deal_id)) == {
        "call": str(LATELY.date()),
        "installation": str(LATELY.date() + 2 * DAY),
        "set-up": str(LATELY.date() + 5 * DAY),
        "training": str(LATELY.date() + 12 * DAY),
    }


async def test_a_deal_that_is_taken_back_cancels_its_steps_and_plans_them_again_when_it_is_won(
    service: Service, manager: httpx.AsyncClient
) -> None:
    await make(manager, "/v1/onboarding-templates", name="All", steps=STEPS)
    account_id, deal_id = new_id(), new_id()
    await win(service, account_id=account_id, deal_id=deal_id)
    planned = await steps_in(manager, deal_id)
    await make(manager, f"/v1/onboarding-steps/{planned['installation']['id']}/done")
    await make(manager, f"/v1/onboarding-steps/{planned['training']['id']}/cancel", reason="not-wanted")
    for _ in range(2):
        await consume(service, record(reopened(account_id, deal_id), 3), onboarding_days=30)
    assert await steps_in(manager, deal_id) == {}
    cancelled = await steps_in(manager, deal_id, "cancelled")
    assert {step: each["cancel_reason"] for step, each in cancelled.items()} == {
        "delivery": "deal-taken-back", "set-up": "deal-taken-back", "training": "not-wanted",
    }  # fmt: skip
    *_, event = await service.events_of(f"onboardingsteps/{cancelled['delivery']['id']}")
    assert isinstance(event.data, OnboardingStepCancelled)
    # What was done stays done, and what a person cancelled stays cancelled.
    later = DELIVER_BY + 10 * DAY
    again = {"closed_at": LATELY + DAY, "promise": promised(later), "reopen_count": 1}
    await win(service, 4, account_id=account_id, deal_id=deal_id, **again)
    assert due_days(await steps_in(manager, deal_id)) == {"delivery": str(later), "set-up": str(later)}
    assert [*await steps_in(manager, deal_id, "done")] == ["installation"]
    # Both steps of sales in one batch, of which only the new win is seen.
    once_more = {"closed_at": LATELY + DAY + timedelta(hours=1), "promise": promised(), "reopen_count": 2}
    await win(service, 6, account_id=account_id, deal_id=deal_id, **once_more)
    assert due_days(await steps_in(manager, deal_id)) == {"delivery": str(DELIVER_BY), "set-up": str(DELIVER_BY)}


async def test_the_promised_delivery_is_done_by_the_delivery_and_by_nothing_else(
    service: Service, manager: httpx.AsyncClient
) -> None:
    account_id, deal_id = new_id(), new_id()
    await win(service, account_id=account_id, deal_id=deal_id)
    promise = (await steps_in(manager, deal_id))["delivery"]
    path = f"/v1/onboarding-steps/{promise['id']}"
    for action, body in (("done", {}), ("missed", {}), ("cancel", {}), ("move", {"due_on": "2027-01-01"})):
        assert_problem(await manager.post(f"{path}/{action}", json=body), 409, "step-of-promise")
    assert_problem(await manager.patch(path, json={"due_on": "2027-01-01"}), 409, "step-of-promise")
    delivered_at = (LATELY + timedelta(hours=30)).isoformat()
    rita = await an_agent(manager)
    delivery = await make(
        manager,
        "/v1/deliveries",
        deal_id=str(deal_id),
        agent_id=rita["id"],
        delivered_at=delivered_at,
        price={"amount": "30", "currency": "EUR"},
        quality_as_agreed=True,
    )
    done = (await steps_in(manager, deal_id, "done"))["delivery"]
    assert (done["completed_at"], done["agent_id"]) == (delivery["delivered_at"], rita["id"])
    *_, event = await service.events_of(f"onboardingsteps/{promise['id']}")
    assert isinstance(event.data, OnboardingStepCompleted)
    earlier = (LATELY + timedelta(hours=3)).isoformat()
    corrected = await manager.patch(f"/v1/deliveries/{delivery['id']}", json={"delivered_at": earlier})
    assert corrected.is_success, corrected.text
    assert (await manager.get(path)).json()["completed_at"] == corrected.json()["delivered_at"]
    *_, event = await service.events_of(f"onboardingsteps/{promise['id']}")
    assert isinstance(event.data, OnboardingStepAmended)
    # Taken back and won again, what was delivered is not waited for.
    await consume(service, record(reopened(account_id, deal_id), 3), onboarding_days=30)
    await win(service, 4, account_id=account_id, deal_id=deal_id, closed_at=LATELY + DAY, reopen_count=1)
    assert await steps_in(manager, deal_id) == {}


async def test_steps_are_planned_by_hand_too_each_once(service: Service, manager: httpx.AsyncClient) -> None:
    account_id, deal_id = new_id(), new_id()
    await win(service, account_id=account_id, deal_id=deal_id)
    ticket = await onboarding_of(manager, account_id)
    body = {"ticket_id": ticket["id"], "step": "data-transfer", "due_on": "2026-12-24", "purpose": "upgrade"}
    made = await make(manager, "/v1/onboarding-steps", **body)
    assert (made["status"], made["promised"], made["deal_id"]) == ("planned", False, str(deal_id))
    again = await manager.post("/v1/onboarding-steps", json=body)
    assert assert_problem(again, 409, "step-already-planned")["existing_id"] == made["id"]
    await make(manager, "/v1/onboarding-steps", **body, product="boiler")
    promise = body | {"step": "delivery"}
    assert_problem(await manager.post("/v1/onboarding-steps", json=promise), 422, "invalid-request")
    problem = await a_ticket(manager)
    for ticket_id in (problem["id"], NOWHERE):
        answer = await manager.post("/v1/onboarding-steps", json=body | {"ticket_id": ticket_id})
        assert_problem(answer, 422, "unknown-reference")
    await consume(service, record(reopened(account_id, deal_id), 3))
    late = await manager.post("/v1/onboarding-steps", json=body | {"step": "later"})
    assert_problem(late, 409, "ticket-already-cancelled")


async def test_an_onboarding_that_an_agent_opens_has_its_steps(service: Service, manager: httpx.AsyncClient) -> None:
    await make(manager, "/v1/onboarding-templates", name="Boilers", product="boiler", steps=STEPS)
    account_id, deal_id = new_id(), new_id()
    deal = won(account_id, deal_id, closed_at=LATELY, promise=promised())
    await consume(service, record(registered(account_id), 1), record(deal, 2))
    ona = await an_agent(manager)
    opened = {"customer_id": str(account_id), "kind": "installation", "channel": "phone", "product": "boiler"}
    await make(manager, "/v1/tickets", **opened, onboarding_deal_id=str(deal_id), agent_id=ona["id"])
    planned = await steps_in(manager, deal_id)
    assert due_days(planned) == by_promise()
    assert {each["agent_id"] for each in planned.values()} == {ona["id"]}


async def test_steps_go_with_their_customer_and_end_with_them(service: Service, manager: httpx.AsyncClient) -> None:
    account_id, right_id, deal_id = new_id(), new_id(), new_id()
    await win(service, account_id=account_id, deal_id=deal_id)
    corrected = won(right_id, deal_id, closed_at=LATELY, promise=promised())
    await consume(service, record(registered(right_id), 1), record(corrected, 3), onboarding_days=30)
    step = (await steps_in(manager, deal_id))["delivery"]
    assert step["customer_id"] == str(right_id)
    *_, event = await service.events_of(f"onboardingsteps/{step['id']}")
    assert isinstance(event.data, OnboardingStep)
    assert (event.data.customer_id, event.partition_key) == (right_id, str(account_id))
    erased = msgspec.structs.replace(registered(right_id), erased_at=datetime.now(UTC))
    await consume(service, record(erased, 2))
    assert {each["cancel_reason"] for each in (await steps_in(manager, deal_id, "cancelled")).values()} == {
        "customer-erased"
    }


async def test_a_template_names_each_step_once_and_agents_who_exist(
    service: Service, manager: httpx.AsyncClient
) -> None:
    template = {"name": "All", "steps": STEPS}
    for steps in ([], [STEPS[0], STEPS[0]], [{"step": "delivery", "days": 0}]):
        answer = await manager.post("/v1/onboarding-templates", json=template | {"steps": steps})
        assert_problem(answer, 422, "invalid-request")
    unknown = [STEPS[0], STEPS[1] | {"team_id": NOWHERE}]
    answer = await manager.post("/v1/onboarding-templates", json=template | {"steps": unknown})
    assert assert_problem(answer, 422, "unknown-reference")["errors"][0]["pointer"] == "#/steps/1/team_id"
    made = await make(manager, "/v1/onboarding-templates", **template)
    path = f"/v1/onboarding-templates/{made['id']}"
    same = await manager.patch(path, json={"steps": STEPS})
    assert (same.status_code, same.json()["version"]) == (200, 1)
    changed = await manager.patch(path, json={"steps": STEPS[:1], "promise_days": 3})
    assert (changed.json()["version"], len(changed.json()["steps"])) == (2, 1)
    async with service.client("service-agent") as agent:
        assert_problem(await agent.patch(path, json={"active": False}), 403, "forbidden")
