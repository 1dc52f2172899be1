"""A client that sends bytes rather than requests: what a well-behaved one never does."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple, Self


class Answer(NamedTuple):
    """One answer; `body` is as sent."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class RawClient:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connected(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**26))

    def send(self, data: bytes) -> None:
        """Send without waiting for anything."""
        self.writer.write(data)

    async def send_all(self, data: bytes) -> None:
        """Send, and wait until it has gone; a server that does not want all of it may close meanwhile."""
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def answer(self, seconds: float = 10) -> Answer:
        """Return the next answer. Raise IncompleteReadError or ConnectionError when the connection ends without one."""
        async with asyncio.timeout(seconds):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
            return Answer(int(head[0].split()[1]), headers, body)

    async def is_closed(self, seconds: float = 10) -> bool:
        """Return whether the server ends the connection within so many seconds; what it sends before is dropped."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(seconds):
                while await self.reader.read(2**16):
                    pass
                return True
        return self.reader.at_eof() or self.reader.exception() is not None

    def close(self) -> None:
        self.writer.close()


@contextlib.asynccontextmanager
async def connections(port: int, number: int) -> AsyncIterator[list[RawClient]]:
    """So many connections at once, closed at the end."""
    clients = [await RawClient.connected(port) for _ in range(number)]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()
