"""One customer whom the company has twice: joined and parted again, over HTTP and through all processes."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tandem_cli.stack import LocalStack
from tests.e2e.company import Company
from tests.e2e.conftest import Kpis, booked, settled
from tests.support import eventually

pytestmark = pytest.mark.clock

Number = tuple[Any, Any]


class Twins(Company):
    """A company that has one customer twice, and the KPIs of its region."""

    def __init__(self, stack: LocalStack, kpis: Kpis, clients: dict[str, httpx.AsyncClient]) -> None:
        super().__init__(stack, clients)
        self.kpis = kpis
        self.now = datetime.now(UTC)

    def ago(self, **time: float) -> str:
        """A moment before the story began."""
        return (self.now - timedelta(**time)).isoformat()

    async def account(self, name: str, **time: float) -> str:
        """Register an account in sales."""
        body = {"name": name, "region": self.region, "occurred_at": self.ago(**time)}
        return str((await self.post("sales", "accounts", body))["id"])

    async def won(self, account: str, amount: str, **time: float) -> str:
        """Win a deal of an account."""
        product = f"pump-{uuid4().hex[:8]}"
        await self.post("sales", "products", {"code": product, "name": "Pump"})
        line = {"product": product, "quantity": 1, "unit_price": amount}
        body = {"account_id": account, "currency": "EUR", "lines": [line], "occurred_at": self.ago(**time)}
        deal = await self.post("sales", "deals", body)
        closed = {"outcome": "won", "occurred_at": self.ago(**time)}
        return str((await self.post("sales", f"deals/{deal['id']}/close", closed))["id"])

    async def number(self, kpi: str, **asked: str) -> Number:
        """A KPI's numerator and denominator, of the region and of all days of the story."""
        # A day longer than the story, which may last beyond midnight.
        first, last = (self.now - timedelta(days=60)).date(), (self.now + timedelta(days=1)).date()
        answer = await self.kpis.ask(kpi, first.isoformat(), last.isoformat(), region=self.region, **asked)
        return answer["numerator"], answer["denominator"]

    async def timelines(self, customer: str) -> tuple[set[str], set[str]]:
        """The ids of the events on a customer's timeline, as sales and as service answer it."""
        found = []
        for api, noun in (("sales", "accounts"), ("service", "customers")):
            page = await self.get(api, f"{noun}/{customer}/timeline?limit=200")
            found.append({each["id"] for each in page["items"]})
        return found[0], found[1]


@pytest.fixture
def company(stack: LocalStack, kpis: Kpis, managers: dict[str, httpx.AsyncClient]) -> Twins:
    return Twins(stack, kpis, managers)


