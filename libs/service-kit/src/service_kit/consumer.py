"""A Kafka consumer whose effects and offsets are one transaction: each record counts exactly once.

The offsets live in the service's own database and are advanced by compare-and-set, so that a consumer that was
replaced while it slept (a zombie) finds other numbers than it expects and changes nothing. Kafka's own committed
offset follows afterwards, as a hint for lag tools only.
"""

import asyncio
import base64
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec
import sqlalchemy as sa
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import NoOffsetForPartitionError
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from event_contracts.codec import UndecodableEvent
from service_kit import telemetry
from service_kit.consumer_tables import consumer_offset, dead_letter
from service_kit.health import Heartbeat
from service_kit.problems import is_transient, sqlstate_of

log = structlog.get_logger()

SMALLEST_BATCH: Final = 500
LARGEST_BATCH: Final = 20_000
LONGEST_BATCH_SECONDS: Final = 2.0
"""A batch that took longer is followed by a smaller one: a slow batch must not cost us our partitions."""
POLL_MILLISECONDS: Final = 500
KAFKA_SECONDS: Final = 20
HINT_SECONDS: Final = 1.0

Decoded = TypeVar("Decoded")


class Record(msgspec.Struct, Generic[Decoded], frozen=True):
    """One record of the log and what it decodes to."""

    topic: str
    partition: int
    offset: int
    value: Decoded
    key: bytes | None = None
    """Of a compacted topic's record: whom a tombstone, which has no value, is about."""


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that cannot be taken, as it came."""

    record: Any
    reason: str
    detail: str


class Fenced(Exception):
    """Another consumer has advanced these partitions: ours is out of date and nothing of it was written."""


class TopicsMissing(Exception):
    """Kafka does not know all of the topics, or not yet."""


class OffsetsOutOfRange(Exception):
    """The log does not hold the records that come next: it was cut, or made anew. Never skipped silently."""


Decode = Callable[[bytes | None], Decoded]
"""Raises `UndecodableEvent` for a record that has to be set aside."""
Handle = Callable[[AsyncConnection, Sequence[Record[Decoded]]], Awaitable[None]]
"""Writes a batch's effects into the transaction it is given; never commits."""
Idle = Callable[[], Awaitable[None]]
"""Called when there was nothing to read and all partitions are read to their end."""


