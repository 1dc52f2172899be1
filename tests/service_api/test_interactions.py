"""Contacts about a ticket over HTTP, and the first response that they may be."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from event_contracts.service import InteractionLogged, TicketFirstResponded, TicketReopened
from service_api.won_deals import WonDeal
from tests.service_api.conftest import NOWHERE, Service, a_ticket, an_agent, make, reference
from tests.service_kit.conftest import assert_problem

NOON = "2024-02-01T12:00:00Z"


async def log(http: httpx.AsyncClient, ticket: dict[str, Any], **body: Any) -> dict[str, Any]:
    return await make(http, f"/v1/tickets/{ticket['id']}/interactions", **body)


async def test_a_contact_carries_the_attribution_of_its_ticket_and_its_agent(
    service: Service, manager: httpx.AsyncClient
) -> None:
    desk, field = [await make(manager, "/v1/teams", name=name) for name in ("Desk", "Field")]
    rita = await an_agent(manager, team_id=field["id"])
    ticket = await a_ticket(manager, team_id=desk["id"], channel="email", product="boiler", occurred_at=NOON)
    contact = await log(
        manager,
        ticket,
        direction="inbound",
        channel="phone",
        agent_id=rita["id"],
        talk_seconds=340,
        hold_seconds=45,
        wrap_up_seconds=120,
        note="Angry",
        occurred_at="2024-02-01T13:00:00Z",
    )
    logged = (await service.events_of(f"tickets/{ticket['id']}"))[1].data
    assert isinstance(logged, InteractionLogged)
    change = msgspec.to_builtins(logged.change)
    assert {name: change[name] for name in change if name in contact} == {
        name: contact[name] for name in contact if name in change
    }
    assert contact["team_id"] == field["id"]
    assert change["ticket_kind"] == ticket["kind"]
    for name in ("customer_id", "priority", "region", "segment", "product"):
        assert change[name] == ticket[name]
    assert "note" not in change


async def test_an_automatic_message_is_no_response(service: Service, agent: httpx.AsyncClient) -> None:
    ticket = await a_ticket(agent, channel="email")
    contact = await log(agent, ticket, direction="outbound")
    assert (contact["channel"], contact["agent_id"], contact["ticket_version"]) == ("email", None, 2)
    assert (await agent.get(f"/v1/tickets/{ticket['id']}")).json()["first_responded_at"] is None
    assert len(await service.events_of(f"tickets/{ticket['id']}")) == 2


async def test_an_earlier_reply_that_is_logged_later_is_the_first(service: Service, manager: httpx.AsyncClient) -> None:
    rita = (await an_agent(manager))["id"]
    ticket = await a_ticket(manager, channel="email", occurred_at=NOON)
    for at in ("2024-02-01T15:00:00Z", "2024-02-01T13:00:00Z", "2024-02-01T14:00:00Z"):
        await log(manager, ticket, direction="outbound", agent_id=rita, occurred_at=at)
    seen = (await manager.get(f"/v1/tickets/{ticket['id']}")).json()
    assert seen["first_responded_at"] == "2024-02-01T13:00:00Z"
    events = await service.events_of(f"tickets/{ticket['id']}")
    responses = [event.data.first_responded_at for event in events if isinstance(event.data, TicketFirstResponded)]
    assert [at.hour for at in responses if at is not None] == [15, 13]
    assert [event.sequence for event in events] == list(range(1, 7))


async def test_contacts_are_listed_and_read(agent: httpx.AsyncClient) -> None:
    ticket = await a_ticket(agent)
    ref = reference()
    first = await log(agent, ticket, direction="inbound", external_ref=ref)
    second = await log(agent, ticket, direction="inbound", visibility="internal", note="Hm")
    path = f"/v1/tickets/{ticket['id']}/interactions"
    assert (await agent.get(path)).json()["items"] == [second, first]
    assert (await agent.get(path, params={"external_ref": ref})).json()["items"] == [first]
    assert (await agent.get(f"{path}/{first['id']}")).json() == first
    assert (await agent.get(f"{path}/{first['id']}", headers={"If-None-Match": '"1"'})).status_code == 304
    other = await a_ticket(agent)
    assert_problem(await agent.get(f"/v1/tickets/{other['id']}/interactions/{first['id']}"), 404)
    assert_problem(await agent.get(f"/v1/tickets/{NOWHERE}/interactions"), 404)
    seen = (await agent.get(f"/v1/tickets/{ticket['id']}")).json()
    assert (seen["interaction_count"], seen["inbound_count"]) == (2, 1)


async def test_a_contact_taken_once_is_not_taken_again(service: Service, agent: httpx.AsyncClient) -> None:
    ticket = await a_ticket(agent)
    first = await log(agent, ticket, direction="inbound", external_ref=reference())
    body = {"direction": "inbound", "external_ref": first["external_ref"]}
    answer = await agent.post(f"/v1/tickets/{ticket['id']}/interactions", json=body)
    assert assert_problem(answer, 409, "external-ref-taken")["existing_id"] == first["id"]
    assert len(await service.events_of(f"tickets/{ticket['id']}")) == 2


async def test_a_contact_by_an_unknown_agent_is_refused(agent: httpx.AsyncClient) -> None:
    ticket = await a_ticket(agent)
    body = {"direction": "inbound", "agent_id": NOWHERE}
    answer = await agent.post(f"/v1/tickets/{ticket['id']}/interactions", json=body)
    assert_problem(answer, 422, "unknown-reference")


@pytest.mark.parametrize("seconds", [-1, 31_622_401, 1.5, "60", True, None])
async def test_a_duration_is_whole_seconds_of_a_year_at_most(agent: httpx.AsyncClient, seconds: object) -> None:
    ticket = await a_ticket(agent)
    body = {"direction": "inbound", "talk_seconds": seconds}
    assert_problem(await agent.post(f"/v1/tickets/{ticket['id']}/interactions", json=body), 422, "invalid-request")


async def test_messages_at_once_after_the_window_open_one_follow_up(
    service: Service, manager: httpx.AsyncClient
) -> None:
    ticket = await a_ticket(manager, occurred_at="2024-01-01T12:00:00Z", subject="No hot water")
    await make(manager, f"/v1/tickets/{ticket['id']}/resolve", occurred_at="2024-01-02T12:00:00Z")
    path, message = f"/v1/tickets/{ticket['id']}/interactions", {"direction": "inbound"}
    answers = await asyncio.gather(*(manager.post(path, json=message) for _ in range(8)))
    (follow_up,) = {answer.json()["ticket_id"] for answer in answers}
    assert all(answer.headers["location"].startswith(f"/v1/tickets/{follow_up}/") for answer in answers)
    seen = (await manager.get(f"/v1/tickets/{follow_up}")).json()
    assert [seen[name] for name in ("follow_up_to", "subject", "inbound_count")] == [ticket["id"], "No hot water", 8]
    assert (await manager.get("/v1/tickets", params={"follow_up_to": ticket["id"]})).json()["items"] == [seen]
    assert len(await service.events_of(f"tickets/{ticket['id']}")) == 2


async def test_a_message_that_reopens_is_named_by_the_event(service: Service, manager: httpx.AsyncClient) -> None:
    ticket = await a_ticket(manager)
    await make(manager, f"/v1/tickets/{ticket['id']}/resolve")
    contact = await log(manager, ticket, direction="inbound")
    *_, reopened, logged = [event.data for event in await service.events_of(f"tickets/{ticket['id']}")]
    assert isinstance(reopened, TicketReopened)
    assert isinstance(logged, InteractionLogged)
    assert (reopened.change.cause, str(reopened.change.interaction_id)) == ("customer_message", contact["id"])
    assert str(logged.change.id) == contact["id"]
    assert contact["ticket_version"] == 4


async def test_follow_ups_that_were_merged_lead_on(manager: httpx.AsyncClient) -> None:
    """Also in a circle: the follow-up of a follow-up was merged into the first."""
    first = await a_ticket(manager, occurred_at="2024-01-01T12:00:00Z")
    followed = first
    for month in (2, 4):
        await make(manager, f"/v1/tickets/{followed['id']}/resolve", occurred_at=f"2024-0{month - 1}-02T12:00:00Z")
        contact = await log(manager, followed, direction="inbound", occurred_at=f"2024-0{month}-01T12:00:00Z")
        followed = (await manager.get(f"/v1/tickets/{contact['ticket_id']}")).json()
    await make(manager, f"/v1/tickets/{followed['id']}/merge", into=first["id"])
    contact = await log(manager, first, direction="inbound")
    newest = (await manager.get(f"/v1/tickets/{contact['ticket_id']}")).json()
    assert newest["id"] not in (first["id"], followed["id"])
    assert newest["status"] == "open"


async def test_a_message_about_an_onboarding_that_is_done_is_a_request_of_its_own(
    service: Service, manager: httpx.AsyncClient
) -> None:
    ticket = await a_ticket(manager, occurred_at="2024-01-01T12:00:00Z")
    customer = ticket["customer_id"]
    async with service.engine.begin() as connection:
        won = {"id": uuid4(), "customer_id": UUID(customer), "won_at": datetime.now(UTC)}
        await connection.execute(WonDeal.table.insert().values(won))
    onboarding = await a_ticket(manager, customer_id=customer, kind="installation", onboarding_deal_id=str(won["id"]))
    await make(manager, f"/v1/tickets/{onboarding['id']}/resolve")
    contact = await log(manager, onboarding, direction="inbound")
    request = (await manager.get(f"/v1/tickets/{contact['ticket_id']}")).json()
    assert (request["follow_up_to"], request["onboarding_deal_id"]) == (onboarding["id"], None)


async def test_a_contact_corrected_only_in_its_seconds_leaves_one_audit_entry_and_none_of_its_ticket(
    service: Service, manager: httpx.AsyncClient
) -> None:
    ticket = await a_ticket(manager)
    contact = await log(manager, ticket, direction="inbound", talk_seconds=340)
    path = f"/v1/tickets/{ticket['id']}"
    before = (await manager.get(f"{path}/audit")).json()["items"]
    corrected = await manager.patch(f"{path}/interactions/{contact['id']}", json={"talk_seconds": 300})
    assert corrected.status_code == 200, corrected.text
    changed = (await manager.get(f"{path}/interactions/{contact['id']}/audit")).json()["items"][0]
    assert changed["changes"] == {"talk_seconds": [340, 300], "ticket_version": [2, 3]}
    # The ticket counts the correction as an event of its own, but has the same fields as before.
    assert (await manager.get(path)).json()["version"] == ticket["version"] + 2
    assert (await manager.get(f"{path}/audit")).json()["items"] == before
