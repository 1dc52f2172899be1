"""How soon a change shows, beside the least that it can take: from the commit in the service's database to the ledger
beside a bare pipeline, also while the ledger is rebuilt; and from a write's 2xx to the KPI's new value over HTTP beside
the write itself."""

import asyncio
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import asyncpg
import psutil
import pytest

from event_contracts import codec
from event_contracts.sales import LeadCreated
from service_kit.identifiers import new_id
from service_kit.outbox_notify import CHANNEL
from tandem_cli.commands.status import memory_bytes
from tandem_cli.kafka import EmbeddedKafka, Topic
from tandem_cli.ledger_addresses import addresses
from tandem_cli.postgres import EmbeddedPostgres
from tandem_cli.stack import LocalStack
from tandem_cli.system import script
from tests.business import Business, connected
from tests.load.cpu import CpuMeter, processes_of, report_cpu
from tests.load.peers import bare_pipeline
from tests.load.report import median, percentile, report
from tests.support import eventually

WRITES_PER_SECOND = 50
CPU_WRITES = 1000
"""Written while the CPU of a write is measured and no client reads."""
ANSWERS = 500
"""Read while the CPU of an answer is measured and no client writes."""
PROBES = 200
EVENTS_PER_SECOND = 200
ROUNDS = 3
"""Tandem and the bare pipeline in turns: on a host that others use too, only ratios within a round hold."""
ROUND_SECONDS = 10
POLL_SECONDS = 0.001
BEFORE = 40_000
"""Events in the log before the measurement: what a rebuild has to read. `--events` may lower it."""
ACCOUNTS = 200
"""With five, each would have as many deals in a minute as a customer has in years."""
SETTLE_WRITES = 2000
"""Written before the first probe, so that caches are warm, the broker's code is compiled and the pace is steady."""
SETTLE_ROUNDS = 2
"""Measured before those that count, for the same reason."""

pytestmark = pytest.mark.long


@pytest.fixture
async def business(stack: LocalStack) -> AsyncIterator[Business]:
    made = connected(stack, seed=1)
    await made.found(accounts=ACCOUNTS)
    yield made
    await made.http.close()


async def seconds_to_close_a_deal(business: Business, channel: str) -> float:
    """Win a deal through a channel of its own, and return the time of the request that closes it."""
    deal = await business.send(
        "sales",
        "POST",
        "/v1/deals",
        {
            "account_id": business.random.choice(business.accounts), "currency": "EUR", "channel": channel,
            "owner_id": business.reps[0],
            "lines": [{"product": business.products[0], "quantity": 2, "unit_price": "99.50"}],
        },
    )  # fmt: skip
    began = time.perf_counter()
    await business.send("sales", "POST", f"/v1/deals/{deal['id']}/close", {"outcome": "won"})
    return time.perf_counter() - began


async def sales_volume(business: Business, **filters: str) -> int:
    """Return how many deals were won today, according to the KPI."""
    today = datetime.now(UTC).date().isoformat()
    query = {"from": today, "to": today, **filters}
    async with business.http.get(business.stack.urls["metrics"] + "/v1/kpis/sales_volume", params=query) as answer:
        body = await answer.json()
        assert answer.status == 200, body
        return int(body["numerator"])


async def seconds_until_shown(business: Business, channel: str) -> float:
    """Wait until the KPI shows the one deal that was won through a channel of its own."""
    began = time.perf_counter()
    while time.perf_counter() - began < 10:
        if await sales_volume(business, channel=channel) == 1:
            return time.perf_counter() - began
    raise AssertionError("the deal did not show within 10 s")


