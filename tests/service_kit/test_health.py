"""Readiness is known as soon as its slowest check is."""

import asyncio

import httpx
from starlette.applications import Starlette

from service_kit.health import health_routes


async def test_hanging_checks_are_awaited_side_by_side() -> None:
    both = asyncio.Barrier(2)

    async def hangs() -> None:
        # One after the other, neither would ever meet the other.
        async with asyncio.timeout(5):
            await both.wait()

    async def fails() -> None:
        raise OSError("away")

    app = Starlette(routes=health_routes(live={}, ready={"one": hangs, "two": hangs, "three": fails}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://toy") as http:
        answer = await http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"one": "ok", "two": "ok", "three": "failed"}