class Consumer(ConsumerRebalanceListener, Generic[Decoded]):
    """Reads topics as one member of the group `name` until it is told to stop.

    `run` survives every failure of Kafka and PostgreSQL by beginning anew from the stored offsets. It ends by
    itself only with `OffsetsOutOfRange`, which a person has to decide about.
    """

    def __init__(
        self,
        *,
        name: str,
        engine: AsyncEngine,
        bootstrap_servers: str,
        topics: Sequence[str],
        decode: Decode[Decoded],
        handle: Handle[Decoded],
        idle: Idle | None = None,
    ) -> None:
        self.name = name
        self._engine = engine
        self._bootstrap_servers = bootstrap_servers
        self._topics = list(topics)
        self._decode = decode
        self._handle = handle
        self._idle = idle
        self._batch_size = SMALLEST_BATCH
        self._next_offsets: dict[TopicPartition, int] = {}
        self._failure: Exception | None = None
        self._turn = asyncio.Lock()
        """Held by a batch, and by a change of partitions: neither may see the offsets while the other moves them."""
        self._kafka: AIOKafkaConsumer
        self._cluster_id = ""
        self.heartbeat = Heartbeat(name, limit_seconds=90)
        self.caught_up = asyncio.Event()
        """Set while every assigned partition is read to its end."""

    @property
    def next_offsets(self) -> dict[TopicPartition, int]:
        """The partitions that this member holds, and the offset of the first record of each not taken yet."""
        return dict(self._next_offsets)

    async def run(self, stop: asyncio.Event) -> None:
        """Consumes until `stop` is set. Raises `OffsetsOutOfRange`."""
        pause = 0.2
        while not stop.is_set():
            began = time.monotonic()
            try:
                await self._member(stop)
            except OffsetsOutOfRange:
                raise
            except Exception as error:
                # Any failure: the stored offsets make beginning anew always safe.
                telemetry.CONSUMER_RESTARTS.labels(self.name, type(error).__name__).inc()
                if time.monotonic() - began > 30:
                    pause = 0.2
                log.warning("consumer_restarts", consumer=self.name, error=repr(error), retry_seconds=pause)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)
                pause = min(pause * 2, 5.0)

    async def _member(self, stop: asyncio.Event) -> None:
        """One membership of the group, from joining to the first failure or the stop."""
        self._cluster_id = await _cluster_with(self._topics, self._bootstrap_servers)
        self._failure = None
        self._next_offsets.clear()
        self._kafka = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap_servers,
            group_id=self.name,
            enable_auto_commit=False,
            # Our own offsets decide; any other start would be a silent skip or a silent repeat.
            auto_offset_reset="none",
            # Range, so that one consumer holds the same partition numbers of all topics: a customer's whole story.
            partition_assignment_strategy=(RangePartitionAssignor,),
            fetch_max_wait_ms=POLL_MILLISECONDS,
            max_partition_fetch_bytes=4 * 1024 * 1024,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=2_000,
            max_poll_interval_ms=120_000,
            request_timeout_ms=15_000,
            metadata_max_age_ms=30_000,
        )
        try:
            await asyncio.wait_for(self._kafka.start(), KAFKA_SECONDS)
            self._kafka.subscribe(topics=self._topics, listener=self)
            hinted = time.monotonic()
            while not stop.is_set():
                polled = await self._poll()
                self.heartbeat.beat()
                if self._failure is not None:
                    raise self._failure
                if polled:
                    await self._process(polled)
                await self._note_progress(polled)
                if time.monotonic() - hinted > HINT_SECONDS:
                    await self._hint()
                    hinted = time.monotonic()
            await self._hint()
        finally:
            self.caught_up.clear()
            with contextlib.suppress(Exception):
                # Leaving the group can hang while the broker is down.
                await asyncio.wait_for(self._kafka.stop(), 5)

    async def _poll(self) -> dict[TopicPartition, list[Any]]:
        try:
            polled: dict[TopicPartition, list[Any]] = await self._kafka.getmany(
                timeout_ms=POLL_MILLISECONDS, max_records=self._batch_size
            )
        except NoOffsetForPartitionError:
            # Kafka has no hint of ours before the first start, and may say so while `_take_up` still looks up where
            # the database stands. The seek that follows settles it.
            return {}
        return polled

    async def _process(self, polled: dict[TopicPartition, list[Any]]) -> None:
        async with self._turn:
            # What was fetched before our partitions changed may be done already, or be another's work now.
            raw = [
                record
                for part, records in polled.items()
                for record in records
                if part in self._next_offsets and record.offset >= self._next_offsets[part]
            ]
            if raw:
                await self._process_batch(raw)

    async def _process_batch(self, raw: Sequence[Any]) -> None:
        began = time.monotonic()
        try:
            await self._commit(raw)
        except Fenced:
            raise
        except Exception as error:
            if is_transient(error) or sqlstate_of(error) in ("40001", "40P01"):
                raise
            # One record stops nobody but itself: find it by taking the batch record by record.
            log.warning("batch_taken_apart", consumer=self.name, records=len(raw), error=repr(error))
            for record in raw:
                await self._commit_alone(record)
        elapsed = time.monotonic() - began
        telemetry.CONSUMER_BATCH_SECONDS.labels(self.name).observe(elapsed)
        if elapsed > LONGEST_BATCH_SECONDS:
            self._batch_size = max(self._batch_size // 2, SMALLEST_BATCH)
        elif len(raw) >= self._batch_size:
            # A full batch means that more is waiting: larger ones cost less a record.
            self._batch_size = min(self._batch_size * 2, LARGEST_BATCH)

    async def _commit_alone(self, record: Any) -> None:
        try:
            await self._commit([record])
        except Fenced:
            raise
        except Exception as error:
            if is_transient(error) or sqlstate_of(error) in ("40001", "40P01"):
                raise
            log.error("record_refused", consumer=self.name, offset=record.offset, exc_info=error)
            await self._commit([record], refuse=DeadLetter(record, "handler-failed", type(error).__name__))

    async def _commit(self, raw: Sequence[Any], *, refuse: DeadLetter | None = None) -> None:
        """Offsets, dead letters and effects of some records in one transaction."""
        records: list[Record[Decoded]] = []
        letters: list[DeadLetter] = [refuse] if refuse else []
        advanced: dict[TopicPartition, int] = {}
        for record in raw:
            advanced[TopicPartition(record.topic, record.partition)] = record.offset + 1
            if refuse is not None:
                continue
            try:
                value = self._decode(record.value)
            except UndecodableEvent as error:
                letters.append(DeadLetter(record, error.reason, error.detail))
            else:
                records.append(Record(record.topic, record.partition, record.offset, value, record.key))
        async with self._engine.begin() as connection:
            await self._advance(connection, advanced)
            if letters:
                await self._set_aside(connection, letters)
            if records:
                await self._handle(connection, records)
        self._next_offsets.update(advanced)
        for letter in letters:
            telemetry.DEAD_LETTERS.labels(self.name, letter.reason).inc()
            log.error(
                "dead_letter",
                consumer=self.name,
                topic=letter.record.topic,
                partition=letter.record.partition,
                offset=letter.record.offset,
                reason=letter.reason,
            )
        for partition in advanced:
            count = sum(
                1 for record in raw if record.topic == partition.topic and record.partition == partition.partition
            )
            telemetry.CONSUMED.labels(self.name, partition.topic).inc(count)

    async def _advance(self, connection: AsyncConnection, advanced: dict[TopicPartition, int]) -> None:
        expected = sa.values(
            sa.column("topic", sa.Text),
            sa.column("partition", sa.Integer),
            sa.column("was", sa.BigInteger),
            sa.column("now", sa.BigInteger),
            name="expected",
        ).data([(part.topic, part.partition, self._next_offsets[part], advanced[part]) for part in sorted(advanced)])
        moved = await connection.execute(
            sa.update(consumer_offset)
            .where(
                consumer_offset.c.consumer == self.name,
                consumer_offset.c.cluster_id == self._cluster_id,
                consumer_offset.c.topic == expected.c.topic,
                consumer_offset.c.partition == expected.c.partition,
                consumer_offset.c.next_offset == expected.c.was,
            )
            .values(next_offset=expected.c.now, updated_at=sa.func.now())
        )
        if moved.rowcount != len(advanced):
            raise Fenced(f"{len(advanced) - moved.rowcount} of {len(advanced)} partitions were advanced by another")

    async def _set_aside(self, connection: AsyncConnection, letters: Sequence[DeadLetter]) -> None:
        await connection.execute(
            insert(dead_letter).on_conflict_do_nothing(),
            [
                {
                    "consumer": self.name,
                    "cluster_id": self._cluster_id,
                    "topic": letter.record.topic,
                    "partition": letter.record.partition,
                    "offset": letter.record.offset,
                    "key": letter.record.key,
                    "value": letter.record.value,
                    "headers": [
                        [name, base64.b64encode(value or b"").decode()] for name, value in letter.record.headers or ()
                    ],
                    "reason": letter.reason,
                    "detail": letter.detail.replace("\x00", "").encode("utf-8", "replace").decode()[:1000],
                }
                for letter in letters
            ],
        )

    async def _note_progress(self, polled: dict[TopicPartition, list[Any]]) -> None:
        lags = []
        for part in self._kafka.assignment():
            end = self._kafka.highwater(part)
            if end is None or part not in self._next_offsets:
                lags.append(1)
                continue
            lag = max(end - self._next_offsets[part], 0)
            telemetry.CONSUMER_LAG.labels(self.name, part.topic, part.partition).set(lag)
            lags.append(lag)
        if lags and not any(lags):
            self.caught_up.set()
            if self._idle is not None:
                await self._idle()
        else:
            self.caught_up.clear()

    async def _hint(self) -> None:
        """Tells Kafka where we are, for lag tools. Its failure costs nothing."""
        positions = {part: offset for part, offset in self._next_offsets.items() if part in self._kafka.assignment()}
        if positions:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._kafka.commit(positions), 5)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Finishes the batch that is under way, then forgets the partitions."""
        async with self._turn:
            for part in revoked:
                self._next_offsets.pop(part, None)
        for part in revoked:
            telemetry.CONSUMER_LAG.labels(self.name, part.topic, part.partition).set(0)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Takes each partition up where the database says. aiokafka only logs what this raises, so it is kept."""
        try:
            async with self._turn:
                await self._take_up(assigned)
        except Exception as error:
            self._failure = error

    async def _take_up(self, assigned: set[TopicPartition]) -> None:
        self._next_offsets.clear()
        if not assigned:
            return
        first = await self._kafka.beginning_offsets(list(assigned))
        last = await self._kafka.end_offsets(list(assigned))
        async with self._engine.begin() as connection:
            await connection.execute(
                insert(consumer_offset).on_conflict_do_nothing(),
                [
                    {
                        "consumer": self.name,
                        "cluster_id": self._cluster_id,
                        "topic": part.topic,
                        "partition": part.partition,
                        "next_offset": first[part],
                    }
                    for part in sorted(assigned)
                ],
            )
            stored = await connection.execute(
                sa.select(consumer_offset.c.topic, consumer_offset.c.partition, consumer_offset.c.next_offset).where(
                    consumer_offset.c.consumer == self.name, consumer_offset.c.cluster_id == self._cluster_id
                )
            )
            offsets = {TopicPartition(row.topic, row.partition): row.next_offset for row in stored}
        for part in assigned:
            offset = offsets[part]
            if not first[part] <= offset <= last[part]:
                raise OffsetsOutOfRange(
                    f"{part.topic}/{part.partition}: next is {offset}, the log holds {first[part]} to {last[part]}"
                )
            self._next_offsets[part] = offset
            self._kafka.seek(part, offset)
        log.info("partitions_assigned", consumer=self.name, partitions=len(assigned))


async def _cluster_with(topics: Sequence[str], bootstrap_servers: str) -> str:
    """The cluster's id. Raises `TopicsMissing` while a topic is not there.

    A member that joins before Kafka knows all topics is given the others only, and hears of the rest half a minute
    later: until then it would look as if everything were read.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=10_000)
    await asyncio.wait_for(admin.start(), KAFKA_SECONDS)
    try:
        described = await asyncio.wait_for(admin.describe_topics(list(topics)), KAFKA_SECONDS)
        if missing := [topic["topic"] for topic in described if topic["error_code"] or not topic["partitions"]]:
            raise TopicsMissing(f"Kafka has no topic {', '.join(missing)}")
        return str((await asyncio.wait_for(admin.describe_cluster(), KAFKA_SECONDS))["cluster_id"])
    finally:
        await admin.close()