async def test_freshness_under_load(stack: LocalStack, business: Business) -> None:
    stop = asyncio.Event()
    working = asyncio.create_task(business.work(stop, writes_per_second=WRITES_PER_SECOND))

    async def write(number: int) -> int:
        before = business.answers.total()
        await eventually(lambda: business.answers.total() >= before + number, 120)
        return business.answers.total() - before

    await write(SETTLE_WRITES)
    meter = CpuMeter(processes_of(stack))
    written = await write(CPU_WRITES)
    of_writes = meter.seconds()
    business.seconds.clear()
    closings, waits = [], []
    for _ in range(PROBES):
        channel = f"probe-{uuid.uuid4().hex[:12]}"
        closings.append(await seconds_to_close_a_deal(business, channel))
        waits.append(await seconds_until_shown(business, channel))
        await asyncio.sleep(0.05)
    stop.set()
    await working
    assert set(business.answers) <= {200, 201, 409, 422}
    meter = CpuMeter(processes_of(stack))
    for _ in range(ANSWERS):
        await sales_volume(business)
    of_answers = meter.seconds()
    print()
    for percent in (50, 99):
        wait, closing = percentile(waits, percent), percentile(closings, percent)
        report(f"http_to_kpi_p{percent}_ms", wait * 1000, "ms")
        report(f"http_to_kpi_p{percent}_close_ms", closing * 1000, "ms")
        report(f"http_to_kpi_p{percent}_vs_close", wait / closing, "")
    report("write_p50_ms", percentile(business.seconds, 50) * 1000, "ms")
    report("write_p99_ms", percentile(business.seconds, 99) * 1000, "ms")
    report_cpu("write", of_writes, written)
    report_cpu("answer", of_answers, ANSWERS)


@dataclass(frozen=True)
class Pipeline:
    """A way from an outbox to a count: Tandem's or the bare one. Writes leads' events as a service does, one a
    transaction that is notified, and watches the count."""

    source: asyncpg.Connection
    target: asyncpg.Connection
    topic: str
    count_query: str

    async def write(self, leads: int = 1) -> float:
        """Write so many leads in one transaction, and return the time of its commit."""
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
            rows.append((id_, self.topic, str(lead.id), "sales.lead-created", value))
        await self.source.executemany(
            "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload) VALUES ($1, $2, $3, $4, $5)", rows
        )
        committed = time.perf_counter()
        await self.source.execute(f"NOTIFY {CHANNEL}")
        return committed

    async def write_steadily(self, committed: list[float]) -> None:
        """Write for a round at a steady pace, and add each commit's time to a list."""
        began = time.perf_counter()
        for number in range(EVENTS_PER_SECOND * ROUND_SECONDS):
            await asyncio.sleep(max(began + number / EVENTS_PER_SECOND - time.perf_counter(), 0))
            committed.append(await self.write())

    async def counted(self) -> int:
        """Return how many leads have arrived."""
        return int(await self.target.fetchval(self.count_query))

    async def count_more(self, before: int, more: int) -> None:
        """Wait until so many more are counted."""

        async def are_counted() -> bool:
            return await self.counted() >= before + more

        await eventually(are_counted, 300)

    async def waits(self) -> list[float]:
        """Write for a round, and return for each event the seconds from its commit until it is counted."""
        before, committed, waits = await self.counted(), list[float](), list[float]()
        events = EVENTS_PER_SECOND * ROUND_SECONDS
        writing = asyncio.create_task(self.write_steadily(committed))
        deadline = time.perf_counter() + 10 * ROUND_SECONDS
        while len(waits) < events and time.perf_counter() < deadline:
            counted, now = await self.counted() - before, time.perf_counter()
            # The n-th commit is shown when the count is n; one that shows before its writer knows took no time.
            waits += [max(now - at, 0.0) for at in committed[len(waits) : counted]]
            await asyncio.sleep(POLL_SECONDS)
        await writing
        assert len(waits) == events
        return waits

    async def cpu(self, processes: dict[str, psutil.Process]) -> dict[str, float]:
        """Write for a round while no client reads; return the CPU seconds of processes until all is counted."""
        before, meter = await self.counted(), CpuMeter(processes)
        await self.write_steadily([])
        await self.count_more(before, EVENTS_PER_SECOND * ROUND_SECONDS)
        return meter.seconds()


@pytest.fixture
async def tandem(stack: LocalStack) -> AsyncIterator[Pipeline]:
    """From the outbox of sales to the ledger's number of leads."""
    count = (
        "SELECT coalesce(sum(sums[1]), 0)::bigint FROM block"
        " WHERE kind = 'lead' AND dimension = 'all' AND span = 'year'"
    )
    urls = [stack.database_url(name).replace("+asyncpg", "") for name in ("sales", "metrics")]
    source, target = [await asyncpg.connect(url) for url in urls]
    yield Pipeline(source, target, "sales.events", count)
    await source.close()
    await target.close()


class Bare(NamedTuple):
    """The bare pipeline on the same PostgreSQL and Kafka, and its processes."""

    pipeline: Pipeline
    processes: dict[str, psutil.Process]


