"""How fast `metrics-replay` rebuilds the ledger from a prepared log, up to the swap with the live one, beside merely
reading and decoding the same log."""

import time
from zoneinfo import ZoneInfo

import asyncpg
import psutil
import pytest

import metrics_worker
from metrics_worker.database import tool_engine
from metrics_worker.domain.posting import Reporting
from metrics_worker.ledger.status import open_ledger
from metrics_worker.ledger.tables import CONSUMER
from metrics_worker.maintenance.rebuild import rebuild
from service_kit.kafka import KafkaServers
from service_kit.migrations import migrate
from service_kit.settings import DatabaseSettings
from tandem_cli.kafka import EmbeddedKafka
from tandem_cli.postgres import EmbeddedPostgres
from tests.load.consume import read_and_decode
from tests.load.cpu import CpuMeter
from tests.load.prepared_log import PreparedLog
from tests.load.report import median, report

REPORTING = Reporting(ZoneInfo("Europe/Vilnius"), "EUR")
ROUNDS = 3
"""Of decoding and rebuilding in turns; the medians are reported."""

pytestmark = pytest.mark.long


async def test_replay(
    bench_kafka: EmbeddedKafka, bench_postgres: EmbeddedPostgres, bench_database: str, prepared_log: PreparedLog
) -> None:
    await migrate(metrics_worker, DatabaseSettings(database_url=bench_database))
    engine = tool_engine(DatabaseSettings(database_url=bench_database))
    await open_ledger(engine, REPORTING)
    await engine.dispose()
    # A ledger that claims to have read everything: what a rebuild makes does not depend on what it replaces.
    identity = await KafkaServers(bench_kafka.bootstrap_servers).identify(prepared_log.topics)
    database = await asyncpg.connect(bench_database.replace("+asyncpg", ""))
    await database.executemany(
        "INSERT INTO consumer_offset (consumer, cluster_id, topic, partition, topic_id, next_offset)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        [
            (CONSUMER, identity.cluster_id, part.topic, part.partition, identity.topic_ids[part.topic], end)
            for part, end in prepared_log.ends.items()
        ],
    )
    servers = {"database": psutil.Process(bench_postgres.pid), "kafka": psutil.Process(bench_kafka.pid)}
    rates, ratios, cpu_ratios, spent = [], [], [], []
    for _ in range(ROUNDS):
        decoding = await read_and_decode(bench_kafka.bootstrap_servers, prepared_log)
        meter, began, own = CpuMeter(servers), time.perf_counter(), time.process_time()
        records = await rebuild(
            DatabaseSettings(database_url=bench_database),
            KafkaServers(bench_kafka.bootstrap_servers),
            default=REPORTING,
            topics=prepared_log.topics,
        )
        seconds = time.perf_counter() - began
        cpu = {"rebuild": time.process_time() - own} | meter.seconds()
        assert records == prepared_log.events
        assert await database.fetchval("SELECT sum(sums[1]) FROM block WHERE kind = 'ticket' AND dimension = 'all'")
        rates.append(records / seconds)
        ratios.append(decoding["seconds"] / seconds)
        cpu_ratios.append((cpu["rebuild"] + cpu["database"]) / decoding["cpu_seconds"])
        spent.append(cpu)
    await database.close()
    print()
    report("replay_events_per_second", median(rates), "events/s")
    report("replay_vs_decode_limit", median(ratios), "")
    report("replay_cpu_vs_decode_limit", median(cpu_ratios), "")
    for name in spent[0]:
        report(
            f"replay_{name}_cpu_seconds_per_million",
            median([cpu[name] for cpu in spent]) / prepared_log.events * 1e6,
            "s",
        )
