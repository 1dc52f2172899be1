"""What service does for customers besides tickets: recorded once, published once, with its attribution."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from event_contracts.fields import Money
from event_contracts.sales import Deal, DealClosed, DealClosing, DealLine, DealReopened, DealReopening, Promise
from event_contracts.service import (
    CheckInCompleted,
    CheckInMoved,
    CheckInPlanned,
    DeliveryAccepted,
    MaintenanceCancelled,
    MaintenancePerformed,
    MaintenancePlanned,
    ReviewRecorded,
    TicketCancelled,
    TicketOpened,
    TicketReinstated,
    TrainingDelivered,
    TrainingMoved,
    TrainingPlanned,
    UpsellSuggested,
)
from service_api.customers.from_sales import ACCOUNTS, copy_accounts, copy_events, is_copied, version_of
from service_api.maintenance.model import Maintenance
from service_api.maintenance.visit_planner import VisitPlanner
from service_kit.consumer.seen_sequences import SeenSequences
from service_kit.identifiers import new_id
from tests.service_api.conftest import NOWHERE, Service, a_customer, a_ticket, an_agent, make
from tests.service_api.test_customers_from_sales import copied, merged, record, registered
from tests.service_kit.conftest import assert_problem

pytestmark = pytest.mark.clock

WHEN = "2026-03-31T21:00:00Z"
FIRST_WON_AT = datetime.now(UTC) - timedelta(days=3)
WON_AGAIN_AT = FIRST_WON_AT + timedelta(days=2)
WON_AT = datetime(2026, 3, 20, 16, tzinfo=UTC)
PROMISE = Promise(deliver_by=date(2026, 4, 15), price=Money(Decimal("30.00"), "EUR"), quality="gold")


@pytest.fixture
async def people(manager: httpx.AsyncClient) -> dict[str, str]:
    """An agent in a team, and a customer of theirs."""
    team = await make(manager, "/v1/teams", name="Care")
    agent = await an_agent(manager, team_id=team["id"])
    customer = await a_customer(manager)
    return {"customer_id": customer["id"], "agent_id": agent["id"], "team_id": team["id"]}


NOUNS: list[tuple[str, dict[str, Any], str, type[Any], str]] = [
    ("trainings", {"product": "scheduling", "attendees": 6}, "trainings", TrainingDelivered, "delivered_at"),
    ("check-ins", {"due_on": "2026-04-15"}, "checkins", CheckInCompleted, "completed_at"),
    ("upsell-suggestions", {"product": "payroll"}, "upsells", UpsellSuggested, "suggested_at"),
    ("reviews", {"channel": "marketplace", "score": 5}, "reviews", ReviewRecorded, "reviewed_at"),
]


@pytest.mark.parametrize(("noun", "fields", "kind", "event", "time"), NOUNS, ids=[noun for noun, *_ in NOUNS])
async def test_each_record_of_care_is_published_with_its_attribution(
    service: Service,
    manager: httpx.AsyncClient,
    people: dict[str, str],
    noun: str,
    fields: dict[str, Any],
    kind: str,
    event: type[Any],
    time: str,
) -> None:
    by = {"customer_id": people["customer_id"]} | ({} if noun == "reviews" else {"agent_id": people["agent_id"]})
    made = await make(manager, f"/v1/{noun}", **by, **fields, occurred_at=WHEN)
    assert (made["region"], made["segment"], made[time]) == ("baltics", "smb", WHEN)
    assert made.items() >= (fields | by | ({} if noun == "reviews" else {"team_id": people["team_id"]})).items()
    (published,) = await service.events_of(f"{kind}/{made['id']}")
    assert isinstance(published.data, event)
    assert (published.sequence, published.partition_key) == (1, people["customer_id"])
    assert getattr(published.data, time) == published.time == datetime.fromisoformat(WHEN)

    assert (await manager.get(f"/v1/{noun}/{made['id']}")).json() == made
    for name in by:
        assert (await manager.get(f"/v1/{noun}?{name}={by[name]}")).json()["items"] == [made]
    unknown = await manager.post(f"/v1/{noun}", json=by | fields | {"customer_id": NOWHERE})
    assert_problem(unknown, 422, "unknown-reference")
    async with service.client("sales-rep") as seller:
        assert_problem(await seller.post(f"/v1/{noun}", json=by | fields), 403, "forbidden")
    await manager.post(f"/v1/customers/{people['customer_id']}/erase")
    assert_problem(await manager.post(f"/v1/{noun}", json=by | fields), 409, "customer-already-erased")


async def test_a_suggestion_may_name_a_ticket_of_its_customer_only(
    manager: httpx.AsyncClient, people: dict[str, str]
) -> None:
    own, other = await a_ticket(manager, customer_id=people["customer_id"]), await a_ticket(manager)
    body = {"customer_id": people["customer_id"], "ticket_id": own["id"]}
    made = await make(manager, "/v1/upsell-suggestions", **body)
    assert (await manager.get(f"/v1/upsell-suggestions?ticket_id={own['id']}")).json()["items"] == [made]
    refused = await manager.post("/v1/upsell-suggestions", json=body | {"ticket_id": other["id"]})
    assert_problem(refused, 422, "unknown-reference")


async def test_a_plan_moves_on_with_each_maintenance(
    service: Service, manager: httpx.AsyncClient, agent: httpx.AsyncClient, people: dict[str, str]
) -> None:
    asked = {"customer_id": people["customer_id"], "interval_days": 182, "next_due_on": "2026-06-30"}
    assert_problem(await agent.post("/v1/maintenance-plans", json=asked), 403, "forbidden")
    plan = await make(manager, "/v1/maintenance-plans", **asked, product="heat-pump-9")
    path = f"/v1/maintenance-plans/{plan['id']}"
    first = await make(manager, f"{path}/perform", agent_id=people["agent_id"])
    assert (first["due_on"], first["product"], first["team_id"]) == ("2026-06-30", "heat-pump-9", people["team_id"])
    planned, published = await service.events_of(f"maintenance/{first['id']}")
    assert isinstance(planned.data, MaintenancePlanned)
    assert isinstance(published.data, MaintenancePerformed)
    assert (published.data.due_on, str(published.data.plan_id)) == (date(2026, 6, 30), plan["id"])
    moved = (await agent.get(path)).json()
    assert (moved["next_due_on"], moved["version"]) == ("2026-12-29", 2)
    stale = await agent.post(f"{path}/perform", json={}, headers={"If-Match": '"1"'})
    assert_problem(stale, 412, "stale-version")
    second = await make(agent, f"{path}/perform")
    assert second["due_on"] == "2026-12-29"
    assert (await agent.get(f"/v1/maintenance?plan_id={plan['id']}&status=done")).json()["items"] == [second]
    done = (await manager.get(f"/v1/maintenance?plan_id={plan['id']}&status=done")).json()["items"]
    assert done == [second, first]
    (next_one,) = (await manager.get(f"/v1/maintenance?plan_id={plan['id']}&status=planned")).json()["items"]
    assert (next_one["due_on"], next_one["performed_at"]) == ("2027-06-29", None)
    assert (await manager.get(f"/v1/maintenance/{first['id']}")).json() == first
    assert (await agent.get(f"/v1/maintenance-plans?customer_id={people['customer_id']}")).json()["items"][0]["id"]


async def test_a_plans_visits_are_planned_one_after_the_other_until_it_ends(
    service: Service, manager: httpx.AsyncClient, agent: httpx.AsyncClient, people: dict[str, str]
) -> None:
    overdue_on = datetime.now(UTC).date() - timedelta(days=40)
    plan = await make(manager, "/v1/maintenance-plans", **people, interval_days=30, next_due_on=str(overdue_on))
    path = f"/v1/maintenance-plans/{plan['id']}"

    async def planned() -> list[dict[str, Any]]:
        query = {"plan_id": plan["id"], "status": "planned", "sort": "due_on"}
        found: list[dict[str, Any]] = (await manager.get("/v1/maintenance", params=query)).json()["items"]
        return found

    (first,) = await planned()
    assert (first["due_on"], first["agent_id"], first["performed_at"]) == (str(overdue_on), people["agent_id"], None)
    late = (await manager.get(f"/v1/maintenance?plan_id={plan['id']}&overdue=true")).json()["items"]
    assert late == [first]

    # Missed, the plan goes on to the next; the missed one can be made up for.
    missed = await make(manager, f"/v1/maintenance/{first['id']}/missed")
    assert missed["status"] == "missed"
    (second,) = await planned()
    assert second["due_on"] == str(overdue_on + timedelta(days=30))
    tomorrow = str(datetime.now(UTC).date() + timedelta(days=1))
    await make(manager, f"/v1/maintenance/{first['id']}/move", due_on=tomorrow)
    assert [each["id"] for each in await planned()] == [second["id"], first["id"]]
    await make(manager, f"/v1/maintenance/{first['id']}/done")
    assert [each["id"] for each in await planned()] == [second["id"]]

    # The plan follows when its next visit is moved, and the visit when the plan is changed.
    moved = await make(manager, f"/v1/maintenance/{second['id']}/move", due_on=tomorrow, reason="customer-asked")
    assert (await manager.get(path)).json()["next_due_on"] == moved["due_on"] == tomorrow
    changed = await manager.patch(path, json={"product": "boiler", "next_due_on": str(overdue_on)})
    assert changed.status_code == 200, changed.text
    (second,) = await planned()
    assert (second["due_on"], second["product"], second["status"]) == (str(overdue_on), "boiler", "planned")
    cancelled = await make(manager, f"/v1/maintenance/{second['id']}/cancel", reason="not-needed")
    assert (cancelled["status"], cancelled["cancel_reason"]) == ("cancelled", "not-needed")
    (third,) = await planned()

    assert_problem(await agent.post(f"{path}/end", json={}), 403, "forbidden")
    ended = await make(manager, f"{path}/end")
    assert (ended["ended_at"] is not None, await planned()) == (True, [])
    events = await service.events_of(f"maintenance/{third['id']}")
    assert [type(each.data) for each in events] == [MaintenancePlanned, MaintenanceCancelled]
    for step in ("perform", "end"):
        assert_problem(await manager.post(f"{path}/{step}", json={}), 409, "maintenance-plan-ended")


async def test_plans_of_before_get_their_visit_once_however_many_planners_run(
    service: Service, manager: httpx.AsyncClient, people: dict[str, str]
) -> None:
    plan = await make(manager, "/v1/maintenance-plans", **people, interval_days=30, next_due_on="2026-06-30")
    async with service.engine.begin() as connection:
        visits = Maintenance.table
        await connection.execute(sa.delete(visits).where(visits.c.plan_id == UUID(plan["id"])))
    planners = [VisitPlanner(service.engine) for _ in range(3)]
    await asyncio.gather(*(planner.tick() for planner in planners))
    assert await planners[0].tick() == 0
    (visit,) = (await manager.get(f"/v1/maintenance?plan_id={plan['id']}")).json()["items"]
    assert (visit["status"], visit["due_on"]) == ("planned", "2026-06-30")
    assert len(await service.events_of(f"maintenance/{visit['id']}")) == 1


@pytest.mark.parametrize(
    ("noun", "fields", "due", "subject", "events"),
    [
        ("check-ins", {}, "due_on", "checkins", (CheckInPlanned, CheckInMoved, CheckInCompleted)),
        ("trainings", {"attendees": 6}, "due_at", "trainings", (TrainingPlanned, TrainingMoved, TrainingDelivered)),
    ],
)
async def test_check_ins_and_trainings_are_planned_moved_and_done(
    service: Service,
    manager: httpx.AsyncClient,
    people: dict[str, str],
    noun: str,
    fields: dict[str, Any],
    due: str,
    subject: str,
    events: tuple[type[Any], ...],
) -> None:
    now = datetime.now(UTC)
    days = [now + timedelta(days=number) for number in (-2, 3)]
    past, later = [str(day.date()) if due == "due_on" else day.isoformat() for day in days]
    planned = await make(manager, f"/v1/{noun}", **people, **fields, status="planned", purpose="renewal", **{due: past})
    path = f"/v1/{noun}/{planned['id']}"
    assert (await manager.get(f"/v1/{noun}?overdue=true")).json()["items"] == [planned]
    assert (planned["status"], planned["purpose"], planned["moves"]) == ("planned", "renewal", [])
    moved = await make(manager, f"{path}/move", **{due: later})
    assert moved["moves"][0][due] == planned[due]
    assert (await manager.get(f"/v1/{noun}?overdue=true")).json()["items"] == []
    done = await make(manager, f"{path}/done", **({"attendees": 4} if fields else {}))
    assert (done["status"], done["version"], done.get("attendees")) == ("done", 3, 4 if fields else None)
    assert [type(each.data) for each in await service.events_of(f"{subject}/{planned['id']}")] == list(events)
    assert_problem(await manager.post(f"{path}/missed", json={}), 409, "work-not-planned")
    for step in ("missed", "cancel"):
        other = await make(manager, f"/v1/{noun}", **people, **fields, **{due: later})
        assert other["status"] == "planned"
        assert (await make(manager, f"/v1/{noun}/{other['id']}/{step}"))["version"] == 2


def deal_state(account_id: UUID, deal_id: UUID, **more: Any) -> dict[str, Any]:
    price = Money(Decimal("30.00"), "EUR")
    line = DealLine(product="scheduling", quantity=1, unit_price=price, amount=price)
    state: dict[str, Any] = {
        "id": deal_id,
        "account_id": account_id,
        "lead_id": None,
        "stage": "won",
        "lines": [line],
        "amount": price,
        "owner_id": None,
        "team_id": None,
        "region": None,
        "segment": None,
        "channel": None,
        "opened_at": WON_AT,
        "closed_at": WON_AT,
        "promise": PROMISE,
    }
    return state | more


def won(account_id: UUID, deal_id: UUID, **more: Any) -> Deal:
    change = DealClosing(outcome="won", previous_stage="proposal")
    return DealClosed(**deal_state(account_id, deal_id, **more), change=change)


def reopened(account_id: UUID, deal_id: UUID) -> Deal:
    state = deal_state(account_id, deal_id, stage="proposal", closed_at=None, promise=None, reopen_count=1)
    return DealReopened(**state, change=DealReopening(previous_outcome="won"))


async def consume(service: Service, *records: Any, onboarding_days: int = 0) -> None:
    async with service.engine.begin() as connection:
        await connection.execute(sa.text("select"))
        relevant = [each for each in records if is_copied(each.value)]
        newest = await SeenSequences(ACCOUNTS).newest(connection, relevant, version_of)
        await copy_events(connection, newest, onboarding_days=onboarding_days)


async def test_a_recently_won_deal_opens_one_onboarding_however_often_its_event_comes(
    service: Service, manager: httpx.AsyncClient
) -> None:
    account_id, deal_id, old_id = new_id(), new_id(), new_id()
    lately = datetime.now(UTC) - timedelta(days=2)
    records = [
        record(registered(account_id), 1),
        record(won(account_id, deal_id, closed_at=lately), 3),
        record(won(account_id, old_id, closed_at=WON_AT), 3),
    ]
    await consume(service, *records, onboarding_days=30)
    await consume(service, *records, onboarding_days=30)
    (ticket,) = (await manager.get(f"/v1/tickets?customer_id={account_id}")).json()["items"]
    assert (ticket["kind"], ticket["onboarding_deal_id"], ticket["product"]) == (
        "installation",
        str(deal_id),
        "scheduling",
    )
    assert ticket["onboarding_since"] == ticket["opened_at"]
    assert datetime.fromisoformat(ticket["opened_at"]) == lately
    (published,) = await service.events_of(f"tickets/{ticket['id']}")
    assert isinstance(published.data, TicketOpened)
    assert published.data.onboarding_deal_id == deal_id
    body = {"customer_id": str(account_id), "kind": "installation", "channel": "web"}
    again = await manager.post("/v1/tickets", json=body | {"onboarding_deal_id": str(deal_id)})
    assert assert_problem(again, 409, "onboarding-already-opened")["existing_id"] == ticket["id"]
    # An older one gets its onboarding on request.
    own = await a_ticket(manager, **body, onboarding_deal_id=str(old_id))
    assert own["onboarding_since"] == "2026-03-20T16:00:00Z"
    assert (await manager.get(f"/v1/tickets?onboarding_deal_id={old_id}")).json()["items"] == [own]
    other = body | {"customer_id": (await a_customer(manager))["id"], "onboarding_deal_id": str(old_id)}
    assert_problem(await manager.post("/v1/tickets", json=other), 422, "unknown-reference")


async def onboarding_of(manager: httpx.AsyncClient, deal_id: UUID) -> dict[str, Any]:
    (ticket,) = (await manager.get(f"/v1/tickets?onboarding_deal_id={deal_id}")).json()["items"]
    return ticket  # type: ignore[no-any-return]


async def an_onboarding(
    service: Service, manager: httpx.AsyncClient, account_id: UUID, deal_id: UUID, *, is_done: bool
) -> dict[str, Any]:
    """The onboarding of a deal that was won some days ago."""
    first = record(won(account_id, deal_id, closed_at=FIRST_WON_AT), 3)
    await consume(service, record(registered(account_id), 1), first, onboarding_days=30)
    ticket = await onboarding_of(manager, deal_id)
    if is_done:
        assert (await manager.post(f"/v1/tickets/{ticket['id']}/resolve", json={})).status_code == 200
    return ticket


async def test_an_onboarding_waits_for_no_response_but_has_a_time_to_be_done_by(
    service: Service, manager: httpx.AsyncClient
) -> None:
    policy = await make(
        manager, "/v1/sla-policies", name="Normal", first_response_seconds=3_600, resolution_seconds=36_000
    )
    account_id, deal_id = new_id(), new_id()
    lately = datetime.now(UTC) - timedelta(days=2)
    records = [record(registered(account_id), 1), record(won(account_id, deal_id, closed_at=lately), 3)]
    await consume(service, *records, onboarding_days=30)
    onboarding = await onboarding_of(manager, deal_id)
    assert onboarding["first_response_due_at"] is None
    assert datetime.fromisoformat(onboarding["resolution_due_at"]) == lately + timedelta(hours=10)
    assert (await manager.patch(f"/v1/sla-policies/{policy['id']}", json={"active": False})).status_code == 200


@pytest.mark.parametrize("done_before", [False, True])
async def test_a_deal_that_is_taken_back_cancels_its_onboarding_until_it_is_won_again(
    service: Service, manager: httpx.AsyncClient, done_before: bool
) -> None:
    account_id, deal_id = new_id(), new_id()
    ticket = await an_onboarding(service, manager, account_id, deal_id, is_done=done_before)
    address = f"/v1/tickets/{ticket['id']}"
    taken_back = record(reopened(account_id, deal_id), 4)
    await consume(service, taken_back, onboarding_days=30)
    await consume(service, taken_back, onboarding_days=30)
    cancelled = await onboarding_of(manager, deal_id)
    assert (cancelled["id"], cancelled["status"]) == (ticket["id"], "closed")
    assert cancelled["cancelled_at"] is not None
    assert_problem(await manager.post(f"{address}/resolve", json={}), 409, "ticket-already-cancelled")
    published = await service.events_of(f"tickets/{ticket['id']}")
    assert isinstance(published[-1].data, TicketCancelled)
    again = record(won(account_id, deal_id, closed_at=WON_AGAIN_AT), 5)
    await consume(service, again, onboarding_days=30)
    await consume(service, again, onboarding_days=30)
    onboarding = await onboarding_of(manager, deal_id)
    assert (onboarding["id"], onboarding["cancelled_at"], onboarding["closed_at"]) == (ticket["id"], None, None)
    since = FIRST_WON_AT if done_before else WON_AGAIN_AT
    assert datetime.fromisoformat(onboarding["onboarding_since"]) == since
    assert onboarding["status"] == ("resolved" if done_before else "open")
    published = await service.events_of(f"tickets/{ticket['id']}")
    assert isinstance(published[-1].data, TicketReinstated)
    assert len(published) == (4 if done_before else 3)


async def test_a_deal_lost_after_a_restore_took_its_win_back_has_no_onboarding(
    service: Service, manager: httpx.AsyncClient
) -> None:
    account_id, deal_id = new_id(), new_id()
    lately = datetime.now(UTC) - timedelta(days=1)
    await consume(
        service,
        record(registered(account_id), 1),
        record(won(account_id, deal_id, closed_at=lately), 2),
        onboarding_days=30,
    )
    assert (await onboarding_of(manager, deal_id))["cancelled_at"] is None
    # Sales lost the win, and the deal was closed otherwise: no state has the win any more.
    state = deal_state(account_id, deal_id, stage="lost", closed_at=lately, promise=None)
    lost = DealClosed(**state, change=DealClosing(outcome="lost", previous_stage="proposal"))
    await consume(service, record(lost, 2, epoch=2), onboarding_days=30)
    assert (await onboarding_of(manager, deal_id))["cancelled_at"] is not None


@pytest.mark.parametrize("done_before", [False, True])
async def test_a_deal_that_is_taken_back_and_won_again_in_one_batch_ends_as_in_two(
    service: Service, manager: httpx.AsyncClient, done_before: bool
) -> None:
    account_id, deal_id = new_id(), new_id()
    ticket = await an_onboarding(service, manager, account_id, deal_id, is_done=done_before)
    again = record(won(account_id, deal_id, closed_at=WON_AGAIN_AT), 5)
    await consume(service, record(reopened(account_id, deal_id), 4), again, onboarding_days=30)
    # An amendment of the same win.
    await consume(service, record(won(account_id, deal_id, closed_at=WON_AGAIN_AT), 6), onboarding_days=30)
    onboarding = await onboarding_of(manager, deal_id)
    since = FIRST_WON_AT if done_before else WON_AGAIN_AT
    assert datetime.fromisoformat(onboarding["onboarding_since"]) == since
    assert (onboarding["cancelled_at"], onboarding["status"]) == (None, "resolved" if done_before else "open")
    published = [type(each.data) for each in await service.events_of(f"tickets/{ticket['id']}")]
    assert published[-2:] == [TicketCancelled, TicketReinstated]
    assert len(published) == (4 if done_before else 3)


async def test_a_win_and_its_taking_back_in_one_batch_open_no_onboarding(
    service: Service, manager: httpx.AsyncClient
) -> None:
    account_id, deal_id = new_id(), new_id()
    lately = datetime.now(UTC) - timedelta(days=2)
    records = [record(won(account_id, deal_id, closed_at=lately), 3), record(reopened(account_id, deal_id), 4)]
    await consume(service, record(registered(account_id), 1), *records, onboarding_days=30)
    assert (await manager.get(f"/v1/tickets?customer_id={account_id}")).json()["items"] == []


async def test_a_delivery_is_compared_with_the_promise_of_its_deal(
    service: Service, manager: httpx.AsyncClient, people: dict[str, str]
) -> None:
    account_id, deal_id = new_id(), new_id()
    body = {
        "deal_id": str(deal_id),
        "agent_id": people["agent_id"],
        "delivered_at": "2026-04-10T09:00:00Z",
        "price": {"amount": "31.5", "currency": "EUR"},
        "quality_as_agreed": True,
    }
    assert_problem(await manager.post("/v1/deliveries", json=body), 422, "unknown-reference")
    await copied(service.engine, copy_accounts, [record(registered(account_id), 1)])
    await consume(service, record(won(account_id, deal_id), 3))
    foreign = body | {"price": {"amount": "31.50", "currency": "USD"}}
    assert_problem(await manager.post("/v1/deliveries", json=foreign), 422, "invalid-request")
    early = body | {"occurred_at": "2026-04-09T09:00:00Z"}
    assert_problem(await manager.post("/v1/deliveries", json=early), 422, "invalid-request")
    made = await make(manager, "/v1/deliveries", **body, occurred_at="2026-04-13T15:00:00Z")
    assert made["customer_id"] == str(account_id)
    assert made["price"] == {"amount": "31.50", "currency": "EUR"}
    (published,) = await service.events_of(f"deliveries/{made['id']}")
    assert isinstance(published.data, DeliveryAccepted)
    assert published.data.promise == PROMISE
    assert (published.data.price, published.data.team_id) == (Money(Decimal("31.50"), "EUR"), UUID(people["team_id"]))
    again = await manager.post("/v1/deliveries", json=body)
    assert assert_problem(again, 409, "delivery-already-accepted")["existing_id"] == made["id"]
    assert (await manager.get(f"/v1/deliveries?deal_id={deal_id}")).json()["items"] == [made]
    assert (await manager.get(f"/v1/deliveries/{made['id']}")).json() == made


async def test_what_a_merged_customer_bought_is_delivered_to_the_surviving_one(
    service: Service, manager: httpx.AsyncClient
) -> None:
    gone, survivor, lately, old = new_id(), new_id(), new_id(), new_id()
    accounts = [record(registered(gone), 1), record(registered(survivor), 1), record(merged(gone, survivor), 2)]
    since = datetime.now(UTC) - timedelta(days=2)
    await consume(service, *accounts, record(won(gone, lately, closed_at=since), 3), onboarding_days=30)
    await consume(service, record(won(gone, old), 3))
    (ticket,) = (await manager.get(f"/v1/tickets?customer_id={survivor}")).json()["items"]
    assert ticket["onboarding_deal_id"] == str(lately)
    body = {"customer_id": str(survivor), "kind": "installation", "channel": "web"}
    assert (await a_ticket(manager, **body, onboarding_deal_id=str(old)))["onboarding_deal_id"] == str(old)
    delivery = {"deal_id": str(old), "price": {"amount": "30", "currency": "EUR"}, "quality_as_agreed": True}
    assert (await make(manager, "/v1/deliveries", **delivery))["customer_id"] == str(survivor)


async def test_an_onboarding_does_not_wait_for_the_copy_of_the_surviving_customer(
    service: Service, manager: httpx.AsyncClient
) -> None:
    gone, deal_id = new_id(), new_id()
    accounts = [record(registered(gone), 1), record(merged(gone, new_id()), 2)]
    since = datetime.now(UTC) - timedelta(days=2)
    await consume(service, *accounts, record(won(gone, deal_id, closed_at=since), 3), onboarding_days=30)
    (ticket,) = (await manager.get(f"/v1/tickets?customer_id={gone}")).json()["items"]
    assert ticket["onboarding_deal_id"] == str(deal_id)


async def test_an_onboarding_is_in_the_region_of_its_deal_whenever_the_merge_of_its_customer_is_read(
    service: Service, manager: httpx.AsyncClient
) -> None:
    since = datetime.now(UTC) - timedelta(days=2)
    found = []
    for is_merged_first in (True, False):
        gone, survivor, deal_id = new_id(), new_id(), new_id()
        accounts = [record(registered(gone, region="west"), 1), record(registered(survivor, region="north"), 1)]
        sold = won(gone, deal_id, closed_at=since, region="west", segment="smb")
        rest = [record(merged(gone, survivor), 2), record(sold, 3)]
        await consume(service, *accounts)
        for each in rest if is_merged_first else reversed(rest):
            await consume(service, each, onboarding_days=30)
        onboarding = await onboarding_of(manager, deal_id)
        found.append((onboarding["region"], onboarding["segment"]))
    assert found == [("west", "smb"), ("west", "smb")]


async def test_a_reopened_deal_is_not_delivered(service: Service, manager: httpx.AsyncClient) -> None:
    account_id, deal_id = new_id(), new_id()
    reopened = DealReopened(
        **deal_state(account_id, deal_id, stage="proposal", closed_at=None, promise=None, reopen_count=1),
        change=DealReopening(previous_outcome="won"),
    )
    await consume(service, record(registered(account_id), 1), record(won(account_id, deal_id), 3))
    await consume(service, record(reopened, 4))
    await consume(service, record(won(account_id, deal_id), 3))
    body = {
        "deal_id": str(deal_id),
        "delivered_at": WHEN,
        "price": {"amount": "30", "currency": "EUR"},
        "quality_as_agreed": False,
    }
    assert_problem(await manager.post("/v1/deliveries", json=body), 422, "unknown-reference")
