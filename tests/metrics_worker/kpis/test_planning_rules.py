"""What rules plan moves the KPIs of planned work by exactly itself: through both APIs, their events, and the ledger."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.ledger.aggregate import decode
from metrics_worker.ledger.status import open_ledger
from service_kit.outbox import outbox
from tests.metrics_worker.conftest import Metrics
from tests.metrics_worker.facts import VILNIUS
from tests.sales_api.conftest import selling
from tests.sales_api.sales import Sales
from tests.service_api.conftest import Service, a_ticket, make, serving
from tests.service_api.test_surveys import a_survey, entry

pytestmark = pytest.mark.clock

DAY = timedelta(days=1)


class Ledger:
    """The ledger, which follows the outboxes of both services."""

    def __init__(self, metrics: Metrics, *services: AsyncEngine) -> None:
        self.metrics = metrics
        self._read = dict.fromkeys(services, 0)

    async def ratio(self, kpi: str) -> tuple[Any, Any]:
        """Return a KPI's two counts, of the weeks around today, with all that was published until now."""
        for engine, after in self._read.items():
            newer = sa.select(outbox.c.position, outbox.c.payload).where(outbox.c.position > after)
            async with engine.connect() as connection:
                rows = (await connection.execute(newer.order_by(outbox.c.position))).all()
            for row in rows:
                await self.metrics.apply(decode(row.payload, VILNIUS))
                self._read[engine] = row.position
        today = datetime.now(UTC).date()
        around = {"from": str(today - 60 * DAY), "to": str(today + 60 * DAY)}
        answer = await self.metrics.ask(kpi, **around)
        return answer["numerator"], answer["denominator"]


@pytest.fixture
async def sales(new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sales]:
    """Sales of a company of its own."""
    async with selling(new_database("sales"), tmp_path_factory.mktemp("issuer")) as found:
        yield found


@pytest.fixture
async def service(
    new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """Its service."""
    async with serving(new_database("service"), tmp_path_factory.mktemp("issuer")) as found:
        yield found


@pytest.fixture
async def ledger(metrics: Metrics, sales: Sales, service: Service) -> Ledger:
    await open_ledger(metrics.engine, VILNIUS)
    return Ledger(metrics, sales.engine, service.engine)


async def test_follow_ups_of_won_deals_count_when_they_are_due(sales: Sales, ledger: Ledger) -> None:
    long_ago, then = ((datetime.now(UTC) - days * DAY).isoformat() for days in (50, 40))
    await sales.post(
        "/v1/planning-rules",
        {"name": "After a win", "trigger": "deal_won", "days": 14, "purpose": "after-win", "since": long_ago},
        status=201,
        role="sales-manager",
    )
    assert (await ledger.ratio("follow_ups_on_time"))[1] in (0, None)
    deals = [await sales.deal(occurred_at=long_ago) for _ in range(4)]
    for deal in deals:
        await sales.post(f"/v1/deals/{deal['id']}/close", {"outcome": "won", "occurred_at": then})
    # Four were due 26 days ago, and were not followed up.
    assert await ledger.ratio("follow_ups_on_time") == (0, 4)

    async def task_of(deal: dict[str, Any]) -> str:
        found: list[dict[str, Any]] = (await sales.get(f"/v1/activities?deal_id={deal['id']}&status=planned"))["items"]
        (task,) = found
        return f"/v1/activities/{task['id']}"

    in_time, late = ((datetime.now(UTC) - days * DAY).isoformat() for days in (30, 20))
    await sales.post(f"{await task_of(deals[0])}/done", {"occurred_at": in_time})
    await sales.post(f"{await task_of(deals[1])}/done", {"occurred_at": late})
    assert await ledger.ratio("follow_ups_on_time") == (1, 4)
    # Taken back: what was open counts nowhere, what was done stays.
    for deal in (deals[0], deals[2]):
        await sales.post(f"/v1/deals/{deal['id']}/reopen", {})
    assert await ledger.ratio("follow_ups_on_time") == (1, 3)
    # Won again now, the one that is open is due in two weeks, and the one that was done is not asked for again.
    for deal in (deals[0], deals[2]):
        await sales.post(f"/v1/deals/{deal['id']}/close", {"outcome": "won"})
    assert await ledger.ratio("follow_ups_on_time") == (1, 3)
    await sales.post(f"{await task_of(deals[2])}/done", {})
    assert await ledger.ratio("follow_ups_on_time") == (2, 4)
    assert (await sales.get(f"/v1/activities?deal_id={deals[0]['id']}&status=planned"))["items"] == []


async def test_check_ins_after_bad_ratings_count_when_they_are_due(service: Service, ledger: Ledger) -> None:
    ago = {days: (datetime.now(UTC) - days * DAY).isoformat() for days in (50, 45, 40, 39, 10)}
    async with service.client("service-manager") as manager:
        await make(
            manager, "/v1/planning-rules", name="Bad", trigger="bad_rating", days=2, purpose="bad-rating", since=ago[50]
        )
        surveys = []
        for score in (1, 2, 2, 3):
            ticket = await a_ticket(manager, occurred_at=ago[50])
            surveys.append(await a_survey(manager, ticket_id=ticket["id"], occurred_at=ago[45]))
            answered = {"score": score, "occurred_at": ago[40]}
            await make(manager, f"/v1/surveys/{surveys[-1]['id']}/answer", **entry(**answered))
        # Three were bad, and no customer was called.
        assert await ledger.ratio("check_ins_on_time") == (0, 3)
        first, second = [
            (await manager.get(f"/v1/check-ins?customer_id={each['customer_id']}")).json()["items"][0]["id"]
            for each in surveys[:2]
        ]
        await make(manager, f"/v1/check-ins/{first}/done", occurred_at=ago[39])
        await make(manager, f"/v1/check-ins/{second}/done", occurred_at=ago[10])
        assert await ledger.ratio("check_ins_on_time") == (1, 3)
        # They meant five: there is no one to call any more.
        await make(manager, f"/v1/surveys/{surveys[2]['id']}/answer", **entry(score=5))
        assert await ledger.ratio("check_ins_on_time") == (1, 2)
