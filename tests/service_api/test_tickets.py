"""Tickets over HTTP: each action answers with the ticket, and its event carries the same."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_contracts.catalogue import State
from event_contracts.service import (
    InteractionLogged,
    TicketAbsorbed,
    TicketAssigned,
    TicketAssignment,
    TicketClosed,
    TicketEscalated,
    TicketFirstResponded,
    TicketMerged,
    TicketOpened,
    TicketReopened,
    TicketReopening,
    TicketResolved,
)
from tests.service_api.conftest import (
    NOWHERE,
    Service,
    a_customer,
    a_ticket,
    an_agent,
    assert_carries,
    make,
    reference,
)
from tests.service_kit.conftest import assert_problem

ACTIONS = ("assign", "resolve", "reopen", "close", "interactions")


async def test_a_ticket_takes_region_and_segment_from_its_customer(service: Service, agent: httpx.AsyncClient) -> None:
    customer = await a_customer(agent, region="nordics", segment="public-sector")
    ticket = await a_ticket(
        agent, customer_id=customer["id"], priority="high", product="boiler", subject="Cold", description="Very\ncold"
    )
    assert ticket["version"] == 1
    assert ticket["status"] == "open"
    assert (ticket["region"], ticket["segment"]) == ("nordics", "public-sector")
    (event,) = await service.events_of(f"tickets/{ticket['id']}")
    assert_carries(event, ticket, TicketOpened)
    assert event.partition_key == customer["id"]
    assert event.time == datetime.fromisoformat(ticket["opened_at"])


async def test_no_event_carries_what_a_person_wrote(service: Service, agent: httpx.AsyncClient) -> None:
    customer = await make(agent, "/v1/customers", name="Jonas Secret")
    ticket = await a_ticket(agent, customer_id=customer["id"], subject="secret-subject", description="secret-words")
    await make(agent, f"/v1/tickets/{ticket['id']}/interactions", direction="inbound", note="secret-note")
    events = [
        *await service.events_of(f"tickets/{ticket['id']}"),
        *await service.events_of(f"customers/{customer['id']}"),
    ]
    assert len(events) == 3
    assert not any("secret" in repr(event).lower() for event in events)


async def test_a_created_ticket_can_be_read_at_its_location(agent: httpx.AsyncClient) -> None:
    customer = await a_customer(agent)
    body = {"customer_id": customer["id"], "kind": "complaint", "channel": "email"}
    created = await agent.post("/v1/tickets", json=body)
    assert created.status_code == 201
    read = await agent.get(created.headers["location"])
    assert (read.status_code, read.json()) == (200, created.json())
    assert read.headers["etag"] == created.headers["etag"]


async def test_an_unchanged_ticket_is_not_sent_again(agent: httpx.AsyncClient) -> None:
    ticket = await a_ticket(agent)
    path = f"/v1/tickets/{ticket['id']}"
    known = await agent.get(path, headers={"If-None-Match": '"1"'})
    assert (known.status_code, known.content) == (304, b"")
    await make(agent, f"{path}/resolve")
    assert (await agent.get(path, headers={"If-None-Match": '"1"'})).status_code == 200


async def test_a_ticket_lives_from_opening_to_closing_and_back(service: Service, manager: httpx.AsyncClient) -> None:
    team = await make(manager, "/v1/teams", name="Installation")
    rita = await an_agent(manager, team_id=team["id"])
    ticket = await a_ticket(manager, channel="email")
    path = f"/v1/tickets/{ticket['id']}"
    published: list[tuple[type[State], dict[str, Any]]] = [(TicketOpened, ticket)]
    published.append((TicketAssigned, await make(manager, f"{path}/assign", agent_id=rita["id"])))
    contact = await make(manager, f"{path}/interactions", direction="outbound", agent_id=rita["id"], talk_seconds=30)
    published.append((TicketFirstResponded, (await manager.get(path)).json()))
    published.append((TicketResolved, await make(manager, f"{path}/resolve", resolution="replaced-part")))
    published.append((TicketReopened, await make(manager, f"{path}/reopen")))
    published.append((TicketResolved, await make(manager, f"{path}/resolve")))
    published.append((TicketClosed, await make(manager, f"{path}/close")))
    events = await service.events_of(f"tickets/{ticket['id']}")
    assert [event.sequence for event in events] == list(range(1, 9))
    logged = events.pop(2)
    for event, (data, view) in zip(events, published, strict=True):
        assert_carries(event, view, data)
        assert event.partition_key == ticket["customer_id"]
    assigned, reopened = events[1].data, events[4].data
    assert isinstance(assigned, TicketAssigned)
    assert assigned.change == TicketAssignment(previous_agent_id=None)
    assert str(assigned.team_id) == team["id"]
    assert isinstance(reopened, TicketReopened)
    resolved_at = datetime.fromisoformat(published[3][1]["resolved_at"])
    assert reopened.change == TicketReopening(previous_resolved_at=resolved_at, cause="staff")
    assert reopened.first_responded_at is not None
    assert reopened.resolved_at is None
    assert isinstance(logged.data, InteractionLogged)
    assert logged.data.first_responded_at is None
    assert str(logged.data.change.id) == contact["id"]
    assert contact["ticket_version"] == 4
    assert published[-1][1]["reopen_count"] == 1


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(actions=st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=12), data=st.data())
async def test_every_event_equals_its_row_after_any_actions(
    service: Service, manager: httpx.AsyncClient, actions: list[str], data: st.DataObject
) -> None:
    rita = (await an_agent(manager))["id"]
    ticket = await a_ticket(manager)
    path = f"/v1/tickets/{ticket['id']}"
    shown = {1: ticket}
    for action in actions:
        body: dict[str, Any] = {}
        if action == "assign":
            body = {"agent_id": rita} if data.draw(st.booleans()) else {"agent_id": (await an_agent(manager))["id"]}
        if action == "interactions":
            direction = data.draw(st.sampled_from(["inbound", "outbound"]))
            body = {"direction": direction, "agent_id": data.draw(st.sampled_from([rita, None]))}
        answer = await manager.post(f"{path}/{action}", json=body)
        assert answer.status_code in (200, 201, 409), answer.text
        ticket = (await manager.get(path)).json()
        shown[ticket["version"]] = ticket
    events = await service.events_of(f"tickets/{ticket['id']}")
    assert [event.sequence for event in events] == list(range(1, ticket["version"] + 1))
    for event in events:
        if event.sequence in shown:
            assert_carries(event, shown[event.sequence], type(event.data))
        else:
            # In one step with the contact: the reopening that it causes, and the first response that it is.
            pair = (type(event.data), type(events[event.sequence].data))
            assert pair in {(TicketReopened, InteractionLogged), (InteractionLogged, TicketFirstResponded)}


@pytest.mark.parametrize(
    ("before", "action", "slug"),
    [
        ([], "close", "ticket-still-open"),
        ([], "reopen", "ticket-still-open"),
        (["resolve"], "resolve", "ticket-already-resolved"),
        (["resolve", "close"], "resolve", "ticket-already-closed"),
        (["resolve", "close"], "close", "ticket-already-closed"),
        (["resolve", "close"], "assign", "ticket-already-closed"),
        (["assign"], "assign", "ticket-already-assigned"),
        (["resolve", "reopen"], "close", "ticket-still-open"),
    ],
)
async def test_an_action_that_the_status_does_not_allow_changes_nothing(
    service: Service, manager: httpx.AsyncClient, before: list[str], action: str, slug: str
) -> None:
    ticket = await a_ticket(manager)
    rita = await an_agent(manager)
    bodies = {"assign": {"agent_id": rita["id"]}}
    path = f"/v1/tickets/{ticket['id']}"
    for step in before:
        await make(manager, f"{path}/{step}", **bodies.get(step, {}))
    assert_problem(await manager.post(f"{path}/{action}", json=bodies.get(action, {})), 409, slug)
    assert (await manager.get(path)).json()["version"] == 1 + len(before)
    assert len(await service.events_of(f"tickets/{ticket['id']}")) == 1 + len(before)


async def test_a_team_alone_takes_the_ticket_from_its_agent(service: Service, manager: httpx.AsyncClient) -> None:
    desk, field = [await make(manager, "/v1/teams", name=name) for name in ("Desk", "Field")]
    rita = await an_agent(manager, team_id=desk["id"])
    ticket = await a_ticket(manager, agent_id=rita["id"])
    assert ticket["team_id"] == desk["id"]
    assert ticket["assigned_at"] == ticket["opened_at"]
    moved = await make(manager, f"/v1/tickets/{ticket['id']}/assign", team_id=field["id"])
    assert (moved["agent_id"], moved["team_id"]) == (None, field["id"])
    *_, event = await service.events_of(f"tickets/{ticket['id']}")
    assert isinstance(event.data, TicketAssigned)
    assert str(event.data.change.previous_agent_id) == rita["id"]


async def test_an_agent_without_a_team_leaves_the_ticket_in_its_own(manager: httpx.AsyncClient) -> None:
    desk = await make(manager, "/v1/teams", name="Desk")
    ticket = await a_ticket(manager, team_id=desk["id"])
    rita = await an_agent(manager)
    taken = await make(manager, f"/v1/tickets/{ticket['id']}/assign", agent_id=rita["id"])
    assert (taken["agent_id"], taken["team_id"]) == (rita["id"], desk["id"])


async def test_an_assignment_names_an_agent_or_a_team(agent: httpx.AsyncClient) -> None:
    ticket = await a_ticket(agent)
    assert_problem(await agent.post(f"/v1/tickets/{ticket['id']}/assign", json={}), 422, "invalid-request")


@pytest.mark.parametrize("field", ["customer_id", "agent_id", "team_id"])
async def test_a_ticket_refers_to_what_exists(agent: httpx.AsyncClient, field: str) -> None:
    body = {"customer_id": (await a_customer(agent))["id"], "kind": "problem", "channel": "web"} | {field: NOWHERE}
    problem = assert_problem(await agent.post("/v1/tickets", json=body), 422, "unknown-reference")
    assert [error["pointer"] for error in problem["errors"]] == [f"#/{field}"]


@pytest.mark.parametrize("action", ACTIONS)
async def test_an_action_on_a_missing_ticket_is_not_found(agent: httpx.AsyncClient, action: str) -> None:
    rita = {"agent_id": NOWHERE}
    body = {"assign": rita, "interactions": rita | {"direction": "inbound"}}.get(action, {})
    assert_problem(await agent.post(f"/v1/tickets/{NOWHERE}/{action}", json=body), 404)


async def test_a_reference_is_taken_once(agent: httpx.AsyncClient) -> None:
    ref = reference()
    ticket = await a_ticket(agent, external_ref=ref)
    body = {"customer_id": ticket["customer_id"], "kind": "problem", "channel": "web", "external_ref": ref}
    problem = assert_problem(await agent.post("/v1/tickets", json=body), 409, "external-ref-taken")
    assert problem["existing_id"] == ticket["id"]
    found = (await agent.get("/v1/tickets", params={"external_ref": ref})).json()["items"]
    assert [item["id"] for item in found] == [ticket["id"]]


async def test_a_reference_taken_by_many_at_once_makes_one_ticket(service: Service, agent: httpx.AsyncClient) -> None:
    ref = reference()
    customer = await a_customer(agent)
    body = {"customer_id": customer["id"], "kind": "problem", "channel": "web", "external_ref": ref}
    answers = await asyncio.gather(*(agent.post("/v1/tickets", json=body) for _ in range(12)))
    (made,) = [answer for answer in answers if answer.status_code == 201]
    for answer in answers:
        if answer is not made:
            problem = assert_problem(answer, 409, "external-ref-taken")
            assert problem["existing_id"] == made.json()["id"]
    assert len(await service.events_of(f"tickets/{made.json()['id']}")) == 1


async def test_one_ticket_resolved_fifty_times_at_once_is_resolved_once(
    service: Service, agent: httpx.AsyncClient
) -> None:
    ticket = await a_ticket(agent)
    path = f"/v1/tickets/{ticket['id']}"
    answers = await asyncio.gather(*(agent.post(f"{path}/resolve", json={}) for _ in range(50)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 49}
    for answer in answers:
        if answer.status_code == 409:
            assert_problem(answer, 409, "ticket-already-resolved")
    events = await service.events_of(f"tickets/{ticket['id']}")
    assert [type(event.data) for event in events] == [TicketOpened, TicketResolved]


async def test_contacts_logged_at_once_are_all_counted(service: Service, agent: httpx.AsyncClient) -> None:
    ticket = await a_ticket(agent)
    rita = await an_agent_by_manager(service)
    path = f"/v1/tickets/{ticket['id']}"
    body = {"direction": "inbound", "agent_id": rita}
    answers = await asyncio.gather(*(agent.post(f"{path}/interactions", json=body) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {201}
    seen = (await agent.get(path)).json()
    assert (seen["interaction_count"], seen["inbound_count"], seen["version"]) == (20, 20, 22)
    events = await service.events_of(f"tickets/{ticket['id']}")
    assert [event.sequence for event in events] == list(range(1, 23))
    assert sum(type(event.data) is TicketFirstResponded for event in events) == 1


async def an_agent_by_manager(service: Service) -> str:
    async with service.client("service-manager") as manager:
        return str((await an_agent(manager))["id"])


async def test_a_stale_version_is_refused(service: Service, agent: httpx.AsyncClient) -> None:
    ticket = await a_ticket(agent)
    path = f"/v1/tickets/{ticket['id']}"
    fresh = await agent.post(f"{path}/resolve", json={}, headers={"If-Match": '"1"'})
    assert (fresh.status_code, fresh.headers["etag"]) == (200, '"2"')
    for action in ("reopen", "close", "interactions"):
        body = {"direction": "inbound"} if action == "interactions" else {}
        stale = await agent.post(f"{path}/{action}", json=body, headers={"If-Match": '"1"'})
        assert_problem(stale, 412, "stale-version")
    assert len(await service.events_of(f"tickets/{ticket['id']}")) == 2


async def test_a_repeat_with_its_key_happens_once(service: Service, agent: httpx.AsyncClient) -> None:
    ticket = await a_ticket(agent)
    path = f"/v1/tickets/{ticket['id']}/resolve"
    headers = {"Idempotency-Key": reference()}
    first, second = [await agent.post(path, json={}, headers=headers) for _ in range(2)]
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert len(await service.events_of(f"tickets/{ticket['id']}")) == 2


class TestWhenItHappened:
    """`occurred_at`: who may give it, and what it must not contradict."""

    LONG_AGO = "2023-05-01T08:00:00Z"

    async def test_history_keeps_its_times(self, service: Service, manager: httpx.AsyncClient) -> None:
        ticket = await a_ticket(manager, occurred_at=self.LONG_AGO)
        path = f"/v1/tickets/{ticket['id']}"
        assert ticket["opened_at"] == self.LONG_AGO
        resolved = await make(manager, f"{path}/resolve", occurred_at="2023-05-02T10:00:00+02:00")
        assert resolved["resolved_at"] == "2023-05-02T08:00:00Z"
        opened_event, resolved_event = await service.events_of(f"tickets/{ticket['id']}")
        assert opened_event.time == datetime(2023, 5, 1, 8, tzinfo=UTC)
        assert resolved_event.time == datetime(2023, 5, 2, 8, tzinfo=UTC)
        assert resolved_event.recorded_time > datetime.now(UTC) - timedelta(minutes=1)

    async def test_an_agent_may_not_backdate(self, agent: httpx.AsyncClient) -> None:
        body = {"customer_id": (await a_customer(agent))["id"], "kind": "problem", "channel": "web"}
        assert_problem(await agent.post("/v1/tickets", json=body | {"occurred_at": self.LONG_AGO}), 403, "forbidden")
        ticket = await a_ticket(agent)
        for action in ("resolve", "interactions"):
            body = {"occurred_at": self.LONG_AGO} | ({"direction": "inbound"} if action == "interactions" else {})
            assert_problem(await agent.post(f"/v1/tickets/{ticket['id']}/{action}", json=body), 403, "forbidden")

    async def test_the_future_is_refused_and_a_clock_that_is_ahead_is_not(self, manager: httpx.AsyncClient) -> None:
        ahead = datetime.now(UTC) + timedelta(minutes=4)
        ticket = await a_ticket(manager, occurred_at=ahead.isoformat())
        body = {"occurred_at": (ahead + timedelta(minutes=10)).isoformat()}
        answer = await manager.post(f"/v1/tickets/{ticket['id']}/resolve", json=body)
        problem = assert_problem(answer, 422, "invalid-request")
        assert [error["pointer"] for error in problem["errors"]] == ["#/occurred_at"]
        live = await make(manager, f"/v1/tickets/{ticket['id']}/resolve")
        assert live["resolved_at"] == live["opened_at"]

    @pytest.mark.parametrize(
        ("steps", "too_early"),
        [
            ([], {"resolve": "2023-05-01T07:59:59Z"}),
            ([], {"assign": "2023-05-01T07:59:59Z"}),
            ([], {"interactions": "2023-05-01T07:59:59Z"}),
            ([("resolve", "2023-05-03T00:00:00Z")], {"close": "2023-05-02T23:59:59.999999Z"}),
            ([("resolve", "2023-05-03T00:00:00Z")], {"reopen": "2023-05-02T00:00:00Z"}),
            (
                [("resolve", "2023-05-03T00:00:00Z"), ("reopen", "2023-05-04T00:00:00Z")],
                {"resolve": "2023-05-03T12:00:00Z"},
            ),
            (
                [("resolve", "2023-05-03T00:00:00Z"), ("close", "2023-05-04T00:00:00Z")],
                {"reopen": "2023-05-03T12:00:00Z"},
            ),
        ],
    )
    async def test_nothing_happens_before_what_it_follows(
        self, manager: httpx.AsyncClient, steps: list[tuple[str, str]], too_early: dict[str, str]
    ) -> None:
        ticket = await a_ticket(manager, occurred_at=self.LONG_AGO)
        path = f"/v1/tickets/{ticket['id']}"
        for step, at in steps:
            await make(manager, f"{path}/{step}", occurred_at=at)
        ((action, at),) = too_early.items()
        more = {"assign": {"agent_id": (await an_agent(manager))["id"]}, "interactions": {"direction": "inbound"}}
        answer = await manager.post(f"{path}/{action}", json={"occurred_at": at} | more.get(action, {}))
        problem = assert_problem(answer, 409, "occurred-too-early")
        assert datetime.fromisoformat(str(problem["latest_change_at"])) > datetime.fromisoformat(at)


class TestLists:
    """Pages of tickets and what they can be narrowed to."""

    async def test_each_filter_finds_its_tickets_and_no_others(self, manager: httpx.AsyncClient) -> None:
        region, segment, product = reference()[:20], reference()[:20], reference()[:20]
        team = await make(manager, "/v1/teams", name="Team")
        rita = await an_agent(manager, team_id=team["id"])
        customer = await a_customer(manager, region=region, segment=segment)
        found = await a_ticket(
            manager,
            customer_id=customer["id"],
            kind="training_request",
            channel="in_person",
            priority="urgent",
            product=product,
            agent_id=rita["id"],
            external_ref=reference(),
        )
        await a_ticket(manager)
        unique = ("customer_id", "region", "segment", "product", "agent_id", "team_id", "external_ref")
        for name in unique:
            page = (await manager.get("/v1/tickets", params={name: found[name]})).json()
            assert page == {"items": [found], "next_cursor": None, "total": None, "included": None}, name
        for name in ("kind", "channel", "priority", "status"):
            items = (await manager.get("/v1/tickets", params={name: found[name], "limit": "200"})).json()["items"]
            assert found in items, name
            assert {item[name] for item in items} == {found[name]}
        assert (await manager.get("/v1/tickets", params={"region": region, "status": "closed"})).json()["items"] == []

    async def test_pages_hold_every_ticket_once_newest_first(self, agent: httpx.AsyncClient) -> None:
        customer = await a_customer(agent)
        made = [(await a_ticket(agent, customer_id=customer["id"]))["id"] for _ in range(5)]
        query = {"customer_id": customer["id"], "limit": "2"}
        seen: list[str] = []
        while True:
            page = (await agent.get("/v1/tickets", params=query)).json()
            seen += [item["id"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
        assert seen == made[::-1]

    async def test_a_filter_outside_its_list_is_refused(self, agent: httpx.AsyncClient) -> None:
        for query in ({"status": "won"}, {"customer_id": "42"}, {"kind": ""}, {"region": "with space"}):
            assert_problem(await agent.get("/v1/tickets", params=query), 422, "invalid-request")


async def test_a_ticket_is_escalated_to_another_agent_or_team(service: Service, manager: httpx.AsyncClient) -> None:
    first, second = await an_agent(manager), await an_agent(manager)
    ticket = await a_ticket(manager, agent_id=first["id"])
    path = f"/v1/tickets/{ticket['id']}"
    passed_on = (await manager.post(f"{path}/escalate", json={"agent_id": second["id"]})).json()
    assert (passed_on["agent_id"], passed_on["version"]) == (second["id"], 2)
    assert passed_on["escalated_at"] == passed_on["assigned_at"]
    assert isinstance((await service.events_of(f"tickets/{ticket['id']}"))[-1].data, TicketEscalated)
    again = (await manager.post(f"{path}/escalate", json={"agent_id": first["id"]})).json()
    assert again["escalated_at"] == passed_on["escalated_at"]
    assert_problem(await manager.post(f"{path}/escalate", json={}), 422, "invalid-request")
    assert_problem(
        await manager.post(f"{path}/escalate", json={"agent_id": first["id"]}), 409, "ticket-already-assigned"
    )
    await manager.post(f"{path}/resolve", json={})
    late = await manager.post(f"{path}/escalate", json={"agent_id": second["id"]})
    assert_problem(late, 409, "ticket-already-resolved")


async def test_a_ticket_is_merged_for_good(service: Service, agent: httpx.AsyncClient) -> None:
    ticket = await a_ticket(agent)
    same = await a_ticket(agent, customer_id=ticket["customer_id"])
    path = f"/v1/tickets/{same['id']}"
    merged = (await agent.post(f"{path}/merge", json={"into": ticket["id"]})).json()
    assert (merged["status"], merged["merged_into"], merged["resolved_at"]) == ("closed", ticket["id"], None)
    assert merged["merged_at"] == merged["closed_at"]
    event = (await service.events_of(f"tickets/{same['id']}"))[-1].data
    assert isinstance(event, TicketMerged)
    assert str(event.merged_into) == ticket["id"]
    into = (await agent.get(f"/v1/tickets/{ticket['id']}")).json()
    counted = {name: into[name] for name in ("version", "updated_at", "merged_contact_count")}
    assert into == ticket | counted
    assert (counted["version"], counted["merged_contact_count"]) == (ticket["version"] + 1, 1)
    absorbed = (await service.events_of(f"tickets/{ticket['id']}"))[-1].data
    assert isinstance(absorbed, TicketAbsorbed)
    assert str(absorbed.change.ticket_id) == merged["id"]
    assert (await agent.get(f"/v1/tickets?merged_into={ticket['id']}")).json()["items"] == [merged]
    for action, body in (
        ("merge", {"into": (await a_ticket(agent, customer_id=ticket["customer_id"]))["id"]}),
        ("reopen", {}),
        ("resolve", {}),
        ("close", {}),
        ("interactions", {"direction": "inbound"}),
    ):
        refused = await agent.post(f"{path}/{action}", json=body)
        assert assert_problem(refused, 409, "ticket-already-merged")["merged_into"] == ticket["id"]
    back = await agent.post(f"/v1/tickets/{ticket['id']}/merge", json={"into": same["id"]})
    assert_problem(back, 409, "ticket-already-merged")


async def test_only_tickets_of_one_customer_are_merged(agent: httpx.AsyncClient) -> None:
    ticket, other = await a_ticket(agent), await a_ticket(agent)
    path = f"/v1/tickets/{ticket['id']}/merge"
    assert_problem(await agent.post(path, json={"into": other["id"]}), 409, "ticket-of-another-customer")
    assert_problem(await agent.post(path, json={"into": ticket["id"]}), 422, "invalid-request")
    assert_problem(await agent.post(path, json={"into": NOWHERE}), 422, "unknown-reference")
