"""A receiver of webhooks on this machine, which checks signatures by its own reading of the Standard Webhooks spec."""

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Received:
    """One request as it arrived."""

    headers: dict[str, str]
    body: bytes

    def is_signed_by(self, secret: str) -> bool:
        """Whether one of the signatures is the secret's, over what was received, and of this moment."""
        if abs(time.time() - int(self.headers["webhook-timestamp"])) > 300:
            return False
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        given = [part.split(",", 1) for part in self.headers["webhook-signature"].split(" ")]
        return any(version == "v1" and hmac.compare_digest(text, expected) for version, text in given)


@dataclass
class Receiver:
    """Answers each request with the next of `answers`, and with 204 when there is none left."""

    port: int = 0
    answers: list[str] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = {
            name.lower(): value for name, value in (line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        }
        body = await reader.readexactly(int(headers["content-length"]))
        self.received.append(Received(headers, body))
        answer = self.answers.pop(0) if self.answers else "204 No Content\r\n"
        writer.write(f"HTTP/1.1 {answer}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving(*answers: str) -> AsyncIterator[Receiver]:
    """A running receiver. An answer is `503 Busy\\r\\n`, with headers after it if need be."""
    receiver = Receiver(answers=list(answers))
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
