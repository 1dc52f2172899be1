"""A KPI over existing measures is one declaration: everything else follows from the catalogue."""

from typing import Any

import pytest

from metrics_worker.domain.deal import DealMeasures
from metrics_worker.domain.ticket import TicketMeasures
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.kpis.document import document
from metrics_worker.kpis.formula import Formula, Kpi
from tests.metrics_worker.conftest import Metrics
from tests.metrics_worker.facts import deal, line, ticket


async def test_one_declaration_is_answered_listed_documented_explained_and_given_a_target(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    kpi = Kpi(
        name="tickets_per_deal",
        title="Tickets per won deal",
        function="both",
        indicator="leading",
        direction="down",
        variants={"standard": Formula("ratio", TicketMeasures.opened, DealMeasures.won, "tickets per won deal")},
        description="How much help what we sell needs.",
    )
    monkeypatch.setitem(KPIS, kpi.name, kpi)
    won = [deal(line("desk", 1, "1"), stage="won") for _ in range(2)]
    states: list[Any] = [*won, ticket(), ticket(), ticket(region="APAC")]
    await metrics.ingest(*states)

    body = await metrics.ask("tickets_per_deal", group_by="region", interval="month")
    assert (body["value"], body["numerator"], body["denominator"]) == ("1.5", 3, 2)
    assert {group["key"]: group["value"] for group in body["groups"]} == {"APAC": None, "EMEA": "1"}
    assert body["coverage"]["region"] == "1"
    explained = await metrics.ask("tickets_per_deal/explain")
    assert (explained["definition"], len(explained["items"])) == ("tickets per won deal", 5)
    [listed] = [each for each in (await metrics.get("/v1/kpis"))["items"] if each["name"] == "tickets_per_deal"]
    assert listed["dimensions"] == ["region", "segment", "product", "channel", "owner", "team", "customer"]
    assert "### tickets_per_deal" in document()
    assert listed["indicator"] == "leading"
    assert (await metrics.client.get("/v1/targets/tickets_per_deal")).json()["type"] == "urn:tandem:problem:no-target"
