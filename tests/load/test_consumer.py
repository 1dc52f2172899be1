"""How fast the ledger consumes a prepared log, and what an event costs: one process and two, beside merely reading and
decoding the same log, and beside Kafka Streams that makes the same sums exactly once."""

import signal
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import NamedTuple

import asyncpg
import psutil
import pytest

import metrics_worker
from service_kit.migrations import migrate
from service_kit.settings import DatabaseSettings
from tandem_cli.kafka import EmbeddedKafka
from tandem_cli.postgres import EmbeddedPostgres
from tests.load.consume import figures_of, program, read_and_decode
from tests.load.cpu import CpuMeter
from tests.load.digest import digest_of
from tests.load.peers.kafka_streams import jdk, run_kafka_streams
from tests.load.prepared_log import PreparedLog
from tests.load.report import median, report
from tests.support import eventually

ROUNDS = 3
"""Everything is measured so often in turn, A B C A B C: on a host that others use too, only ratios within a round
hold, and their median is reported."""
ROWS_WRITTEN = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables"
OTHER_SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
)
WAL_BYTES = "SELECT pg_current_wal_lsn() - '0/0'"

pytestmark = pytest.mark.long


class Run(NamedTuple):
    """One way through the log, measured."""

    events_per_second: float
    cpu_seconds: float
    """A million events: of the process or processes alone."""
    database_cpu_seconds: float
    """The same of PostgreSQL."""
    broker_cpu_seconds: float
    """The same of Kafka."""
    peak_mib: float
    """Of the largest process."""
    rows: float = 0
    """Inserted, updated and deleted per event."""
    wal_bytes: float = 0
    """Per event."""
    digest: dict[str, str] | None = None
    """The `digest_of` all sums, the same for every way of summing; None where nothing is summed."""

    @property
    def whole_cpu_seconds(self) -> float:
        """A million events: of all processes together."""
        return self.cpu_seconds + self.database_cpu_seconds + self.broker_cpu_seconds


async def decode(kafka: EmbeddedKafka, log: PreparedLog) -> Run:
    meter = CpuMeter({"kafka": psutil.Process(kafka.pid)})
    found = await read_and_decode(kafka.bootstrap_servers, log)
    millions = log.events / 1e6
    return Run(
        log.events / found["seconds"],
        found["cpu_seconds"] / millions,
        0,
        meter.seconds()["kafka"] / millions,
        found["peak_mib"],
    )


async def kafka_streams(kafka: EmbeddedKafka, log: PreparedLog) -> Run:
    """With as many threads as we have processes at most."""
    meter = CpuMeter({"kafka": psutil.Process(kafka.pid)})
    found = await run_kafka_streams(kafka.bootstrap_servers, log, threads=2)
    millions = log.events / 1e6
    return Run(
        log.events / found["seconds"],
        found["cpu_seconds"] / millions,
        0,
        meter.seconds()["kafka"] / millions,
        found["peak_mib"],
        digest=found["digest"],
    )


