"""A Kafka consumer whose effects and offsets are one transaction: each record counts exactly once.

The offsets live in the service's own database and are advanced by compare-and-set, so that a consumer that was
replaced while it slept (a zombie) finds other numbers than it expects and changes nothing. Kafka's own committed
offset follows afterwards, as a hint for lag tools only.
"""

import asyncio
import base64
import contextlib
import gc
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar

import msgspec
import sqlalchemy as sa
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from event_contracts.codec import UndecodableEvent
from service_kit import telemetry
from service_kit.compiled import CompiledStatement, driver_of
from service_kit.consumer_tables import NO_TOPIC_ID, Place, consumer_halt, consumer_offset, dead_letter, overruled
from service_kit.database import own_connection
from service_kit.health import Heartbeat
from service_kit.kafka_log import LogIdentity, identify_log
from service_kit.problems import is_transient
from service_kit.waiting import in_portions, wait_unless_stopped

log = structlog.get_logger()

SMALLEST_BATCH: Final = 500
LARGEST_BATCH: Final = 10_000
LONGEST_BATCH_SECONDS: Final = 4.0
"""A batch that took longer is followed by a smaller one: a slow batch must not cost us our partitions."""
UNCOLLECTED_BATCHES: Final = 100
POLL_MILLISECONDS: Final = 500
METADATA_MILLISECONDS = 30_000
"""How long partitions that were added to a topic may go unnoticed."""
KAFKA_SECONDS: Final = 20
HINT_SECONDS: Final = 1.0
STORE_SECONDS: Final = 1.0
"""How long the stored offsets may be behind by records that concern nobody."""
ENDS_SECONDS: Final = 10.0
"""How long a log may seem to end before the stored offset until that is believed."""
IDENTIFY_SECONDS: Final = 5.0
"""How often a running consumer asks whether its topics are still the ones whose offsets it has."""

LIMIT_WINDOW: Final = 1_000
"""Records, the last ones read, of which bad ones are counted."""
LIMIT_LETTERS: Final = 100
LIMIT_SHARE: Final = 0.5
"""More bad records than both of these, and it is no longer the records that are at fault: the consumer halts."""
HALTED_LOOK_SECONDS: Final = 1.0
HALTED_LOG_SECONDS: Final = 60.0

LostLog = Literal["stop", "reset"]
"""What to do when the log does not hold what comes next: stop for a person to decide, or go on with what it holds."""

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


class _Batch(NamedTuple):
    """Records as they were read, each beside what it decodes to, or why it does not."""

    seeks: int
    """How often the consumer had gone back to its stored offsets when they were read."""
    read: dict[TopicPartition, list[tuple[Any, Any]]]


class Fenced(Exception):
    """Another consumer has advanced these partitions: ours is out of date and nothing of it was written."""


class MustStop(Exception):
    """Something that a person has to decide about. Ends `run`; nothing of the batch was written."""


class OffsetsOutOfRange(MustStop):
    """The log does not hold the records that come next: it was cut, or made anew. Never skipped silently."""


class Halted(Exception):
    """The consumer waits until somebody has seen to its dead letters."""


# Arrays, not a list of values: a statement that looks the same for any number of partitions is compiled once.
_ADVANCE: Final = CompiledStatement(
    sa.text(
        "update consumer_offset as stored set next_offset = told.now, updated_at = now()"
        " from unnest(cast(:topics as text[]), cast(:partitions as integer[]), cast(:topic_ids as uuid[]),"
        " cast(:was as bigint[]), cast(:now as bigint[])) as told (topic, partition, topic_id, was, now)"
        " where stored.consumer = :consumer and stored.cluster_id = :cluster_id and stored.topic = told.topic"
        " and stored.partition = told.partition and stored.topic_id = told.topic_id and stored.next_offset = told.was"
        " returning stored.partition"
    )
)

_NOTE_ENDS: Final = sa.text(
    "update consumer_offset as stored set log_end = told.log_end"
    " from unnest(cast(:topics as text[]), cast(:partitions as integer[]), cast(:ends as bigint[]))"
    " as told (topic, partition, log_end)"
    " where stored.consumer = :consumer and stored.cluster_id = :cluster_id and stored.topic = told.topic"
    " and stored.partition = told.partition and stored.log_end is null"
)

