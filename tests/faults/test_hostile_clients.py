"""Clients that are slow, huge, half or many: an API cuts them off, keeps its memory, and serves others meanwhile."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from tandem_cli.issuer import AUDIENCE, ISSUER, Issuer
from tandem_cli.ports import free_port
from tests.faults.experiment import Findings
from tests.faults.rows import fault
from tests.load.report import percentile
from tests.raw_http import RawClient, connections
from tests.support import eventually

BIN = Path(sys.executable).parent
HOST = b"host: 127.0.0.1\r\n"
LEAD = b'{"channel": "online", "region": "EMEA"}'
HALF_HEADS, HALF_BODIES, ABORTED = 100, 300, 1_000
CLOSED_SECONDS = 30
MEMORY_BYTES = 32 * 2**20
"""What a process may keep after a flood: its allocator does not give all back, and does not need more for the next."""
ROUNDS = 4


@dataclass
class Api:
    """A running sales-api with its default limits, beside nothing but its database."""

    port: int
    process: psutil.Process
    database_url: str
    token: str
    waits: list[float] = field(default_factory=list)
    """Seconds that a polite client's requests took, a write and a read each."""

    @property
    def authorization(self) -> bytes:
        return f"authorization: Bearer {self.token}\r\n".encode()

    def memory(self) -> int:
        """Return its resident memory in bytes."""
        return int(self.process.memory_info().rss)

    async def connections_of_its_database(self) -> list[str]:
        """Return the state of each connection that it has to its database."""
        connection = await asyncpg.connect(self.database_url.replace("+asyncpg", ""))
        try:
            rows = await connection.fetch("select state from pg_stat_activity where application_name = 'sales-api'")
            return [row["state"] for row in rows]
        finally:
            await connection.close()


@pytest.fixture
async def api(new_database: Callable[[str], str], tmp_path: Path) -> AsyncIterator[Api]:
    issuer = Issuer(tmp_path)
    port, url = free_port(), new_database("hostile")
    environment = os.environ | {
        "DATABASE_URL": url,
        "HTTP_PORT": str(port),
        "AUTH_ISSUER": ISSUER,
        "AUTH_AUDIENCE": AUDIENCE,
        "AUTH_JWKS": issuer.jwks_url,
        "LOG_LEVEL": "error",
    }
    migration = await asyncio.to_thread(subprocess.run, [BIN / "sales-migrate"], env=environment)
    assert migration.returncode == 0
    process = await asyncio.create_subprocess_exec(
        BIN / "sales-api", env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        started = Api(port, psutil.Process(process.pid), url, issuer.token(["admin"]))
        await eventually(lambda: is_ready(port), 60)
        async with polite_client(started):
            yield started
    finally:
        process.terminate()
        output, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
    # Nothing that a client does is an error of the service.
    assert output == b""


async def is_ready(port: int) -> bool:
    async with httpx.AsyncClient() as http:
        try:
            return (await http.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200
        except httpx.TransportError:
            return False


@contextlib.asynccontextmanager
async def polite_client(api: Api) -> AsyncIterator[None]:
    """Read and write again and again on one connection until the context is left.

    Each read is answered; a write may be refused, with when to send it again, while hundreds of others are under way.
    """
    stop = asyncio.Event()

    async def work() -> None:
        headers = {"Authorization": f"Bearer {api.token}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{api.port}", headers=headers, timeout=30) as http:
            while not stop.is_set():
                began = time.perf_counter()
                written = await http.post("/v1/leads", json={"channel": "online"})
                assert written.status_code == 201 or "Retry-After" in written.headers, written.text
                assert (await http.get("/v1/leads?limit=5")).status_code == 200
                api.waits.append(time.perf_counter() - began)
                await asyncio.sleep(0.02)  # the pace itself

    working = asyncio.create_task(work())
    await eventually(lambda: len(api.waits) >= 5 or working.done(), 30)
    yield
    stop.set()
    await working


async def huge(api: Api) -> None:
    """60 MiB of headers, and an address of 20 MiB."""
    for head in (
        b"GET /v1/leads HTTP/1.1\r\n" + HOST + b"x: " + b"a" * (60 * 2**20),
        b"GET /v1/leads HTTP/1.1\r\n" + HOST + (b"x: " + b"a" * 4000 + b"\r\n") * 15_000,
        b"GET /v1/leads?" + b"a" * (20 * 2**20),
    ):
        async with connections(api.port, 1) as [client]:
            await client.send_all(head)
            assert await client.is_closed(CLOSED_SECONDS)


async def half(api: Api) -> None:
    """Half heads and half bodies, of which more bytes never come."""
    bodies = b"POST /v1/leads HTTP/1.1\r\n" + HOST + b"content-type: application/json\r\ncontent-length: 1000\r\n\r\n{"
    async with opened(api.port, HALF_HEADS) as heads, opened(api.port, HALF_BODIES) as half_sent:
        for client in heads:
            client.send(b"GET /v1/leads HTTP/1.1\r\n" + HOST)
        for client in half_sent:
            client.send(bodies)
        assert all(await asyncio.gather(*(client.is_closed(CLOSED_SECONDS) for client in (*heads, *half_sent))))


@contextlib.asynccontextmanager
async def opened(port: int, number: int) -> AsyncIterator[list[RawClient]]:
    """So many connections, without those that the server refuses at once."""
    found = await asyncio.gather(*(RawClient.connected(port) for _ in range(number)), return_exceptions=True)
    clients = [one for one in found if isinstance(one, RawClient)]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


async def aborted(api: Api) -> None:
    """Writes whose client leaves before it has an answer."""
    request = b"POST /v1/leads HTTP/1.1\r\n" + HOST + api.authorization + b"content-type: application/json\r\n"
    request += b"content-length: %d\r\n\r\n" % len(LEAD) + LEAD
    for _ in range(ABORTED // 100):
        async with opened(api.port, 100) as clients:
            for client in clients:
                client.send(request)
            await asyncio.gather(*(client.writer.drain() for client in clients), return_exceptions=True)


async def many(api: Api) -> None:
    """More connections than one address may have, which ask for nothing; health checks are answered beside them."""
    async with opened(api.port, 280) as clients:
        assert len(clients) > 250
        assert await is_ready(api.port)


async def settled(api: Api) -> bool:
    """Return whether all connections to the database are idle again, and none was leaked."""
    states = await api.connections_of_its_database()
    return len(states) <= 11 and set(states) == {"idle"} and await is_ready(api.port)


async def attacked(api: Api) -> None:
    """All of it at once, then wait until the API is as it was."""
    await asyncio.gather(huge(api), half(api))
    await many(api)
    await aborted(api)
    await eventually(lambda: settled(api), 10)


@fault(33)
async def test_hostile_clients_are_cut_off_while_others_are_served(api: Api) -> None:
    await huge(api)
    before = api.memory()
    await attacked(api)
    assert api.memory() - before < MEMORY_BYTES
    assert len(api.waits) > 20


@fault(33)
@pytest.mark.long
async def test_hostile_clients_take_no_more_memory_the_longer_they_go_on(api: Api, findings: Findings) -> None:
    await attacked(api)
    before = api.memory()
    api.waits.clear()
    for _ in range(ROUNDS):
        await attacked(api)
    after = api.memory()
    findings.note("memory", f"{before / 2**20:.1f} → {after / 2**20:.1f} MiB")
    findings.note("p99 of others", percentile(api.waits, 99), "s")
    assert after - before < MEMORY_BYTES / 2
    assert percentile(api.waits, 99) < 1
