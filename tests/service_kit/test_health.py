"""Readiness is known as soon as its slowest check is."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette

from service_kit.health import health_routes, metrics_route
from service_kit.identifiers import new_id
from service_kit.outbox import outbox, outbox_measure
from tests.support import PATIENCE


async def test_hanging_checks_are_awaited_side_by_side() -> None:
    both = asyncio.Barrier(2)

    async def hangs() -> None:
        # One after the other, neither would ever meet the other.
        async with asyncio.timeout(5 * PATIENCE):
            await both.wait()

    async def fails() -> None:
        raise OSError("away")

    app = Starlette(routes=health_routes(live={}, ready={"one": hangs, "two": hangs, "three": fails}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://toy") as http:
        answer = await http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"one": "ok", "two": "ok", "three": "failed"}


async def test_an_api_shows_how_old_its_outbox_is(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        old = {"id": new_id(), "aggregatetype": "toy", "aggregateid": "key", "type": "toy", "payload": b"x"}
        await connection.execute(sa.insert(outbox), old | {"created_at": datetime.now(UTC) - timedelta(hours=1)})
    try:
        shown = (await client.get("/readyz")).json()["outbox"]
        assert shown["rows"] >= 1
        assert shown["oldest_seconds"] >= 3600
        metrics = Starlette(routes=[metrics_route({"outbox": outbox_measure(engine)})])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(metrics), base_url="http://toy") as http:
            lines = (await http.get("/metrics")).text.splitlines()
        [age] = [line for line in lines if line.startswith("tandem_outbox_oldest_seconds")]
        assert float(age.split()[1]) >= 3600
    finally:
        async with engine.begin() as connection:
            await connection.execute(sa.delete(outbox).where(outbox.c.aggregatetype == "toy"))
