"""Answers with as many groups as there are customers: what is refused, and that other requests need not wait."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from decimal import Decimal

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.api import answers
from metrics_worker.api.kpis import written
from metrics_worker.domain.period import Period
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.queries import result
from metrics_worker.queries.answer import AnswerBuilder
from metrics_worker.queries.query import KpiQuery
from metrics_worker.queries.sql import AT_ONCE, OPENING, Found, Row, Sums
from service_kit.identifiers import new_id
from tests.metrics_worker.conftest import ingest
from tests.metrics_worker.facts import VILNIUS, all_decoded, deal, line, moment, ticket

CUSTOMERS = 20 * AT_ONCE
MARCH = {"from": "2026-03-01", "to": "2026-03-31"}


def by_customer(kpi: str) -> AnswerBuilder:
    """A question of a KPI in March by customer."""
    period = Period(date(2026, 3, 1), date(2026, 3, 31))
    variant = KPIS[kpi].default_variant
    question = KpiQuery(KPIS[kpi], variant, period, None, ("customer",), {}, with_previous=False)
    return AnswerBuilder(question, VILNIUS)


def found_of(builder: AnswerBuilder) -> Found:
    """As many rows of each read as there are customers, and of a level as many again from before."""
    found = Found()
    for read in builder.reads:
        assert isinstance(read, Sums)
        keys = [f"customer-{number:06}" for number in range(CUSTOMERS)] if read.group_by else [None]
        buckets = [OPENING, None] if read.from_the_beginning else [None]
        found.rows[read] = [Row(at, key, [Decimal(3)] * len(read.measures)) for at in buckets for key in keys]
    return found


@asynccontextmanager
async def counting_turns() -> AsyncIterator[list[int]]:
    """How often another task has had a turn meanwhile, as the only item of a list."""
    turns = [0]

    async def take() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    taking = asyncio.create_task(take())
    yield turns
    taking.cancel()


@pytest.mark.parametrize("kpi", ["leads_created", "win_rate", "backlog", "pipeline_velocity"])
async def test_other_tasks_run_while_a_large_answer_is_made(kpi: str) -> None:
    builder = by_customer(kpi)
    found = found_of(builder)
    async with counting_turns() as turns:
        answer = await builder.answer(found, None)
        made = turns[0]
        response = await written(answer)
    assert answer.groups is not None
    assert len(answer.groups) == CUSTOMERS
    # For every chunk of its customers: when their sums are read, separated, and made into groups.
    assert made >= 3 * CUSTOMERS / AT_ONCE
    assert turns[0] - made >= CUSTOMERS / AT_ONCE
    assert json.loads(bytes(response.body)) == json.loads(answer.model_dump_json(by_alias=True))


async def test_an_answer_of_many_groups_has_the_form_of_one_of_few(
    client: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _ingest_deals(engine, 7)
    asked = MARCH | {"group_by": "customer", "interval": "week"}
    few = await client.get("/v1/kpis/pipeline_value", params=asked)
    monkeypatch.setattr("metrics_worker.api.kpis.AT_ONCE", 2)
    many = await client.get("/v1/kpis/pipeline_value", params=asked)
    assert len(few.json()["groups"]) == 7
    assert many.json() == few.json()
    assert many.headers["content-type"] == few.headers["content-type"]


@pytest.fixture
def ten_values_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer may hold ten values; a level may have two rows for each: one from before the period, one within it."""
    monkeypatch.setattr(result, "MAX_POINTS", 10)
    for module in (result, answers):
        monkeypatch.setattr(module, "MAX_ROWS", 2 * 10 + 1)


@pytest.mark.usefixtures("ten_values_at_most")
async def test_an_answer_is_refused_for_the_values_it_holds_and_not_for_the_rows_behind_them(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    asked = MARCH | {"group_by": "customer"}
    await _ingest_deals(engine, 10)
    allowed = await client.get("/v1/kpis/pipeline_velocity", params=asked)
    assert allowed.status_code == 200, allowed.text
    assert len(allowed.json()["groups"]) == 10
    await _ingest_deals(engine, 1)
    refused = await client.get("/v1/kpis/pipeline_velocity", params=asked)
    assert refused.status_code == 422
    assert "more than 10 values" in refused.json()["detail"]


@pytest.mark.usefixtures("ten_values_at_most")
async def test_percentiles_are_refused_for_the_groups_they_have_and_not_for_their_durations(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    asked = MARCH | {"group_by": "customer", "variant": "median"}

    async def ingest_tickets(customers: int) -> None:
        opened = moment("2026-03-02T10:00")
        for _ in range(customers):
            customer = new_id()
            hours = [opened + timedelta(hours=hour) for hour in (1, 2, 4, 8, 16)]
            one_of_each = [ticket(customer_id=customer, opened_at=opened, resolved_at=each) for each in hours]
            await ingest(engine, all_decoded(one_of_each))

    await ingest_tickets(10)
    allowed = await client.get("/v1/kpis/resolution_hours", params=asked)
    assert allowed.status_code == 200, allowed.text
    groups = allowed.json()["groups"]
    assert [group["denominator"] for group in groups] == [5] * 10
    assert [float(group["value"]) for group in groups] == pytest.approx([4] * 10, rel=0.02)
    await ingest_tickets(1)
    refused = await client.get("/v1/kpis/resolution_hours", params=asked)
    assert refused.status_code == 422
    assert "more than 10 values" in refused.json()["detail"]


async def _ingest_deals(engine: AsyncEngine, customers: int) -> None:
    """For each customer a deal that is open since February, and one that was opened and won in March."""
    for _ in range(customers):
        customer = str(new_id())
        since, closed = moment("2026-02-20T10:00"), moment("2026-03-11T10:00")
        still_open = deal(line("desk", 1, "100"), account_id=customer, stage="negotiation", opened_at=since)
        won = deal(
            line("desk", 1, "70"),
            account_id=customer,
            stage="won",
            opened_at=moment("2026-03-02T10:00"),
            closed_at=closed,
        )
        await ingest(engine, all_decoded([still_open, won]))
