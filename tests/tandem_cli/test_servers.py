"""The embedded PostgreSQL and Kafka start, serve, stop, and keep their data between runs."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tandem_cli.databases import plain
from tandem_cli.kafka import EmbeddedKafka, Topic
from tandem_cli.postgres import EmbeddedPostgres
from tests.support import Kafka, within

pytestmark = pytest.mark.integration


async def test_a_new_database_is_empty_utf8_and_sorts_by_code_point(new_database: Callable[[str], str]) -> None:
    connection = await asyncpg.connect(plain(new_database("empty")))
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        assert await connection.fetchval("SHOW server_encoding") == "UTF8"
        assert await connection.fetchval("SELECT 'Z' < 'a'")
        assert await connection.fetchval("SELECT upper('ž')") == "Ž"
    finally:
        await connection.close()


async def test_postgres_keeps_its_data_through_a_stop_and_a_crash(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres", options={"fsync": "off"})
    server.start()
    try:
        server.create_database("ledger")
        server.create_database("ledger")  # again is no error
        connection = await asyncpg.connect(plain(server.url("ledger")))
        await connection.execute("CREATE TABLE kept AS SELECT 1 AS value")
        await connection.close()
        server.stop()
        server.start()
        server.restart_at_once()
        connection = await asyncpg.connect(plain(server.url("ledger")))
        assert await connection.fetchval("SELECT value FROM kept") == 1
        await connection.close()
    finally:
        server.stop()


async def test_a_suspended_postgres_answers_only_when_it_is_resumed(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres", options={"fsync": "off"})
    server.start()
    connection = await asyncpg.connect(plain(server.url("postgres")))
    try:
        server.suspend()
        question = asyncio.ensure_future(connection.fetchval("SELECT 1"))
        done, _ = await asyncio.wait([question], timeout=0.3)
        assert not done
        server.resume()
        assert await within(question, 5) == 1
    finally:
        server.stop()


async def test_a_new_topic_takes_records_and_gives_them_back(kafka: Kafka, new_topic: Callable[..., str]) -> None:
    topic = new_topic("round-trip", partitions=2)
    await publish(kafka.bootstrap_servers, topic, b"hello")
    assert await records(kafka.bootstrap_servers, topic, partitions=2) == [b"hello"]


async def test_kafka_keeps_its_log_when_it_is_killed(tmp_path: Path) -> None:
    broker = EmbeddedKafka(tmp_path / "kafka")
    broker.start()
    try:
        broker.create_topics([Topic("kept", 1)])
        broker.create_topics([Topic("kept", 1)])  # again is no error
        await publish(broker.bootstrap_servers, "kept", b"one")
        broker.kill()
        broker.start()
        # This is the progress by which a long recovery is waited for.
        assert "Recovering unflushed segment" in broker.log_file.read_text()
        await publish(broker.bootstrap_servers, "kept", b"two")
        assert await records(broker.bootstrap_servers, "kept", partitions=1) == [b"one", b"two"]
    finally:
        broker.stop()


async def publish(bootstrap_servers: str, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all") as producer:
        await producer.send_and_wait(topic, value)


async def records(bootstrap_servers: str, topic: str, partitions: int) -> list[bytes]:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest") as consumer:
        assigned = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(assigned)
        ends = await consumer.end_offsets(assigned)
        values: list[bytes] = []
        while len(values) < sum(ends.values()):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                values += [record.value for record in batch]
        return values
