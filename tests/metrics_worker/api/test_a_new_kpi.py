"""A KPI over existing measures is one declaration: everything else follows from the catalogue."""

from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.domain.deal import DealMeasures
from metrics_worker.domain.ticket import TicketMeasures
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.kpis.document import document
from metrics_worker.kpis.formula import Formula, Kpi
from tests.metrics_worker.conftest import ingest
from tests.metrics_worker.facts import all_decoded, deal, line, ticket

MARCH = {"from": "2026-03-01", "to": "2026-03-31"}


async def test_one_declaration_is_answered_listed_documented_explained_and_given_a_target(
    client: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
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
    await ingest(engine, all_decoded([(state, 1) for state in states]))

    async def ask(address: str, **parameters: str) -> Any:
        answer = await client.get(f"/v1/{address}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    body = await ask("kpis/tickets_per_deal", group_by="region", interval="month", **MARCH)
    assert (body["value"], body["numerator"], body["denominator"]) == ("1.5", 3, 2)
    assert {group["key"]: group["value"] for group in body["groups"]} == {"APAC": None, "EMEA": "1"}
    assert body["coverage"]["region"] == "1"
    explained = await ask("kpis/tickets_per_deal/explain", **MARCH)
    assert (explained["definition"], len(explained["items"])) == ("tickets per won deal", 5)
    [listed] = [each for each in (await ask("kpis"))["items"] if each["name"] == "tickets_per_deal"]
    assert listed["dimensions"] == ["region", "segment", "product", "channel", "owner", "team", "customer"]
    assert "### tickets_per_deal" in document()
    assert listed["indicator"] == "leading"
    assert (await client.get("/v1/targets/tickets_per_deal")).json()["type"] == "urn:tandem:problem:no-target"