Decode = Callable[[bytes | None], Decoded]
"""Raises `UndecodableEvent` for a record that has to be set aside."""
Handle = Callable[[AsyncConnection, Sequence[Record[Decoded]]], Awaitable[None]]
"""Writes a batch's effects into the transaction it is given; never commits."""
Concerns = Callable[[Decoded], bool]
"""Whether a record can have an effect at all."""
Committed = Callable[[], None]
"""Called when the effects of what `handle` was last given are committed."""
Idle = Callable[[], Awaitable[None]]
"""Called when there was nothing to read and all partitions are read to their end."""


class Consumer(ConsumerRebalanceListener, Generic[Decoded]):
    """Reads topics as one member of the group `name` until it is told to stop.

    `run` survives every failure of Kafka and PostgreSQL by beginning anew from the stored offsets. It ends by
    itself only with `MustStop`, which a person has to decide about.

    When nearly everything that arrives is bad, it halts: it keeps its place, reads nothing more, is not ready, and
    goes on once the dead letters that made it halt have been sent again or discarded.
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
        concerns: Concerns[Decoded] | None = None,
        committed: Committed | None = None,
        idle: Idle | None = None,
        lost_log: LostLog = "stop",
    ) -> None:
        self.name = name
        self._engine = engine
        self._bootstrap_servers = bootstrap_servers
        self._topics = list(topics)
        self._decode = decode
        self._handle = handle
        self._concerns = concerns
        self._committed = committed
        self._idle = idle
        self._batch_size = SMALLEST_BATCH
        self._next_offsets: dict[TopicPartition, int] = {}
        self._stored_offsets: dict[TopicPartition, int] = {}
        """Behind the next ones by what concerned nobody: reading that again would change nothing either."""
        self._stored_at = float("-inf")
        self._overruled: frozenset[Place] = frozenset()
        """The records to come that somebody has decided about before."""
        self._failure: Exception | None = None
        self._seeks = 0
        """How often reading went back to the stored offsets: what was read before that comes again, and is dropped."""
        self._ahead: asyncio.Task[_Batch] | None = None
        """Reads and decodes the next batch while the last one is written."""
        self._uncollected = 0
        """Batches since the garbage collector last had its turn."""
        self._turn = asyncio.Lock()
        """Held by a batch, and by a change of partitions: neither may see the offsets while the other moves them."""
        self._kafka: AIOKafkaConsumer
        self._connection: AsyncConnection
        """A member's own, for its batches."""
        self._log = LogIdentity("", {})
        self._lost_log = lost_log
        self._recent_bad: deque[bool] = deque(maxlen=LIMIT_WINDOW)
        self._halted = False
        self._halt_looked_at = float("-inf")
        self._halt_told_at = float("-inf")
        self.heartbeat = Heartbeat(name, limit_seconds=90)
        self.caught_up = asyncio.Event()
        """Set while every assigned partition is read to its end."""

    @property
    def next_offsets(self) -> dict[TopicPartition, int]:
        """The partitions that this member holds, and the offset of the first record of each not taken yet."""
        return dict(self._next_offsets)

    async def not_halted(self) -> None:
        """A readiness check. Raises `Halted`."""
        if self._halted:
            raise Halted(f"{self.name} halted: see to its dead letters")

    async def run(self, stop: asyncio.Event) -> None:
        """Consumes until `stop` is set. Raises `MustStop`, such as `OffsetsOutOfRange`."""
        pause = 0.2
        while not stop.is_set():
            began = time.monotonic()
            try:
                await self._member(stop)
            except MustStop:
                raise
            except (Exception, asyncio.CancelledError) as error:
                if _is_being_cancelled():
                    # Whatever a driver made of it on the way out.
                    raise asyncio.CancelledError from error
                # Any failure: the stored offsets make beginning anew always safe. aiokafka lets a cancellation of its
                # own out while a broker goes away; taken for ours, it would end the consumer without a word.
                telemetry.CONSUMER_RESTARTS.labels(self.name, type(error).__name__).inc()
                if time.monotonic() - began > 30:
                    pause = 0.2
                log.warning("consumer_restarts", consumer=self.name, error=repr(error), retry_seconds=pause)
                await wait_unless_stopped(stop, pause)
                pause = min(pause * 2, 5.0)

    async def _member(self, stop: asyncio.Event) -> None:
        """One membership of the group, from joining to the first failure or the stop."""
        async with own_connection(self._engine) as connection:
            self._connection = connection
            await self._consume(stop)

    async def _consume(self, stop: asyncio.Event) -> None:
        self._log = await identify_log(self._bootstrap_servers, self._topics)
        self._failure = None
        self._halt_looked_at = float("-inf")
        self._next_offsets.clear()
        self._stored_offsets.clear()
        self._kafka = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap_servers,
            group_id=self.name,
            enable_auto_commit=False,
            # Our own offsets decide; any other start would be a silent skip or a silent repeat.
            auto_offset_reset="none",
            # Range, so that one consumer holds the same partition numbers of all topics: a customer's whole story.
            partition_assignment_strategy=(RangePartitionAssignor,),
            fetch_max_wait_ms=POLL_MILLISECONDS,
            max_partition_fetch_bytes=1024 * 1024,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=2_000,
            max_poll_interval_ms=120_000,
            request_timeout_ms=15_000,
            metadata_max_age_ms=METADATA_MILLISECONDS,
        )
        try:
            await asyncio.wait_for(self._kafka.start(), KAFKA_SECONDS)
            self._kafka.subscribe(topics=self._topics, listener=self)
            hinted = identified = time.monotonic()
            while not stop.is_set():
                await self._look_whether_halted()
                batch = await self._next_batch()
                self.heartbeat.beat()
                if self._failure is not None:
                    raise self._failure
                if batch.read and not self._halted:
                    await self._process(batch)
                await self._store_offsets()
                await self._note_progress()
                if time.monotonic() - identified > IDENTIFY_SECONDS:
                    await self._require_same_log()
                    identified = time.monotonic()
                if time.monotonic() - hinted > HINT_SECONDS:
                    await self._hint()
                    hinted = time.monotonic()
            await self._hint()
        finally:
            gc.enable()
            self.caught_up.clear()
            if self._ahead is not None:
                ahead, self._ahead = self._ahead, None
                ahead.cancel()
                # Waited for and asked, for a failure that nobody asks for is complained of.
                await asyncio.gather(ahead, return_exceptions=True)
            with contextlib.suppress(Exception):
                # Leaving the group can hang while the broker is down.
                await asyncio.wait_for(self._kafka.stop(), 5)

    async def _next_batch(self) -> _Batch:
        if self._ahead is None:
            return await self._read()
        ahead, self._ahead = self._ahead, None
        return await ahead

    async def _read(self) -> _Batch:
        """What comes next, decoded; in small portions, so that the batch before it can be written meanwhile."""
        polled = await self._poll()
        batch = _Batch(self._seeks, {})
        for part, records in polled.items():
            read = batch.read[part] = []
            async for portion in in_portions(records):
                read += [(record, self._decoded(record)) for record in portion]
        return batch

    def _decoded(self, record: Any) -> Decoded | Exception:
        try:
            return self._decode(record.value)
        except Exception as error:
            return error

    async def _poll(self) -> dict[TopicPartition, list[Any]]:
        try:
            polled: dict[TopicPartition, list[Any]] = await self._kafka.getmany(
                timeout_ms=POLL_MILLISECONDS, max_records=self._batch_size
            )
        except NoOffsetForPartitionError:
            # Kafka has no hint of ours before the first start, and may say so while `_take_up` still looks up where
            # the database stands. The seek that follows settles it.
            return {}
        except OffsetOutOfRangeError as error:
            # Kafka's hint may be out of range while `_take_up` still looks up where the database stands.
            async with self._turn:
                if self._failure is not None:
                    raise self._failure from error
                first = await self._kafka.beginning_offsets(list(self._next_offsets))
                if all(first[part] <= offset for part, offset in self._next_offsets.items()):
                    return {}
            # Beginning anew compares what is stored with what the log holds, and says so.
            raise ConnectionError("the log no longer holds the next record") from error
        return polled

    async def _require_same_log(self) -> None:
        """A topic that was made anew may soon hold our next offset again, of quite another record."""
        try:
            found = await asyncio.wait_for(identify_log(self._bootstrap_servers, self._topics), IDENTIFY_SECONDS)
        except Exception as error:
            # A broker that is away tells nothing; what is wrong with it shows in reading from it.
            log.info("log_not_identified", consumer=self.name, error=repr(error))
            return
        if found != self._log:
            # Beginning anew finds out which, and stops.
            raise ConnectionError("the topics were made anew, or this is another cluster")

    async def _look_whether_halted(self) -> None:
        """Halts while the database says so, holding our partitions but taking nothing from them."""
        now = time.monotonic()
        if now - self._halt_looked_at < (HALTED_LOOK_SECONDS if self._halted else IDENTIFY_SECONDS):
            return
        async with self._engine.begin() as connection:
            halt = (
                await connection.execute(sa.select(consumer_halt).where(consumer_halt.c.consumer == self.name))
            ).one_or_none()
            unsettled = await self._open_letters(connection) if halt is not None else 0
            if halt is not None and unsettled <= halt.open_allowed:
                await connection.execute(sa.delete(consumer_halt).where(consumer_halt.c.consumer == self.name))
                halt = None
        self._halt_looked_at = now
        if halt is not None and now - self._halt_told_at > HALTED_LOG_SECONDS:
            log.error(
                "consumer_halted",
                consumer=self.name,
                bad_records=halt.bad_records,
                of_the_last=LIMIT_WINDOW,
                dead_letters_to_settle=unsettled - halt.open_allowed,
            )
            self._halt_told_at = now
        if self._halted and halt is None:
            log.warning("consumer_resumes", consumer=self.name)
            self._recent_bad.clear()
            self._halt_told_at = float("-inf")
            # What was read meanwhile was dropped.
            for part, offset in self._next_offsets.items():
                if part in self._kafka.assignment():
                    self._kafka.seek(part, offset)
            self._seeks += 1
        self._halted = halt is not None
        telemetry.CONSUMER_HALTED.labels(self.name).set(self._halted)
        if self._halted:
            # Polled on, so that the group does not think us dead, but for nothing.
            self._kafka.pause(*self._kafka.assignment())
        else:
            self._kafka.resume(*self._kafka.paused())

    async def _open_letters(self, connection: AsyncConnection) -> int:
        query = sa.select(sa.func.count()).where(dead_letter.c.consumer == self.name, dead_letter.c.status == "open")
        return int((await connection.execute(query)).scalar_one())

    async def _process(self, batch: _Batch) -> None:
        async with self._turn:
            if batch.seeks != self._seeks:
                return
            taken = []
            for part, read in batch.read.items():
                next_offset = self._next_offsets.get(part)
                if next_offset is not None:
                    taken += [each for each in read if each[0].offset >= next_offset]
            if not taken:
                return
            # A batch makes many objects and no cycles, and looking through them for some costs much of its time.
            gc.disable()
            if len(taken) >= SMALLEST_BATCH:
                self._ahead = asyncio.create_task(self._read(), name=f"{self.name} reads ahead")
            await self._process_batch(taken)
            self._uncollected += 1
            if self._ahead is None or self._uncollected >= UNCOLLECTED_BATCHES:
                self._uncollected = 0
                gc.enable()

    async def _process_batch(self, taken: Sequence[tuple[Any, Any]]) -> None:
        began = time.monotonic()
        try:
            await self._commit(taken)
        except (Fenced, MustStop):
            raise
        except Exception as error:
            if _is_no_records_fault(error):
                raise
            # One record stops nobody but itself: find it by taking the batch record by record.
            log.warning("batch_taken_apart", consumer=self.name, records=len(taken), error=repr(error))
            for read in taken:
                if not self._halted:
                    await self._commit_alone(read)
        elapsed = time.monotonic() - began
        telemetry.CONSUMER_BATCH_SECONDS.labels(self.name).observe(elapsed)
        if elapsed > LONGEST_BATCH_SECONDS:
            self._batch_size = max(self._batch_size // 2, SMALLEST_BATCH)
        elif len(taken) >= self._batch_size:
            # A full batch means that more is waiting: larger ones cost less a record.
            self._batch_size = min(self._batch_size * 2, LARGEST_BATCH)

    async def _commit_alone(self, read: tuple[Any, Any]) -> None:
        record = read[0]
        try:
            await self._commit([read])
        except (Fenced, MustStop):
            raise
        except Exception as error:
            if _is_no_records_fault(error):
                raise
            log.error("record_refused", consumer=self.name, offset=record.offset, exc_info=error)
            await self._commit([read], refuse=DeadLetter(record, "handler-failed", type(error).__name__))

    async def _commit(self, taken: Sequence[tuple[Any, Any]], *, refuse: DeadLetter | None = None) -> None:
        """Offsets, dead letters and effects of some records in one transaction."""
        records: list[Record[Decoded]] = []
        letters: list[DeadLetter] = [refuse] if refuse else []
        advanced: dict[TopicPartition, int] = {}
        counts: dict[TopicPartition, int] = {}
        recent_bad = self._recent_bad.copy()
        bad_records = sum(recent_bad)
        over_limit = False
        part = TopicPartition("", -1)
        for record, value in taken:
            if record.partition != part.partition or record.topic != part.topic:
                part = TopicPartition(record.topic, record.partition)
            advanced[part] = record.offset + 1
            counts[part] = counts.get(part, 0) + 1
            bad = refuse is not None
            if refuse is None and (record.topic, record.partition, record.offset) not in self._overruled:
                if isinstance(value, UndecodableEvent):
                    letters.append(DeadLetter(record, value.reason, value.detail))
                    bad = True
                elif isinstance(value, Exception):
                    raise value
                else:
                    records.append(Record(record.topic, record.partition, record.offset, value, record.key))
            if len(recent_bad) == LIMIT_WINDOW:
                bad_records -= recent_bad[0]
            recent_bad.append(bad)
            bad_records += bad
            if bad_records > LIMIT_LETTERS and bad_records > LIMIT_SHARE * len(recent_bad):
                # The rest of the batch waits: it is not taken, and is read again.
                over_limit = True
                break
        if letters or over_limit or self._concern_anybody(records):
            async with self._transaction() as connection:
                await self._advance(connection, self._next_offsets | advanced)
                if letters:
                    await self._set_aside(connection, letters)
                if over_limit:
                    await self._halt(connection, bad_records)
                if records:
                    await self._handle(connection, records)
            self._stored_offsets = self._next_offsets | advanced
            if records and self._committed is not None:
                self._committed()
        self._next_offsets.update(advanced)
        self._recent_bad = recent_bad
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
        for part, count in counts.items():
            telemetry.CONSUMED.labels(self.name, part.topic).inc(count)
        if over_limit:
            self._halted = True
            self._halt_looked_at = float("-inf")

    def _concern_anybody(self, records: Sequence[Record[Decoded]]) -> bool:
        return self._concerns is None or any(self._concerns(record.value) for record in records)

    async def _store_offsets(self) -> None:
        """Stores how far we came, at most once a second, where what was read last concerned nobody."""
        if self._stored_offsets == self._next_offsets or time.monotonic() - self._stored_at < STORE_SECONDS:
            return
        async with self._turn:
            async with self._transaction() as connection:
                await self._advance(connection, self._next_offsets)
            self._stored_offsets = dict(self._next_offsets)
        self._stored_at = time.monotonic()

    async def _halt(self, connection: AsyncConnection, bad_records: int) -> None:
        """Makes the halt outlive this process: a restart must not walk on through a log of bad records."""
        before = await self._open_letters(connection) - bad_records
        await connection.execute(
            insert(consumer_halt).on_conflict_do_nothing(),
            {"consumer": self.name, "bad_records": bad_records, "open_allowed": max(before, 0)},
        )

    @contextlib.asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        """A batch's transaction: begun past SQLAlchemy, which takes 0.4 ms of CPU for that, a tenth of a live batch."""
        async with (await driver_of(self._connection)).transaction():
            yield self._connection

    async def _advance(self, connection: AsyncConnection, offsets: dict[TopicPartition, int]) -> None:
        advanced = {part: offset for part, offset in offsets.items() if offset != self._stored_offsets[part]}
        parts = sorted(advanced)
        moved = await _ADVANCE.all(
            await driver_of(connection),
            consumer=self.name,
            cluster_id=self._log.cluster_id,
            topics=[part.topic for part in parts],
            partitions=[part.partition for part in parts],
            topic_ids=[self._log.topic_ids[part.topic] for part in parts],
            was=[self._stored_offsets[part] for part in parts],
            now=[advanced[part] for part in parts],
        )
        if len(moved) != len(advanced):
            raise Fenced(f"{len(advanced) - len(moved)} of {len(advanced)} partitions were advanced by another")

    async def _set_aside(self, connection: AsyncConnection, letters: Sequence[DeadLetter]) -> None:
        await connection.execute(
            insert(dead_letter).on_conflict_do_nothing(),
            [
                {
                    "consumer": self.name,
                    "cluster_id": self._log.cluster_id,
                    "topic": letter.record.topic,
                    "topic_id": self._log.topic_ids[letter.record.topic],
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

    async def _note_progress(self) -> None:
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
                self._stored_offsets.pop(part, None)
        for part in revoked:
            telemetry.CONSUMER_LAG.labels(self.name, part.topic, part.partition).set(0)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Takes each partition up where the database says. aiokafka only logs what this raises, so it is kept."""
        try:
            async with self._turn:
                await self._take_up(assigned)
        except Exception as error:
            self._failure = error

    async def _ends_reaching(self, offsets: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
        """The ends of the log, once they have reached these offsets, or after `ENDS_SECONDS`.

        A broker that was killed says for a moment that its log ends where it last wrote down that all replicas had it.
        """
        deadline = time.monotonic() + ENDS_SECONDS
        while True:
            ends: dict[TopicPartition, int] = await self._kafka.end_offsets(list(offsets))
            if all(ends[part] >= offset for part, offset in offsets.items()) or time.monotonic() > deadline:
                return ends
            await asyncio.sleep(0.2)

    async def _take_up(self, assigned: set[TopicPartition]) -> None:
        self._next_offsets.clear()
        self._stored_offsets.clear()
        if not assigned:
            return
        others = {
            TopicPartition(topic, number)
            for topic in self._topics
            for number in self._kafka.partitions_for_topic(topic) or ()
        } - assigned
        first = await self._kafka.beginning_offsets([*assigned, *others])
        async with self._engine.begin() as connection:
            await self._adopt_log(connection, sorted(assigned), first)
            if others:
                # Shows that they have yet to be read, should the members that hold them not have begun.
                rows = [self._row(part, first[part]) for part in sorted(others)]
                await connection.execute(insert(consumer_offset).on_conflict_do_nothing(), rows)
            stored = await connection.execute(
                sa.select(consumer_offset.c.topic, consumer_offset.c.partition, consumer_offset.c.next_offset).where(
                    consumer_offset.c.consumer == self.name,
                    consumer_offset.c.cluster_id == self._log.cluster_id,
                )
            )
            offsets = {TopicPartition(row.topic, row.partition): row.next_offset for row in stored}
            self._overruled = frozenset(
                (topic, partition, offset)
                for topic, partition, offset in await overruled(connection, self.name, self._log.topic_ids)
                if offset >= offsets.get(TopicPartition(topic, partition), 0)
            )
        last = await self._ends_reaching({part: offsets[part] for part in assigned})
        for part in sorted(assigned):
            if not first[part] <= offsets[part] <= last[part]:
                lost = (
                    f"{part.topic}/{part.partition}: next is {offsets[part]}, the log holds {first[part]} to "
                    f"{last[part]}"
                )
                async with self._engine.begin() as connection:
                    await self._reset(connection, part, first[part], lost)
                offsets[part] = first[part]
        await self._note_ends()
        for part in assigned:
            self._next_offsets[part] = self._stored_offsets[part] = offsets[part]
            self._kafka.seek(part, offsets[part])
        self._seeks += 1
        if self._halted:
            self._kafka.pause(*assigned)
        log.info("partitions_assigned", consumer=self.name, partitions=len(assigned))

    async def _adopt_log(
        self, connection: AsyncConnection, assigned: Sequence[TopicPartition], first: dict[TopicPartition, int]
    ) -> None:
        """Sees to it that every partition has an offset, and that it is one of this log and no other."""
        topic_ids = self._log.topic_ids
        for part in assigned:
            ours = sa.and_(
                consumer_offset.c.consumer == self.name,
                consumer_offset.c.topic == part.topic,
                consumer_offset.c.partition == part.partition,
            )
            here = consumer_offset.c.cluster_id == self._log.cluster_id
            rows = (
                await connection.execute(
                    sa.select(consumer_offset.c.cluster_id, consumer_offset.c.topic_id).where(ours).with_for_update()
                )
            ).all()
            topic_id = topic_ids[part.topic]
            if any(row.cluster_id != self._log.cluster_id for row in rows):
                lost = f"{part.topic}/{part.partition}: the offsets are of another Kafka cluster, {rows[0].cluster_id}"
                await self._reset(connection, part, first[part], lost)
                await connection.execute(sa.delete(consumer_offset).where(ours, ~here))
            elif rows and rows[0].topic_id not in (topic_id, NO_TOPIC_ID):
                lost = f"{part.topic}/{part.partition}: the topic was made anew, the offsets are of the one before it"
                await self._reset(connection, part, first[part], lost)
            elif rows:
                # Noted before Kafka, or we, knew of topic ids.
                unknown = consumer_offset.c.topic_id == NO_TOPIC_ID
                await connection.execute(sa.update(consumer_offset).where(ours, unknown).values(topic_id=topic_id))
            else:
                await self._write_offset(connection, part, first[part])

    async def _note_ends(self) -> None:
        """Notes, where reading has just begun, how far the log reaches back into the past."""
        async with self._engine.begin() as connection:
            rows = await connection.execute(
                sa.select(consumer_offset.c.topic, consumer_offset.c.partition).where(
                    consumer_offset.c.consumer == self.name,
                    consumer_offset.c.cluster_id == self._log.cluster_id,
                    consumer_offset.c.log_end.is_(None),
                )
            )
            begun = [TopicPartition(row.topic, row.partition) for row in rows if row.topic in self._topics]
        if not begun:
            return
        ends = await self._kafka.end_offsets(begun)
        async with self._engine.begin() as connection:
            await connection.execute(
                _NOTE_ENDS,
                {
                    "consumer": self.name,
                    "cluster_id": self._log.cluster_id,
                    "topics": [part.topic for part in begun],
                    "partitions": [part.partition for part in begun],
                    "ends": [ends[part] for part in begun],
                },
            )

    async def _reset(self, connection: AsyncConnection, part: TopicPartition, offset: int, lost: str) -> None:
        """Begins anew at the log's first record, when that is the declared policy. Raises `OffsetsOutOfRange`."""
        if self._lost_log == "stop":
            raise OffsetsOutOfRange(
                f"{lost}. Restore the log; or set CONSUMER_LOST_LOG=reset to go on with what the log holds now "
                "(what is read twice counts once, what the log lost stays as it was booked)"
            )
        log.error("log_lost", consumer=self.name, lost=lost, next_offset=offset)
        telemetry.LOGS_LOST.labels(self.name, part.topic).inc()
        await self._write_offset(connection, part, offset)

    async def _write_offset(self, connection: AsyncConnection, part: TopicPartition, offset: int) -> None:
        row = self._row(part, offset)
        await connection.execute(
            insert(consumer_offset)
            .values(row)
            .on_conflict_do_update(
                index_elements=["consumer", "cluster_id", "topic", "partition"],
                set_={"topic_id": row["topic_id"], "next_offset": offset, "log_end": None},
            )
        )

    def _row(self, part: TopicPartition, offset: int) -> dict[str, Any]:
        return {
            "consumer": self.name,
            "cluster_id": self._log.cluster_id,
            "topic": part.topic,
            "partition": part.partition,
            "topic_id": self._log.topic_ids[part.topic],
            "next_offset": offset,
        }


def _is_no_records_fault(error: Exception) -> bool:
    return is_transient(error) or _is_being_cancelled()


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
