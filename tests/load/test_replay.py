"""How fast `metrics-replay` builds the books anew from a prepared log, up to the swap with the live ones."""

import time
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

import metrics_worker
from metrics_worker.domain.posting import Reporting
from metrics_worker.ledger.consumer import CONSUMER
from metrics_worker.ledger.status import open_ledger
from metrics_worker.maintenance.rebuild import rebuild
from service_kit.consumer.log_identity import identify_log
from service_kit.migrations import migrate
from tandem_cli.kafka import EmbeddedKafka
from tests.load.prepared_log import PreparedLog
from tests.load.report import say

REPORTING = Reporting(ZoneInfo("Europe/Vilnius"), "EUR")

pytestmark = pytest.mark.long


async def test_replay(bench_kafka: EmbeddedKafka, bench_database: str, prepared_log: PreparedLog) -> None:
    await migrate(metrics_worker, bench_database)
    engine = create_async_engine(bench_database)
    await open_ledger(engine, REPORTING)
    await engine.dispose()
    # Books that claim to have read everything: what a rebuild builds does not depend on what it replaces.
    identity = await identify_log(bench_kafka.bootstrap_servers, prepared_log.topics)
    database = await asyncpg.connect(bench_database.replace("+asyncpg", ""))
    await database.executemany(
        "INSERT INTO consumer_offset (consumer, cluster_id, topic, partition, topic_id, next_offset)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        [
            (CONSUMER, identity.cluster_id, part.topic, part.partition, identity.topic_ids[part.topic], end)
            for part, end in prepared_log.ends.items()
        ],
    )
    began = time.perf_counter()
    records = await rebuild(
        bench_database, bench_kafka.bootstrap_servers, default=REPORTING, topics=prepared_log.topics
    )
    seconds = time.perf_counter() - began
    assert records == prepared_log.events
    assert await database.fetchval("SELECT sum(sums[1]) FROM block WHERE kind = 'ticket' AND dimension = 'all'")
    await database.close()
    print()
    say("replay_events_per_second", records / seconds, "events/s")
