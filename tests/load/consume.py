"""Runs as a process of its own what a benchmark of consumers compares, so that its CPU time and memory are its own.

`python -m tests.load.consume books TOPICS` keeps the books of the database DATABASE_URL until SIGTERM;
`… decode TOPICS` merely reads and decodes, to the end. Each ends with a line of JSON.
"""

import asyncio
import gc
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from event_contracts.catalogue import EVENT_TYPES
from event_contracts.codec import Envelope
from metrics_worker.ledger.consumer import LedgerConsumer
from metrics_worker.settings import ConsumerSettings
from service_kit.database import create_engine
from service_kit.runner import WORKER_COLLECTION_THRESHOLD, tune_garbage_collector
from tests.load.prepared_log import PARTITIONS


async def books(topics: Sequence[str]) -> float:
    """The consumer as `metrics-consumer` runs it, but for the topics. Returns 0."""
    settings = ConsumerSettings()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    tune_garbage_collector(WORKER_COLLECTION_THRESHOLD)
    engine = create_engine(settings, application="bench", synchronous_commit=False, plans="force_generic_plan")
    await LedgerConsumer(engine, settings.kafka_bootstrap_servers, settings.reporting, topics=topics).run(stop)
    await engine.dispose()
    return 0.0


async def decode(topics: Sequence[str]) -> float:
    """Reads the topics to their end by aiokafka and decodes each event into its types by msgspec. Returns seconds."""
    import msgspec

    envelope = msgspec.json.Decoder(Envelope)
    data = {name: msgspec.json.Decoder(entry.data) for name, entry in EVENT_TYPES.items()}
    consumer = AIOKafkaConsumer(
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        enable_auto_commit=False,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    await consumer.start()
    parts = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
    left = sum((await consumer.end_offsets(parts)).values())
    consumer.assign(parts)
    await consumer.seek_to_beginning(*parts)
    began = time.perf_counter()
    while left:
        for records in (await consumer.getmany(timeout_ms=1000, max_records=20_000)).values():
            left -= len(records)
            # As any fast reader would: nothing here is a cycle, and the collector would look through all of it.
            gc.disable()
            for record in records:
                event = envelope.decode(record.value or b"")
                data[event.type].decode(event.data)
            gc.enable()
    seconds = time.perf_counter() - began
    await consumer.stop()
    return seconds


if __name__ == "__main__":
    seconds = uvloop.run({"books": books, "decode": decode}[sys.argv[1]](sys.argv[2].split(",")))
    used = resource.getrusage(resource.RUSAGE_SELF)
    figures = {"seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime, "peak_mib": used.ru_maxrss / 1024}
    sys.stdout.write(json.dumps(figures) + "\n")
