"""Customers who wait for something else than an answer, over the APIs, their events and the ledger."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from tandem_cli.stack import LocalStack
from tests.e2e.company import Body, Company
from tests.e2e.conftest import Kpis, booked, settled
from tests.support import eventually

pytestmark = pytest.mark.clock

PATIENT_SECONDS = 90


class Waiting(Company):
    """A company whose customers wait, and the KPIs of its region."""

    def __init__(self, stack: LocalStack, clients: dict[str, httpx.AsyncClient], kpis: Kpis) -> None:
        super().__init__(stack, clients)
        self.kpis = kpis

    async def waiting(self) -> list[Body]:
        """Who waits in the region, by a ledger that has everything so far."""
        await booked(self.stack)
        return list((await self.get("metrics", f"waiting?region={self.region}"))["items"])

    async def numbers(self, *asked: tuple[str, str]) -> dict[tuple[str, str], tuple[Any, Any]]:
        """Numerator and denominator of each KPI and variant, over a fortnight around now."""
        now = datetime.now(UTC)
        around = ((now - timedelta(days=10)).date().isoformat(), (now + timedelta(days=1)).date().isoformat())
        found = {}
        for kpi, variant in asked:
            answer = await self.kpis.ask(kpi, *around, variant=variant, region=self.region)
            found[kpi, variant] = (answer["numerator"], answer["denominator"])
        return found

    async def published(self, wait_id: str) -> list[str]:
        """The types of the events of a wait, as they left."""
        connection = await asyncpg.connect(self.stack.database_url("metrics").replace("+asyncpg", ""))
        try:
            rows = await connection.fetch(
                "SELECT convert_from(payload, 'UTF8')::jsonb ->> 'type' AS type FROM authoritative.published_event"
                " WHERE subject = $1 ORDER BY epoch, sequence",
                f"waits/{wait_id}",
            )
        finally:
            await connection.close()
        return [row["type"] for row in rows]


@pytest.fixture
def company(stack: LocalStack, kpis: Kpis, managers: dict[str, httpx.AsyncClient]) -> Waiting:
    return Waiting(stack, managers, kpis)


async def test_a_bad_rating_is_escalated_once_over_a_restart_until_we_call(company: Waiting) -> None:
    asked = (
        ("waiting_now", "all"),
        ("waiting_now", "ratings"),
        ("answered_within_hour", "all"),
        ("answered_within_hour", "ratings"),
        ("unattended_now", "standard"),
        ("csat", "top_two"),
    )
    now = datetime.now(UTC)
    customer = await company.post("service", "customers", name="Baltic Bakeries", region=company.region)
    opened = {"customer_id": customer["id"], "channel": "phone", "kind": "problem", "priority": "high"}
    ticket = await company.post("service", "tickets", **opened, occurred_at=(now - timedelta(hours=5)).isoformat())
    agent = await company.post("service", "agents", name="Rita")
    said = {"channel": "phone", "direction": "outbound", "visibility": "public", "agent_id": agent["id"]}
    spoken_at = (now - timedelta(hours=4, minutes=30)).isoformat()
    await company.post("service", f"tickets/{ticket['id']}/interactions", **said, occurred_at=spoken_at)
    resolved_at = (now - timedelta(hours=4)).isoformat()
    await company.post("service", f"tickets/{ticket['id']}/resolve", resolution="ok", occurred_at=resolved_at)
    sent_at = (now - timedelta(hours=3)).isoformat()
    survey = await company.post("service", "surveys", ticket_id=ticket["id"], kind="csat", occurred_at=sent_at)
    assert await company.waiting() == []
    before = await company.numbers(*asked)
    answered = {"score": 1, "reason": "telephone", "occurred_at": (now - timedelta(hours=2)).isoformat()}
    await company.post("service", f"surveys/{survey['id']}/answer", **answered)
    (wait,) = await company.waiting()
    assert (wait["reason"], wait["record"], wait["state"]) == ("rating", f"surveys/{survey['id']}", "over")
    moved = before | {
        ("waiting_now", "all"): (before["waiting_now", "all"][0] + 1, None),
        ("waiting_now", "ratings"): (1, None),
        ("answered_within_hour", "all"): (1, 2),
        ("answered_within_hour", "ratings"): (0, 1),
        ("csat", "top_two"): (0, 1),
    }
    assert await company.numbers(*asked) == moved

    async def alerted() -> bool:
        return "metrics.wait-over-limit" in await company.published(wait["id"])

    await eventually(alerted, PATIENT_SECONDS)
    company.stack.kill("metrics-jobs")
    await asyncio.to_thread(company.stack.restart, "metrics-jobs")
    await company.post("service", f"surveys/{survey['id']}/follow-up", channel="phone", agent_id=agent["id"])
    assert await company.waiting() == []

    async def ended() -> bool:
        return "metrics.wait-ended" in await company.published(wait["id"])

    await eventually(ended, PATIENT_SECONDS)
    assert await company.published(wait["id"]) == ["metrics.wait-over-limit", "metrics.wait-ended"]
    assert await company.numbers(*asked) == moved | {
        ("waiting_now", "all"): before["waiting_now", "all"],
        ("waiting_now", "ratings"): (0, None),
    }
    await settled(company.stack)


async def test_a_call_back_that_was_agreed_waits_from_its_time_until_it_is_moved_or_done(company: Waiting) -> None:
    asked = (
        ("answered_within_hour", "call_backs"),
        ("answered_within_hour", "all"),
        ("waiting_now", "all"),
        ("follow_ups_on_time", "standard"),
    )
    now = datetime.now(UTC)
    account = await company.post("sales", "accounts", name="Baltic Bakeries", region=company.region)
    before = await company.numbers(*asked)
    call = {"kind": "call", "account_id": account["id"], "status": "planned", "agreed_with_customer": True}
    yesterday = (now - timedelta(days=1, hours=2)).isoformat()
    agreed = await company.post("sales", "activities", **call, due_at=yesterday)
    later = await company.post("sales", "activities", **call, due_at=(now + timedelta(hours=30)).isoformat())
    (wait,) = await company.waiting()
    assert (wait["reason"], wait["state"], wait["record"]) == ("call_back", "over", f"activities/{agreed['id']}")
    assert (wait["customer_id"], wait["function"]) == (account["id"], "sales")
    open_yesterday = before | {
        ("answered_within_hour", "call_backs"): (0, 1),
        ("follow_ups_on_time", "standard"): (0, 1),
    }
    assert await company.numbers(*asked) == open_yesterday
    await company.post("sales", f"activities/{agreed['id']}/done")
    assert await company.waiting() == []
    # Done a day late, it stays not kept.
    assert await company.numbers(*asked) == open_yesterday
    kept_at = (now - timedelta(minutes=30)).isoformat()
    await company.post("sales", f"activities/{later['id']}/move", due_at=kept_at)
    (wait,) = await company.waiting()
    assert wait["record"] == f"activities/{later['id']}"
    await company.post("sales", f"activities/{later['id']}/done")
    assert await company.waiting() == []
    assert await company.numbers(*asked) == before | {
        ("answered_within_hour", "call_backs"): (1, 2),
        ("follow_ups_on_time", "standard"): (0, 2),
    }
    await settled(company.stack)


async def test_a_promise_that_is_broken_waits_until_it_is_delivered(company: Waiting) -> None:
    asked = (
        ("answered_within_hour", "promises"),
        ("answered_within_hour", "all"),
        ("waiting_now", "all"),
        ("waiting_now", "promises"),
        ("promises_kept", "due"),
        ("promises_kept", "time"),
        ("onboarding_steps_on_time", "standard"),
        ("customers_at_risk", "promise_broken"),
        ("unattended_now", "standard"),
    )
    now = datetime.now(UTC)
    account = await company.post("sales", "accounts", name="Baltic Bakeries", region=company.region)

    async def known() -> bool:
        answer = await company.clients["service"].get(f"/v1/customers/{account['id']}")
        return answer.status_code == 200 and answer.json()["registered_at"] is not None

    await eventually(known, PATIENT_SECONDS)
    product = f"pump-{uuid4().hex[:8]}"
    await company.post("sales", "products", code=product, name="Pump")
    steps = [{"step": "set-up", "days": 3}, {"step": "training", "days": 10}]
    template = await company.post("service", "onboarding-templates", name=product, product=product, steps=steps)
    # Promised for the day before yesterday, in whatever zone: that day is over.
    promised_for = (now - timedelta(days=2)).date()
    promise = {"deliver_by": promised_for.isoformat(), "quality": "gold"}
    lines = [{"product": product, "quantity": 1, "unit_price": "100.00"}]
    deal = await company.post("sales", "deals", account_id=account["id"], currency="EUR", lines=lines)
    before = await company.numbers(*asked)
    await company.post("sales", f"deals/{deal['id']}/close", outcome="won", promise=promise)

    async def steps_in(status: str) -> dict[str, Body]:
        found = await company.get("service", f"onboarding-steps?deal_id={deal['id']}&status={status}")
        return {each["step"]: each for each in found["items"]}

    async def all_planned() -> bool:
        return len(await steps_in("planned")) == 3

    await eventually(all_planned, PATIENT_SECONDS)
    planned = await steps_in("planned")
    assert [planned[step]["promised"] for step in ("delivery", "set-up", "training")] == [True, False, False]
    assert planned["training"]["due_on"] == (promised_for + timedelta(days=10)).isoformat()
    (wait,) = await company.waiting()
    assert (wait["reason"], wait["state"]) == ("promise", "over")
    assert wait["record"] == f"onboardingsteps/{planned['delivery']['id']}"
    assert wait["customer_id"] == account["id"]
    broken = before | {
        ("answered_within_hour", "promises"): (0, 1),
        ("answered_within_hour", "all"): (0, 1),
        ("waiting_now", "all"): (1, None),
        ("waiting_now", "promises"): (1, None),
        ("promises_kept", "due"): (0, 1),
        ("onboarding_steps_on_time", "standard"): (0, 1),
        ("customers_at_risk", "promise_broken"): (1, None),
    }
    assert await company.numbers(*asked) == broken

    async def alerted() -> bool:
        return "metrics.wait-over-limit" in await company.published(wait["id"])

    await eventually(alerted, PATIENT_SECONDS)

    # Sales takes the deal back: no one waits, and nothing of it counts.
    await company.post("sales", f"deals/{deal['id']}/reopen")

    async def taken_back() -> bool:
        return len(await steps_in("cancelled")) == 3

    await eventually(taken_back, PATIENT_SECONDS)
    assert await company.waiting() == []
    assert await company.numbers(*asked) == before

    # Won again with the same promise, it is waited for again, and delivered in the end.
    await company.post("sales", f"deals/{deal['id']}/close", outcome="won", promise=promise)
    await eventually(all_planned, PATIENT_SECONDS)
    (again,) = await company.waiting()
    assert (again["reason"], again["since"]) == ("promise", wait["since"])
    price = {"amount": "100.00", "currency": "EUR"}
    await company.post("service", "deliveries", deal_id=deal["id"], price=price, quality_as_agreed=True)
    assert [*await steps_in("done")] == ["delivery"]
    assert await company.waiting() == []
    assert await company.numbers(*asked) == before | {
        ("answered_within_hour", "promises"): (0, 1),
        ("answered_within_hour", "all"): (0, 1),
        ("promises_kept", "due"): (0, 1),
        ("promises_kept", "time"): (0, 1),
        ("onboarding_steps_on_time", "standard"): (0, 1),
    }
    left = await steps_in("planned")
    await company.post("service", f"onboarding-steps/{left['set-up']['id']}/done")
    await booked(company.stack)
    # Due tomorrow, and done today.
    due = (promised_for + timedelta(days=3)).isoformat()
    on_time = await company.kpis.ask("onboarding_steps_on_time", due, due, region=company.region)
    assert (on_time["numerator"], on_time["denominator"]) == (1, 1)

    async def ended() -> bool:
        return "metrics.wait-ended" in await company.published(wait["id"])

    await eventually(ended, PATIENT_SECONDS)
    # Others of the shared system must not have its steps.
    answer = await company.clients["service"].patch(
        f"/v1/onboarding-templates/{template['id']}", json={"active": False}
    )
    assert answer.is_success, answer.text
    await settled(company.stack)
