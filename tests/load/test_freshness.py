"""How soon a change shows: from the commit in the service's database to the balance, also while the books are rebuilt,
and from a write's 2xx to the KPI's new value over HTTP."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import asyncpg
import psutil
import pytest

from event_contracts import codec
from event_contracts.sales import LeadCreated
from service_kit.identifiers import new_id
from service_kit.outbox_notify import CHANNEL
from tandem_cli.books import addresses
from tandem_cli.commands.status import memory_bytes
from tandem_cli.stack import LocalStack
from tandem_cli.system import script
from tests.business import Business, connected
from tests.load.report import percentile, say
from tests.support import eventually

WRITES_PER_SECOND = 50
PROBES = 200
EVENTS_PER_SECOND = 200
MEASURED_SECONDS = 20
POLL_SECONDS = 0.001
BEFORE = 40_000
"""Events in the log before the measurement: what a rebuild has to read. `--events` may say less."""
ACCOUNTS = 200
"""With five, each would have as many deals in a minute as a customer has in years."""
SETTLE_WRITES = 2000
"""Written before the first probe, so that caches are warm, the broker's code is compiled and the pace is steady."""
SETTLE_ROUNDS = 2
"""Measured before those that count, for the same reason."""

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    system = LocalStack(tmp_path_factory.mktemp("stack"))
    system.start()
    yield system
    system.stop()


@pytest.fixture
async def business(stack: LocalStack) -> AsyncIterator[Business]:
    made = connected(stack, seed=1)
    await made.found(accounts=ACCOUNTS)
    yield made
    await made.http.close()


async def seconds_until_shown(business: Business, channel: str) -> float:
    """Waits until the KPI shows the one deal that was won through a channel of its own."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    today = datetime.now(UTC).date().isoformat()
    query = {"from": today, "to": today, "channel": channel}
    while loop.time() - began < 10:
        async with business.http.get(business.stack.urls["metrics"] + "/v1/kpis/sales_volume", params=query) as answer:
            body = await answer.json()
            assert answer.status == 200, body
            if body["numerator"] == 1:
                return loop.time() - began
    raise AssertionError("the deal did not show within 10 s")


async def test_freshness_under_load(business: Business) -> None:
    stop = asyncio.Event()
    working = asyncio.create_task(business.work(stop, writes_per_second=WRITES_PER_SECOND))
    await eventually(lambda: sum(business.answers.values()) >= SETTLE_WRITES, 120)
    business.seconds.clear()
    waits = []
    for _ in range(PROBES):
        channel = f"probe-{uuid.uuid4().hex[:12]}"
        await business.win_a_deal(channel=channel)
        waits.append(await seconds_until_shown(business, channel))
        await asyncio.sleep(0.05)
    stop.set()
    await working
    assert set(business.answers) <= {200, 201, 409, 422}
    print()
    say("http_to_kpi_p50_ms", percentile(waits, 50) * 1000, "ms")
    say("http_to_kpi_p99_ms", percentile(waits, 99) * 1000, "ms")
    say("write_p50_ms", percentile(business.seconds, 50) * 1000, "ms")
    say("write_p99_ms", percentile(business.seconds, 99) * 1000, "ms")


class Books:
    """Writes leads' events as a service does, one a transaction that is announced, and watches the balance that counts
    them."""

    def __init__(self, sales: asyncpg.Connection, metrics: asyncpg.Connection) -> None:
        self._sales = sales
        self._metrics = metrics

    async def write(self, leads: int = 1) -> float:
        """So many leads, in one transaction; the loop's time of its commit."""
        now = datetime.now(UTC)
        rows = []
        for _ in range(leads):
            lead = LeadCreated(
                id=new_id(), status="new", channel="referral", region="EMEA", segment="smb", product="desk",
                owner_id=uuid.UUID(int=1), team_id=uuid.UUID(int=2), created_at=now,
            )  # fmt: skip
            value = codec.encode(
                lead, event_id=(id_ := new_id()), time=now, recorded_time=now, sequence=1, partition_key=lead.id
            )
            rows.append((id_, "sales.events", str(lead.id), "sales.lead-created", value))
        await self._sales.executemany(
            "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload) VALUES ($1, $2, $3, $4, $5)", rows
        )
        committed = asyncio.get_running_loop().time()
        await self._sales.execute(f"NOTIFY {CHANNEL}")
        return committed

    async def counted(self) -> int:
        """How many leads the balance counts."""
        query = (
            "SELECT coalesce(sum(sums[1]), 0)::bigint FROM block"
            " WHERE kind = 'lead' AND dimension = 'all' AND span = 'year'"
        )
        return int(await self._metrics.fetchval(query))

    async def waits(self) -> list[float]:
        """Writes at a steady pace; returns for each the seconds from its commit to the balance that counts it."""
        loop = asyncio.get_running_loop()
        before, committed, waits = await self.counted(), list[float](), list[float]()
        events = EVENTS_PER_SECOND * MEASURED_SECONDS

        async def write_all() -> None:
            began = loop.time()
            for number in range(events):
                await asyncio.sleep(max(began + number / EVENTS_PER_SECOND - loop.time(), 0))
                committed.append(await self.write())

        writing = asyncio.create_task(write_all())
        deadline = loop.time() + 10 * MEASURED_SECONDS
        while len(waits) < events and loop.time() < deadline:
            counted, now = await self.counted() - before, loop.time()
            # The n-th commit is shown when the balance counts n; one that shows before its writer knows took no time.
            waits += [max(now - at, 0.0) for at in committed[len(waits) : counted]]
            await asyncio.sleep(POLL_SECONDS)
        await writing
        assert len(waits) == events
        return waits


