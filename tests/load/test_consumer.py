"""How fast the books take in a prepared log: one process and two, beside merely reading and decoding the same log, and
beside Kafka Streams that makes the same sums exactly once."""

import asyncio
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import asyncpg
import psutil
import pytest

import metrics_worker
from service_kit.migrations import migrate
from tandem_cli.kafka import EmbeddedKafka
from tandem_cli.postgres import EmbeddedPostgres
from tests.load.digest import digest_of
from tests.load.peers.kafka_streams import jdk, keep_books
from tests.load.prepared_log import PreparedLog
from tests.load.report import median, say
from tests.support import eventually

ROUNDS = 3
"""Everything is measured so often in turn, A B C A B C: on a machine that others use too, only ratios within a round
mean something, and their median is what is told."""

pytestmark = pytest.mark.long


class Run(NamedTuple):
    """One way through the log, measured."""

    events_per_second: float
    cpu_seconds: float
    """A million events: of the process or processes alone."""
    database_cpu_seconds: float
    """The same of PostgreSQL."""
    peak_mib: float
    """Of the largest process."""
    digest: dict[str, str] | None = None
    """Of all sums, as `digest_of` makes it: the same whoever sums. None where nothing is summed."""


@asynccontextmanager
async def program(
    what: str, log: PreparedLog, environment: dict[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.load.consume", what, ",".join(log.topics),
        env=os.environ | environment, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def figures(process: asyncio.subprocess.Process) -> dict[str, float]:
    """What the program says last."""
    said, _ = await process.communicate()
    return json.loads(said.decode().splitlines()[-1])  # type: ignore[no-any-return]


async def decode(kafka: EmbeddedKafka, log: PreparedLog) -> Run:
    async with program("decode", log, {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}) as process:
        found = await figures(process)
    millions = log.events / 1e6
    return Run(log.events / found["seconds"], found["cpu_seconds"] / millions, 0, found["peak_mib"])


async def kafka_streams(kafka: EmbeddedKafka, log: PreparedLog) -> Run:
    """With as many threads as we have processes at most."""
    found = await keep_books(kafka.bootstrap_servers, log, threads=2)
    return Run(
        log.events / found["seconds"],
        found["cpu_seconds"] / log.events * 1e6,
        0,
        found["peak_mib"],
        found["digest"],
    )


async def books(kafka: EmbeddedKafka, postgres: EmbeddedPostgres, log: PreparedLog, processes: int) -> Run:
    """Books from nothing to the log's end. The clock runs from the first batch on, not while processes start."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    postgres.create_database(name)
    await migrate(metrics_worker, postgres.url(name))
    environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "DATABASE_URL": postgres.url(name)}
    database = await asyncpg.connect(postgres.url(name).replace("+asyncpg", ""))

    async def taken() -> int:
        return int(await database.fetchval("SELECT coalesce(sum(next_offset), 0) FROM consumer_offset"))

    async def all_taken() -> bool:
        return await taken() >= log.events

    try:
        async with AsyncExitStack() as stack:
            members = [await stack.enter_async_context(program("books", log, environment)) for _ in range(processes)]
            at_first = await eventually(taken, 60)
            pids = [member.pid for member in members]
            began, cpu, database_cpu = time.perf_counter(), _cpu_seconds(*pids), _cpu_seconds(postgres.pid)
            await eventually(all_taken, 3600, every=0.05)
            seconds = time.perf_counter() - began
            cpu, database_cpu = _cpu_seconds(*pids) - cpu, _cpu_seconds(postgres.pid) - database_cpu
            for member in members:
                member.send_signal(signal.SIGTERM)
            found = [await figures(member) for member in members]
        assert await database.fetchval("SELECT count(*) FROM dead_letter") == 0
        digest = await digest_of(database)
    finally:
        await database.close()
        postgres.drop_database(name)
    millions = (log.events - at_first) / 1e6
    return Run(
        (log.events - at_first) / seconds,
        cpu / millions,
        database_cpu / millions,
        max(each["peak_mib"] for each in found),
        digest,
    )


def _cpu_seconds(*pids: int) -> float:
    """What these processes and all their children have used, those that ended included."""
    heads = [psutil.Process(pid) for pid in pids]
    live = [part.cpu_times() for head in heads for part in (head, *head.children(recursive=True))]
    ended = [head.cpu_times() for head in heads]
    return sum(one.user + one.system for one in live) + sum(one.children_user + one.children_system for one in ended)


async def test_consumer(
    bench_kafka: EmbeddedKafka, bench_postgres: EmbeddedPostgres, prepared_log: PreparedLog
) -> None:
    ways: dict[str, Callable[[], Awaitable[Run]]] = {
        "decode": lambda: decode(bench_kafka, prepared_log),
        "one": lambda: books(bench_kafka, bench_postgres, prepared_log, 1),
        "two": lambda: books(bench_kafka, bench_postgres, prepared_log, 2),
    }
    if jdk() is None:
        print("\nKafka Streams is left out: no JDK (javac) is installed")
    else:
        ways["streams"] = lambda: kafka_streams(bench_kafka, prepared_log)
    runs: dict[str, list[Run]] = {}
    print()
    for _ in range(ROUNDS):
        for name, run in ways.items():
            measured = await run()
            runs.setdefault(name, []).append(measured)
            print(f"{name:8} {measured._replace(digest=None)}")
    # However the log is cut into batches and shared out, and whoever sums it, the sums end the same.
    sums = runs["one"][0].digest
    assert sums
    for other in runs["one"] + runs["two"] + runs.get("streams", []):
        assert other.digest == sums

    def middle(name: str, figure: str) -> float:
        return median([getattr(run, figure) for run in runs[name]])

    def ratio(name: str, peer: str) -> float:
        pairs = zip(runs[name], runs[peer], strict=True)
        return median([one.events_per_second / other.events_per_second for one, other in pairs])

    say("decode_limit_events_per_second", middle("decode", "events_per_second"), "events/s")
    say("consumer_events_per_second", middle("one", "events_per_second"), "events/s")
    say("consumer_two_processes_events_per_second", middle("two", "events_per_second"), "events/s")
    say("consumer_vs_decode_limit", ratio("one", "decode"), "")
    say("consumer_two_processes_vs_decode_limit", ratio("two", "decode"), "")
    say("consumer_cpu_seconds_per_million", middle("one", "cpu_seconds"), "s")
    say("consumer_database_cpu_seconds_per_million", middle("one", "database_cpu_seconds"), "s")
    if "streams" in runs:
        say("kafka_streams_eos_events_per_second", middle("streams", "events_per_second"), "events/s")
        say("kafka_streams_eos_cpu_seconds_per_million", middle("streams", "cpu_seconds"), "s")
        say("kafka_streams_eos_peak_mib", middle("streams", "peak_mib"), "MiB")
        # Like with like: two processes beside its two threads.
        say("consumer_vs_kafka_streams_eos", ratio("two", "streams"), "")
        say("consumer_one_process_vs_kafka_streams_eos", ratio("one", "streams"), "")
    say("consumer_peak_mib", max(run.peak_mib for run in runs["one"] + runs["two"]), "MiB")