@pytest.fixture
async def bare(stack: LocalStack) -> AsyncIterator[Bare]:
    assert isinstance(stack.postgres, EmbeddedPostgres)
    assert isinstance(stack.kafka, EmbeddedKafka)
    stack.postgres.create_database("bare")
    stack.kafka.create_topics([Topic("bare", bare_pipeline.PARTITIONS)])
    url = stack.postgres.url("bare")
    source, target = [await asyncpg.connect(url.replace("+asyncpg", "")) for _ in range(2)]
    await source.execute(bare_pipeline.TABLES)
    environment = os.environ | {"DATABASE_URL": url, "KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers}
    started = {
        part: await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.load.peers.bare_pipeline", part, "bare", env=environment
        )
        for part in ("relay", "consume")
    }
    servers = {name: process for name, process in processes_of(stack).items() if name in ("postgresql", "kafka")}
    try:
        yield Bare(
            Pipeline(source, target, "bare", bare_pipeline.RECEIVED),
            {part: psutil.Process(process.pid) for part, process in started.items()} | servers,
        )
    finally:
        for process in started.values():
            process.terminate()
            await process.wait()
        await source.close()
        await target.close()


Round = tuple[list[float], list[float]]
"""The waits of Tandem, and those of the bare pipeline directly after."""


def report_waits(name: str, rounds: Sequence[Round]) -> None:
    """Print and keep the waits of Tandem, those of the bare pipeline, and the median of their ratios."""
    for percent in (50, 99):
        ours, theirs = ([wait for one in rounds for wait in one[side]] for side in (0, 1))
        ratios = [percentile(tandem, percent) / percentile(bare, percent) for tandem, bare in rounds]
        report(f"{name}_p{percent}_ms", percentile(ours, percent) * 1000, "ms")
        report(f"{name}_p{percent}_bare_ms", percentile(theirs, percent) * 1000, "ms")
        report(f"{name}_p{percent}_vs_bare", median(ratios), "")


@asynccontextmanager
async def rebuilding(stack: LocalStack) -> AsyncIterator[Callable[[], int]]:
    """Rebuild the ledger again and again; yield a function that returns how often that was done."""
    environment = {**os.environ, **addresses(stack.data.path), "LOG_LEVEL": "error"}
    done = 0

    async def again() -> None:
        nonlocal done
        while True:
            process = await asyncio.create_subprocess_exec(
                *script("metrics-replay"), env=environment, stdout=asyncio.subprocess.PIPE
            )
            try:
                output, _ = await process.communicate()
                assert process.returncode == 0, output.decode().splitlines()[-1]
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


async def test_freshness_from_the_commit_on(
    stack: LocalStack, tandem: Pipeline, bare: Bare, request: pytest.FixtureRequest
) -> None:
    thousands = min(BEFORE, int(request.config.getoption("--events"))) // 1_000
    before = await tandem.counted()
    for _ in range(thousands):
        await tandem.write(1_000)
    await tandem.count_more(before, thousands * 1_000)

    async def measure_in_turns(rounds: int) -> list[Round]:
        return [(await tandem.waits(), await bare.pipeline.waits()) for _ in range(rounds)]

    await measure_in_turns(SETTLE_ROUNDS)
    quiet = await measure_in_turns(ROUNDS)
    of_tandem, of_bare = await tandem.cpu(processes_of(stack)), await bare.pipeline.cpu(bare.processes)
    async with rebuilding(stack) as rebuilds:
        busy = await measure_in_turns(ROUNDS)
        await eventually(lambda: rebuilds() >= 1, 120)
    print()
    report_waits("freshness", quiet)
    report_waits("freshness_during_replay", busy)
    report_cpu("event", of_tandem, EVENTS_PER_SECOND * ROUND_SECONDS)
    report_cpu("bare_event", of_bare, EVENTS_PER_SECOND * ROUND_SECONDS)
    report("event_stack_cpu_vs_bare", sum(of_tandem.values()) / sum(of_bare.values()), "")


async def test_memory_of_the_whole_stack(stack: LocalStack) -> None:
    running = stack.data.running()
    assert running is not None
    processes = [psutil.Process(part.pid) for part in running.parts]
    total = sum(memory_bytes(each) for process in processes for each in [process, *process.children(recursive=True)])
    report("stack_memory_mib", total / 1024**2, "MiB")
