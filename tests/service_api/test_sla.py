"""Service levels: the due times of a new ticket, and each breach published once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from event_contracts.service import SlaBreached
from service_api.sla_clock import SlaClock
from service_api.tickets.model import Ticket
from service_api.tickets.sla import SlaTerms
from service_kit.identifiers import new_id
from tests.service_api.conftest import Service, a_customer, a_ticket, an_agent, make
from tests.service_api.test_ticket_rules import NOON, contact
from tests.service_kit.conftest import assert_problem

pytestmark = pytest.mark.clock

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
TERMS = SlaTerms(policy_id=new_id(), first_response_seconds=600, resolution_seconds=3600)
WEEK = [{"weekday": day, "opens": "00:00", "closes": "24:00"} for day in range(1, 8)]


def promised(terms: SlaTerms = TERMS) -> Ticket:
    ticket, _ = Ticket.open(
        customer_id=new_id(), kind="problem", channel="email", priority="normal", at=NOON, terms=terms
    )
    return ticket


def test_nothing_is_overdue_at_its_due_time_and_everything_a_moment_later() -> None:
    ticket = promised()
    assert ticket.overdue(NOON + 10 * MINUTE) == []
    assert ticket.overdue(NOON + 10 * MINUTE + MINUTE) == ["first_response"]
    assert ticket.overdue(NOON + 2 * HOUR) == ["first_response", "resolution"]
    event = ticket.breach("first_response")
    assert (event.sla_breached_at, event.change.due_at) == (NOON + 10 * MINUTE, NOON + 10 * MINUTE)
    assert ticket.overdue(NOON + 2 * HOUR) == ["resolution"]
    assert ticket.breach("resolution").sla_breached_at == NOON + 10 * MINUTE
    assert ticket.overdue(NOON + 9 * HOUR) == []
    assert (ticket.version, ticket.sla_check_at) == (3, None)


def test_an_answer_that_is_entered_late_undoes_a_breach() -> None:
    ticket = promised()
    ticket.breach("first_response")
    ticket.log_interaction(contact(ticket, NOON + 5 * MINUTE))
    ticket.respond(NOON + 5 * MINUTE, TERMS)
    assert ticket.sla_breached_at is None
    assert ticket.overdue(NOON + 20 * MINUTE) == []
    late = promised()
    late.respond(NOON + 15 * MINUTE, TERMS)
    assert late.overdue(NOON + 15 * MINUTE) == ["first_response"]


def test_the_time_between_resolution_and_reopening_does_not_count() -> None:
    ticket = promised()
    ticket.respond(NOON + MINUTE, TERMS)
    ticket.resolve(resolution=None, at=NOON + 20 * MINUTE, terms=TERMS)
    assert ticket.sla_check_at is None
    ticket.reopen(at=NOON + 100 * HOUR, terms=TERMS)
    assert ticket.resolution_due_at == NOON + 100 * HOUR + 40 * MINUTE
    assert ticket.overdue(NOON + 100 * HOUR + 40 * MINUTE) == []
    assert ticket.overdue(NOON + 101 * HOUR) == ["resolution"]


def test_a_ticket_that_was_solved_or_merged_waits_for_no_answer() -> None:
    solved, merged = promised(), promised()
    solved.resolve(resolution=None, at=NOON + MINUTE, terms=TERMS)
    other, _ = Ticket.open(
        customer_id=merged.customer_id, kind="problem", channel="web", priority="low", at=NOON, terms=None
    )
    merged.merge(other, at=NOON + MINUTE)
    for ticket in (solved, merged):
        assert ticket.overdue(NOON + 9 * HOUR) == []
        assert ticket.sla_check_at is None


def test_the_clock_ignores_a_backdated_ticket_for_a_while() -> None:
    past = promised()
    now, _ = Ticket.open(
        customer_id=new_id(), kind="problem", channel="web", priority="low", at=datetime.now(UTC), terms=TERMS
    )
    assert now.sla_check_at == now.first_response_due_at
    assert past.sla_check_at is not None
    assert past.sla_check_at > datetime.now(UTC) + 59 * MINUTE


@pytest.fixture
async def policies(service: Service, manager: httpx.AsyncClient) -> AsyncIterator[Any]:
    """Makes policies; they are out of use again at the end, for other tests' tickets."""
    made: list[dict[str, Any]] = []

    async def create(**fields: Any) -> dict[str, Any]:
        made.append(await make(manager, "/v1/sla-policies", **({"name": "A promise"} | fields)))
        return made[-1]

    yield create
    for policy in made:
        path = f"/v1/sla-policies/{policy['id']}"
        assert (await manager.patch(path, json={"active": False})).status_code == 200