async def ledger(kafka: EmbeddedKafka, postgres: EmbeddedPostgres, log: PreparedLog, processes: int) -> Run:
    """A ledger from nothing to the log's end. The clock runs from the first batch on, not while processes start."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    postgres.create_database(name)
    await migrate(metrics_worker, DatabaseSettings(database_url=postgres.url(name)))
    environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "DATABASE_URL": postgres.url(name)}
    database = await asyncpg.connect(postgres.url(name).replace("+asyncpg", ""))

    async def consumed() -> int:
        return int(await database.fetchval("SELECT coalesce(sum(next_offset), 0) FROM consumer_offset"))

    async def is_all_consumed() -> bool:
        return await consumed() >= log.events

    async def are_sessions_ended() -> bool:
        return not await database.fetchval(OTHER_SESSIONS)

    try:
        wal_bytes = await database.fetchval(WAL_BYTES)
        async with AsyncExitStack() as stack:
            members = [await stack.enter_async_context(program("ledger", log, environment)) for _ in range(processes)]
            at_first = await eventually(consumed, 60)
            servers = {"postgresql": psutil.Process(postgres.pid), "kafka": psutil.Process(kafka.pid)}
            meter = CpuMeter({str(member.pid): psutil.Process(member.pid) for member in members} | servers)
            began = time.perf_counter()
            await eventually(is_all_consumed, 3600, every=0.05)
            seconds, cpu = time.perf_counter() - began, meter.seconds()
            for member in members:
                member.send_signal(signal.SIGTERM)
            found = [await figures_of(member) for member in members]
        # The server adds up a session's last rows when the session ends.
        await eventually(are_sessions_ended, 30)
        rows = await database.fetchval(ROWS_WRITTEN)
        wal_bytes = await database.fetchval(WAL_BYTES) - wal_bytes
        assert await database.fetchval("SELECT count(*) FROM authoritative.dead_letter") == 0
        digest = await digest_of(database)
    finally:
        await database.close()
        postgres.drop_database(name)
    millions = (log.events - at_first) / 1e6
    database_cpu, broker_cpu = cpu.pop("postgresql"), cpu.pop("kafka")
    return Run(
        (log.events - at_first) / seconds,
        sum(cpu.values()) / millions,
        database_cpu / millions,
        broker_cpu / millions,
        max(each["peak_mib"] for each in found),
        float(rows) / log.events,
        float(wal_bytes) / log.events,
        digest,
    )


async def test_consumer(
    bench_kafka: EmbeddedKafka, bench_postgres: EmbeddedPostgres, prepared_log: PreparedLog
) -> None:
    ways: dict[str, Callable[[], Awaitable[Run]]] = {
        "decode": lambda: decode(bench_kafka, prepared_log),
        "one": lambda: ledger(bench_kafka, bench_postgres, prepared_log, 1),
        "two": lambda: ledger(bench_kafka, bench_postgres, prepared_log, 2),
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
    # The sums are the same, however the log is cut into batches and divided among processes.
    sums = runs["one"][0].digest
    assert sums
    for other in runs["one"] + runs["two"] + runs.get("streams", []):
        assert other.digest == sums

    def middle(name: str, figure: str) -> float:
        return median([getattr(run, figure) for run in runs[name]])

    def ratio(name: str, peer: str, figure: str = "events_per_second") -> float:
        pairs = zip(runs[name], runs[peer], strict=True)
        return median([getattr(one, figure) / getattr(other, figure) for one, other in pairs])

    names = {"decode": "decode_limit", "one": "consumer", "two": "consumer_two_processes"}
    if "streams" in runs:
        names["streams"] = "kafka_streams_eos"
    for way, name in names.items():
        report(f"{name}_events_per_second", middle(way, "events_per_second"), "events/s")
        report(f"{name}_cpu_seconds_per_million", middle(way, "cpu_seconds"), "s")
        report(f"{name}_kafka_cpu_seconds_per_million", middle(way, "broker_cpu_seconds"), "s")
        report(f"{name}_peak_mib", max(run.peak_mib for run in runs[way]), "MiB")
    for way in ("one", "two"):
        name = names[way]
        report(f"{name}_database_cpu_seconds_per_million", middle(way, "database_cpu_seconds"), "s")
        report(f"{name}_rows_per_event", middle(way, "rows"), "rows")
        report(f"{name}_wal_bytes_per_event", middle(way, "wal_bytes"), "bytes")
        report(f"{name}_vs_decode_limit", ratio(way, "decode"), "")
        report(f"{name}_whole_cpu_vs_decode_limit", ratio(way, "decode", "whole_cpu_seconds"), "")
    if "streams" in runs:
        # Like with like: two processes beside its two threads.
        report("consumer_vs_kafka_streams_eos", ratio("two", "streams"), "")
        report("consumer_one_process_vs_kafka_streams_eos", ratio("one", "streams"), "")
        report("consumer_whole_cpu_vs_kafka_streams_eos", ratio("two", "streams", "whole_cpu_seconds"), "")
