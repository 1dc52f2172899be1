"""How little is asked of the database for an answer, and that no number depends on what is read together."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.metrics_worker.conftest import book
from tests.metrics_worker.facts import all_told, deal, line, moment, survey, ticket

MARCH = {"from": "2026-03-01", "to": "2026-03-31"}


@contextmanager
def statements(engine: AsyncEngine) -> Iterator[list[str]]:
    """Collects what is sent to the database meanwhile."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    sa.event.listen(engine.sync_engine, "before_cursor_execute", note)
    yield sent
    sa.event.remove(engine.sync_engine, "before_cursor_execute", note)


async def answer(client: httpx.AsyncClient, path: str, **parameters: str) -> dict[str, Any]:
    given = await client.get(f"/v1/{path}", params=MARCH | parameters)
    assert given.status_code == 200, given.text
    body: dict[str, Any] = given.json()
    return body


async def test_whatever_balances_hold_is_read_by_one_statement(client: httpx.AsyncClient, app: FastAPI) -> None:
    for path, parameters in (
        ("kpis/win_rate", {"group_by": "owner", "interval": "week", "compare": "previous"}),
        ("kpis/csat", {"group_by": "region"}),
        ("kpis/upsell_from_service", {}),
        ("scorecard", {"compare": "previous"}),
    ):
        with statements(app.state.engine) as sent:
            await answer(client, path, **parameters)
        # The first tells how the books stand: what they are kept by and how fresh they are.
        assert len(sent) == 2, (path, sent)


async def test_the_postings_are_looked_through_once(client: httpx.AsyncClient, app: FastAPI) -> None:
    for kpi in ("pipeline_velocity", "win_rate", "backlog"):
        with statements(app.state.engine) as sent:
            await answer(client, f"kpis/{kpi}", region="EMEA", segment="smb", group_by="owner")
        assert sum("_posting" in each for each in sent) == 1, (kpi, sent)


@pytest.mark.parametrize("kpi", ["pipeline_velocity", "win_rate", "sales_volume", "sales_cycle_days"])
async def test_the_whole_of_deals_is_the_same_however_it_is_grouped(
    client: httpx.AsyncClient, engine: AsyncEngine, kpi: str
) -> None:
    opened, closed = moment("2026-02-20T10:00"), moment("2026-03-11T10:00")
    regions, stages = ("EMEA", "APAC"), ("won", "lost", "won", "negotiation")
    deals = [
        deal(
            line("desk", 1, "100"),
            line("chair", 1, "20"),
            region=regions[number % 2],
            stage=stages[number % 4],
            opened_at=opened,
            closed_at=None if stages[number % 4] == "negotiation" else closed,
        )
        for number in range(24)
    ]
    await book(engine, all_told([(one, 1) for one in deals]))
    told = (await answer(client, "kpis/pipeline_value"))["numerator"]
    assert told == "720.00"
    # From the postings: more than one dimension is involved. A deal of two products is in two groups, and once in all.
    await _is_the_same_however_grouped(client, kpi, {"region": "EMEA"}, "segment", "owner", "channel")
    if kpi != "pipeline_velocity":
        await _is_the_same_however_grouped(client, kpi, {"region": "EMEA", "segment": "smb"}, "product", "owner")


@pytest.mark.parametrize("kpi", ["resolution_hours", "backlog", "resolution_rate", "csat"])
@pytest.mark.parametrize("variant", ["", "p90"])
async def test_the_whole_of_care_is_the_same_however_it_is_grouped(
    client: httpx.AsyncClient, engine: AsyncEngine, kpi: str, variant: str
) -> None:
    if variant and kpi != "resolution_hours":
        return
    tickets = [
        ticket(
            region=("A", "B", None)[number % 3],
            priority=("low", "urgent")[number % 2],
            opened_at=moment("2026-03-02T08:00"),
            resolved_at=moment(f"2026-03-{3 + number:02}T09:00") if number % 5 else None,
        )
        for number in range(20)
    ]
    surveys = [survey(answered_at=moment("2026-03-12"), score=1 + number % 5, region="A") for number in range(20)]
    await book(engine, all_told([(one, 1) for one in [*tickets, *surveys]]))
    chosen = {"variant": variant} if variant else {}
    await _is_the_same_however_grouped(client, kpi, {"region": "A"} | chosen, "priority", "owner", "product")


async def _is_the_same_however_grouped(
    client: httpx.AsyncClient, kpi: str, asked: dict[str, str], *dimensions: str
) -> None:
    for more in ({}, {"interval": "week"}, {"compare": "previous"}):
        alone = await answer(client, f"kpis/{kpi}", **asked, **more)
        for dimension in dimensions:
            grouped = await answer(client, f"kpis/{kpi}", **asked, **more, group_by=dimension)
            assert grouped["groups"]
            assert grouped | {"groups": None} == alone


async def test_every_question_gets_a_plan_of_its_own(app: FastAPI) -> None:
    # After five times PostgreSQL would plan for any days at all, and look through a year as it does through a day.
    async with app.state.engine.connect() as connection:
        assert (await connection.execute(sa.text("SHOW plan_cache_mode"))).scalar_one() == "force_custom_plan"
