"""What service suggests, sales takes up, and the agent who suggested it sees what came of it: through all processes."""

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

CONSUMERS = ("sales-consumer", "service-consumer")


class Suggesting(Company):
    """A company whose service suggests sales, and the KPIs of its region."""

    def __init__(self, stack: LocalStack, kpis: Kpis, clients: dict[str, httpx.AsyncClient]) -> None:
        super().__init__(stack, clients)
        self.kpis = kpis
        self.now = datetime.now(UTC)

    async def numbers(self) -> dict[str, Any]:
        """The KPIs that a suggestion, its lead or its deal may move, as numerator and denominator."""
        first, last = (
            (self.now - timedelta(days=3)).date().isoformat(),
            (self.now + timedelta(days=1)).date().isoformat(),
        )
        asked = {
            "upsell_from_service": {},
            "upsell_revenue": {},
            "lead_conversion_rate": {"channel": "service"},
            "revenue": {"channel": "service"},
            "leads_created": {"channel": "service"},
        }
        found = {}
        for name, more in asked.items():
            answer = await self.kpis.ask(name, first, last, region=self.region, **more)
            found[name] = (answer["numerator"], answer["denominator"])
        return found

    async def restart(self, process: str) -> None:
        await asyncio.to_thread(self.stack.restart, process)

    async def read_again(self) -> None:
        """Let both consumers forget where they were and what they saw, and read all from the first record."""
        for process, database in zip(CONSUMERS, ("sales", "service"), strict=True):
            self.stack.kill(process)
            connection = await asyncpg.connect(self.stack.database_url(database).replace("+asyncpg", ""))
            try:
                await connection.execute("DELETE FROM consumer_offset")
                await connection.execute("DELETE FROM seen_sequence WHERE subject ~ '^(upsells|leads)/'")
            finally:
                await connection.close()
            await self.restart(process)


@pytest.fixture
def company(stack: LocalStack, kpis: Kpis, managers: dict[str, httpx.AsyncClient]) -> Suggesting:
    return Suggesting(stack, kpis, managers)


