"""The scorecard: both functions beside each other, each reply with its figures."""

from datetime import date
from typing import Any

from metrics_worker.api.scorecard import ROWS
from metrics_worker.kpis.catalogue import KPIS
from tandem_cli.issuer import Issuer
from tests.metrics_worker.conftest import MARCH, Metrics
from tests.metrics_worker.facts import (
    MORNING,
    account,
    activity,
    deal,
    eur,
    lead,
    line,
    moment,
    quota,
    survey,
    ticket,
)
from tests.service_kit.conftest import assert_problem


async def scorecard(metrics: Metrics, **parameters: str) -> dict[str, Any]:
    rows = (await metrics.get("/v1/scorecard", **MARCH, **parameters))["rows"]
    return {row["question"]: row for row in rows}


def replies(rows: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {name: (row["sales"]["reply"], row["service"]["reply"]) for name, row in rows.items()}


def figure(rows: dict[str, Any], question: str, function: str, kpi: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [each for each in rows[question][function]["figures"] if each["kpi"] == kpi]
    return found[0]


async def test_sales_and_service_are_side_by_side_with_the_numbers_behind_each_reply(
    metrics: Metrics, issuer: Issuer
) -> None:
    asked = moment("2026-03-05")
    states: list[Any] = [
        account(referred_by=account().id), lead(), activity(), activity(),
        deal(line("desk", 1, "100"), stage="won"),
        deal(line("desk", 1, "50"), stage="won", closed_at=moment("2026-02-10")),
        quota(date(2026, 3, 1), date(2026, 3, 31), eur("90")),
        ticket(kind="presales_question", opened_at=asked, first_responded_at=asked), ticket(kind="problem"),
        ticket(kind="complaint"),
        survey(answered_at=MORNING, score=5), survey(answered_at=MORNING, score=1),
    ]  # fmt: skip
    await metrics.ingest(*states)
    manager = {"Authorization": f"Bearer {issuer.token(['service-manager'])}"}
    await metrics.client.put("/v1/targets/csat", json={"value": "0.8", "period": "month"}, headers=manager)
    rows = await scorecard(metrics, compare="previous")
    assert replies(rows) == {
        "new-customers": ("yes", "yes"),
        "referred-customers": ("yes", "no"),
        "sales-target": ("yes", "unknown"),
        "happy-customer-target": ("unknown", "no"),
        "contact-before": ("yes", "yes"),
        "questions-after": ("no", "yes"),
    }
    attained = figure(rows, "sales-target", "sales", "quota_attainment")
    assert (attained["value"], attained["numerator"], attained["denominator"]) == ("1.111111", "100.00", "90.00")
    assert attained["target"] == {"value": "1", "met": True}
    csat = figure(rows, "happy-customer-target", "service", "csat")
    assert (csat["value"], csat["target"]) == ("0.5", {"value": "0.8", "met": False})
    assert rows["happy-customer-target"]["service"]["has_target"] is True
    assert rows["happy-customer-target"]["sales"]["has_target"] is False
    before = figure(rows, "contact-before", "service", "reply_minutes")
    assert (before["filters"], before["numerator"], before["denominator"]) == ({"kind": "presales_question"}, 0, 1)
    revenue = figure(rows, "sales-target", "sales", "revenue")
    assert (revenue["previous"]["value"], revenue["previous"]["change"]) == ("50.00", "50.00")
    for row in rows.values():
        for each in row["sales"]["figures"] + row["service"]["figures"]:
            explained = await metrics.get(each["explain"])
            assert [explained[name] for name in ("kpi", "variant", "value", "numerator", "denominator")] == [
                each[name] for name in ("kpi", "variant", "value", "numerator", "denominator")
            ]


async def test_without_facts_and_targets_each_reply_is_no_or_unknown(metrics: Metrics) -> None:
    assert replies(await scorecard(metrics)) == {
        row.name: ("no", "no") if row.by == "count" else ("unknown", "unknown") for row in ROWS
    }
    refused = await metrics.client.get("/v1/scorecard", params={"from": "2026-03-02", "to": "2026-03-01"})
    assert_problem(refused, 422, "invalid-request")


def test_every_cell_is_a_kpi_that_can_be_asked_so() -> None:
    for row in ROWS:
        for function, cells in (("sales", row.sales), ("service", row.service)):
            for cell in cells:
                kpi = KPIS[cell.kpi]
                assert cell.variant is None or cell.variant in kpi.variants
                assert {name for name, _ in cell.filters} <= set(kpi.dimensions)
                assert kpi.function in (function, "both") or kpi.name.startswith("upsell")
