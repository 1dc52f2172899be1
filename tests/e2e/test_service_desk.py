"""A service desk as its customers see it: what each story does to every number, over HTTP and through all processes."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tandem_cli.stack import LocalStack
from tests.e2e.conftest import Kpis, booked, settled
from tests.support import eventually

pytestmark = pytest.mark.clock

Body = dict[str, Any]


class Desk:
    """The service API in several roles, a customer of its own, and that customer's KPIs over the last weeks."""

    def __init__(self, stack: LocalStack, kpis: Kpis, client: Callable[..., httpx.AsyncClient]) -> None:
        self.stack, self.kpis, self.client = stack, kpis, client
        self.now = datetime.now(UTC)
        self.customer = ""

    async def post(self, path: str, body: Body, *, role: str = "service-manager", api: str = "service") -> Body:
        """Send a write that must be taken."""
        answer = await self.client(api, role).post(f"/v1/{path.removeprefix('/v1/')}", json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    async def refused(self, path: str, body: Body, *, role: str = "service-manager") -> tuple[int, str]:
        """Send a write that must be refused, and return the status and the problem's name."""
        answer = await self.client("service", role).post(f"/v1/{path}", json=body)
        return answer.status_code, answer.json()["type"].rpartition(":")[2]

    async def get(self, path: str, *, role: str = "service-manager", api: str = "service", **asked: str) -> Body:
        """Read something."""
        answer = await self.client(api, role).get(f"/v1/{path}", params=asked)
        assert answer.is_success, answer.text
        return dict(answer.json())

    def ago(self, **time: float) -> str:
        """A moment before the story began."""
        return (self.now - timedelta(**time)).isoformat()

    async def ticket(self, **more: Any) -> str:
        """Open a ticket of the customer."""
        body = {"customer_id": self.customer, "kind": "problem", "channel": "email"}
        return str((await self.post("tickets", body | more))["id"])

    async def number(self, kpi: str, **asked: str) -> tuple[Any, Any]:
        """A KPI's numerator and denominator, of the customer and of all days of the story."""
        answer = await self._ask(kpi, **asked)
        return answer["numerator"], answer["denominator"]

    async def groups(self, kpi: str, group_by: str, **asked: str) -> dict[str | None, tuple[Any, Any]]:
        """The same by the values of a dimension; what counts for nothing is left out."""
        answer = await self._ask(kpi, group_by=group_by, **asked)
        found = {group["key"]: (group["numerator"], group["denominator"]) for group in answer["groups"]}
        return {key: amounts for key, amounts in found.items() if any(amounts)}

    async def explained(self, kpi: str, **asked: str) -> list[Body]:
        """The postings behind the same value."""
        first, last = self._days
        page = await self.get(
            f"kpis/{kpi}/explain",
            role="analyst",
            api="metrics",
            **{"from": first, "to": last, "customer": self.customer, "limit": "200", **asked},
        )
        return list(page["items"])

    @property
    def _days(self) -> tuple[str, str]:
        # A day longer than the story, which may last beyond midnight.
        return (self.now - timedelta(days=60)).date().isoformat(), (self.now + timedelta(days=1)).date().isoformat()

    async def _ask(self, kpi: str, **asked: str) -> Body:
        return await self.kpis.ask(kpi, *self._days, **({"customer": self.customer} | asked))


@pytest.fixture
async def desk(stack: LocalStack, kpis: Kpis) -> AsyncIterator[Desk]:
    """A desk with a customer whom no other agent serves."""
    clients: dict[tuple[str, str], httpx.AsyncClient] = {}
    async with AsyncExitStack() as opened:

        def client(api: str, role: str) -> httpx.AsyncClient:
            if (api, role) not in clients:
                headers = {"Authorization": f"Bearer {stack.token(role)}"} if role else {}
                clients[api, role] = httpx.AsyncClient(base_url=stack.urls[api], headers=headers, timeout=30)
                opened.push_async_callback(clients[api, role].aclose)
            return clients[api, role]

        found = Desk(stack, kpis, client)
        found.customer = (await found.post("customers", {"name": "Harbour Clinic"}))["id"]
        yield found


async def test_only_the_customer_answers_for_the_customer(desk: Desk) -> None:
    """Two customers of a clinic are asked. One answers by the link; the other's paper card is entered."""
    answered, on_paper = [await desk.ticket(occurred_at=desk.ago(days=20)) for _ in range(2)]
    for ticket in (answered, on_paper):
        await desk.post(f"tickets/{ticket}/resolve", {"occurred_at": desk.ago(days=10)})
    by_link, by_card = [
        await desk.post(
            "surveys", {"ticket_id": ticket, "kind": "csat", "occurred_at": desk.ago(days=9)}, role="importer"
        )
        for ticket in (answered, on_paper)
    ]
    # The process that writes to customers has the link; no one who is rated, or who may enter answers, ever sees it.
    for role in ("service-agent", "service-manager", "analyst"):
        assert (await desk.get(f"surveys/{by_link['id']}", role=role))["answer_path"] is None
    assert (await desk.get(f"surveys/{by_link['id']}", role="importer"))["answer_path"] == by_link["answer_path"]

    await desk.post(by_link["answer_path"], {"score": 1, "recommendation": 2, "effort": 2}, role="")
    card = {"score": 5, "recommendation": 9, "effort": 6, "reason": "paper-form", "occurred_at": desk.ago(days=8)}
    entered = await desk.post(f"surveys/{by_card['id']}/answer", card)
    assert (entered["answer_source"], entered["entry_reason"]) == ("entered", "paper-form")
    assert entered["entered_by"] is not None
    assert datetime.fromisoformat(entered["answered_at"]) == desk.now - timedelta(days=8)

    # Why and when are part of it, agents enter nothing, and what the customer has answered is not overwritten.
    assert (await desk.refused(f"surveys/{by_card['id']}/answer", {"score": 5}))[0] == 422
    assert (await desk.refused(f"surveys/{by_card['id']}/answer", card, role="service-agent"))[0] == 403
    assert await desk.refused(f"surveys/{by_link['id']}/answer", card) == (409, "customer-already-answered")
    assert await desk.refused(f"surveys/{by_link['id']}/answer", card, role="importer") == (
        409,
        "customer-already-answered",
    )

    await booked(desk.stack)
    assert await desk.number("csat") == (1, 2)
    assert await desk.groups("csat", "answer_source") == {"customer": (0, 1), "entered": (1, 1)}
    assert await desk.number("csat", answer_source="customer", variant="mean") == (1, 1)
    assert await desk.groups("nps", "answer_source") == {"customer": (-1, 1), "entered": (1, 1)}
    assert await desk.number("ces", answer_source="entered") == (6, 1)
    assert await desk.number("survey_response_rate") == (2, 2)
    assert await desk.number("survey_response_rate", variant="by_customer") == (1, 2)
    behind = await desk.explained("csat")
    assert {posting["subject"]: posting["dimensions"]["answer_source"] for posting in behind} == {
        f"surveys/{by_link['id']}": "customer",
        f"surveys/{by_card['id']}": "entered",
    }

    # The customer finds the link after all: what they say themself takes the place of the card.
    await desk.post(by_card["answer_path"], {"score": 3}, role="")
    found = await desk.get(f"surveys/{by_card['id']}")
    assert [found[name] for name in ("answer_source", "entry_reason", "entered_by", "recommendation")] == [
        "customer", None, None, None,
    ]  # fmt: skip
    await booked(desk.stack)
    assert await desk.groups("csat", "answer_source") == {"customer": (0, 2)}
    assert await desk.number("nps") == (-1, 1)
    assert await desk.number("survey_response_rate", variant="by_customer") == (2, 2)
    await settled(desk.stack)


async def test_a_message_to_a_ticket_that_is_done_with_does_not_disappear(desk: Desk) -> None:
    """The clinic writes again: after a day the ticket is open again, after a month there is a follow-up to it."""
    recent, old = [await desk.ticket(occurred_at=desk.ago(days=50)) for _ in range(2)]
    await desk.post(f"tickets/{recent}/resolve", {"occurred_at": desk.ago(days=2)})
    await desk.post(f"tickets/{recent}/close", {"occurred_at": desk.ago(hours=30)})
    await desk.post(f"tickets/{old}/resolve", {"occurred_at": desk.ago(days=40)})
    await booked(desk.stack)
    assert await desk.number("tickets_resolved") == (2, None)
    assert await desk.number("backlog") == (0, None)

    # What is no message of the customer, or was before the resolution, changes nothing.
    for contact in (
        {"direction": "outbound"},
        {"direction": "inbound", "visibility": "internal"},
        {"direction": "inbound", "occurred_at": desk.ago(days=3)},
    ):
        logged = await desk.post(f"tickets/{recent}/interactions", contact)
        assert logged["ticket_id"] == recent
    assert (await desk.get(f"tickets/{recent}"))["status"] == "closed"

    again = await desk.post(
        f"tickets/{recent}/interactions",
        {"direction": "inbound"},
        role="service-agent",
    )
    reopened = await desk.get(f"tickets/{recent}")
    assert (again["ticket_id"], reopened["status"], reopened["reopen_count"]) == (recent, "open", 1)

    late = await desk.post(f"tickets/{old}/interactions", {"direction": "inbound", "channel": "phone"})
    follow_up = await desk.get(f"tickets/{late['ticket_id']}")
    assert (follow_up["follow_up_to"], follow_up["status"], follow_up["inbound_count"]) == (old, "open", 1)
    assert [follow_up[name] for name in ("customer_id", "kind", "channel")] == [desk.customer, "problem", "phone"]
    assert (await desk.get(f"tickets/{old}"))["status"] == "resolved"
    # The next message goes to the same follow-up.
    assert (await desk.post(f"tickets/{old}/interactions", {"direction": "inbound"}))["ticket_id"] == follow_up["id"]
    listed = await desk.get("tickets", customer_id=desk.customer, status="open")
    assert {item["id"] for item in listed["items"]} == {recent, follow_up["id"]}

    await booked(desk.stack)
    assert await desk.number("tickets_opened") == (3, None)
    assert await desk.number("tickets_resolved") == (1, None)
    assert await desk.number("backlog") == (2, None)
    assert await desk.number("reopen_rate") == (1, 3)
    assert await desk.number("unattended_now") == (2, None)
    await settled(desk.stack)


async def test_the_policy_sets_for_how_long_a_message_reopens(desk: Desk) -> None:
    policy = {"name": "No second chance", "kind": "complaint", "priority": "urgent", "resolution_seconds": 3_600}
    policy = await desk.post("sla-policies", policy | {"reopen_within_seconds": 60})
    ticket = await desk.ticket(kind="complaint", priority="urgent", occurred_at=desk.ago(hours=3))
    await desk.client("service", "service-manager").patch(f"/v1/sla-policies/{policy['id']}", json={"active": False})
    await desk.post(f"tickets/{ticket}/resolve", {"occurred_at": desk.ago(hours=2)})
    late = await desk.post(f"tickets/{ticket}/interactions", {"direction": "inbound"})
    assert (await desk.get(f"tickets/{late['ticket_id']}"))["follow_up_to"] == ticket


async def test_work_stays_credited_to_who_did_it(desk: Desk) -> None:
    """Ann takes the call, Bea solves it, and Cid gets the ticket when both are on holiday."""
    team = (await desk.post("teams", {"name": "Night desk"}))["id"]
    ann, bea, cid = [
        (await desk.post("agents", {"name": name, "team_id": team}))["id"] for name in ("Ann", "Bea", "Cid")
    ]
    ticket = await desk.ticket(agent_id=ann, occurred_at=desk.ago(days=5))
    reply = {"direction": "outbound", "agent_id": ann, "occurred_at": desk.ago(days=5, minutes=-30)}
    await desk.post(f"tickets/{ticket}/interactions", reply)
    await desk.post(f"tickets/{ticket}/resolve", {"agent_id": bea, "occurred_at": desk.ago(days=4)})
    resolved = await desk.get(f"tickets/{ticket}")
    assert resolved["first_responded_by"] == {"person_id": ann, "team_id": team}
    assert resolved["resolved_by"] == resolved["first_resolved_by"] == {"person_id": bea, "team_id": team}
    await desk.post(f"tickets/{ticket}/assign", {"agent_id": cid, "occurred_at": desk.ago(days=3)})
    survey = await desk.post("surveys", {"ticket_id": ticket, "kind": "csat"}, role="importer")
    assert survey["agent_id"] == bea
    await desk.post(survey["answer_path"], {"score": 5}, role="")
    # A policy may name another for its surveys.
    policy = {"name": "First line", "kind": "training_request", "priority": "low", "resolution_seconds": 3_600}
    policy = await desk.post("sla-policies", policy | {"survey_credit": "first_responder"})
    other = await desk.ticket(kind="training_request", priority="low", agent_id=cid, occurred_at=desk.ago(days=5))
    await desk.client("service", "service-manager").patch(f"/v1/sla-policies/{policy['id']}", json={"active": False})
    await desk.post(f"tickets/{other}/interactions", reply)
    await desk.post(f"tickets/{other}/resolve", {"agent_id": bea, "occurred_at": desk.ago(days=4)})
    asked = await desk.post("surveys", {"ticket_id": other, "kind": "csat"}, role="importer")
    assert asked["agent_id"] == ann

    await booked(desk.stack)
    assert await desk.groups("first_response_minutes", "owner") == {ann: (3_600, 2)}
    assert await desk.groups("tickets_resolved", "owner") == {bea: (2, None)}
    assert await desk.groups("csat", "owner") == {bea: (1, 1)}
    assert await desk.groups("tickets_opened", "owner") == {cid: (2, None)}
    # Reopened, the resolution is taken from who solved it; solved by another, it is theirs.
    await desk.post(f"tickets/{ticket}/reopen", {"occurred_at": desk.ago(days=2)})
    await desk.post(f"tickets/{ticket}/resolve", {"occurred_at": desk.ago(days=1)})
    await booked(desk.stack)
    assert await desk.groups("tickets_resolved", "owner") == {bea: (1, None), cid: (1, None)}
    assert await desk.groups("csat", "owner") == {bea: (1, 1)}
    await settled(desk.stack)


async def test_a_lead_stays_credited_to_who_contacted_it(desk: Desk) -> None:
    dora, emil = [
        (await desk.post("reps", {"name": name}, role="sales-manager", api="sales"))["id"] for name in ("Dora", "Emil")
    ]

    async def sell(path: str, **body: Any) -> Body:
        return await desk.post(path, body, role="sales-manager", api="sales")

    region = f"r-{uuid4().hex[:8]}"
    lead = await sell("leads", region=region, owner_id=dora, occurred_at=desk.ago(days=5))
    path = f"leads/{lead['id']}"
    await sell(f"{path}/contact", occurred_at=desk.ago(days=5, hours=-1))
    await sell(f"{path}/assign", owner_id=emil, occurred_at=desk.ago(days=4))
    await sell(f"{path}/qualify", occurred_at=desk.ago(days=3))
    found = await desk.get(path, role="sales-manager", api="sales")
    assert (found["contacted_by"]["person_id"], found["qualified_by"]["person_id"]) == (dora, emil)
    await booked(desk.stack)
    asked = {"region": region, "customer": ""}
    assert await desk.groups("lead_response_minutes", "owner", **asked) == {dora: (3_600, 1)}
    assert await desk.groups("qualification_rate", "owner", variant="period", **asked) == {emil: (1, 1)}
    assert await desk.groups("leads_created", "owner", **asked) == {emil: (1, None)}


async def test_contacts_of_merged_tickets_count_together(desk: Desk) -> None:
    """Two customers' questions: one came once, the other twice and got two tickets, which are merged."""
    once, first, second = [await desk.ticket(channel="phone", occurred_at=desk.ago(days=3)) for _ in range(3)]
    for ticket in (once, first, second):
        called = {"direction": "inbound", "occurred_at": desk.ago(days=3)}
        await desk.post(f"tickets/{ticket}/interactions", called)
    for ticket in (once, first):
        await desk.post(f"tickets/{ticket}/resolve", {"occurred_at": desk.ago(days=2)})
    await booked(desk.stack)
    assert await desk.number("first_contact_resolution") == (2, 2)
    await desk.post(f"tickets/{second}/merge", {"into": first, "occurred_at": desk.ago(days=1)})
    assert (await desk.get(f"tickets/{first}"))["merged_contact_count"] == 1
    await booked(desk.stack)
    assert await desk.number("first_contact_resolution") == (1, 2)
    assert await desk.number("tickets_opened") == (2, None)
    assert await desk.number("unattended_now") == (0, None)
    await settled(desk.stack)


async def test_every_wait_is_measured_on_its_own(desk: Desk) -> None:
    """Answered at once, reopened after four days, and answered after ten minutes: that is what the customer waited."""
    agent = (await desk.post("agents", {"name": "Rita"}))["id"]
    ticket = await desk.ticket(agent_id=agent, occurred_at=desk.ago(days=10))
    path = f"tickets/{ticket}/interactions"
    reply = {"direction": "outbound", "agent_id": agent}
    await desk.post(path, reply | {"occurred_at": desk.ago(days=10, minutes=-5)})
    await desk.post(f"tickets/{ticket}/resolve", {"occurred_at": desk.ago(days=9)})
    await desk.post(f"tickets/{ticket}/reopen", {"occurred_at": desk.ago(days=5)})
    await booked(desk.stack)
    assert await desk.number("unattended_now") == (1, None)
    alerts = await desk.get("alerts", role="analyst", api="metrics", kind="unattended")
    (alert,) = [each for each in alerts["items"] if each["subject"] == f"customers/{desk.customer}"]
    assert datetime.fromisoformat(alert["since"]) == desk.now - timedelta(days=5)
    await desk.post(path, reply | {"occurred_at": desk.ago(days=5, minutes=-10)})
    # Two messages in a row are one wait, and what is entered late counts where it belongs.
    for hours in (2, 1):
        await desk.post(path, {"direction": "inbound", "occurred_at": desk.ago(hours=hours)})
    await desk.post(path, reply | {"occurred_at": desk.ago(minutes=90)})
    found = await desk.get(f"tickets/{ticket}")
    assert datetime.fromisoformat(found["waiting_since"]) == desk.now - timedelta(hours=1)
    assert [wait["ended_by"] for wait in found["waits"]] == ["reply", "reply", "reply", None]

    await booked(desk.stack)
    assert await desk.number("first_response_minutes") == (300, 1)
    assert await desk.number("reply_minutes") == (300 + 600 + 1_800, 3)
    assert await desk.groups("reply_minutes", "owner") == {agent: (2_700, 3)}
    assert await desk.number("unattended_now") == (1, None)
    await desk.post(f"tickets/{ticket}/resolve", {})
    await booked(desk.stack)
    assert (await desk.number("reply_minutes"))[1] == 4
    assert await desk.number("unattended_now") == (0, None)
    await settled(desk.stack)


async def test_customers_who_wait_are_in_one_list_until_we_answer(desk: Desk) -> None:
    """A customer writes, and so does a person who is no customer yet: both are in the list until they are answered."""
    channel = f"fair_{uuid4().hex[:8]}"
    value = {"list": "channels", "key": channel, "label": "A fair"}
    await desk.post("list-values", value, api="sales", role="sales-manager")
    lead = await desk.post(
        "leads", {"company": "Northern Mills", "channel": channel, "occurred_at": desk.ago(minutes=50)}, api="sales",
        role="sales-manager",
    )  # fmt: skip
    agent = (await desk.post("agents", {"name": "Ines"}))["id"]
    ticket = await desk.ticket(agent_id=agent, occurred_at=desk.ago(minutes=84))
    await booked(desk.stack)

    async def waits(**asked: str) -> list[Body]:
        page = await desk.get("waiting", api="metrics", **asked)
        return list(page["items"])

    async def named() -> Body:
        # Names come by the directories, which have a consumer of their own.
        (found,) = await waits(customer=desk.customer)
        assert found["names"] == {"customer": "Harbour Clinic", "owner": "Ines"}
        return found

    wait = await eventually(named, 60)
    assert (wait["reason"], wait["state"], wait["record"]) == ("message", "over", f"tickets/{ticket}")
    assert 84 <= wait["elapsed_minutes"] == wait["business_minutes"] == 60 - wait["minutes_left"]
    assert (await desk.get(wait["link"].partition("/v1/")[2]))["waiting_since"] == wait["since"]
    (wait,) = await waits(function="sales", channel=channel)
    assert (wait["reason"], wait["state"], wait["record"]) == ("lead", "warning", f"leads/{lead['id']}")
    summary = await desk.get("waiting/summary", api="metrics", customer=desk.customer)
    assert (summary["waiting"], summary["over"], summary["by_function"]) == (1, 1, {"sales": 0, "service": 1})

    await desk.post(f"tickets/{ticket}/interactions", {"direction": "outbound", "agent_id": agent})
    await desk.post(f"leads/{lead['id']}/disqualify", {"reason": "no_budget"}, api="sales", role="sales-manager")
    await booked(desk.stack)
    assert await waits(customer=desk.customer) == await waits(channel=channel) == []
    # They write again: that is another wait.
    await desk.post(f"tickets/{ticket}/interactions", {"direction": "inbound"})
    await booked(desk.stack)
    assert [each["state"] for each in await waits(customer=desk.customer)] == ["fine"]
    await settled(desk.stack)
