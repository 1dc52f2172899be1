"""One request to an ASGI application, message by message: what a client over a socket cannot be made to do exactly."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from starlette.types import ASGIApp, Message

from tests.support import within

LEFT: Message = {"type": "http.disconnect"}


def body(content: bytes = b"", *, more: bool = False) -> Message:
    return {"type": "http.request", "body": content, "more_body": more}


class Call:
    """A request under way. `arrive` gives the application another message; `sent` is what it has answered so far."""

    def __init__(
        self,
        app: ASGIApp,
        method: str = "GET",
        path: str = "/v1/things",
        *messages: Message,
        headers: Sequence[tuple[str, str]] = (),
        client: str = "192.0.2.1",
    ) -> None:
        self.sent: list[Message] = []
        self._arriving: asyncio.Queue[Message] = asyncio.Queue()
        for message in messages or (body(),):
            self.arrive(message)
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "headers": [(name.lower().encode(), value.encode()) for name, value in (("host", "toy"), *headers)],
            "client": (client, 1),
            "server": ("toy", 80),
            "state": {},
        }
        self.task = asyncio.create_task(self._run(app, scope))

    async def _run(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        await app(scope, self._arriving.get, self._send)

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    def arrive(self, message: Message) -> None:
        self._arriving.put_nowait(message)

    def leave(self) -> None:
        """The client goes away."""
        self.arrive(LEFT)

    async def ended(self) -> "Call":
        """Wait for the end of the application's call. Raise what it raises."""
        await within(asyncio.shield(self.task), 10)
        return self

    @property
    def status(self) -> int | None:
        """The answer's status, or None before there is one."""
        return self.sent[0]["status"] if self.sent else None

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    def json(self) -> Any:
        return json.loads(b"".join(message.get("body", b"") for message in self.sent[1:]))
