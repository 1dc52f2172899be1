"""A period is closed once; whatever changes its KPIs afterwards is listed, with the events behind it, and published."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts.metrics import KpiRestated, PeriodClosed
from metrics_worker.jobs.restatements import RestatementJob
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.ledger.aggregate import SubjectState
from metrics_worker.ledger.aggregate import decode as entries_of
from metrics_worker.settings import MetricsSettings
from tandem_cli.issuer import Issuer
from tests.metrics_worker.conftest import client_of, complete, ingest, moved, published
from tests.metrics_worker.facts import (
    MORNING,
    VILNIUS,
    account,
    all_decoded,
    deal,
    interaction,
    lead,
    line,
    logged,
    moment,
    record,
    survey,
    ticket,
)
from tests.service_kit.conftest import assert_problem

pytestmark = pytest.mark.clock


@pytest.fixture
async def manager(app: FastAPI, client: httpx.AsyncClient, issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, issuer, "service-manager") as http:
        yield http


@pytest.fixture
async def restatement_job(engine: AsyncEngine, settings: MetricsSettings) -> RestatementJob:
    await moved(engine)
    return RestatementJob(engine, settings.reporting)


async def restatements(client: httpx.AsyncClient, **parameters: str) -> dict[tuple[str, str], dict[str, Any]]:
    answer = await client.get("/v1/periods/2026-03/restatements", params=parameters)
    assert answer.status_code == 200, answer.text
    return {(item["kpi"], item["variant"]): item for item in answer.json()["items"]}


def recorded_now(state: Any, sequence: int) -> list[SubjectState]:
    return entries_of(record(state, sequence, recorded_time=datetime.now(UTC)), VILNIUS)


async def test_what_changes_after_the_closing_is_a_restatement_with_its_events(
    manager: httpx.AsyncClient, engine: AsyncEngine, restatement_job: RestatementJob
) -> None:
    won, other = deal(line("desk", 1, "60"), stage="won"), deal(line("desk", 1, "40"), stage="won")
    await ingest(engine, all_decoded([won, other, deal(stage="lost")]))
    await complete(engine)
    closed = await manager.post("/v1/periods/2026-03/close")
    assert closed.status_code == 200, closed.text
    body = closed.json()
    assert (body["period"], body["from"], body["to"]) == ("2026-03", "2026-03-01", "2026-03-31")
    assert await restatements(manager) == {}
    await restatement_job.run_once()
    [closing] = await published(engine)
    assert isinstance(closing.data, PeriodClosed)
    assert (closing.subject, closing.data.as_of.isoformat()) == (
        f"periods/{body['id']}",
        datetime.fromisoformat(body["as_of"]).isoformat(),
    )

    lost = recorded_now(deal(line("desk", 1, "60"), stage="lost", id=won.id), 2)
    await ingest(engine, lost, recorded_now(deal(line("desk", 1, "1"), stage="won", closed_at=moment("2026-04-02")), 1))
    await moved(engine)
    found = await restatements(manager)
    revenue = found["revenue", "standard"]
    assert revenue["as_closed"] == {"value": "100.00", "numerator": "100.00", "denominator": None}
    assert revenue["now"] == {"value": "40.00", "numerator": "40.00", "denominator": None}
    assert (revenue["change"], revenue["currency"], revenue["restated_at"]) == ("-60.00", "EUR", None)
    assert revenue["event_count"] == 1
    assert revenue["events"][0]["event_id"] == str(lost[0].event_id)
    assert revenue["events"][0]["subject"] == f"deals/{won.id}"
    assert found["win_rate", "count"]["change"] == "-0.333334"
    assert ("leads_created", "standard") not in found
    explained = (await manager.get(revenue["explain"])).json()
    assert [item["measures"]["deal.revenue"] for item in explained["items"]] == ["-60.00"]
    as_of = await manager.get(
        "/v1/kpis/revenue", params={"from": body["from"], "to": body["to"], "as_of": body["as_of"]}
    )
    assert as_of.json()["value"] == revenue["as_closed"]["value"]

    await restatement_job.run_once()
    await restatement_job.run_once()
    _, *events = await published(engine)
    of_revenue = [event for event in events if isinstance(event.data, KpiRestated) and event.data.kpi == "revenue"]
    assert [(event.sequence, event.subject) for event in of_revenue] == [(1, f"restatements/{revenue['id']}")]
    assert len(events) == len({event.subject for event in events})
    assert isinstance(of_revenue[0].data, KpiRestated)
    assert (of_revenue[0].data.as_closed.value, of_revenue[0].data.now.value) == (Decimal(100), Decimal(40))
    assert (await restatements(manager, kpi="revenue"))["revenue", "standard"]["restated_at"] is not None

    # Won again after all: nothing differs any more, and that is published too.
    await ingest(engine, recorded_now(deal(line("desk", 1, "60"), stage="won", id=won.id), 3))
    await moved(engine)
    assert ("revenue", "standard") not in await restatements(manager)
    await restatement_job.run_once()
    last = [event for event in await published(engine) if event.subject == f"restatements/{revenue['id']}"][-1]
    assert isinstance(last.data, KpiRestated)
    assert (last.sequence, last.data.now) == (2, last.data.as_closed)


async def test_every_kpi_is_closed_as_it_is_answered(manager: httpx.AsyncClient, engine: AsyncEngine) -> None:
    contact = interaction()
    states: list[Any] = [
        deal(line("desk", 1, "60"), line("chair", 2, "7"), stage="won", opened_at=moment("2026-02-01")),
        deal(line("desk", 1, "60"), opened_at=moment("2026-02-01")),
        account(registered_at=moment("2025-02-01")),
        account(region=None),
        lead(contacted_at=MORNING + timedelta(minutes=7)),
        ticket(resolved_at=MORNING + timedelta(hours=5), status="resolved", region=None),
        ticket(opened_at=moment("2026-02-01")),
        logged(contact),
        survey(answered_at=MORNING, score=4),
    ]
    await ingest(engine, all_decoded(states))
    await complete(engine)
    assert (await manager.post("/v1/periods/2026-Q1/close")).status_code == 200
    assert (await manager.get("/v1/periods/2026-Q1/restatements")).json() == {"items": [], "next_cursor": None}
    async with engine.connect() as connection:
        rows = await connection.execute(sa.text("SELECT kpi, variant, as_closed FROM closed_figure"))
        as_closed = {(row.kpi, row.variant): row.as_closed for row in rows}
    assert set(as_closed) == {(kpi.name, variant) for kpi in KPIS.values() for variant in kpi.variants}
    for kpi, variant in (
        ("revenue", "standard"), ("pipeline_value", "value"), ("pipeline_velocity", "standard"),
        ("backlog", "standard"), ("resolution_hours", "p90"), ("lead_response_minutes", "median"),
        ("coverage", "standard"), ("coverage", "product"), ("average_handle_time", "mean"), ("nps", "standard"),
    ):  # fmt: skip
        days = {"from": "2026-01-01", "to": "2026-03-31", "variant": variant}
        answered = (await manager.get(f"/v1/kpis/{kpi}", params=days)).json()
        assert as_closed[kpi, variant] == {name: answered[name] for name in ("value", "numerator", "denominator")}, kpi


async def test_restatements_come_by_page(manager: httpx.AsyncClient, engine: AsyncEngine) -> None:
    await complete(engine)
    await manager.post("/v1/periods/2026-03/close")
    await ingest(engine, recorded_now(deal(line("desk", 1, "60"), stage="won"), 1))
    whole = (await manager.get("/v1/periods/2026-03/restatements")).json()["items"]
    assert len(whole) > 3
    first = (await manager.get("/v1/periods/2026-03/restatements", params={"limit": "3"})).json()
    cursor = {"limit": "200", "cursor": first["next_cursor"]}
    filtered = await manager.get("/v1/periods/2026-03/restatements", params=cursor | {"kpi": "revenue"})
    assert_problem(filtered, 422, "invalid-request")
    rest = (await manager.get("/v1/periods/2026-03/restatements", params=cursor)).json()
    assert first["items"] + rest["items"] == whole
    assert rest["next_cursor"] is None


@pytest.mark.usefixtures("within_one_day")
async def test_a_period_is_closed_once_when_it_is_over_and_the_ledger_is_complete(
    manager: httpx.AsyncClient, client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    assert_problem(await client.post("/v1/periods/2026-03/close"), 403, "forbidden")
    assert_problem(await manager.post("/v1/periods/2026-W60/close"), 404, "no-such-period")
    today = datetime.now(VILNIUS.zone)
    assert_problem(await manager.post(f"/v1/periods/{today.year}/close"), 409, "period-not-over")
    assert_problem(await manager.post(f"/v1/periods/{today.date()}/close"), 409, "period-not-over")
    behind = await manager.post("/v1/periods/2026-03/close")
    assert_problem(behind, 503, "unavailable")
    await complete(engine, until=moment("2026-03-31T21:00:09"))
    assert_problem(await manager.post("/v1/periods/2026-03/close"), 503, "unavailable")
    assert_problem(await manager.get("/v1/periods/2026-03"), 404, "period-not-closed")
    assert_problem(await manager.get("/v1/periods/2026-03/restatements"), 404, "period-not-closed")
    await complete(engine, until=moment("2026-03-31T21:00:10"))
    made = await manager.post("/v1/periods/2026-03/close")
    assert made.status_code == 200, made.text
    assert_problem(await manager.post("/v1/periods/2026-03/close"), 409, "period-already-closed")
    assert (await client.get("/v1/periods/2026-03")).json() == made.json()
    assert (await client.get("/v1/periods")).json()["items"] == [made.json()]


async def test_two_jobs_publish_a_restatement_once(
    manager: httpx.AsyncClient, engine: AsyncEngine, restatement_job: RestatementJob, settings: MetricsSettings
) -> None:
    await complete(engine)
    await manager.post("/v1/periods/2026-03-10/close")
    await ingest(engine, recorded_now(lead(), 1))
    await restatement_job.run_once()
    await RestatementJob(engine, settings.reporting).run_once()
    body = [event.data for event in await published(engine) if isinstance(event.data, KpiRestated)]
    assert [each.kpi for each in body if each.kpi == "leads_created"] == ["leads_created"]
    assert {each.period for each in body} == {"2026-03-10"}
