"""Reads the events of both services and stores a delivery for each webhook that they are for, exactly once.

A consumer group of its own: the ledger waits for no webhook, and no webhook for the ledger.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from event_contracts.catalogue import SALES_TOPIC, SERVICE_TOPIC
from event_contracts.codec import CloudEvent, Envelope, UndecodableEvent, decode, type_of
from metrics_worker.webhooks.deliveries import Message, Subscription, deliver, subscriptions
from metrics_worker.webhooks.filters import TYPES, follows_services
from metrics_worker.webhooks.model import FEED, webhook_progress
from service_kit.clock import SYSTEM_CLOCK, Clock
from service_kit.consumer.consumer import Consumer
from service_kit.consumer.records import Record
from service_kit.kafka import Kafka

SOURCES: Final = (SALES_TOPIC, SERVICE_TOPIC)
LINGER_SECONDS: Final = 0.1
"""How long a batch waits for more under load: a transaction for each event would cost the database too much."""
LATE: Final = timedelta(minutes=1)
"""By how much an event may be recorded before another one and published after it."""

_PROGRESS: Final = sa.select(webhook_progress)
_encloses = msgspec.json.Decoder(Envelope)

log = structlog.get_logger()


class _Arrived(NamedTuple):
    """A record as it lies in the log: most are for no webhook, and never decoded."""

    event_type: str
    value: bytes


class _Progress(NamedTuple):
    """How far a partition was read, kept with the webhooks: it survives a restore and a log that is filled anew."""

    topic_id: UUID
    next_offset: int
    recorded_until: datetime
    skips_until: datetime | None
    """Set when the topic was replaced: what is recorded up to here was read in the one before it."""


Partition = tuple[str, int]


class WebhookFeed:
    """The feed of one process; any number of them share the partitions."""

    def __init__(
        self,
        engine: AsyncEngine,
        kafka: Kafka,
        *,
        topics: Sequence[str] = SOURCES,
        revision: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.consumer: Consumer[_Arrived | None] = Consumer(
            name=FEED,
            engine=engine,
            kafka=kafka,
            topics=topics,
            decode=_arrived,
            handle=self._handle,
            is_relevant=lambda value: value is not None,
            # What was read before is known from the progress: a log that is another one needs no decision.
            offset_reset="reset",
            linger_seconds=LINGER_SECONDS,
            revision=revision,
            clock=clock,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop` is set."""
        await self.consumer.run(stop)

    async def _handle(self, connection: AsyncConnection, records: Sequence[Record[_Arrived | None]]) -> None:
        wanting = [each for each in await subscriptions(connection) if follows_services(each.event_types)]
        if not wanting:
            return
        before = await self._progress(connection, {(record.topic, record.partition) for record in records})
        found: list[tuple[Subscription, Message]] = []
        recorded_until = {part: progress.recorded_until for part, progress in before.items()}
        for record in records:
            assert record.value is not None  # noqa: S101 -- it is relevant
            receivers = [each for each in wanting if each.is_for(record.value.event_type)]
            part, progress = (record.topic, record.partition), before[record.topic, record.partition]
            if not receivers or record.offset < progress.next_offset:
                continue
            try:
                event = decode(record.value.value)
            except UndecodableEvent as error:
                # The ledger keeps it as a dead letter; sent again once it is mended, it comes here too.
                log.warning("webhook_event_undecodable", topic=record.topic, offset=record.offset, reason=error.reason)
                continue
            recorded_until[part] = max(recorded_until[part], event.recorded_time)
            if progress.skips_until is None or event.recorded_time > progress.skips_until:
                message = _message(event, record.value.value)
                found += [(each, message) for each in receivers if event.recorded_time >= each.follows_since]
        await deliver(connection, found)
        await self._store_progress(connection, records, before, recorded_until)

    async def _progress(self, connection: AsyncConnection, parts: Collection[Partition]) -> dict[Partition, _Progress]:
        """Return how far the given partitions of this log were read."""
        rows = {(row.topic, row.partition): row for row in (await connection.execute(_PROGRESS)).all()}
        found = {}
        for part in parts:
            row, topic_id = rows.get(part), self.consumer.topic_ids[part[0]]
            if row is not None and row.topic_id == topic_id:
                found[part] = _Progress(topic_id, row.next_offset, row.recorded_until, row.skips_until)
                continue
            former = [
                other.recorded_until
                for (topic, _), other in rows.items()
                if topic == part[0] and other.topic_id != topic_id
            ]
            until = max(former, default=None)
            found[part] = _Progress(topic_id, 0, until or _NEVER, None if until is None else until - LATE)
        return found

    async def _store_progress(
        self,
        connection: AsyncConnection,
        records: Iterable[Record[_Arrived | None]],
        before: dict[Partition, _Progress],
        recorded_until: dict[Partition, datetime],
    ) -> None:
        next_offsets = {part: progress.next_offset for part, progress in before.items()}
        for record in records:
            part = record.topic, record.partition
            next_offsets[part] = max(next_offsets[part], record.offset + 1)
        # Sorted: two members of the group must not lock the same rows in opposite order.
        rows = [
            {
                "topic": topic,
                "partition": partition,
                "topic_id": before[topic, partition].topic_id,
                "next_offset": next_offsets[topic, partition],
                "recorded_until": recorded_until[topic, partition],
                "skips_until": before[topic, partition].skips_until,
            }
            for topic, partition in sorted(before)
        ]
        given = insert(webhook_progress)
        changed = {name: given.excluded[name] for name in ("topic_id", "next_offset", "recorded_until", "skips_until")}
        await connection.execute(given.on_conflict_do_update(index_elements=["topic", "partition"], set_=changed), rows)


_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _arrived(value: bytes | None) -> _Arrived | None:
    """Return a record's type without decoding it; None when it can be for no webhook."""
    kind = None if value is None else type_of(value)
    if value is None or kind is None or (name := kind.decode("ascii", "replace")) not in _KNOWN:
        return None
    return _Arrived(name, value)


_KNOWN: Final = frozenset(TYPES)


def _message(event: CloudEvent, record: bytes) -> Message:
    """Return the event in the form of Standard Webhooks, its data as it was published."""
    data = _encloses.decode(record).data
    message = {
        "type": event.event_type.name,
        "timestamp": event.time,
        "subject": event.subject,
        "sequence": event.sequence,
        "epoch": event.epoch,
        "data": data,
    }
    return Message(event.id, event.event_type.name, msgspec.json.decode(data), msgspec.json.encode(message))
