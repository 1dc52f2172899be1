"""Corrections over HTTP: what was recorded wrongly is set right, with all that was taken over from it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from event_contracts.service import (
    CheckInAmended,
    CustomerUpdated,
    DeliveryAmended,
    InteractionAmended,
    MaintenanceAmended,
    ReviewAmended,
    SlaBreached,
    SurveyAmended,
    TicketAmended,
    TrainingAmended,
    UpsellAmended,
)
from service_api.sla_clock import SlaClock
from service_kit.identifiers import new_id
from tests.service_api.conftest import (
    Service,
    a_customer,
    a_ticket,
    an_agent,
    assert_carries,
    make,
)
from tests.service_api.test_care import consume, won
from tests.service_api.test_customers_from_sales import record, registered
from tests.service_api.test_surveys import entry
from tests.service_kit.conftest import assert_problem
from tests.support import PATIENCE

pytestmark = pytest.mark.clock

HOUR = timedelta(hours=1)


async def amend(http: httpx.AsyncClient, path: str, /, **body: Any) -> dict[str, Any]:
    """Send a correction that must be taken, and return the answer."""
    answer = await http.patch(path, json=body)
    assert answer.is_success, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["etag"] == f'"{made["version"]}"'
    return made


async def test_a_misfiled_ticket_is_set_right(service: Service, agent: httpx.AsyncClient) -> None:
    ticket = await a_ticket(agent, kind="problem", priority="low", product="boiler", subject="Cold")
    path = f"/v1/tickets/{ticket['id']}"
    right = {
        "kind": "complaint",
        "channel": "email",
        "priority": "high",
        "product": "heat-pump-9",
        "region": "nordics",
        "segment": None,
        "subject": "Loud",
        "description": "Since Monday",
    }
    amended = await amend(agent, path, **right)
    assert amended | right == amended
    assert amended["version"] == 2
    assert amended["opened_at"] == ticket["opened_at"]
    (event,) = (await service.events_of(f"tickets/{ticket['id']}"))[1:]
    assert_carries(event, amended, TicketAmended)
    assert isinstance(event.data, TicketAmended)
    assert event.data.change.fields == sorted(right)
    assert event.partition_key == ticket["customer_id"]
    assert (await agent.get(path)).json() == amended
    # The same again changes nothing, and search finds it by its new words.
    assert await amend(agent, path, **right) == amended
    assert len(await service.events_of(f"tickets/{ticket['id']}")) == 2
    found = (await agent.get("/v1/tickets", params={"q": "loud", "customer_id": ticket["customer_id"]})).json()["items"]
    assert [each["id"] for each in found] == [ticket["id"]]


async def test_its_contacts_and_surveys_follow_and_keep_their_own_days(
    service: Service, manager: httpx.AsyncClient
) -> None:
    rita = await an_agent(manager)
    ticket = await a_ticket(manager, agent_id=rita["id"])
    path = f"/v1/tickets/{ticket['id']}"
    contact = await make(manager, f"{path}/interactions", direction="outbound", agent_id=rita["id"], talk_seconds=90)
    other = await make(manager, f"{path}/interactions", direction="inbound", channel="web")
    await make(manager, f"{path}/resolve")
    survey = await make(manager, "/v1/surveys", ticket_id=ticket["id"], kind="csat")
    version = (await manager.get(path)).json()["version"]
    amended = await amend(manager, path, kind="complaint", product="heat-pump-9")
    assert amended["version"] == version + 3
    events = (await service.events_of(f"tickets/{ticket['id']}"))[version:]
    assert [event.sequence for event in events] == [version + 1, version + 2, version + 3]
    for event, logged in zip(events[1:], (contact, other), strict=True):
        assert isinstance(event.data, InteractionAmended)
        now, before = event.data.change.interaction, event.data.change.previous
        assert str(now.id) == logged["id"]
        assert (now.ticket_kind, now.product) == ("complaint", "heat-pump-9")
        assert (before.ticket_kind, before.product) == ("problem", None)
        assert now == msgspec.structs.replace(before, ticket_kind="complaint", product="heat-pump-9")
        assert now.occurred_at == datetime.fromisoformat(logged["occurred_at"])
        assert now.channel == logged["channel"]
    follows = (await service.events_of(f"surveys/{survey['id']}"))[1]
    assert isinstance(follows.data, SurveyAmended)
    assert follows.data.change.fields == ["product", "ticket_kind"]
    assert follows.data.sent_at == datetime.fromisoformat(survey["sent_at"])
    assert (await manager.get(f"/v1/surveys/{survey['id']}")).json()["version"] == 2
    # Words are in no event of a contact or survey.
    await amend(manager, path, subject="Loud")
    assert len(await service.events_of(f"surveys/{survey['id']}")) == 2
    assert (await manager.get(path)).json()["version"] == version + 4


async def test_a_survey_that_is_sent_meanwhile_takes_over_what_is_right(agent: httpx.AsyncClient) -> None:
    tickets = [await a_ticket(agent) for _ in range(6)]
    for ticket in tickets:
        survey, amended = await asyncio.gather(
            make(agent, "/v1/surveys", ticket_id=ticket["id"], kind="csat"),
            amend(agent, f"/v1/tickets/{ticket['id']}", priority="urgent", kind="complaint"),
        )
        now = (await agent.get(f"/v1/surveys/{survey['id']}")).json()
        assert amended["priority"] == "urgent"
        assert (now["ticket_kind"], now["priority"]) == ("complaint", "urgent")


async def test_another_priority_puts_it_under_the_policy_for_that(service: Service, manager: httpx.AsyncClient) -> None:
    kind = "training_request"
    slow = await make(
        manager, "/v1/sla-policies", name="Slow", kind=kind, priority="low", resolution_seconds=7 * 24 * 3600
    )
    fast = await make(
        manager, "/v1/sla-policies", name="Fast", kind=kind, priority="urgent", first_response_seconds=600
    )
    try:
        async with service.client("importer") as importer:
            began = datetime.now(UTC) - 5 * HOUR
            ticket = await a_ticket(importer, kind=kind, priority="low", occurred_at=began.isoformat())
            assert ticket["sla_policy_id"] == slow["id"]
            path = f"/v1/tickets/{ticket['id']}"
            rita = await an_agent(manager)
            reply = {"direction": "outbound", "agent_id": rita["id"], "occurred_at": (began + HOUR).isoformat()}
            await make(importer, f"{path}/interactions", **reply)
            amended = await amend(importer, path, priority="urgent")
        assert amended["sla_policy_id"] == fast["id"]
        assert amended["resolution_due_at"] is None
        assert datetime.fromisoformat(amended["first_response_due_at"]) == began + timedelta(minutes=10)
        # The reply came after an hour: what was in time for the one is late for the other.
        assert amended["first_response_breached_at"] == amended["first_response_due_at"]
        breach = next(
            event for event in await service.events_of(f"tickets/{ticket['id']}") if isinstance(event.data, SlaBreached)
        )
        assert breach.time == began + timedelta(minutes=10)
        undone = await amend(manager, path, priority="low")
        assert (undone["first_response_breached_at"], undone["first_response_due_at"]) == (None, None)
        assert undone["resolution_due_at"] == ticket["resolution_due_at"]
        last = (await service.events_of(f"tickets/{ticket['id']}"))[-2]
        assert isinstance(last.data, TicketAmended)
        assert last.data.sla_breached_at is None
    finally:
        for policy in (slow, fast):
            await amend(manager, f"/v1/sla-policies/{policy['id']}", active=False)


async def test_what_is_late_and_still_awaited_is_found_by_the_clock(
    service: Service, manager: httpx.AsyncClient
) -> None:
    policy = await make(
        manager, "/v1/sla-policies", name="At once", kind="installation", priority="urgent", first_response_seconds=1
    )
    try:
        ticket = await a_ticket(manager, kind="installation", priority="low")
        path = f"/v1/tickets/{ticket['id']}"
        amended = await amend(manager, path, priority="urgent")
        assert amended["first_response_breached_at"] is None
        clock = SlaClock(service.engine)
        async with asyncio.timeout(60 * PATIENCE):
            while (now := (await manager.get(path)).json())["first_response_breached_at"] is None:
                await clock.tick()
                await asyncio.sleep(0.05)
        assert now["first_response_breached_at"] == amended["first_response_due_at"]
    finally:
        await amend(manager, f"/v1/sla-policies/{policy['id']}", active=False)


async def test_what_may_not_be_corrected_is_refused_with_the_reason(manager: httpx.AsyncClient) -> None:
    ticket = await a_ticket(manager)
    path = f"/v1/tickets/{ticket['id']}"
    assert_problem(await manager.patch(path, json={"resolution": "repaired"}), 409, "ticket-still-open")
    in_bulk = {"operation": "update_ticket", "records": [{"id": ticket["id"]}], "body": {"agent_id": ticket["id"]}}
    answer = await manager.post("/v1/bulk", json=in_bulk)
    assert_problem(answer, 422, "bulk-refused")
    (outcome,) = answer.json()["records"]
    assert "POST …/assign" in outcome["problem"]["errors"][0]["detail"]
    for body in ({}, {"kind": None}, {"kind": "nonsense"}, {"product": "not a code"}, {"subject": ""}):
        assert_problem(await manager.patch(path, json=body), 422, "invalid-request")
    stale = await manager.patch(path, json={"product": "boiler"}, headers={"If-Match": '"7"'})
    assert_problem(stale, 412, "stale-version")
    into = await a_ticket(manager, customer_id=ticket["customer_id"])
    await make(manager, f"{path}/merge", into=into["id"])
    merged = await manager.patch(path, json={"product": "boiler"})
    assert_problem(merged, 409, "ticket-already-merged")
    assert merged.json()["merged_into"] == into["id"]


async def test_a_resolution_is_corrected_on_its_day(service: Service, agent: httpx.AsyncClient) -> None:
    ticket = await a_ticket(agent)
    path = f"/v1/tickets/{ticket['id']}"
    resolved = await make(agent, f"{path}/resolve", resolution="repaired")
    await make(agent, f"{path}/close")
    amended = await amend(agent, path, resolution="replaced-part")
    assert (amended["status"], amended["resolution"]) == ("closed", "replaced-part")
    assert amended["resolved_at"] == resolved["resolved_at"]


async def test_a_ticket_of_an_erased_customer_takes_no_words(manager: httpx.AsyncClient) -> None:
    ticket = await a_ticket(manager)
    path = f"/v1/tickets/{ticket['id']}"
    await make(manager, f"/v1/customers/{ticket['customer_id']}/erase")
    assert_problem(await manager.patch(path, json={"subject": "Words"}), 409, "ticket-already-erased")
    assert (await amend(manager, path, product="boiler"))["product"] == "boiler"


async def test_a_repeated_correction_is_answered_as_before(service: Service, agent: httpx.AsyncClient) -> None:
    ticket = await a_ticket(agent)
    path, headers = f"/v1/tickets/{ticket['id']}", {"Idempotency-Key": str(new_id()), "If-Match": '"1"'}
    first, again = [await agent.patch(path, json={"kind": "complaint"}, headers=headers) for _ in range(2)]
    assert (first.status_code, first.json()) == (200, again.json())
    assert len(await service.events_of(f"tickets/{ticket['id']}")) == 2


async def test_many_tickets_are_corrected_at_once(service: Service, manager: httpx.AsyncClient) -> None:
    tickets = [await a_ticket(manager) for _ in range(3)]
    asked = {
        "operation": "update_ticket",
        "records": [
            {"id": tickets[0]["id"], "version": 1},
            {"id": tickets[1]["id"], "version": 9},
            {"id": tickets[2]["id"], "body": {"kind": "complaint"}},
        ],
        "body": {"product": "boiler"},
        "mode": "best-effort",
    }
    report = await manager.post("/v1/bulk", json=asked)
    assert report.status_code == 200, report.text
    assert [each["status"] for each in report.json()["records"]] == ["done", "failed", "done"]
    assert [each.get("version") for each in report.json()["records"]] == [2, None, 2]
    now = [(await manager.get(f"/v1/tickets/{each['id']}")).json() for each in tickets]
    assert [each["product"] for each in now] == ["boiler", None, None]
    assert now[2]["kind"] == "complaint"


async def test_a_customer_of_services_own_is_changed_and_a_copy_is_not(
    service: Service, manager: httpx.AsyncClient
) -> None:
    customer = await a_customer(manager)
    path = f"/v1/customers/{customer['id']}"
    before = await a_ticket(manager, customer_id=customer["id"])
    changed = await amend(manager, path, name="AB Vėjas", region="nordics", segment=None)
    assert (changed["name"], changed["region"], changed["segment"]) == ("AB Vėjas", "nordics", None)
    event = (await service.events_of(f"customers/{customer['id']}"))[-1]
    assert_carries(event, changed, CustomerUpdated)
    assert isinstance(event.data, CustomerUpdated)
    assert event.data.change.fields == ["name", "region", "segment"]
    (_, named) = await service.events_of(f"directory/{customer['id']}")
    assert named.data.name == "AB Vėjas"  # type: ignore[attr-defined]
    # What was recorded before keeps what held then; what comes later has what holds now.
    assert (await manager.get(f"/v1/tickets/{before['id']}")).json()["region"] == "baltics"
    assert (await a_ticket(manager, customer_id=customer["id"]))["region"] == "nordics"
    found = (await manager.get("/v1/customers", params={"q": "AB Vejas", "ids": customer["id"]})).json()["items"]
    assert [each["id"] for each in found] == [customer["id"]]
    await make(manager, f"{path}/erase")
    assert_problem(await manager.patch(path, json={"name": "Again"}), 409, "customer-already-erased")


async def test_what_was_done_for_a_customer_is_corrected_on_its_day(
    service: Service, manager: httpx.AsyncClient
) -> None:
    customer = (await a_customer(manager))["id"]
    team = await make(manager, "/v1/teams", name="North")
    rita = await an_agent(manager, team_id=team["id"])
    plan = await make(
        manager, "/v1/maintenance-plans", customer_id=customer, interval_days=30, next_due_on="2026-06-30"
    )
    changed = await amend(manager, f"/v1/maintenance-plans/{plan['id']}", interval_days=60, product="boiler")
    assert (changed["interval_days"], changed["product"], changed["next_due_on"]) == (60, "boiler", "2026-06-30")
    for noun, subject, made, right, event in (
        ("trainings", "trainings", {"attendees": 3}, {"attendees": 4, "product": "boiler"}, TrainingAmended),
        ("check-ins", "checkins", {}, {"due_on": "2026-05-15"}, CheckInAmended),
        ("reviews", "reviews", {"score": 5}, {"score": 4, "channel": "forum"}, ReviewAmended),
        ("upsell-suggestions", "upsells", {}, {"product": "payroll"}, UpsellAmended),
        ("maintenance", "maintenance", None, {"due_on": "2026-07-01"}, MaintenanceAmended),
    ):
        if made is None:
            record = await make(manager, f"/v1/maintenance-plans/{plan['id']}/perform")
        else:
            record = await make(manager, f"/v1/{noun}", customer_id=customer, **made)
        right = {"region": "nordics"} | right | ({} if noun == "reviews" else {"agent_id": rita["id"]})
        amended = await amend(manager, f"/v1/{noun}/{record['id']}", **right)
        expected = record | right | ({} if noun == "reviews" else {"team_id": team["id"]})
        assert amended == expected | {"version": record["version"] + 1, "updated_at": amended["updated_at"]}, noun
        last = (await service.events_of(f"{subject}/{record['id']}"))[-1]
        assert_carries(last, amended, event)
        named = {*right, *(() if noun == "reviews" else ("team_id",))}
        assert last.data.change.fields == sorted(named)  # type: ignore[attr-defined]


async def test_a_delivery_is_compared_anew_with_the_deals_promise(service: Service, manager: httpx.AsyncClient) -> None:
    account_id, deal_id = new_id(), new_id()
    await consume(service, record(registered(account_id), 1), record(won(account_id, deal_id), 3))
    delivery = await make(
        manager,
        "/v1/deliveries",
        deal_id=str(deal_id),
        quality_as_agreed=True,
        price={"amount": "10", "currency": "EUR"},
    )
    path = f"/v1/deliveries/{delivery['id']}"
    earlier = (datetime.fromisoformat(delivery["accepted_at"]) - HOUR).isoformat()
    price = {"amount": "9.50", "currency": "EUR"}
    amended = await amend(manager, path, quality_as_agreed=False, price=price, delivered_at=earlier)
    assert (amended["quality_as_agreed"], amended["price"]) == (False, price)
    assert amended["accepted_at"] == delivery["accepted_at"]
    last = (await service.events_of(f"deliveries/{delivery['id']}"))[-1]
    assert isinstance(last.data, DeliveryAmended)
    assert (str(last.data.price.amount), last.data.quality_as_agreed) == ("9.50", False)
    late = (datetime.fromisoformat(delivery["accepted_at"]) + HOUR).isoformat()
    assert_problem(await manager.patch(path, json={"delivered_at": late}), 422, "invalid-request")
    assert await amend(manager, path, price=price) == amended


async def test_who_is_rated_does_not_change_the_rating(manager: httpx.AsyncClient, agent: httpx.AsyncClient) -> None:
    review = await make(manager, "/v1/reviews", customer_id=(await a_customer(manager))["id"], score=1)
    assert_problem(await agent.patch(f"/v1/reviews/{review['id']}", json={"score": 5}), 403, "forbidden")


async def test_a_ticket_of_the_wrong_customer_is_the_right_ones_with_all_that_belongs_to_it(
    service: Service, manager: httpx.AsyncClient
) -> None:
    right = await a_customer(manager, region="nordics", segment=None)
    ticket = await a_ticket(manager)
    wrong = ticket["customer_id"]
    path = f"/v1/tickets/{ticket['id']}"
    contact = await make(manager, f"{path}/interactions", direction="inbound")
    other = await a_ticket(manager, customer_id=wrong)
    await make(manager, f"/v1/tickets/{other['id']}/merge", into=ticket["id"])
    await make(manager, f"{path}/resolve")
    survey = await make(manager, "/v1/surveys", ticket_id=ticket["id"], kind="csat")
    rule = {"name": "Call back", "trigger": "bad_rating", "max_score": 2, "days": 3, "purpose": "bad-rating"}
    declared = await make(manager, "/v1/planning-rules", **rule)
    try:
        await make(manager, f"/v1/surveys/{survey['id']}/answer", **entry(score=1))
    finally:
        await amend(manager, f"/v1/planning-rules/{declared['id']}", active=False)
    (planned,) = (await manager.get("/v1/check-ins", params={"customer_id": wrong})).json()["items"]

    amended = await amend(manager, path, customer_id=right["id"])
    assert (amended["customer_id"], amended["region"], amended["segment"]) == (right["id"], "nordics", None)
    events = await service.events_of(f"tickets/{ticket['id']}")
    corrected = next(event for event in events if isinstance(event.data, TicketAmended))
    assert corrected.data.change.fields == ["customer_id", "region", "segment"]  # type: ignore[attr-defined]
    # Its events stay in their order: the key is that of the customer whom it was recorded under.
    assert {event.partition_key for event in events} == {wrong}
    assert [event.sequence for event in events] == list(range(1, amended["version"] + 1))
    moved = events[-1].data
    assert isinstance(moved, InteractionAmended)
    assert (str(moved.change.interaction.id), str(moved.change.interaction.customer_id)) == (contact["id"], right["id"])
    assert str(moved.change.previous.customer_id) == wrong
    for each in (f"/v1/surveys/{survey['id']}", f"/v1/check-ins/{planned['id']}", f"/v1/tickets/{other['id']}"):
        assert (await manager.get(each)).json()["customer_id"] == right["id"], each
    for of_whom, expected in ((wrong, []), (right["id"], [other["id"], ticket["id"]])):
        shown = (await manager.get("/v1/tickets", params={"customer_id": of_whom})).json()["items"]
        assert [each["id"] for each in shown] == expected
    # The history and the timeline find its events by their key.
    assert len((await manager.get(f"{path}/events")).json()["items"]) == amended["version"]
    of_right = (await manager.get(f"/v1/customers/{right['id']}/timeline")).json()["items"]
    assert {"service.ticket-opened", "service.ticket-resolved", "service.survey-sent"} <= {
        each["kind"] for each in of_right
    }
    of_wrong = (await manager.get(f"/v1/customers/{wrong}/timeline")).json()["items"]
    assert {each["record"]["noun"] for each in of_wrong} == {"customers"}
    # Back again, and a later change is published under the same key.
    assert (await amend(manager, path, customer_id=wrong))["region"] == ticket["region"]
    await make(manager, f"{path}/close")
    events = await service.events_of(f"tickets/{ticket['id']}")
    assert {event.partition_key for event in events} == {wrong}


async def test_what_was_done_for_the_wrong_customer_is_the_right_ones(
    service: Service, manager: httpx.AsyncClient
) -> None:
    wrong, right = await a_customer(manager), await a_customer(manager, region="nordics")
    for noun, subject, made in (
        ("trainings", "trainings", {"attendees": 3}),
        ("check-ins", "checkins", {}),
        ("reviews", "reviews", {"score": 5}),
    ):
        record = await make(manager, f"/v1/{noun}", customer_id=wrong["id"], **made)
        amended = await amend(manager, f"/v1/{noun}/{record['id']}", customer_id=right["id"])
        assert (amended["customer_id"], amended["region"]) == (right["id"], "nordics")
        events = await service.events_of(f"{subject}/{record['id']}")
        assert [event.partition_key for event in events] == [wrong["id"]] * 2
        assert len((await manager.get(f"/v1/{noun}/{record['id']}/events")).json()["items"]) == 2
        gone = await manager.patch(f"/v1/{noun}/{record['id']}", json={"customer_id": str(new_id())})
        assert_problem(gone, 422, "unknown-reference")
    suggestion = await make(manager, "/v1/upsell-suggestions", customer_id=wrong["id"])
    refused = await manager.patch(f"/v1/upsell-suggestions/{suggestion['id']}", json={"customer_id": right["id"]})
    assert_problem(refused, 422, "invalid-request")
    assert "suggest it anew" in refused.json()["errors"][0]["detail"]


@pytest.mark.parametrize("account_first", [True, False])
async def test_onboarding_and_delivery_follow_a_deal_that_is_anothers(
    service: Service, manager: httpx.AsyncClient, account_first: bool
) -> None:
    wrong, right, deal_id = new_id(), new_id(), new_id()
    lately = datetime.now(UTC) - timedelta(days=2)
    await consume(
        service,
        record(registered(wrong), 1),
        record(won(wrong, deal_id, closed_at=lately), 3),
        onboarding_days=30,
    )
    price = {"amount": "10", "currency": "EUR"}
    delivery = await make(manager, "/v1/deliveries", deal_id=str(deal_id), quality_as_agreed=True, price=price)
    (ticket,) = (await manager.get(f"/v1/tickets?customer_id={wrong}")).json()["items"]
    other = await a_customer(manager)
    moved = await manager.patch(f"/v1/tickets/{ticket['id']}", json={"customer_id": other["id"]})
    assert_problem(moved, 409, "ticket-of-a-deal")
    corrected = record(won(right, deal_id, closed_at=lately), 4)
    account = record(registered(right, region="nordics"), 1)
    for each in [account, corrected] if account_first else [corrected, account]:
        await consume(service, each, onboarding_days=30)
    for path in (f"/v1/tickets/{ticket['id']}", f"/v1/deliveries/{delivery['id']}"):
        now = (await manager.get(path)).json()
        assert (now["customer_id"], now["region"]) == (str(right), "nordics"), path
        assert len((await manager.get(f"{path}/events")).json()["items"]) == 2
    # Again, and merged away: nothing changes.
    await consume(service, corrected, account, onboarding_days=30)
    assert (await manager.get(f"/v1/tickets/{ticket['id']}")).json()["version"] == 2


async def test_wrong_times_of_a_ticket_and_its_contacts_are_set_right(
    service: Service, manager: httpx.AsyncClient
) -> None:
    policy = await make(
        manager,
        "/v1/sla-policies",
        name="Times",
        kind="training_request",
        priority="urgent",
        first_response_seconds=3600,
    )
    try:
        rita = await an_agent(manager)
        began = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
        at = {hour: (began + hour * HOUR).isoformat() for hour in range(12)}
        ticket = await a_ticket(manager, kind="training_request", priority="urgent", occurred_at=at[2])
        path = f"/v1/tickets/{ticket['id']}"
        reply = await make(
            manager, f"{path}/interactions", direction="outbound", agent_id=rita["id"], occurred_at=at[6]
        )
        asked = await make(manager, f"{path}/interactions", direction="inbound", channel="email", occurred_at=at[7])
        await make(manager, f"{path}/resolve", occurred_at=at[9])
        await make(manager, f"{path}/close", occurred_at=at[10])
        before = (await manager.get(path)).json()
        assert before["first_response_breached_at"] is not None
        spans = [(wait["since"], wait["until"]) for wait in before["waits"]]
        assert [[datetime.fromisoformat(each) for each in span] for span in spans] == [
            [began + 2 * HOUR, began + 6 * HOUR],
            [began + 7 * HOUR, began + 9 * HOUR],
        ]

        right = await amend(manager, path, opened_at=at[1], resolved_at=at[8], closed_at=at[11])
        for field, hour in (("opened_at", 1), ("resolved_at", 8), ("first_resolved_at", 8), ("closed_at", 11)):
            assert datetime.fromisoformat(right[field]) == began + hour * HOUR, field
        assert datetime.fromisoformat(right["first_response_due_at"]) == began + 2 * HOUR
        event = next(
            each for each in await service.events_of(f"tickets/{ticket['id']}") if isinstance(each.data, TicketAmended)
        )
        assert event.data.change.fields == ["closed_at", "opened_at", "resolved_at"]  # type: ignore[attr-defined]

        # The reply came in time, and the question after it was asked earlier.
        contact = f"{path}/interactions/{reply['id']}"
        corrected = await amend(manager, contact, occurred_at=began_at(began, 90), talk_seconds=60)
        assert (corrected["version"], corrected["talk_seconds"]) == (2, 60)
        await amend(manager, f"{path}/interactions/{asked['id']}", occurred_at=at[3])
        now = (await manager.get(path)).json()
        assert datetime.fromisoformat(now["first_responded_at"]) == began + timedelta(minutes=90)
        assert (now["first_response_breached_at"], now["first_responded_by"]["person_id"]) == (None, rita["id"])
        assert [[datetime.fromisoformat(wait[end]) for end in ("since", "until")] for wait in now["waits"]] == [
            [began + HOUR, began + timedelta(minutes=90)],
            [began + 3 * HOUR, began + 8 * HOUR],
        ]
        assert now["waits"][1]["ended_by"] == "resolution"
        events = await service.events_of(f"tickets/{ticket['id']}")
        assert isinstance(events[-1].data, InteractionAmended)
        assert events[-1].data.change.interaction.occurred_at == began + 3 * HOUR
        # The same again changes nothing; a contact that was no reply is no first response.
        assert await amend(manager, contact, talk_seconds=60) == corrected
        await amend(manager, contact, agent_id=None)
        without = (await manager.get(path)).json()
        assert (without["first_responded_at"], without["first_responded_by"]) == (None, None)
        assert without["inbound_count"] == 1
        await amend(manager, f"{path}/interactions/{asked['id']}", direction="outbound")
        assert (await manager.get(path)).json()["inbound_count"] == 0
    finally:
        await amend(manager, f"/v1/sla-policies/{policy['id']}", active=False)


def began_at(began: datetime, minutes: int) -> str:
    return (began + timedelta(minutes=minutes)).isoformat()


async def test_a_time_that_would_put_the_story_out_of_order_is_refused(
    service: Service, manager: httpx.AsyncClient, agent: httpx.AsyncClient
) -> None:
    began = datetime.now(UTC) - timedelta(days=2)
    at = {hour: (began + hour * HOUR).isoformat() for hour in range(12)}
    ticket = await a_ticket(manager, occurred_at=at[1])
    path = f"/v1/tickets/{ticket['id']}"
    asked = await make(manager, f"{path}/interactions", direction="inbound", occurred_at=at[2])
    contact = f"{path}/interactions/{asked['id']}"
    assert_problem(await manager.patch(path, json={"resolved_at": at[3]}), 409, "ticket-not-there-yet")
    await make(manager, f"{path}/resolve", occurred_at=at[4])
    again = await make(manager, f"{path}/interactions", direction="inbound", occurred_at=at[5])
    await make(manager, f"{path}/resolve", occurred_at=at[6])
    for place, body, earlier, later in (
        (path, {"opened_at": at[3]}, "opened_at", "the first contact"),
        (path, {"resolved_at": at[4]}, "reopened_at", "resolved_at"),
        (contact, {"occurred_at": at[0]}, "opened_at", "occurred_at"),
    ):
        refused = await manager.patch(place, json=body)
        assert_problem(refused, 409, "times-out-of-order")
        assert (refused.json()["earlier"], refused.json()["later"]) == (earlier, later)
        assert "Correct that one too" in refused.json()["detail"]
    reopening = await manager.patch(f"{path}/interactions/{again['id']}", json={"occurred_at": at[7]})
    assert_problem(reopening, 409, "reopened-by-contact")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert_problem(await manager.patch(path, json={"resolved_at": tomorrow}), 422, "invalid-request")
    assert_problem(await agent.patch(path, json={"opened_at": at[0]}), 403, "forbidden")
    stale = await manager.patch(contact, json={"talk_seconds": 5}, headers={"If-Match": '"7"'})
    assert_problem(stale, 412, "stale-version")
    unknown = await manager.patch(f"{path}/interactions/{new_id()}", json={"talk_seconds": 5})
    assert_problem(unknown, 404, "not-found")
