"""What the API answers about books of known facts, to the unit."""

from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.metrics_worker.conftest import book
from tests.metrics_worker.facts import (
    all_told,
    deal,
    line,
)

MARCH = {"from": "2026-03-01", "to": "2026-03-31"}


async def ask(client: httpx.AsyncClient, kpi: str, **parameters: str) -> dict[str, Any]:
    answer = await client.get(f"/v1/kpis/{kpi}", params=MARCH | parameters)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_won_deals_count_as_volume_and_revenue(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    await book(
        engine,
        all_told(
            [
                (deal(line("desk", 2, "100.10"), line("chair", 4, "50"), stage="won"), 3),
                (deal(line("desk", 1, "60.05"), stage="won", region=None), 1),
                (deal(line("desk", 1, "999"), stage="lost"), 2),
                (deal(line("desk", 1, "999")), 1),
            ]
        ),
    )
    volume = await ask(client, "sales_volume")
    assert (volume["value"], volume["numerator"], volume["denominator"]) == ("2", 2, None)
    revenue = await ask(client, "revenue")
    assert (revenue["value"], revenue["unit"], revenue["currency"]) == ("210.15", "money", "EUR")
    assert (await ask(client, "units_sold"))["value"] == "7"
    assert (await ask(client, "win_rate"))["value"] == "0.666667"
    assert (await ask(client, "average_deal_size"))["value"] == "105.08"
