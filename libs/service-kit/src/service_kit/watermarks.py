"""Publishes watermarks: up to which moment all that a database recorded is in its topic of events.

Without them a consumer that has read all of its topic could only suppose that there is no more. A stopped relay would
go unnoticed, with its outbox full.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import asyncpg
import sqlalchemy as sa
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from event_contracts.watermark import CONTENT_TYPE, Watermark, encode, watermarks_topic
from service_kit.clock import Clock
from service_kit.compiled import CompiledStatement
from service_kit.consumer.log_identity import LogIdentity, TopicIdentity, TopicsMissing
from service_kit.kafka import Kafka
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
        self._clients: tuple[AIOKafkaConsumer, AIOKafkaProducer] | None = None
        self._sent_until: dict[TopicPartition, int] = {}
        """The ends of what Kafka has acknowledged. A broker that was killed reports earlier ones for a moment."""

    def note_sent(self, part: TopicPartition, end: int) -> None:
        """Note the offset behind what Kafka has acknowledged in a partition."""
        self._sent_until[part] = end

    async def publish_when_due(self, driver: asyncpg.Connection, known: Mapping[str, TopicIdentity]) -> None:
        """Publish a watermark, once in `WATERMARK_SECONDS`.

        None is published where the topic is another one than is `known` to have been published to: what the outbox no
        longer holds is not in it. The repair of the log finds so a moment later.
        It needs no fence: what was in the log at a moment was there, whichever relay tells of it, and how late.
        """
        now = self._clock.monotonic()
        if now - self._published_at < WATERMARK_SECONDS:
            return
        self._published_at = now
        if (identity := await self._identified(now)) is None:
            return
        was = known.get(self._topic)
        if was is not None and not was.is_same(identity.topics[self._topic]):
            return
        # Before the ends: what leaves the outbox has its place in the log by then.
        complete_until: datetime = (await _COMPLETE_UNTIL.all(driver))[0][0]
        parts = [TopicPartition(self._topic, number) for number in range(identity.partitions[self._topic])]
        consumer, producer = await self._started()
        ends = await consumer.end_offsets(parts)
        watermark = Watermark(
            topic=self._topic,
            topic_id=identity.topic_ids[self._topic],
            complete_until=complete_until,
            ends=[max(ends[part], self._sent_until.get(part, 0)) for part in parts],
        )
        headers = [("content-type", CONTENT_TYPE.encode())]
        await producer.send_and_wait(
            watermarks_topic(self._topic), encode(watermark), self._topic.encode(), partition=0, headers=headers
        )

    async def close(self) -> None:
        """Leave Kafka; the next watermark finds its topics again."""
        self._identified_at, clients, self._clients = float("-inf"), self._clients, None
        for client in clients or ():
            await client.stop()  # type: ignore[no-untyped-call]  # aiokafka has no types here

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

    async def _started(self) -> tuple[AIOKafkaConsumer, AIOKafkaProducer]:
        if self._clients is None:
            self._clients = self._kafka.consumer(enable_auto_commit=False), self._kafka.producer(acks="all")
            for client in self._clients:
                await client.start()  # type: ignore[no-untyped-call]
        return self._clients
