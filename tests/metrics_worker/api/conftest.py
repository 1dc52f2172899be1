"""A reader of the stream of KPI values."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from tandem_cli.issuer import Issuer
from tests.metrics_worker.conftest import MARCH
from tests.support import within


class Stream:
    """A reader that speaks ASGI to the application; while `paused` it takes nothing."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.ended = asyncio.Event()
        self.left = asyncio.Event()
        self.paused = asyncio.Event()
        self.paused.set()

    @property
    def events(self) -> list[dict[str, str]]:
        """Each event's fields, comments and empty blocks left out."""
        blocks = self.body.decode().split("\n\n")[:-1]
        found = [
            dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":") for block in blocks if block
        ]
        return [event for event in found if "data" in event]

    @property
    def values(self) -> list[tuple[str, str]]:
        """KPI and value of every `kpi` event."""
        sent = [json.loads(event["data"]) for event in self.events if event["event"] == "kpi"]
        return [(each["kpi"], each["value"]) for each in sent]


Reading = Callable[..., Any]
"""Opens a stream of KPIs, with filters."""


@pytest.fixture
async def reading(app: FastAPI, engine: AsyncEngine, issuer: Issuer) -> Reading:
    @asynccontextmanager
    async def read(
        kpis: str,
        *,
        of: FastAPI = app,
        token: str = "",
        anonymous: bool = False,
        last_event_id: str = "",
        **parameters: str,
    ) -> AsyncIterator[Stream]:
        one = Stream()
        given = {} if anonymous else {"authorization": f"Bearer {token or issuer.token(['analyst'])}"}
        if last_event_id:
            given["last-event-id"] = last_event_id
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/v1/stream",
            "raw_path": b"/v1/stream",
            "query_string": urlencode({"kpis": kpis} | MARCH | parameters).encode(),
            "headers": [(name.encode(), value.encode()) for name, value in ({"host": "metrics"} | given).items()],
            "client": ("127.0.0.1", 1),
            "server": ("metrics", 80),
        }
        asked = False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await one.left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            await one.paused.wait()
            if message["type"] == "http.response.start":
                one.status = message["status"]
                one.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                one.body += message["body"]

        async def serve() -> None:
            await of(scope, receive, send)
            one.ended.set()

        task = asyncio.create_task(serve())
        try:
            yield one
        finally:
            one.left.set()
            one.paused.set()
            await within(task, 10)

    return read