async def test_a_suggestion_of_service_is_sold_by_sales_and_its_agent_sees_it(company: Suggesting) -> None:
    """Neither a killed process nor a second reading makes a second lead, and every number moves once."""
    rep = await company.post("sales", "reps", {"name": "Ana"})
    product = f"pump-{uuid4().hex[:8]}"
    await company.post("sales", "products", {"code": product, "name": "Pump"})
    account = await company.post(
        "sales", "accounts", {"name": "Baltic Bakeries", "owner_id": rep["id"], "region": company.region}
    )
    agent = await company.post("service", "agents", {"name": "Ines"})
    await company.knows(account["id"])
    ticket = await company.post(
        "service",
        "tickets",
        {"customer_id": account["id"], "kind": "problem", "channel": "phone", "agent_id": agent["id"]},
    )
    # Killed while service suggests: what it missed it reads when it is back.
    company.stack.kill("sales-consumer")
    suggestion = await company.post(
        "service",
        "upsell-suggestions",
        {"customer_id": account["id"], "agent_id": agent["id"], "ticket_id": ticket["id"], "product": product},
    )
    await company.restart("sales-consumer")

    async def leads() -> list[Body]:
        found: list[Body] = (await company.get("sales", f"leads?upsell_suggestion_id={suggestion['id']}"))["items"]
        return found

    (lead,) = await eventually(leads, 60)
    assert (lead["account_id"], lead["owner_id"], lead["product"]) == (account["id"], rep["id"], product)
    assert lead["channel"] == "service"
    origin = lead["suggestion"]
    assert (origin["agent_id"], origin["ticket_id"]) == (agent["id"], ticket["id"])

    async def outcome(expected: str) -> Body:
        found = await company.get("service", f"upsell-suggestions/{suggestion['id']}")
        assert found["outcome"] == expected
        return found

    await eventually(lambda: outcome("assigned"), 30)
    await booked(company.stack)
    assert await company.numbers() == {
        "upsell_from_service": (0, 1),
        "upsell_revenue": ("0.00", None),
        "lead_conversion_rate": (0, 1),
        "revenue": ("0.00", None),
        "leads_created": (1, None),
    }
    await company.post("sales", f"leads/{lead['id']}/contact", {})
    await eventually(lambda: outcome("contacted"), 30)
    lines = [{"product": product, "quantity": 1, "unit_price": "250.00"}]
    converted = await company.post(
        "sales", f"leads/{lead['id']}/convert", {"deal": {"currency": "EUR", "lines": lines}}
    )
    await company.post("sales", f"deals/{converted['deal_id']}/close", {"outcome": "won", "reason": "trust"})
    told = await eventually(lambda: outcome("won"), 30)
    assert (told["outcome_reason"], told["lead_id"], told["deal_id"]) == ("trust", lead["id"], converted["deal_id"])
    await booked(company.stack)
    sold = {
        "upsell_from_service": (1, 1),
        "upsell_revenue": ("250.00", None),
        "lead_conversion_rate": (1, 1),
        "revenue": ("250.00", None),
        "leads_created": (1, None),
    }
    assert await company.numbers() == sold

    # What each consumer caused has come back to the other: it ends there.
    paths = (("sales", f"leads/{lead['id']}"), ("service", f"upsell-suggestions/{suggestion['id']}"))

    async def histories() -> list[list[str]]:
        pages = [await company.get(api, f"{path}/events?limit=50") for api, path in paths]
        return [[item["event"]["type"] for item in reversed(page["items"])] for page in pages]

    of_lead, of_suggestion = before = await histories()
    assert of_lead == ["sales.lead-created", "sales.lead-contacted", "sales.lead-converted"]
    # Converted and won may have been read at once.
    assert of_suggestion[0] == "service.upsell-suggested"
    assert set(of_suggestion[1:]) == {"service.upsell-outcome-changed"}
    assert len(of_suggestion) in (4, 5)
    await company.read_again()
    # The next suggestion is behind all that is read again.
    other = await company.post("service", "upsell-suggestions", {"customer_id": account["id"], "agent_id": agent["id"]})

    async def the_next_is_noted() -> bool:
        found = await company.get("service", f"upsell-suggestions/{other['id']}")
        return bool(found["outcome"] == "assigned")

    await eventually(the_next_is_noted, 60)
    assert [each["id"] for each in await leads()] == [lead["id"]]
    assert await histories() == before
    await booked(company.stack)
    assert await company.numbers() == sold | {
        "upsell_from_service": (1, 2),
        "lead_conversion_rate": (1, 2),
        "leads_created": (2, None),
    }
    await settled(company.stack)


async def test_a_customer_at_risk_is_called_by_the_accounts_owner(company: Suggesting) -> None:
    """A ticket is reopened: the customer's salesperson has a call to make, with the reason."""
    rep = await company.post("sales", "reps", {"name": "Bruno"})
    account = await company.post("sales", "accounts", {"name": "Quay Foundry", "owner_id": rep["id"]})

    async def ticket_is_opened() -> Body:
        body = {"customer_id": account["id"], "kind": "problem", "channel": "phone"}
        answer = await company.clients["service"].post("/v1/tickets", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    ticket = await eventually(ticket_is_opened, 30, every=0.2)
    for action in ("resolve", "reopen"):
        await company.post("service", f"tickets/{ticket['id']}/{action}", {})

    async def tasks() -> list[Body]:
        path = f"activities?account_id={account['id']}&purpose=customer-at-risk"
        found: list[Body] = (await company.get("sales", path))["items"]
        return found

    (task,) = await eventually(tasks, 60, every=0.2)
    assert (task["kind"], task["status"], task["owner_id"]) == ("call", "planned", rep["id"])
    assert task["reasons"] == ["reopened"]
    await settled(company.stack)