async def test_a_wrong_merge_of_two_accounts_is_taken_back(company: Twins) -> None:
    """Two companies of one name: taken for one, their second purchase looked like a repeated one."""
    one, other = await company.account("Harbour", days=40), await company.account("Harbour Ltd", days=40)
    await company.won(one, "100.00", days=30)
    of_other = await company.won(other, "30.00", days=20)
    for customer in (one, other):
        await company.knows(customer)
    opening = {"kind": "problem", "channel": "phone", "customer_id": other, "occurred_at": company.ago(days=10)}
    ticket = await company.post("service", "tickets", opening)

    async def numbers() -> dict[str, Number]:
        await booked(company.stack)
        of_all = {name: await company.number(name) for name in ("new_revenue", "repeat_revenue", "new_customers")}
        by_customer = {
            f"{name} of {customer}": await company.number(name, customer=customer)
            for name in ("revenue", "tickets_opened")
            for customer in (one, other)
        }
        return of_all | by_customer

    apart = await numbers()
    assert apart == {
        "new_revenue": ("130.00", None),
        "repeat_revenue": ("0.00", None),
        "new_customers": (2, None),
        f"revenue of {one}": ("100.00", None),
        f"revenue of {other}": ("30.00", None),
        f"tickets_opened of {one}": (0, None),
        f"tickets_opened of {other}": (1, None),
    }
    timelines = [await company.timelines(each) for each in (one, other)]

    await company.post("sales", f"accounts/{other}/merge", {"into": one})
    await company.knows(other, merged_into=one)
    refused = await company.clients["service"].post("/v1/tickets", json=opening)
    assert refused.status_code == 409, refused.text
    merged = await numbers()
    assert (merged["new_revenue"], merged["repeat_revenue"]) == (("100.00", None), ("30.00", None))
    assert (merged[f"revenue of {one}"], merged[f"tickets_opened of {one}"]) == (("130.00", None), (1, None))
    # While they are one, what is new is entered for the one that remains, and stays there.
    meanwhile = await company.won(one, "5.00", days=1)

    back = await company.post("sales", f"accounts/{other}/unmerge", {})
    assert back["merged_into"] is None
    await company.knows(other)
    expected = apart | {
        "repeat_revenue": ("5.00", None),
        f"revenue of {one}": ("105.00", None),
    }
    assert await numbers() == expected
    assert (await company.get("sales", f"deals/{of_other}"))["account_id"] == other
    assert (await company.get("sales", f"deals/{meanwhile}"))["account_id"] == one
    assert (await company.get("service", f"tickets/{ticket['id']}"))["customer_id"] == other
    assert (await company.post("service", "tickets", opening))["customer_id"] == other

    async def timelines_are_apart() -> bool:
        for customer, before in zip((one, other), timelines, strict=True):
            for then, now in zip(before, await company.timelines(customer), strict=True):
                assert then <= now
        found = [await company.timelines(each) for each in (one, other)]
        for of_one, of_other_one in zip(*found, strict=True):
            assert not of_one & of_other_one
        return [len(sales) for sales, _ in found] == [len(service) for _, service in found]

    await eventually(timelines_are_apart, 30)
    await settled(company.stack)


async def test_a_prospect_that_service_met_first_is_the_customer_that_sales_won(company: Twins) -> None:
    """A question before the purchase, by a customer of service's own; sales registers the same company and wins it."""
    body = {"name": "Harbour Clinic", "region": company.region, "occurred_at": company.ago(days=30)}
    prospect = str((await company.post("service", "customers", body))["id"])
    question = {"kind": "presales_question", "channel": "email", "customer_id": prospect}
    asked = await company.post("service", "tickets", question | {"occurred_at": company.ago(days=29)})
    account = await company.account("Harbour Clinic GmbH", days=20)
    await company.won(account, "100.00", days=10)
    await company.knows(account)

    async def numbers() -> dict[str, Number]:
        await booked(company.stack)
        found = {
            f"{variant}": await company.number("presales_assisted_win_rate", variant=variant)
            for variant in ("assisted", "unassisted")
        }
        of_account = await company.number("tickets_opened", customer=account)
        return found | {"tickets of the account": of_account, "tickets": await company.number("tickets_opened")}

    apart = {
        "assisted": (0, 0),
        "unassisted": (1, 1),
        "tickets of the account": (0, None),
        "tickets": (1, None),
    }
    assert await numbers() == apart

    linked = await company.post("service", f"customers/{prospect}/link", {"into": account})
    assert linked["merged_into"] == account
    assert await numbers() == {
        "assisted": (1, 1),
        "unassisted": (0, 0),
        "tickets of the account": (1, None),
        "tickets": (1, None),
    }
    refused = await company.clients["service"].post("/v1/tickets", json=question)
    assert (refused.status_code, refused.json()["merged_into"]) == (409, account)
    page = await company.get("service", f"customers/{account}/timeline?limit=200")
    assert asked["id"] in {each["record"]["id"] for each in page["items"]}
    assert "sales.deal-closed" in {each["kind"] for each in page["items"]}

    await company.post("service", f"customers/{prospect}/unlink", {})
    assert await numbers() == apart
    page = await company.get("service", f"customers/{account}/timeline?limit=200")
    assert asked["id"] not in {each["record"]["id"] for each in page["items"]}
    await settled(company.stack)
