"""Work that plans itself: through the APIs, the consumers, their events and the ledger, each once."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tandem_cli.stack import LocalStack
from tests.e2e.company import Body, Company
from tests.e2e.conftest import Kpis, booked, settled
from tests.support import eventually

pytestmark = pytest.mark.clock

DAY = timedelta(days=1)
PATIENT_SECONDS = 60
"""The consumers look for who is due every half minute."""


class Planning(Company):
    """A company that declares what plans itself."""

    async def declare(self, api: str, trigger: str, **fields: Any) -> Body:
        asked = {"name": f"{trigger} in {self.region}", "trigger": trigger, "region": self.region, "purpose": "care"}
        return await self.post(api, "planning-rules", **asked | fields)


@pytest.fixture
def company(stack: LocalStack, managers: dict[str, httpx.AsyncClient]) -> Planning:
    return Planning(stack, managers)


async def test_a_win_is_followed_in_sales_and_its_onboarding_in_service(company: Planning, kpis: Kpis) -> None:
    now = datetime.now(UTC)
    around = ((now - 10 * DAY).date().isoformat(), (now + 10 * DAY).date().isoformat())

    async def on_time(kpi: str) -> tuple[Any, Any]:
        await booked(company.stack)
        answer = await kpis.ask(kpi, *around, region=company.region)
        return answer["numerator"], answer["denominator"]

    follow_up = await company.declare("sales", "deal_won", days=2)
    check_in = await company.declare("service", "onboarding_ended", days=3)
    product = f"pump-{uuid4().hex[:8]}"
    await company.post("sales", "products", code=product, name="Pump")
    account = await company.post("sales", "accounts", name="Baltic Bakeries", region=company.region)
    await company.knows(account["id"], within=PATIENT_SECONDS)
    lines = [{"product": product, "quantity": 1, "unit_price": "100.00"}]
    deal = await company.post("sales", "deals", account_id=account["id"], currency="EUR", lines=lines)
    await company.post("sales", f"deals/{deal['id']}/close", outcome="won")
    (activity,) = await company.items("sales", f"activities?planning_rule_id={follow_up['id']}")
    assert (activity["deal_id"], activity["status"]) == (deal["id"], "planned")

    async def onboardings() -> list[Body]:
        return await company.items("service", f"tickets?customer_id={account['id']}")

    (onboarding,) = await eventually(onboardings, PATIENT_SECONDS)
    await company.post("service", f"tickets/{onboarding['id']}/resolve")

    async def check_ins(status: str) -> list[Body]:
        return await company.items("service", f"check-ins?planning_rule_id={check_in['id']}&status={status}")

    (planned,) = await check_ins("planned")
    assert (planned["customer_id"], planned["trigger_id"]) == (account["id"], onboarding["id"])
    # Nothing is due yet, nor late.
    assert (await on_time("follow_ups_on_time"))[1] == (await on_time("check_ins_on_time"))[1] == 0

    # Taken back, both are cancelled: service's by its consumer.
    await company.post("sales", f"deals/{deal['id']}/reopen")
    (activity,) = await company.items("sales", f"activities?planning_rule_id={follow_up['id']}")
    assert (activity["status"], activity["cancel_reason"]) == ("cancelled", "deal-reopened")
    (cancelled,) = await eventually(partial(check_ins, "cancelled"), PATIENT_SECONDS)
    assert cancelled["cancel_reason"] == "onboarding-cancelled"

    # Won again, both are planned again, and done in time.
    await company.post("sales", f"deals/{deal['id']}/close", outcome="won")
    (again,) = await company.items("sales", f"activities?planning_rule_id={follow_up['id']}&status=planned")
    await company.post("sales", f"activities/{again['id']}/done")
    (again,) = await eventually(partial(check_ins, "planned"), PATIENT_SECONDS)
    await company.post("service", f"check-ins/{again['id']}/done")
    assert await on_time("follow_ups_on_time") == (1, 1)
    assert await on_time("check_ins_on_time") == (1, 1)
    await settled(company.stack)


async def test_the_consumers_plan_at_intervals_also_after_a_kill(company: Planning) -> None:
    rules = {
        "sales": await company.declare("sales", "interval", days=30, kind="visit"),
        "service": await company.declare("service", "interval", days=30),
    }
    account = await company.post("sales", "accounts", name="Baltic Bakeries", region=company.region)
    await company.knows(account["id"], within=PATIENT_SECONDS)
    of_work = {"sales": f"activities?account_id={account['id']}", "service": f"check-ins?customer_id={account['id']}"}

    async def planned(api: str) -> list[Body]:
        return await company.items(api, f"{of_work[api]}&planning_rule_id={rules[api]['id']}&status=planned")

    first = {api: (await eventually(partial(planned, api), PATIENT_SECONDS))[0] for api in rules}
    for api, process in (("sales", "sales-consumer"), ("service", "service-consumer")):
        company.stack.kill(process)
        noun = of_work[api].partition("?")[0]
        await company.post(api, f"{noun}/{first[api]['id']}/done")
        await asyncio.to_thread(company.stack.restart, process)
    for api in rules:
        (then,) = await eventually(partial(planned, api), PATIENT_SECONDS)
        assert then["trigger_id"] == first[api]["id"]
        # Others of the shared system must not have turns for ever.
        answer = await company.clients[api].patch(f"/v1/planning-rules/{rules[api]['id']}", json={"active": False})
        assert answer.is_success, answer.text
