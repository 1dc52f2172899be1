"""How fast the relay empties a full outbox, beside the broker's pure write rate with the same records."""

import asyncio
import time
import uuid
from collections import defaultdict
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

import sales_api
from service_kit.database import create_engine
from service_kit.kafka import KafkaServers
from service_kit.migrations import migrate
from service_kit.relay import BATCH_BYTES, COMPRESSION, Relay
from service_kit.settings import DatabaseSettings, ServiceSettings
from tandem_cli.kafka import EmbeddedKafka, Topic
from tests.load.prepared_log import PARTITIONS, LogRecord, records
from tests.load.report import median, report
from tests.support import eventually

ROWS = 50_000
ROUNDS = 3

pytestmark = pytest.mark.long


async def relayed_per_second(kafka: EmbeddedKafka, url: str, topic: str, published: list[LogRecord]) -> float:
    """Fills the outbox, then runs a relay until it is empty."""
    database = await asyncpg.connect(url.replace("+asyncpg", ""))
    await database.copy_records_to_table(
        "outbox",
        records=[(uuid.uuid4(), topic, record.key.decode(), "bench", record.value) for record in published],
        columns=["id", "aggregatetype", "aggregateid", "type", "payload"],
    )
    await database.execute("ANALYZE outbox")

    async def empty() -> bool:
        return not await database.fetchval("SELECT EXISTS (SELECT FROM outbox)")

    engine = create_engine(ServiceSettings(database_url=url), application="bench")
    stop = asyncio.Event()
    relay = Relay(engine=engine, kafka=KafkaServers(kafka.bootstrap_servers))
    began = time.perf_counter()
    running = asyncio.create_task(relay.run(stop))
    try:
        await eventually(empty, 600, every=0.05)
        return len(published) / (time.perf_counter() - began)
    finally:
        stop.set()
        await running
        await engine.dispose()
        await database.close()


async def written_per_second(kafka: EmbeddedKafka, topic: str, published: list[LogRecord]) -> float:
    """The same records in batches as large, made beforehand, with all of them under way at once."""
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers,
        acks="all",
        enable_idempotence=True,
        compression_type=COMPRESSION,
        max_batch_size=BATCH_BYTES,
        max_request_size=2 * BATCH_BYTES,
    )
    await producer.start()
    try:
        hashed, numbers = DefaultPartitioner(), list(range(PARTITIONS))
        batches: dict[int, list[Any]] = defaultdict(list)
        for record in published:
            of_partition = batches[hashed(record.key, numbers, numbers)]
            fits = of_partition and of_partition[-1].append(timestamp=None, key=record.key, value=record.value)
            if not fits:
                of_partition.append(producer.create_batch())
                of_partition[-1].append(timestamp=None, key=record.key, value=record.value)
        began = time.perf_counter()
        sent = [
            await producer.send_batch(batch, topic, partition=partition)
            for partition, of_partition in batches.items()
            for batch in of_partition
        ]
        await asyncio.gather(*sent)
        return len(published) / (time.perf_counter() - began)
    finally:
        await producer.stop()


async def test_relay(bench_kafka: EmbeddedKafka, bench_database: str) -> None:
    await migrate(sales_api, DatabaseSettings(database_url=bench_database))
    published = list(records(ROWS))
    topic = f"bench.relay.{uuid.uuid4().hex[:12]}"
    bench_kafka.create_topics([Topic(topic, PARTITIONS)])
    rates, ratios = [], []
    try:
        for _ in range(ROUNDS):
            pure = await written_per_second(bench_kafka, topic, published)
            ours = await relayed_per_second(bench_kafka, bench_database, topic, published)
            rates.append(ours)
            ratios.append(ours / pure)
    finally:
        bench_kafka.delete_topics([topic])
    print()
    report("relay_events_per_second", median(rates), "events/s")
    report("relay_vs_broker_limit", median(ratios), "")
