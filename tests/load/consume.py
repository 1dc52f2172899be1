"""Runs as a process of its own what a benchmark of consumers compares, so that its CPU time and memory are its own.

`python -m tests.load.consume ledger TOPICS` keeps the ledger of the database DATABASE_URL until SIGTERM;
`… decode TOPICS` merely reads and decodes, to the end. Each ends with a line of JSON.
"""

import asyncio
import gc
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from event_contracts.catalogue import EVENT_TYPES
from event_contracts.codec import Envelope
from metrics_worker.database import SEARCH_PATH
from metrics_worker.ledger.consumer import LedgerConsumer
from metrics_worker.settings import ConsumerSettings
from service_kit.database import create_engine
from service_kit.kafka import KafkaServers
from service_kit.runner import WORKER_COLLECTION_THRESHOLD, tune_garbage_collector
from tests.load.prepared_log import PARTITIONS, PreparedLog


@asynccontextmanager
async def program(
    what: str, log: PreparedLog, environment: dict[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `ledger` or `decode` over a log; it is killed when the context is left before its end."""
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


async def figures_of(process: asyncio.subprocess.Process) -> dict[str, float]:
    """Wait for a program's end, and return its figures."""
    output, _ = await process.communicate()
    return json.loads(output.decode().splitlines()[-1])  # type: ignore[no-any-return]


async def read_and_decode(bootstrap_servers: str, log: PreparedLog) -> dict[str, float]:
    """Run `decode`; return its `seconds`, `cpu_seconds` and `peak_mib`."""
    async with program("decode", log, {"KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers}) as process:
        return await figures_of(process)


async def ledger(topics: Sequence[str]) -> dict[str, float]:
    """Consume as `metrics-consumer` does, but for the topics."""
    settings = ConsumerSettings()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    tune_garbage_collector(WORKER_COLLECTION_THRESHOLD)
    engine = create_engine(
        settings,
        application="bench",
        synchronous_commit=False,
        plans="force_generic_plan",
        search_path=SEARCH_PATH,
    )
    await LedgerConsumer(engine, KafkaServers(settings.kafka_bootstrap_servers), settings.reporting, topics=topics).run(
        stop
    )
    await engine.dispose()
    return {}


async def decode(topics: Sequence[str]) -> dict[str, float]:
    """Read the topics to their end by aiokafka and decode each event into its types by msgspec.

    Return the seconds and CPU seconds that it took, without the start.
    """
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
    began, cpu = time.perf_counter(), time.process_time()
    while left:
        for records in (await consumer.getmany(timeout_ms=1000, max_records=20_000)).values():
            left -= len(records)
            # As any fast reader would: nothing here is a cycle, and the collector would look through all of it.
            gc.disable()
            for record in records:
                event = envelope.decode(record.value or b"")
                data[event.type].decode(event.data)
            gc.enable()
    figures = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
    await consumer.stop()
    return figures


def peak_mib() -> float:
    """Return the most memory that this process has had, without that of the process it was forked from.

    The kernel's `ru_maxrss` begins with the parent's: that of the tests, once they have filled a ledger.
    """
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024


if __name__ == "__main__":
    figures = uvloop.run({"ledger": ledger, "decode": decode}[sys.argv[1]](sys.argv[2].split(",")))
    figures["peak_mib"] = peak_mib()
    sys.stdout.write(json.dumps(figures) + "\n")
