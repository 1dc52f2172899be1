"""Tells up to when each partition of the ledger is complete, by the watermarks of the services' relays."""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec
import structlog
from aiokafka import TopicPartition

from event_contracts.watermark import Watermark, decode, watermarks_topic
from metrics_worker.ledger.status import Partition
from service_kit.clock import Clock
from service_kit.kafka import Kafka

log = structlog.get_logger()

KEPT_WATERMARKS: Final = 600
"""Of each topic: a consumer that is up to ten minutes behind can tell how far."""
RETRY_SECONDS: Final = 2.0
POLL_MILLISECONDS: Final = 1000
WRITE_SECONDS: Final = 1.0

CompletenessBy = Literal["watermarks", "log"]
"""What tells how complete a partition is: watermarks, or that it was read to its end, as if no outbox ever waited."""


class WatermarkReader:
    """Follows the watermarks of some topics of events."""

    def __init__(self, kafka: Kafka, topics: Iterable[str], clock: Clock) -> None:
        self._kafka = kafka
        self._clock = clock
        self._watermarks: dict[str, deque[Watermark]] = {topic: deque(maxlen=KEPT_WATERMARKS) for topic in topics}

    def complete_until(
        self, next_offsets: Mapping[TopicPartition, int], topic_ids: Mapping[str, UUID]
    ) -> dict[Partition, datetime]:
        """Return up to when partitions are complete that were read to these offsets: by the newest watermark reached.

        A partition that has reached none is left out, and so are the watermarks of a topic with another id.
        """
        complete: dict[Partition, datetime] = {}
        for part, next_offset in next_offsets.items():
            for watermark in reversed(self._watermarks.get(part.topic, ())):
                if (
                    watermark.topic_id == topic_ids[part.topic]
                    and part.partition < len(watermark.ends)
                    and watermark.ends[part.partition] <= next_offset
                ):
                    complete[part.topic, part.partition] = watermark.complete_until
                    break
        return complete

    async def run(self, stop: asyncio.Event) -> None:
        """Read watermarks until `stop` is set; survive every failure by starting again."""
        while not stop.is_set():
            try:
                await self._read(stop)
            except Exception as error:
                # Without watermarks the ledger goes on, and `fresh_as_of` stays where it is.
                log.warning("watermarks_not_read", error=repr(error), retry_seconds=RETRY_SECONDS)
                await self._clock.wait(stop, RETRY_SECONDS)

    async def _read(self, stop: asyncio.Event) -> None:
        topics = {watermarks_topic(topic): topic for topic in self._watermarks}
        await self._kafka.identify(list(topics))
        consumer = self._kafka.consumer(enable_auto_commit=False, auto_offset_reset="earliest")
        try:
            await consumer.start()
            consumer.assign([TopicPartition(topic, 0) for topic in topics])
            while not stop.is_set():
                for part, records in (await consumer.getmany(timeout_ms=POLL_MILLISECONDS)).items():
                    for record in records:
                        self.note(topics[part.topic], record.value)
        finally:
            await consumer.stop()

    def note(self, topic: str, value: bytes | None) -> None:
        """Take over a record about a topic of events."""
        try:
            watermark = decode(value or b"")
        except msgspec.DecodeError as error:
            log.warning("watermark_not_decoded", topic=topic, error=str(error))
            return
        self._watermarks[topic].append(watermark)
