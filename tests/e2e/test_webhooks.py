"""An integrator hears of deals and tickets: over HTTP, on the running system."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from metrics_worker.webhooks.model import MOST_TRIES
from tandem_cli.stack import LocalStack
from tests.e2e.conftest import client_of
from tests.metrics_worker.webhooks.receiver import Receiver, receiving
from tests.support import eventually

LOCAL = {"WEBHOOKS_ALLOW_LOOPBACK": "true"}
PROCESSES = ("metrics-api", "metrics-jobs")


class Company:
    """The running system as its people use it."""

    def __init__(self, stack: LocalStack, sales: httpx.AsyncClient, metrics: httpx.AsyncClient) -> None:
        self.stack, self.sales, self.metrics = stack, sales, metrics

    async def post(self, http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await http.post(path, json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    async def follow(self, url: str, *types: str, **filters: list[Any]) -> dict[str, Any]:
        body = {"url": url, "event_types": list(types), "filters": {f"data.{name}": v for name, v in filters.items()}}
        return await self.post(self.metrics, "/v1/webhooks", body)

    async def close_deal(self, outcome: str = "won", **custom: str) -> str:
        """Close a new deal of a new customer, and return its id."""
        account = await self.post(self.sales, "/v1/accounts", {"name": "Baltic Bakeries", "region": "EMEA"})
        lines = [{"product": "hooks", "quantity": 1, "unit_price": "10.00"}]
        body = {"account_id": account["id"], "currency": "EUR", "lines": lines, "custom": custom}
        deal = await self.post(self.sales, "/v1/deals", body)
        reason = {"reason": "best_fit"} if outcome == "won" else {"reason": "price"}
        await self.post(self.sales, f"/v1/deals/{deal['id']}/close", {"outcome": outcome, **reason})
        return str(deal["id"])

    async def deliveries(self, webhook: dict[str, Any], **query: str) -> list[dict[str, Any]]:
        found = await self.metrics.get(f"/v1/webhooks/{webhook['id']}/deliveries", params={"limit": 200, **query})
        return list(found.raise_for_status().json()["items"])

    async def execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.stack.database_url("metrics").replace("+asyncpg", ""))
        try:
            await connection.execute("SET search_path TO public, authoritative")
            await connection.execute(statement)
        finally:
            await connection.close()


@pytest.fixture(scope="module")
async def company(stack: LocalStack) -> AsyncIterator[Company]:
    for process in PROCESSES:
        await asyncio.to_thread(stack.restart, process, env_overrides=LOCAL)
    roles = ("admin", "sales-manager")
    async with client_of(stack, "sales", *roles) as sales, client_of(stack, "metrics", *roles) as metrics:
        await sales.post("/v1/products", json={"code": "hooks", "name": "Hooks"})
        yield Company(stack, sales, metrics)
    for process in PROCESSES:
        await asyncio.to_thread(stack.restart, process, env_overrides={"WEBHOOKS_ALLOW_LOOPBACK": "false"})


def messages(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(each.body) for each in receiver.received]


def deals_of(receiver: Receiver) -> list[str]:
    return [each["data"]["id"] for each in messages(receiver)]


async def test_a_won_deal_reaches_who_asked_for_it_signed_once(company: Company) -> None:
    async with receiving() as won, receiving() as lost, receiving() as service:
        webhook = await company.follow(won.url, "sales.deal-closed", stage=["won"])
        await company.follow(lost.url, "sales.deal-closed", stage=["lost"])
        await company.follow(service.url, "service.*")
        deal = await company.close_deal()
        other = await company.close_deal("lost")
        await eventually(lambda: deals_of(won) == [deal], 60)
        await eventually(lambda: deals_of(lost) == [other], 60)

        def onboarded() -> bool:
            opened = [each["data"] for each in messages(service) if each["type"] == "service.ticket-opened"]
            return any(ticket["onboarding_deal_id"] == deal for ticket in opened)

        await eventually(onboarded, 60)
    (message,) = won.received
    assert message.is_signed_by(webhook["secret"])
    assert json.loads(message.body)["type"] == "sales.deal-closed"

    async def is_recorded() -> bool:
        (delivery,) = await company.deliveries(webhook)
        # The receiver has it a moment before its sender has noted the answer.
        assert (delivery["status"], delivery["event_id"]) == ("delivered", message.headers["webhook-id"])
        return True

    await eventually(is_recorded, 60)


async def test_deals_are_chosen_by_a_custom_field(company: Company) -> None:
    name = f"site_{uuid4().hex[:8]}"
    field = {"noun": "deals", "name": name, "label": "Site", "type": "text", "is_personal": False}
    await company.post(company.sales, "/v1/custom-fields", field)
    async with receiving() as north, receiving() as nowhere:
        await company.follow(north.url, "sales.deal-closed", **{f"custom.{name}": ["north"]})
        await company.follow(nowhere.url, "sales.deal-closed", **{f"custom.{name}": [None]})
        deals = [await company.close_deal(**{name: value}) for value in ("south", "north")]
        deals.append(await company.close_deal())
        await eventually(lambda: (deals_of(north), deals_of(nowhere)) == ([deals[1]], [deals[2]]), 60)


async def test_a_receiver_that_is_down_gets_it_later(company: Company) -> None:
    async with receiving() as receiver:
        webhook = await company.follow(receiver.url, "sales.deal-closed")
    deal = await company.close_deal()

    async def found(status: str, tries: int) -> bool:
        return any(each["tries"] >= tries for each in await company.deliveries(webhook, status=status))

    await eventually(lambda: found("pending", 1), 60)
    await company.execute(
        f"UPDATE webhook_delivery SET tries = {MOST_TRIES - 1}, next_try_at = now()"
        f" WHERE webhook_id = '{webhook['id']}' AND status = 'pending'"
    )
    await eventually(lambda: found("dead", MOST_TRIES), 60)
    (dead,) = await company.deliveries(webhook, status="dead")
    async with receiving() as receiver:
        await company.metrics.patch(f"/v1/webhooks/{webhook['id']}", json={"url": receiver.url})
        await company.post(company.metrics, f"/v1/webhooks/{webhook['id']}/deliveries/{dead['id']}/send", {})
        await eventually(lambda: deals_of(receiver) == [deal], 60)
    assert receiver.received[0].headers["webhook-id"] == dead["event_id"]


async def test_every_deal_is_heard_of_once_whatever_is_killed(company: Company) -> None:
    async with receiving() as receiver:
        webhook = await company.follow(receiver.url, "sales.deal-closed")
        deals = []
        for _ in range(4):
            deals += [await company.close_deal() for _ in range(3)]
            await asyncio.to_thread(company.stack.kill, "metrics-jobs")
            deals += [await company.close_deal() for _ in range(3)]
            await asyncio.to_thread(company.stack.restart, "metrics-jobs")

        async def all_stored() -> bool:
            return len(await company.deliveries(webhook)) == len(deals)

        await eventually(all_stored, 60)

        async def all_heard() -> bool:
            # What the killed process was sending waits for its lease otherwise.
            await company.execute(
                "UPDATE webhook_delivery SET next_try_at = now() WHERE status = 'pending' AND next_try_at > now()"
            )
            return set(deals_of(receiver)) == set(deals)

        await eventually(all_heard, 60)
    ids = {each.headers["webhook-id"]: json.loads(each.body)["data"]["id"] for each in receiver.received}
    assert sorted(ids.values()) == sorted(deals)
    assert {each["event_id"] for each in await company.deliveries(webhook)} == set(ids)
