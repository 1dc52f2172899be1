"""From a number to the event behind it, and on to the record: each address that an explanation gives answers."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tandem_cli.stack import LocalStack
from tests.e2e.conftest import Kpis, booked

pytestmark = pytest.mark.clock


async def test_an_explanation_leads_to_the_event_and_to_the_record(stack: LocalStack, kpis: Kpis) -> None:
    today = datetime.now(UTC).date()
    # Longer than a day, for the test may last beyond midnight.
    days = (today.isoformat(), (today + timedelta(days=1)).isoformat())
    headers = {"Authorization": f"Bearer {stack.token('sales-manager', 'service-manager')}"}
    async with httpx.AsyncClient(headers=headers, timeout=30) as http:

        async def post(api: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
            answer = await http.post(f"{stack.urls[api]}/v1/{path}", json=body)
            assert answer.is_success, answer.text
            return dict(answer.json())

        async def get(address: str) -> dict[str, Any]:
            answer = await http.get(address)
            assert answer.status_code == 200, f"{address}: {answer.text}"
            return dict(answer.json())

        region, product = f"region-{uuid4().hex[:8]}", f"p-{uuid4().hex[:8]}"
        await post("sales", "products", {"code": product, "name": "Something"})
        account = await post("sales", "accounts", {"name": "Baltic Bakeries", "region": region})
        line = {"product": product, "quantity": 1, "unit_price": "99.00"}
        body = {"account_id": account["id"], "title": "Two pumps", "currency": "EUR", "lines": [line]}
        deal = await post("sales", "deals", body)
        await post("sales", f"deals/{deal['id']}/close", {"outcome": "won"})
        customer = await post("service", "customers", {"name": "UAB Vėjas", "region": region})
        opening = {"customer_id": customer["id"], "kind": "problem", "channel": "phone", "subject": "No water"}
        ticket = await post("service", "tickets", opening)
        await booked(stack)
        for kpi, path, record in (
            ("revenue", "deals", deal),
            ("new_revenue", "deals", deal),
            ("tickets_opened", "tickets", ticket),
        ):
            (item,) = (await kpis.ask(f"{kpi}/explain", *days, region=region))["items"]
            event = await get(item["links"]["event"])
            assert event["event"]["id"] == item["event_id"]
            assert event["event"]["subject"] == f"{path}/{record['id']}"
            assert event["is_published"]
            shown = await get(item["links"]["record"])
            assert shown["id"] == record["id"]
            history = await get(f"{item['links']['record']}/events")
            assert event in history["items"]
