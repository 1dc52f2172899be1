"""Liveness and readiness, the same on every process: alive means making progress, ready means able to serve."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service_kit import telemetry

Check = Callable[[], Awaitable[None]]
"""Raises when its part does not work; the exception's text is the reason."""
Measure = Callable[[], Awaitable[dict[str, Any]]]
"""Measures something, sets the metrics of it, and returns what `/readyz` shows."""
NO_MEASURES: Final[Mapping[str, Measure]] = MappingProxyType({})

HEALTH_PATHS: Final = frozenset({"/healthz", "/readyz"})

log = structlog.get_logger()


class Heartbeat:
    """The time of a loop's last progress: a loop that makes none makes its process not alive."""

    def __init__(self, name: str, limit_seconds: float) -> None:
        self.name = name
        self.limit_seconds = limit_seconds
        self._last = time.monotonic()

    def beat(self) -> None:
        """Note progress."""
        self._last = time.monotonic()

    async def check(self) -> None:
        """Raise RuntimeError when the last progress is too long ago."""
        silent = time.monotonic() - self._last
        if silent > self.limit_seconds:
            raise RuntimeError(f"no progress for {silent:.0f} s")


def database_check(engine: AsyncEngine) -> Check:
    """Return a check that passes when the database answers and is migrated."""

    async def check() -> None:
        async with engine.connect() as connection:
            await connection.execute(text("select version_num from alembic_version"))

    return check


async def _report(checks: dict[str, Check], measures: Mapping[str, Measure] = NO_MEASURES) -> Response:
    # Side by side: a database that hangs costs each check its time-out, and a probe waits for one at most.
    found = await asyncio.gather(*(_outcome(name, check) for name, check in checks.items()))
    results = dict(zip(checks, found, strict=True))
    failed = "failed" in found
    body = {"status": "failed" if failed else "ok", "checks": results} | await _measured(measures)
    return JSONResponse(body, status_code=503 if failed else 200)


async def _measured(measures: Mapping[str, Measure]) -> dict[str, Any]:
    found = {}
    for name, measure in measures.items():
        try:
            found[name] = await measure()
        except Exception as error:
            log.warning("not_measured", measure=name, error=repr(error))
            found[name] = {}
    return found


async def _outcome(name: str, check: Check) -> str:
    try:
        await check()
    except Exception as error:
        # The reason goes to the log only: it may name hosts.
        log.warning("health_check_failed", check=name, error=repr(error))
        return "failed"
    return "ok"


def health_routes(
    live: dict[str, Check], ready: dict[str, Check], measures: Mapping[str, Measure] = NO_MEASURES
) -> list[Route]:
    """Return `/healthz` and `/readyz`. What `measures` measure is shown by the latter, and does not fail it."""

    async def healthz(_: Request) -> Response:
        return await _report(live)

    async def readyz(_: Request) -> Response:
        return await _report(live | ready, measures)

    return [
        Route("/healthz", healthz, include_in_schema=False),
        Route("/readyz", readyz, include_in_schema=False),
    ]


def metrics_route(measures: Mapping[str, Measure] = NO_MEASURES) -> Route:
    """Return `/metrics`, for which `measures` are taken."""

    async def metrics(_: Request) -> Response:
        await _measured(measures)
        return telemetry.exposition()

    return Route("/metrics", metrics, include_in_schema=False)