@pytest.fixture
async def books(stack: LocalStack) -> AsyncIterator[Books]:
    urls = [stack.database_url(name).replace("+asyncpg", "") for name in ("sales", "metrics")]
    connections = [await asyncpg.connect(url) for url in urls]
    yield Books(*connections)
    for connection in connections:
        await connection.close()


@asynccontextmanager
async def rebuilding(stack: LocalStack) -> AsyncIterator[Callable[[], int]]:
    """Rebuilds the books again and again; gives how often that was done."""
    environment = {**os.environ, **addresses(stack.data.path), "LOG_LEVEL": "error"}
    done = 0

    async def again() -> None:
        nonlocal done
        while True:
            process = await asyncio.create_subprocess_exec(
                *script("metrics-replay"), env=environment, stdout=asyncio.subprocess.PIPE
            )
            try:
                said, _ = await process.communicate()
                assert process.returncode == 0, said.decode().splitlines()[-1]
                done += 1
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()

    rebuilds = asyncio.create_task(again())
    try:
        yield lambda: done
    finally:
        rebuilds.cancel()
        with suppress(asyncio.CancelledError):
            await rebuilds


async def test_freshness_from_the_commit_on(stack: LocalStack, books: Books, request: pytest.FixtureRequest) -> None:
    filled = min(BEFORE, int(request.config.getoption("--events")))
    counted_at_first = await books.counted()
    for _ in range(filled // 1_000):
        await books.write(1_000)

    async def all_counted() -> bool:
        return await books.counted() - counted_at_first >= filled // 1_000 * 1_000

    await eventually(all_counted, 300)
    for _ in range(SETTLE_ROUNDS):
        await books.waits()
    quiet = await books.waits()
    async with rebuilding(stack) as rebuilds:
        busy = await books.waits()
        await eventually(lambda: rebuilds() >= 1, 120)
    print()
    say("freshness_p50_ms", percentile(quiet, 50) * 1000, "ms")
    say("freshness_p99_ms", percentile(quiet, 99) * 1000, "ms")
    say("freshness_during_replay_p50_ms", percentile(busy, 50) * 1000, "ms")
    say("freshness_during_replay_p99_ms", percentile(busy, 99) * 1000, "ms")


async def test_memory_of_the_whole_stack(stack: LocalStack) -> None:
    running = stack.data.running()
    assert running is not None
    processes = [psutil.Process(part.pid) for part in running.parts]
    total = sum(memory_bytes(each) for process in processes for each in [process, *process.children(recursive=True)])
    say("stack_memory_mib", total / 1024**2, "MiB")
