"""Publishes the whole log once more, shuffled: what a replay, a mirror or a confused operator may do."""

import asyncio
import random
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.faults.oracle import TOPICS, partitions_of


async def publish_again(bootstrap_servers: str, order: random.Random, *, times: int) -> int:
    """Sends every record of both topics `times` times more, in a random order, to its own topic and key."""
    records: list[Any] = []
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        parts = await partitions_of(bootstrap_servers, TOPICS)
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        while any([await consumer.position(part) < ends[part] for part in parts]):
            for found in (await consumer.getmany(timeout_ms=500, max_records=5000)).values():
                records += found
    finally:
        await consumer.stop()
    records = records * times
    order.shuffle(records)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all")
    await producer.start()
    try:
        await asyncio.gather(*[await producer.send(each.topic, each.value, key=each.key) for each in records])
    finally:
        await producer.stop()
    return len(records)
