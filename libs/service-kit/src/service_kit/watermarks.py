"""Publishes watermarks: up to which moment all that a database recorded is in its topic of events.

Without them a consumer that has read all of its topic could only suppose that there is no more. A stopped relay would
go unnoticed, with its outbox full.
"""

from datetime import datetime
from typing import Final

import asyncpg
import sqlalchemy as sa
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from event_contracts.watermark import CONTENT_TYPE, Watermark, encode, watermarks_topic
from service_kit.clock import Clock
from service_kit.compiled import CompiledStatement
from service_kit.consumer.log_identity import LogIdentity, TopicsMissing
from service_kit.kafka import FencingProducer, Kafka
from service_kit.outbox import outbox

log = structlog.get_logger()

WATERMARK_SECONDS: Final = 1.0
IDENTIFY_SECONDS: Final = 30.0
"""How long partitions that were added may go unnoticed, or a topic that was missing."""

# The first row is the oldest, but for transactions that overlap. One that is parked stays the first.
_COMPLETE_UNTIL: Final = CompiledStatement(
    sa.select(
        sa.func.coalesce(
            sa.select(outbox.c.created_at).order_by(outbox.c.position).limit(1).scalar_subquery(), sa.func.now()
        )
    )
)


class Watermarks:
    """The watermarks of a relay's topic of events."""

    def __init__(self, topic: str, kafka: Kafka, clock: Clock) -> None:
        self._topic = topic
        self._kafka = kafka
        self._clock = clock
        self._published_at = self._identified_at = float("-inf")
        self._identity: LogIdentity | None = None
        self._ends: AIOKafkaConsumer | None = None
        self._sent_until: dict[TopicPartition, int] = {}
        """The ends of what Kafka has acknowledged. A broker that was killed reports earlier ones for a moment."""

    def note_sent(self, part: TopicPartition, end: int) -> None:
        """Note the offset behind what Kafka has acknowledged in a partition."""
        self._sent_until[part] = end

    async def publish_when_due(self, driver: asyncpg.Connection, producer: FencingProducer) -> None:
        """Publish a watermark, once in `WATERMARK_SECONDS`."""
        now = self._clock.monotonic()
        if now - self._published_at < WATERMARK_SECONDS:
            return
        self._published_at = now
        if (identity := await self._identified(now)) is None:
            return
        # Before the ends: what leaves the outbox has its place in the log by then.
        complete_until: datetime = (await _COMPLETE_UNTIL.all(driver))[0][0]
        parts = [TopicPartition(self._topic, number) for number in range(identity.partitions[self._topic])]
        ends = await (await self._consumer()).end_offsets(parts)
        watermark = Watermark(
            topic=self._topic,
            topic_id=identity.topic_ids[self._topic],
            complete_until=complete_until,
            ends=[max(ends[part], self._sent_until.get(part, 0)) for part in parts],
        )
        batch = producer.create_batch()
        headers = [("content-type", CONTENT_TYPE.encode())]
        batch.append(timestamp=None, key=self._topic.encode(), value=encode(watermark), headers=headers)
        await (await producer.send_batch(batch, watermarks_topic(self._topic), partition=0))

    async def close(self) -> None:
        """Leave Kafka; the next watermark finds its topics again."""
        self._identified_at, ends, self._ends = float("-inf"), self._ends, None
        if ends is not None:
            await ends.stop()

    async def _identified(self, now: float) -> LogIdentity | None:
        if now - self._identified_at > IDENTIFY_SECONDS:
            self._identified_at = now
            topics = [self._topic, watermarks_topic(self._topic)]
            try:
                found = await self._kafka.identify(topics)
                if self._identity is not None and found != self._identity:
                    self._sent_until.clear()
                self._identity = found
            except TopicsMissing as missing:
                # Events go on all the same: only their readers cannot tell how fresh they are.
                log.error("watermarks_not_published", error=str(missing), retry_seconds=IDENTIFY_SECONDS)
                self._identity = None
        return self._identity

    async def _consumer(self) -> AIOKafkaConsumer:
        if self._ends is None:
            self._ends = self._kafka.consumer(enable_auto_commit=False)
            await self._ends.start()
        return self._ends
