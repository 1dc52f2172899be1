"""Encrypts connections to the embedded PostgreSQL, whose build has no TLS: its handshake, and nothing else of its own.

A client asks for TLS by an SSLRequest, as https://www.postgresql.org/docs/current/protocol-flow.html has it. One that
does not is refused, as by a server with `hostssl` entries only.
"""

import asyncio
import contextlib
import ssl
import struct
import threading
from pathlib import Path

from tandem_cli.ports import LOOPBACK

_SSL_REQUEST = struct.pack(">ii", 8, 80877103)
_REFUSAL = b"SFATAL\0VFATAL\0C28000\0Mthis server takes encrypted connections only\0\0"
_CHUNK = 64 * 1024


class TlsFront:
    """Listens on `port` of this machine, and passes on what it decrypts to `server_port`, in a thread of its own."""

    def __init__(self, port: int, server_port: int, server_pem: Path) -> None:
        self._port = port
        self._server_port = server_port
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(server_pem)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tls front", daemon=True)

    def start(self) -> None:
        """Return once it listens."""
        self._thread.start()
        self._listening.wait()

    def stop(self) -> None:
        """Close every connection."""
        if self._loop is not None and self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._take, LOOPBACK, self._port)
        self._listening.set()
        await self._stopping.wait()
        server.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whatever a client sends or breaks off ends its own connection only.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            if await reader.readexactly(len(_SSL_REQUEST)) != _SSL_REQUEST:
                writer.write(b"E" + struct.pack(">i", len(_REFUSAL) + 4) + _REFUSAL)
                await writer.drain()
                return
            writer.write(b"S")
            await writer.start_tls(self._context)
            server_reader, server_writer = await asyncio.open_connection(LOOPBACK, self._server_port)
            with contextlib.closing(server_writer):
                ways = [_pass(reader, server_writer), _pass(server_reader, writer)]
                _, left = await asyncio.wait(map(asyncio.ensure_future, ways), return_when=asyncio.FIRST_COMPLETED)
                for way in left:
                    way.cancel()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
