"""A ticket that is imported with its history is the ticket that single requests make, event by event."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from tests.service_api.conftest import Service, a_customer, a_ticket, an_agent, make, reference

BEGAN = "2026-03-02T08:0{}:00Z"


@pytest.fixture
async def importer(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with service.client("importer") as http:
        yield http


async def imported(importer: httpx.AsyncClient, *rows: Any) -> list[dict[str, Any]]:
    answer = await importer.post(
        "/v1/imports",
        content="\n".join(json.dumps(row) for row in rows),
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert answer.status_code == 200, answer.text
    return list(answer.json()["rows"])


async def published_states(service: Service, ticket: dict[str, Any]) -> list[Any]:
    """Return its events without the fields that differ from ticket to ticket."""

    def shared(members: dict[str, Any]) -> dict[str, Any]:
        change = {"change": shared(members["change"])} if isinstance(members.get("change"), dict) else {}
        return {name: value for name, value in members.items() if name not in ("id", "ticket_id")} | change

    events = await service.events_of(f"tickets/{ticket['id']}")
    return [
        (event.event_type.name, event.sequence, event.time, shared(msgspec.to_builtins(event.data))) for event in events
    ]


async def test_an_imported_ticket_publishes_what_single_requests_publish(
    service: Service, importer: httpx.AsyncClient
) -> None:
    customer, agent = await a_customer(importer), await an_agent(importer)
    record = {"customer_id": customer["id"], "kind": "problem", "channel": "phone", "occurred_at": BEGAN.format(0)}
    talk = {"direction": "outbound", "agent_id": agent["id"], "talk_seconds": 90, "note": "Called back."}
    history: list[tuple[str, dict[str, Any]]] = [
        ("assign", {"agent_id": agent["id"]}),
        ("interactions", talk),
        ("resolve", {"resolution": "replaced-part"}),
        ("reopen", {}),
        ("resolve", {}),
        ("close", {}),
    ]
    steps = [(action, body | {"occurred_at": BEGAN.format(n)}) for n, (action, body) in enumerate(history, 1)]
    single = await a_ticket(importer, **record)
    for action, body in steps:
        answer = await importer.post(f"/v1/tickets/{single['id']}/{action}", json=body)
        assert answer.is_success, answer.text
    history_of_row = [{"action": action, "body": body} for action, body in steps]
    (row,) = await imported(importer, {"resource": "tickets", "record": record, "history": history_of_row})
    assert row["status"] == "created"
    assert await published_states(service, row) == await published_states(service, single)
    ours, theirs = [(await importer.get(f"/v1/tickets/{one['id']}")).json() for one in (row, single)]
    assert ours | {name: theirs[name] for name in ("id", "updated_at")} == theirs


async def test_customers_agents_and_tickets_come_in_one_file(importer: httpx.AsyncClient) -> None:
    team = await make(importer, "/v1/teams", name="Group 1")
    customer = await a_customer(importer)
    rows = await imported(
        importer,
        {"resource": "agents", "record": {"name": "Ann", "team_id": team["id"], "external_ref": reference()}},
        {"resource": "customers", "record": {"name": "UAB Vėjas", "external_ref": reference()}},
        {"resource": "tickets", "record": {"customer_id": customer["id"], "kind": "complaint", "channel": "email"}},
    )
    assert [row["status"] for row in rows] == ["created"] * 3
    for row in rows:
        assert (await importer.get(f"/v1/{row['resource']}/{row['id']}")).status_code == 200


async def test_a_maintenance_plan_is_imported_with_its_maintenance(importer: httpx.AsyncClient) -> None:
    customer, agent = await a_customer(importer), await an_agent(importer)
    plan = {"customer_id": customer["id"], "interval_days": 90, "next_due_on": "2026-01-10"}
    done = {"action": "perform", "body": {"agent_id": agent["id"], "occurred_at": "2026-01-09T08:00:00Z"}}
    (row,) = await imported(importer, {"resource": "maintenance-plans", "record": plan, "history": [done]})
    assert row["status"] == "created", row
    plan = (await importer.get(f"/v1/maintenance-plans/{row['id']}")).json()
    assert plan["version"] == 2


async def test_a_service_agent_may_not_import(service: Service) -> None:
    async with service.client("service-agent") as agent:
        answer = await agent.post("/v1/imports", content="{}", headers={"Content-Type": "application/x-ndjson"})
    assert answer.status_code == 403


async def test_lists_of_many_calendars_come_in_at_once(importer: httpx.AsyncClient) -> None:
    holidays: tuple[list[str], ...] = (["2026-01-01", "2026-12-25"], [], ["2026-05-01"])
    hours = [{"weekday": 1, "opens": "08:00", "closes": "17:00"}]
    calendars = [
        {"name": reference(), "timezone": "Europe/Vilnius", "hours": hours, "holidays": days} for days in holidays
    ]
    rows = await imported(importer, *({"resource": "business-calendars", "record": each} for each in calendars))
    found = [(await importer.get(f"/v1/business-calendars/{row['id']}")).json()["holidays"] for row in rows]
    assert found == list(holidays)


async def test_a_survey_is_sent_and_answered_within_the_history_of_its_ticket(importer: httpx.AsyncClient) -> None:
    customer, agent = await a_customer(importer), await an_agent(importer)
    record = {"customer_id": customer["id"], "kind": "problem", "channel": "phone", "occurred_at": BEGAN.format(0)}
    steps: list[tuple[str, str, dict[str, Any]]] = [
        ("assign", "tickets", {"agent_id": agent["id"]}),
        ("resolve", "tickets", {"resolution": "explained"}),
        ("create", "surveys", {"ticket_id": {"id_of": "tickets"}, "kind": "csat"}),
        ("answer", "surveys", {"score": 4, "reason": "imported"}),
        ("close", "tickets", {}),
    ]
    history = [
        {"action": action, "of": of, "body": body | {"occurred_at": BEGAN.format(minute)}}
        for minute, (action, of, body) in enumerate(steps, 1)
    ]
    (row,) = await imported(importer, {"resource": "tickets", "record": record, "history": history})
    assert row["status"] == "created", row
    assert (await importer.get(f"/v1/tickets/{row['id']}")).json()["status"] == "closed"
    (survey,) = (await importer.get(f"/v1/surveys?ticket_id={row['id']}")).json()["items"]
    assert survey["score"] == 4
