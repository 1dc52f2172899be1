"""Responses that are sent while they are generated: bounded in memory and time, and closed however they end."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class Streamed(Response):
    """A response of chunks. It ends with them, when the client disconnects, or when it reads nothing for too long.

    However it ends, the generator is closed before the request is over, and gives back what it holds. `first` is a
    chunk that was taken from it already, to know that it can begin.
    """

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        *,
        first: bytes = b"",
        media_type: str,
        headers: dict[str, str] | None = None,
        slowest_seconds: float,
    ) -> None:
        super().__init__(headers=headers, media_type=media_type)
        del self.headers["content-length"]
        self._chunks = chunks
        self._first = first
        self._slowest_seconds = slowest_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until one side ends it. Raise what the generator raises."""
        sending = asyncio.create_task(self._send_all(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not sending.done():
                sending.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            await self._chunks.aclose()
        if not sending.cancelled():
            with contextlib.suppress(TimeoutError):
                sending.result()

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await self._send(send, self._first)
        async for chunk in self._chunks:
            await self._send(send, chunk)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, chunk: bytes) -> None:
        if chunk:
            message = {"type": "http.response.body", "body": chunk, "more_body": True}
            await asyncio.wait_for(send(message), self._slowest_seconds)


async def _left(receive: Receive) -> None:
    with contextlib.suppress(OSError):
        while (await receive())["type"] != "http.disconnect":
            pass