async def test_the_most_specific_policy_sets_the_due_times(policies: Any, manager: httpx.AsyncClient) -> None:
    calendar = await make(
        manager,
        "/v1/business-calendars",
        name="Office",
        timezone="Europe/Vilnius",
        hours=[{"weekday": day, "opens": "08:00", "closes": "17:00"} for day in range(1, 6)],
        holidays=["2026-02-16"],
    )
    await policies(first_response_seconds=60)
    await policies(priority="urgent", first_response_seconds=120)
    exact = await policies(
        kind="complaint", first_response_seconds=3600, resolution_seconds=7200, calendar_id=calendar["id"]
    )
    # A Friday, an hour before the end of business; Monday is a holiday.
    complaint = await a_ticket(
        manager, kind="complaint", priority="urgent", occurred_at="2026-02-13T14:30:00Z", channel="web"
    )
    assert complaint["sla_policy_id"] == exact["id"]
    assert complaint["first_response_due_at"] == "2026-02-17T06:30:00Z"
    assert complaint["resolution_due_at"] == "2026-02-17T07:30:00Z"
    path = f"/v1/tickets/{complaint['id']}"
    reply = {"direction": "outbound", "agent_id": (await an_agent(manager))["id"]}
    await manager.post(f"{path}/interactions", json=reply | {"occurred_at": "2026-02-17T06:30:00Z"})
    resolved = (await manager.post(f"{path}/resolve", json={"occurred_at": "2026-02-17T07:00:00Z"})).json()
    assert (resolved["first_response_business_seconds"], resolved["resolution_business_seconds"]) == (3600, 5400)
    assert (resolved["first_response_breached_at"], resolved["resolution_breached_at"]) == (None, None)

    urgent = await a_ticket(manager, priority="urgent", occurred_at="2026-02-13T14:30:00Z")
    assert (urgent["first_response_due_at"], urgent["resolution_due_at"]) == ("2026-02-13T14:32:00Z", None)


async def test_a_late_answer_is_published_as_a_breach_at_once(
    service: Service, policies: Any, manager: httpx.AsyncClient
) -> None:
    await policies(first_response_seconds=600)
    ticket = await a_ticket(manager, occurred_at="2026-02-13T14:00:00Z", channel="email")
    path = f"/v1/tickets/{ticket['id']}"
    reply = {"direction": "outbound", "agent_id": (await an_agent(manager))["id"]}
    await manager.post(f"{path}/interactions", json=reply | {"occurred_at": "2026-02-13T15:00:00Z"})
    events = await service.events_of(f"tickets/{ticket['id']}")
    assert [event.sequence for event in events] == [1, 2, 3, 4]
    assert isinstance(events[-1].data, SlaBreached)
    assert events[-1].time == datetime(2026, 2, 13, 14, 10, tzinfo=UTC)
    assert (await manager.get(path)).json()["first_response_breached_at"] == "2026-02-13T14:10:00Z"


