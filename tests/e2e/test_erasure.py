"""A customer is erased from the whole system: sales, service and the log of names; every number stays as it was."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tandem_cli.stack import LocalStack
from tandem_cli.system import DATABASES
from tests.e2e.conftest import Kpis, booked, settled
from tests.service_kit.traces import places_that_hold
from tests.support import eventually

pytestmark = pytest.mark.clock

NUMBERS = ("revenue", "sales_volume", "leads_created", "activities_completed", "tickets_resolved", "csat", "backlog")


async def test_an_erased_customer_is_nowhere_any_more_and_every_number_stays(stack: LocalStack, kpis: Kpis) -> None:
    personal = f"Ada-{uuid4().hex}"
    today = datetime.now(UTC).date()
    # Longer than a day, for the test may last beyond midnight.
    days = (today.isoformat(), (today + timedelta(days=1)).isoformat())
    roles = ("sales-manager", "service-manager")
    headers = {"Authorization": f"Bearer {stack.token(*roles)}"}
    async with httpx.AsyncClient(headers=headers, timeout=30) as http:

        async def post(api: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
            key = {"Idempotency-Key": uuid4().hex}
            answer = await http.post(f"{stack.urls[api]}/v1/{path}", json=body, headers=key)
            assert answer.is_success, answer.text
            return dict(answer.json())

        product = f"p-{uuid4().hex[:8]}"
        await post("sales", "products", {"code": product, "name": "Something"})
        lead = await post("sales", "leads", {"name": personal, "company": personal, "email": f"{personal}@example.org"})
        line = {"product": product, "quantity": 1, "unit_price": "99.00"}
        deal = {"title": personal, "currency": "EUR", "lines": [line]}
        lead = await post("sales", f"leads/{lead['id']}/convert", {"deal": deal})
        customer = lead["account_id"]
        await post("sales", "activities", {"kind": "call", "deal_id": lead["deal_id"]})
        await post("sales", f"deals/{lead['deal_id']}/close", {"outcome": "won"})

        async def shown() -> Any:
            return (await http.get(f"{stack.urls['service']}/v1/customers/{customer}")).json()

        async def known() -> bool:
            found = await shown()
            return bool(found.get("name") == personal and found.get("registered_at"))

        await eventually(known, 30)
        opening = {"customer_id": customer, "kind": "problem", "channel": "phone", "subject": personal}
        ticket = await post("service", "tickets", opening | {"description": f"{personal} called"})
        await post("service", f"tickets/{ticket['id']}/interactions", {"direction": "inbound", "note": personal})
        await post("service", f"tickets/{ticket['id']}/resolve", {})
        survey = await post("service", "surveys", {"ticket_id": ticket["id"], "kind": "csat"})
        entry = {"reason": "telephone", "occurred_at": survey["sent_at"]}
        await post("service", f"surveys/{survey['id']}/answer", entry | {"score": 5, "comment": f"Yours, {personal}"})

        await booked(stack)

        async def named() -> bool:
            asked = {"from": days[0], "to": days[1], "group_by": "customer", "customer": customer}
            answer = await http.get(f"{stack.urls['metrics']}/v1/kpis/revenue", params=asked)
            return bool(answer.json()["groups"][0]["names"] == {"customer": personal})

        await eventually(named, 30)
        before = {name: (await kpis.ask(name, *days))["value"] for name in NUMBERS}
        await post("sales", f"accounts/{customer}/erase", {})

        async def erased() -> bool:
            return (await shown())["erased_at"] is not None

        await eventually(erased, 30)
    await settled(stack)
    for database in DATABASES:
        engine = create_async_engine(stack.database_url(database), poolclass=NullPool)

        async def forgotten(engine: AsyncEngine = engine) -> bool:
            return await places_that_hold(engine, personal) == set()

        # Names have consumers of their own.
        await eventually(forgotten, 30)
        await engine.dispose()
    assert {name: (await kpis.ask(name, *days))["value"] for name in NUMBERS} == before
