"""The least that an event can take in this stack, from its commit to a row: an outbox, a relay, Kafka and a consumer.

`python -m tests.load.peers.bare_pipeline relay TOPIC` sends the rows of `outbox` to the topic and deletes them,
whenever it is notified; `… consume TOPIC` inserts a row into `received` for each record. Both run until SIGTERM, over
the database DATABASE_URL, whose tables are `TABLES`, and the broker KAFKA_BOOTSTRAP_SERVERS.
"""

import asyncio
import os
import sys

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

TABLES = """
CREATE TABLE outbox (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL,
    aggregatetype text NOT NULL,
    aggregateid text NOT NULL,
    type text NOT NULL,
    payload bytea NOT NULL
);
CREATE TABLE received (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key bytea NOT NULL,
    payload bytea NOT NULL
)
"""
RECEIVED = "SELECT coalesce(max(number), 0) FROM received"
"""How many rows there are; from the index, since `count` would read all of them."""
CHANNEL = "outbox"
PARTITIONS = 6
ROUND_ROWS = 500


async def relay(database: asyncpg.Connection, bootstrap_servers: str, topic: str) -> None:
    woken = asyncio.Event()
    await database.add_listener(CHANNEL, lambda *_: woken.set())
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", enable_idempotence=True)
    await producer.start()
    while True:
        rows = await database.fetch(
            f"SELECT position, aggregateid, payload FROM outbox ORDER BY position LIMIT {ROUND_ROWS}"
        )
        if not rows:
            await woken.wait()
            woken.clear()
            continue
        sent = [await producer.send(topic, key=row["aggregateid"].encode(), value=row["payload"]) for row in rows]
        await asyncio.gather(*sent)
        await database.execute("DELETE FROM outbox WHERE position = ANY($1)", [row["position"] for row in rows])


async def consume(database: asyncpg.Connection, bootstrap_servers: str, topic: str) -> None:
    # As metrics-consumer: what a crash loses, it reads again.
    await database.execute("SET synchronous_commit = off")
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, enable_auto_commit=False)
    await consumer.start()
    parts = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer.assign(parts)
    await consumer.seek_to_beginning(*parts)
    while True:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            await database.executemany(
                "INSERT INTO received (key, payload) VALUES ($1, $2)",
                [(record.key, record.value) for record in records],
            )


async def main(part: str, topic: str) -> None:
    database = await asyncpg.connect(os.environ["DATABASE_URL"].replace("+asyncpg", ""))
    await {"relay": relay, "consume": consume}[part](database, os.environ["KAFKA_BOOTSTRAP_SERVERS"], topic)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2]))
