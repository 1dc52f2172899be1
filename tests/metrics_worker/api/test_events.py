"""What metrics published, read again: of one target or period, and one event by its id, by whom its subject allows."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts.codec import decode
from event_contracts.examples import encoded_example, examples
from metrics_worker.jobs.targets import TargetEvaluator
from metrics_worker.settings import MetricsSettings
from service_kit import outbox
from service_kit.unit_of_work import units_of_work
from tandem_cli.issuer import Issuer
from tests.metrics_worker.conftest import Metrics, client_of, complete, moved
from tests.metrics_worker.facts import account
from tests.service_kit.conftest import assert_problem

STRANGER = UUID(int=4711)
OWN = sorted(name for name in examples() if name.startswith("metrics."))


async def read_events(http: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    return [each["event"] for each in answer.json()["items"]]


async def test_a_target_has_its_crossings_and_no_other_targets(
    app: FastAPI, client: httpx.AsyncClient, engine: AsyncEngine, issuer: Issuer, settings: MetricsSettings
) -> None:
    await moved(engine)
    since = datetime.now(settings.reporting.zone).date().isoformat()
    async with client_of(app, issuer, "sales-manager") as manager:
        for address in ("revenue", "revenue?region=EMEA"):
            put = await manager.put(f"/v1/targets/{address}", json={"value": "100", "since": since})
            assert put.status_code == 201, put.text
    await TargetEvaluator(engine, settings.reporting).run_once()
    (missed,) = await read_events(client, "/v1/targets/revenue/events")
    assert (missed["type"], missed["data"]["kpi"]) == ("metrics.kpi-target-missed", "revenue")
    (of_region,) = await read_events(client, "/v1/targets/revenue/events?region=EMEA&type=metrics.kpi-target-missed")
    assert (of_region["subject"], of_region["data"]["value"]) == (f"targets/{put.json()['id']}", "EMEA")
    assert await read_events(client, "/v1/targets/revenue/events?type=metrics.kpi-target-recovered") == []
    assert_problem(await client.get("/v1/targets/win_rate/events"), 404, "no-target")
    wrong = await client.get("/v1/targets/revenue/events?type=metrics.kpi-target-mised")
    assert "did you mean metrics.kpi-target-missed?" in assert_problem(wrong, 422)["errors"][0]["detail"]


async def test_a_closed_period_has_its_closing(
    app: FastAPI, client: httpx.AsyncClient, engine: AsyncEngine, issuer: Issuer
) -> None:
    await complete(engine)
    async with client_of(app, issuer, "service-manager") as manager:
        closed = await manager.post("/v1/periods/2026-03/close")
        assert closed.status_code == 200, closed.text
    (event,) = await read_events(client, "/v1/periods/2026-03/events")
    assert (event["type"], event["data"]["closed_at"]) == ("metrics.period-closed", closed.json()["closed_at"])
    assert (await client.get(f"/v1/events/{event['id']}")).json()["event"] == event
    assert_problem(await client.get("/v1/periods/2026-02/events"), 404, "period-not-closed")


@pytest.mark.parametrize("name", OWN)
async def test_an_event_is_read_by_its_id_by_those_who_read_what_it_is_about(
    metrics: Metrics, app: FastAPI, engine: AsyncEngine, issuer: Issuer, name: str
) -> None:
    example = decode(encoded_example(name))
    data: Any = example.data
    kind = example.subject.partition("/")[0]
    owner = UUID(int=42)
    if kind == "risks":
        await metrics.consume((account(id=data.id, owner_id=owner), 1))
    elif kind == "waits":
        owner = data.owner_id
    async with units_of_work(engine, process="test")() as work:
        event_id = outbox.write(
            work, data, sequence=1, time=datetime.now(UTC), partition_key=UUID(example.partition_key)
        )
        await work.commit()
    path = f"/v1/events/{event_id}"
    read = (await metrics.client.get(path)).json()
    assert (read["event"]["type"], read["topic"], read["is_published"]) == (name, "metrics.events", False)
    assert read["event"]["data"]["id"] == str(data.id)
    reads = {"periods": {owner, STRANGER}, "risks": {owner}, "waits": {owner}}.get(kind, set())
    for person in (owner, STRANGER):
        token = {"Authorization": f"Bearer {issuer.token(['sales-rep'], person=person)}"}
        answer = await metrics.client.get(path, headers=token)
        if person in reads:
            assert answer.json() == read
        else:
            assert_problem(answer, 404, "not-found")


async def test_an_event_that_metrics_did_not_publish_is_not_found(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get(f"/v1/events/{STRANGER}"), 404, "not-found")
