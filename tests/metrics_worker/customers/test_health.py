"""One customer's health with its reasons, and the events when a customer is at risk or recovers."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts.catalogue import State
from event_contracts.metrics import CustomerAtRisk, CustomerRecovered
from metrics_worker.jobs.targets import TargetEvaluator
from metrics_worker.settings import MetricsSettings
from tests.metrics_worker.conftest import Metrics
from tests.metrics_worker.facts import CUSTOMER, REP, account, deal, line, survey, ticket
from tests.service_kit.conftest import assert_problem

pytestmark = pytest.mark.clock


def ago(**spans: float) -> datetime:
    return datetime.now(UTC) - timedelta(**spans)


def won(days: int, amount: str, **fields: Any) -> State:
    return deal(line("desk", 1, amount), stage="won", opened_at=ago(days=days + 1), closed_at=ago(days=days), **fields)


async def health(metrics: Metrics, customer: UUID = CUSTOMER) -> Any:
    return await metrics.get(f"/v1/customers/{customer}/health")


@pytest.fixture
def evaluator(engine: AsyncEngine, settings: MetricsSettings) -> TargetEvaluator:
    return TargetEvaluator(engine, settings.reporting)


async def test_the_score_comes_with_its_reasons_and_agrees_with_the_kpis(metrics: Metrics) -> None:
    bought = won(200, "80")
    open_deal = deal(line("lamp", 1, "20"), opened_at=ago(days=3))
    breached = ticket(opened_at=ago(days=9), sla_breached_at=ago(days=8))
    rated = survey(sent_at=ago(days=6), answered_at=ago(days=5), score=2)
    await metrics.consume(account(id=CUSTOMER), bought, open_deal, breached, rated)
    shown = await health(metrics)
    assert (shown["score"], shown["at_risk"], shown["merged_into"]) == (35, True, None)
    assert {each["reason"]: (each["points"], each["behind"]) for each in shown["reasons"]} == {
        "sla-breached": (30, [f"tickets/{breached.id}"]),
        "badly-rated": (20, [f"surveys/{rated.id}"]),
        "no-purchase-180-days": (15, [f"deals/{bought.id}"]),
    }
    assert datetime.fromisoformat(shown["at_risk_since"]) == breached.sla_breached_at
    assert (shown["revenue_365_days"], shown["open_deals"]) == ("80.00", "20.00")
    for kpi, value in (("customer_health", "35"), ("revenue_at_risk", "100.00"), ("customers_at_risk", "1")):
        answer = await metrics.client.get(f"/v1/kpis/{kpi}", params={"customer": str(CUSTOMER)})
        assert answer.json()["value"] == value


async def test_a_merged_customers_health_is_that_of_the_one_that_remains(metrics: Metrics) -> None:
    await metrics.consume(
        won(10, "80", account_id=REP), account(id=CUSTOMER), (account(id=REP, merged_into=CUSTOMER), 2)
    )
    shown = await health(metrics, REP)
    assert (shown["customer_id"], shown["merged_into"], shown["score"]) == (str(REP), str(CUSTOMER), 100)
    assert (await health(metrics))["revenue_365_days"] == "80.00"


async def test_who_has_not_bought_has_no_score_and_who_is_unknown_is_not_found(metrics: Metrics) -> None:
    await metrics.consume(account(id=CUSTOMER), ticket(sla_breached_at=ago(days=1)))
    shown = await health(metrics)
    assert (shown["score"], shown["at_risk"], [each["points"] for each in shown["reasons"]]) == (None, True, [0])
    assert_problem(await metrics.client.get(f"/v1/customers/{uuid4()}/health"), 404, "not-found")


async def test_each_change_of_risk_is_published_once(metrics: Metrics, evaluator: TargetEvaluator) -> None:
    one = ticket(opened_at=ago(days=2), sla_breached_at=ago(days=1))
    await metrics.consume(won(10, "80"), one)
    await evaluator.run_once()
    [risk] = await metrics.published()
    assert isinstance(risk, CustomerAtRisk)
    assert (risk.id, risk.reasons, str(risk.revenue_at_risk.amount)) == (CUSTOMER, ["sla-breached"], "80.00")
    assert risk.at_risk_since == one.sla_breached_at
    # More revenue is at stake now, which is no other risk.
    await metrics.consume(won(1, "5"))
    await evaluator.run_once()
    assert len(await metrics.published()) == 1
    resolved = ticket(id=one.id, opened_at=one.opened_at, sla_breached_at=one.sla_breached_at, resolved_at=ago())
    await metrics.consume((resolved, 2))
    await evaluator.run_once()
    [_, recovered] = await metrics.published()
    assert isinstance(recovered, CustomerRecovered)
    assert (recovered.reasons, recovered.at_risk_since) == ([], None)


async def test_what_was_at_risk_in_the_past_alone_is_not_published(
    metrics: Metrics, evaluator: TargetEvaluator
) -> None:
    await metrics.consume(survey(sent_at=ago(days=101), answered_at=ago(days=100), score=1))
    await evaluator.run_once()
    assert await metrics.published() == []


async def test_the_risk_of_a_merged_customer_becomes_that_of_the_one_that_remains(
    metrics: Metrics, evaluator: TargetEvaluator
) -> None:
    await metrics.consume(ticket(sla_breached_at=ago(days=1), customer_id=REP))
    await evaluator.run_once()
    await metrics.consume(account(id=REP, merged_into=CUSTOMER))
    await evaluator.run_once()
    [first, *both] = [(each.id, each.reasons) for each in await metrics.published()]
    assert first == (REP, ["sla-breached"])
    assert sorted(both) == [(REP, []), (CUSTOMER, ["sla-breached"])]


async def test_risk_that_a_rebuilt_ledger_does_not_have_ends(metrics: Metrics, settings: MetricsSettings) -> None:
    await metrics.consume(ticket(sla_breached_at=ago(days=1)))
    await TargetEvaluator(metrics.engine, settings.reporting).run_once()
    async with metrics.engine.begin() as connection:
        await connection.execute(sa.text("TRUNCATE timeline_entry, risk_review"))
    await TargetEvaluator(metrics.engine, settings.reporting).run_once()
    assert [type(each) for each in await metrics.published()] == [CustomerAtRisk, CustomerRecovered]
