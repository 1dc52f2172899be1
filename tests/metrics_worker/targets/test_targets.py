"""Targets: set over HTTP, compared in answers, evaluated against the ledger, and published when they are crossed."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts.metrics import KpiTargetMissed, KpiTargetRecovered
from metrics_worker.domain.period import Period
from metrics_worker.jobs.targets import TargetEvaluator
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.ledger.aggregate import SubjectState
from metrics_worker.settings import MetricsSettings
from metrics_worker.targets.lookup import is_sum_of_days
from metrics_worker.targets.model import Target, TargetKey
from tandem_cli.issuer import Issuer
from tests.metrics_worker.conftest import client_of, complete, ingest, moved, published
from tests.metrics_worker.facts import VILNIUS, all_decoded, deal, line

pytestmark = pytest.mark.clock

REVENUE = TargetKey("revenue", "standard")
TODAY = date(2026, 3, 10)


@pytest.fixture
async def manager(app: FastAPI, client: httpx.AsyncClient, issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, issuer, "sales-manager") as http:
        yield http


@pytest.fixture
async def evaluator(engine: AsyncEngine, settings: MetricsSettings) -> TargetEvaluator:
    await moved(engine)
    return TargetEvaluator(engine, settings.reporting)


def target(value: str, **fields: Any) -> Target:
    return Target.set(REVENUE, Decimal(value), **({"period": None, "since": None, "at": datetime.now(UTC)} | fields))


def won(amount: str) -> list[SubjectState]:
    return all_decoded([deal(line("desk", 1, amount), stage="won", closed_at=datetime.now(UTC))])


def test_a_sum_is_due_in_even_shares_by_yesterday() -> None:
    monthly = target("3100", period="month")
    march = Period(date(2026, 3, 1), date(2026, 3, 31))
    assert monthly.due_over(march, TODAY, direction="up", adds_up=True) == 900
    assert monthly.due_over(march, date(2026, 4, 15), direction="up", adds_up=True) == 3100
    assert monthly.due_over(march, date(2026, 3, 1), direction="up", adds_up=True) == 0


def test_where_less_is_better_today_is_allowed_its_share() -> None:
    march = Period(date(2026, 3, 1), date(2026, 3, 31))
    assert target("3100", period="month").due_over(march, TODAY, direction="down", adds_up=True) == 1000


def test_a_ratio_is_due_whole_over_any_days() -> None:
    some_days = Period(date(2026, 2, 20), date(2026, 3, 3))
    assert target("0.6", period="month").due_over(some_days, TODAY, direction="up", adds_up=False) == Decimal("0.6")


def test_a_sum_since_a_day_covers_no_other_days() -> None:
    since = target("3100", since=date(2026, 1, 1))
    assert since.due_over(Period(date(2026, 1, 1), TODAY), TODAY, direction="up", adds_up=True) == 3100
    assert since.due_over(Period(date(2026, 1, 2), TODAY), TODAY, direction="up", adds_up=True) is None
    assert since.period_on(date(2025, 12, 31), direction="up", adds_up=True) is None


def test_on_the_first_day_of_a_period_the_sum_of_the_one_before_it_is_evaluated_whole() -> None:
    monthly, first_of_april = target("3100", period="month"), date(2026, 4, 1)
    judged = monthly.period_on(first_of_april, direction="up", adds_up=True)
    assert judged == Period(date(2026, 3, 1), date(2026, 3, 31))
    assert monthly.due_over(judged, first_of_april, direction="up", adds_up=True) == 3100
    april = Period(date(2026, 4, 1), date(2026, 4, 30))
    assert monthly.period_on(date(2026, 4, 2), direction="up", adds_up=True) == april
    assert monthly.period_on(first_of_april, direction="down", adds_up=True) == april
    assert monthly.period_on(first_of_april, direction="up", adds_up=False) == april


days = st.dates(date(2023, 1, 1), date(2026, 1, 1))


@settings(deadline=None)
@given(period=st.sampled_from(["day", "week", "month", "quarter", "year"]), first=days, second=days, third=days)
def test_what_is_due_over_two_runs_of_days_is_due_over_both_together(
    period: str, first: date, second: date, third: date
) -> None:
    first, second, third = sorted((first, second, third))
    goal = target("1234.56", period=period)

    def due(start: date, end: date) -> Any:
        return goal.due_over(Period(start, end), TODAY, direction="up", adds_up=True)

    assert due(first, second) + due(second + timedelta(days=1), third + timedelta(days=1)) == due(
        first, third + timedelta(days=1)
    )


def test_only_what_happens_adds_up_over_days() -> None:
    sums = {name for name, kpi in KPIS.items() if is_sum_of_days(kpi.variants[kpi.default_variant])}
    assert sums >= {"revenue", "sales_volume", "leads_created"}
    assert not sums & {"win_rate", "average_deal_size", "backlog", "pipeline_value", "average_handle_time"}


async def test_a_target_is_set_read_changed_and_deleted(manager: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    made = await manager.put("/v1/targets/revenue?region=EMEA", json={"value": "250000.00", "period": "quarter"})
    assert made.status_code == 201
    assert made.headers["etag"] == '"1"'
    assert (made.json()["dimension"], made.json()["dimension_value"], made.json()["missed"]) == ("region", "EMEA", None)
    changed = await manager.put(
        "/v1/targets/revenue?region=EMEA",
        json={"value": "300000", "since": "2026-01-01"},
        headers={"If-Match": '"1"'},
    )
    assert (changed.status_code, changed.headers["etag"], changed.json()["period"]) == (200, '"2"', None)
    assert (await client.get("/v1/targets/revenue?region=EMEA")).json() == changed.json()
    assert (await client.get("/v1/targets")).json()["items"] == [changed.json()]
    assert (await client.get("/v1/targets?kpi=win_rate")).json()["items"] == []
    assert (await client.get("/v1/targets/revenue")).status_code == 404
    stale = await manager.delete("/v1/targets/revenue?region=EMEA", headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    assert (await manager.delete("/v1/targets/revenue?region=EMEA")).status_code == 204
    assert (await manager.delete("/v1/targets/revenue?region=EMEA")).status_code == 404


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("revenue", {"value": "1.001", "period": "month"}),
        ("revenue", {"value": "1", "period": "month", "since": "2026-01-01"}),
        ("revenue", {"value": "1"}),
        ("revenue?region=EMEA&segment=smb", {"value": "1", "period": "month"}),
        ("revenue?priority=high", {"value": "1", "period": "month"}),
        ("revenue?variant=made-up", {"value": "1", "period": "month"}),
        ("win_rate", {"value": "0.1234567", "period": "month"}),
    ],
)
async def test_a_target_that_cannot_be_is_refused(
    manager: httpx.AsyncClient, address: str, body: dict[str, str]
) -> None:
    assert (await manager.put(f"/v1/targets/{address}", json=body)).status_code == 422


async def test_only_managers_set_targets(client: httpx.AsyncClient) -> None:
    body = {"value": "1", "period": "month"}
    assert (await client.put("/v1/targets/revenue", json=body)).status_code == 403
    assert (await client.delete("/v1/targets/revenue")).status_code == 403


async def test_a_repeated_setting_gives_the_first_answer_again(manager: httpx.AsyncClient) -> None:
    first, again = [
        await manager.put(
            "/v1/targets/revenue", json={"value": "1", "period": "day"}, headers={"Idempotency-Key": "once"}
        )
        for _ in range(2)
    ]
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert again.headers["idempotent-replayed"] == "true"


async def test_an_answer_carries_the_target_of_exactly_what_was_asked(
    manager: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await ingest(engine, all_decoded(deal(line("desk", 1, "10"), stage=stage) for stage in ("won", "lost")))
    await manager.put("/v1/targets/win_rate", json={"value": "0.6", "period": "month"})
    await manager.put("/v1/targets/win_rate?region=EMEA", json={"value": "0.5", "since": "2026-01-01"})
    days = "from=2026-03-01&to=2026-03-31"

    async def shown(query: str) -> Any:
        return (await manager.get(f"/v1/kpis/win_rate?{query}")).json()["target"]

    assert await shown(days) == {"value": "0.6", "met": False}
    assert await shown(f"{days}&region=EMEA") == {"value": "0.5", "met": True}
    assert await shown(f"{days}&region=APAC") is None
    assert await shown(f"{days}&region=EMEA&segment=smb") is None
    assert await shown("from=2025-01-01&to=2025-01-31&region=EMEA") is None
    assert await shown("from=2025-01-01&to=2025-01-31") == {"value": "0.6", "met": None}


@pytest.mark.usefixtures("within_one_day")
async def test_crossings_are_published_once_each_and_in_order(
    manager: httpx.AsyncClient, engine: AsyncEngine, evaluator: TargetEvaluator
) -> None:
    since = datetime.now(VILNIUS.zone).date()
    put = await manager.put("/v1/targets/revenue", json={"value": "100", "since": since.isoformat()})
    await evaluator.run_once()
    await evaluator.run_once()
    (missed,) = await published(engine)
    assert isinstance(missed.data, KpiTargetMissed)
    assert (missed.sequence, missed.subject) == (1, f"targets/{put.json()['id']}")
    assert (missed.data.target, missed.data.reached) == (Decimal(100), Decimal("0.00"))
    assert (missed.data.period_start, missed.data.kpi, missed.data.dimension) == (since, "revenue", None)
    assert (await manager.get("/v1/targets/revenue")).json()["missed"] is True

    await ingest(engine, won("60"), won("60"))
    await moved(engine)
    await evaluator.run_once()
    _, recovered = await published(engine)
    assert isinstance(recovered.data, KpiTargetRecovered)
    assert (recovered.sequence, recovered.data.reached) == (2, Decimal("120.00"))

    await manager.put("/v1/targets/revenue", json={"value": "20000", "since": since.isoformat()})
    await evaluator.run_once()
    events = await published(engine)
    assert [event.event_type.name for event in events] == [
        "metrics.kpi-target-missed",
        "metrics.kpi-target-recovered",
        "metrics.kpi-target-missed",
    ]
    assert isinstance(events[-1].data, KpiTargetMissed)
    assert str(events[-1].data.target) == "20000", "written as it was set, not as 2E+4"


@pytest.mark.usefixtures("within_one_day")
async def test_a_target_by_the_day_is_missed_when_the_day_is_over(
    manager: httpx.AsyncClient, engine: AsyncEngine, evaluator: TargetEvaluator
) -> None:
    await manager.put("/v1/targets/revenue", json={"value": "100", "period": "day"})
    await ingest(engine, won("60"))
    await complete(engine, datetime.combine(datetime.now(VILNIUS.zone), time.min, VILNIUS.zone))
    await evaluator.run_once()
    assert await published(engine) == [], "the day's last events may be under way"
    await complete(engine, datetime.now(UTC) + timedelta(minutes=1))
    await moved(engine)
    await evaluator.run_once()
    (missed,) = await published(engine)
    yesterday = datetime.now(VILNIUS.zone).date() - timedelta(days=1)
    assert isinstance(missed.data, KpiTargetMissed)
    assert (missed.data.period_start, missed.data.period_end) == (yesterday, yesterday)
    assert missed.data.reached == 0, "what came today is judged tomorrow"


async def test_a_target_that_is_met_from_the_start_publishes_nothing(
    manager: httpx.AsyncClient, engine: AsyncEngine, evaluator: TargetEvaluator
) -> None:
    # Not of a year: on its first day there is nothing to judge it by.
    await manager.put("/v1/targets/revenue", json={"value": "0", "since": "2020-01-01"})
    await manager.put("/v1/targets/win_rate", json={"value": "0.5", "period": "year"})
    await evaluator.run_once()
    assert await published(engine) == []
    assert (await manager.get("/v1/targets/revenue")).json()["missed"] is False
    assert (await manager.get("/v1/targets/win_rate")).json()["missed"] is None, "nothing to divide by"


async def test_two_evaluators_publish_a_crossing_once(
    manager: httpx.AsyncClient, engine: AsyncEngine, evaluator: TargetEvaluator, settings: MetricsSettings
) -> None:
    await manager.put("/v1/targets/revenue", json={"value": "100", "since": "2020-01-01"})
    await evaluator.run_once()
    await TargetEvaluator(engine, settings.reporting).run_once()
    assert len(await published(engine)) == 1