async def test_many_clocks_publish_each_breach_once_even_when_one_is_killed(
    service: Service, policies: Any, manager: httpx.AsyncClient
) -> None:
    await policies(first_response_seconds=1, resolution_seconds=1)
    customer = (await a_customer(manager))["id"]
    tickets = [(await a_ticket(manager, customer_id=customer, channel="web"))["id"] for _ in range(25)]
    waiting = (await a_ticket(manager, customer_id=customer, channel="web"))["id"]
    table: Any = Ticket.table
    past = datetime.now(UTC) - HOUR
    # As if they had been opened an hour ago, but for the last one.
    overdue = {"first_response_due_at": past, "resolution_due_at": past, "sla_check_at": past}
    later = {name: datetime.now(UTC) + HOUR for name in overdue}
    async with service.engine.begin() as connection:
        await connection.execute(sa.update(table).where(table.c.id.in_(tickets)).values(**overdue))
        await connection.execute(sa.update(table).where(table.c.id == waiting).values(**later))
    killed = asyncio.create_task(SlaClock(service.engine).tick())
    await asyncio.sleep(0)
    killed.cancel()
    await asyncio.gather(killed, *(SlaClock(service.engine).tick() for _ in range(4)), return_exceptions=True)
    await SlaClock(service.engine).tick()

    (first,) = tickets[:1]
    breached = (await manager.get(f"/v1/tickets/{first}/audit")).json()["items"][0]
    assert breached["actor"] == {"kind": "process", "name": "sla-clock", "roles": None}
    assert (breached["operation"], breached["request_id"]) == (None, None)
    assert breached["changes"]["first_response_breached_at"][0] is None
    for ticket_id in tickets:
        published = [event.data for event in await service.events_of(f"tickets/{ticket_id}")]
        breaches = [data.change.target for data in published if isinstance(data, SlaBreached)]
        assert sorted(breaches) == ["first_response", "resolution"]
    assert len(await service.events_of(f"tickets/{waiting}")) == 1
    assert await SlaClock(service.engine).tick() == 0


async def test_a_calendar_must_make_sense(manager: httpx.AsyncClient, agent: httpx.AsyncClient) -> None:
    good = {"name": "Always", "timezone": "UTC", "hours": WEEK}
    assert_problem(await agent.post("/v1/business-calendars", json=good), 403, "forbidden")
    spoiled: list[dict[str, Any]] = [
        {"timezone": "Mars/Olympus"},
        {"timezone": "../etc/passwd"},
        {"hours": []},
        {"hours": [{"weekday": 1, "opens": "09:00", "closes": "09:00"}]},
        {"hours": [*WEEK, {"weekday": 3, "opens": "09:00", "closes": "10:00"}]},
        {"hours": [{"weekday": 8, "opens": "09:00", "closes": "10:00"}]},
        {"hours": [{"weekday": 1, "opens": "9:00", "closes": "25:00"}]},
    ]
    for bad in spoiled:
        assert_problem(await manager.post("/v1/business-calendars", json=good | bad), 422)
    calendar = await make(manager, "/v1/business-calendars", **good)
    path = f"/v1/business-calendars/{calendar['id']}"
    changed = (await manager.patch(path, json={"holidays": ["2026-12-25", "2026-01-01"]})).json()
    assert (changed["holidays"], changed["version"]) == (["2026-01-01", "2026-12-25"], 2)
    assert (await manager.patch(path, json={"hours": WEEK})).json() == changed
    assert (await manager.get("/v1/business-calendars")).json()["items"][0] == changed


async def test_a_policy_must_be_reachable(manager: httpx.AsyncClient) -> None:
    minute = [{"weekday": 1, "opens": "09:00", "closes": "09:01"}]
    calendar = await make(manager, "/v1/business-calendars", name="Rare", timezone="UTC", hours=minute)
    never = {"name": "Never", "resolution_seconds": 10**7, "calendar_id": calendar["id"]}
    assert_problem(await manager.post("/v1/sla-policies", json=never), 422, "invalid-request")
    assert_problem(await manager.post("/v1/sla-policies", json={"name": "Nothing"}), 422, "invalid-request")
    unknown = {"name": "A", "resolution_seconds": 60, "calendar_id": str(new_id())}
    assert_problem(await manager.post("/v1/sla-policies", json=unknown), 422, "unknown-reference")
