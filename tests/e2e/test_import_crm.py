"""A whole CRM, imported from its files, gives the KPIs that its own tables give.

What is expected is added up with plain Python from the tables that the files are written of.
"""

import asyncio
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tandem_cli.stack import LocalStack
from tests.e2e.conftest import Kpis, Run, booked
from tests.tandem_cli.imports import crm

FIRST, LAST = "2006-01-01", "2006-12-31"


@pytest.fixture(scope="module")
async def deals(stack: LocalStack, tandem: Run, tmp_path_factory: pytest.TempPathFactory) -> list[crm.Deal]:
    files = crm.files(tmp_path_factory.mktemp("crm"))
    done = await asyncio.to_thread(tandem, "import", *files)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "40 deals imported, 0 completed, 0 were there already, 0 failed" in done.stdout
    assert "3 accounts, 3 products, 7 reps, 5 teams are new beside them" in " ".join(done.stdout.split())
    again = await asyncio.to_thread(tandem, "import", *files)
    assert "0 deals imported, 0 completed, 40 were there already, 0 failed" in again.stdout
    assert "new beside them" not in again.stdout
    await booked(stack)
    return crm.deals()


def groups(answer: dict[str, Any], names: dict[str, str]) -> dict[str, Decimal]:
    """The values that are not zero, by the names of the groups' keys."""
    found = {names.get(group["key"], group["key"]): Decimal(group["value"]) for group in answer["groups"]}
    return {key: value for key, value in found.items() if value}


async def named(sales: httpx.AsyncClient, noun: str) -> dict[str, str]:
    page = (await sales.get(f"/v1/{noun}", params={"limit": "200"})).json()
    return {item["id"]: item["name"] for item in page["items"]}


async def test_sales_and_customers(deals: list[crm.Deal], kpis: Kpis) -> None:
    won = [deal for deal in deals if deal.stage == "Won"]
    assert (await kpis.ask("sales_volume", FIRST, LAST))["value"] == str(len(won))
    assert Decimal((await kpis.ask("revenue", FIRST, LAST))["value"]) == sum(deal.worth for deal in won)
    assert (await kpis.ask("new_customers", FIRST, LAST))["value"] == str(len({deal.account for deal in won}))
    assert Decimal((await kpis.ask("repeat_revenue", FIRST, LAST))["value"]) == crm.repeat_revenue(deals)


async def test_win_rate_and_sales_cycle(deals: list[crm.Deal], kpis: Kpis) -> None:
    won = [deal for deal in deals if deal.stage == "Won"]
    closed = [deal for deal in deals if deal.closed]
    rate = await kpis.ask("win_rate", FIRST, LAST)
    assert (rate["numerator"], rate["denominator"]) == (len(won), len(closed))
    cycle = await kpis.ask("sales_cycle_days", FIRST, LAST)
    assert Decimal(cycle["value"]) == pytest.approx(
        Decimal(sum(deal.days for deal in won)) / len(won), abs=Decimal("0.001")
    )


async def test_revenue_by_person_product_and_segment(
    deals: list[crm.Deal], kpis: Kpis, sales: httpx.AsyncClient
) -> None:
    by_owner = await kpis.ask("revenue", FIRST, LAST, group_by="owner")
    assert groups(by_owner, await named(sales, "reps")) == crm.by("agent", deals)
    by_product = await kpis.ask("revenue", FIRST, LAST, group_by="product")
    codes = {"boiler": "Boiler", "boiler-pro": "Boiler Pro", "valve": "Valve"}
    assert groups(by_product, codes) == crm.by("product", deals)
    by_segment = await kpis.ask("revenue", FIRST, LAST, group_by="segment")
    accounts = {"retail": "Acme, Inc.", "real-estate": "Bluth", "technology": "Cyberdyne"}
    assert groups(by_segment, accounts) == crm.by("account", deals)


async def test_the_pipeline_is_what_is_open_at_its_value_or_price(deals: list[crm.Deal], kpis: Kpis) -> None:
    day = date(2006, 3, 1)
    is_open = [
        deal
        for deal in deals
        if (deal.engaged or date(2006, 1, 1)) <= day and (deal.closed is None or deal.closed > day)
    ]
    answer = await kpis.ask("pipeline_value", str(day), str(day))
    assert Decimal(answer["value"]) == sum(deal.worth for deal in is_open)


async def test_people_have_their_teams_and_managers(deals: list[crm.Deal], sales: httpx.AsyncClient) -> None:
    teams = {item["id"]: item for item in (await sales.get("/v1/teams", params={"limit": "200"})).json()["items"]}
    reps = {item["name"]: item for item in (await sales.get("/v1/reps", params={"limit": "200"})).json()["items"]}
    mine = teams[reps["Ann"]["team_id"]]
    assert (mine["name"], teams[mine["parent_id"]]["name"]) == ("Team of Cy", "East")
    assert reps["Cy"]["team_id"] == mine["id"]
