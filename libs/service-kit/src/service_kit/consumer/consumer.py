"""A Kafka consumer whose effects and offsets are one transaction: each record counts exactly once.

The offsets are kept in the service's own database and are advanced by compare-and-set, so that a consumer that was
replaced while it slept (a zombie) finds other numbers than it expects and changes nothing. Kafka's own committed
offset follows afterwards, for lag tools only.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic
from uuid import UUID

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from event_contracts.codec import UndecodableEvent
from service_kit import failpoints, telemetry
from service_kit.clock import SYSTEM_CLOCK, Clock
from service_kit.compiled import driver_of
from service_kit.consumer.abandoned_sessions import end_abandoned_sessions
from service_kit.consumer.batch_size import BatchSize
from service_kit.consumer.circuit_breaker import CircuitBreaker
from service_kit.consumer.dead_letters import DeadLetter, insert_dead_letters, skipped_positions
from service_kit.consumer.log_identity import LogIdentity
from service_kit.consumer.offsets import Fenced, OffsetResetPolicy, Offsets, OffsetStore, OperatorRequired
from service_kit.consumer.records import (
    Decode,
    Decoded,
    DecodedRecord,
    Position,
    RawRecord,
    Record,
    decode_records,
    position_of,
)
from service_kit.consumer.seen_sequences import SeenSequences, VersionOf
from service_kit.database import own_connection
from service_kit.health import Heartbeat
from service_kit.kafka import Kafka
from service_kit.problems import LOCK_TIMEOUT, is_transient, sqlstate_of

log = structlog.get_logger()

PREFETCH_RECORDS: Final = 500
"""A batch of so many records means that more is waiting: the next one is read while it is written."""
POLL_MILLISECONDS: Final = 500
FILL_MILLISECONDS: Final = 50
"""How long a consumer that is behind waits for the next records of a batch that is not full."""
FILL_SECONDS: Final = 0.5
"""How long it waits for a full batch once it needs one, while records keep coming: a small one costs more a record."""
METADATA_MILLISECONDS = 30_000
"""How long partitions that were added to a topic may go unnoticed."""
KAFKA_SECONDS: Final = 20
KAFKA_COMMIT_SECONDS: Final = 1.0
IDENTIFY_LIMIT_SECONDS: Final = 3.0
COMMIT_LIMIT_SECONDS: Final = 2.0
LEAVE_LIMIT_SECONDS: Final = 3.0
"""How long a broker may leave a request without an answer that costs nothing. A stop waits for each once at most, and a
process has to stop within ten seconds."""
STORE_SECONDS: Final = 1.0
"""How long the stored offsets may lag behind by irrelevant records."""
LOG_END_SECONDS: Final = 10.0
"""How long a log may seem to end before the stored offset until that is believed."""
REPORT_SECONDS: Final = 1.0
"""How often the lag is reported: setting a gauge for each partition takes as long as a turn without records."""
IDENTIFY_SECONDS: Final = 5.0
"""How often a running consumer checks that its topics are still those of its offsets."""
SHORTEST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 5.0
STABLE_SECONDS: Final = 30.0
"""A failure after so long, or after a batch was written, begins with the shortest pause again."""

Handle = Callable[[AsyncConnection, Sequence[Record[Decoded]]], Awaitable[None]]
"""Writes a batch's effects into the transaction that it is given; never commits."""
IsRelevant = Callable[[Decoded], bool]
"""Whether a record can have an effect at all."""


@dataclass(frozen=True)
class _Batch(Generic[Decoded]):
    """Records of one poll."""

    generation: int
    """Of the offsets that they were read from."""
    partitions: dict[TopicPartition, list[DecodedRecord[Decoded]]]


@dataclass
class _Work(Generic[Decoded]):
    """What one transaction has to do."""

    records: list[Record[Decoded]] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    next_offsets: Offsets = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    """Records by topic."""


class Consumer(ConsumerRebalanceListener, Generic[Decoded]):
    """A consumer that reads topics as one member of the group `name`.

    `run` survives every failure of Kafka and PostgreSQL by starting again from the stored offsets. It ends by itself
    only with `OperatorRequired`.
    """

    def __init__(
        self,
        *,
        name: str,
        engine: AsyncEngine,
        kafka: Kafka,
        topics: Sequence[str],
        decode: Decode[Decoded],
        handle: Handle[Decoded],
        is_relevant: IsRelevant[Decoded] | None = None,
        version_of: VersionOf[Decoded] | None = None,
        on_commit: Callable[[], None] | None = None,
        on_idle: Callable[[], Awaitable[None]] | None = None,
        offset_reset: OffsetResetPolicy = "stop",
        linger_seconds: float = 0.0,
        revision: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """With `version_of`, a batch's newest record of each subject is handled, if it is newer than all before it.

        With `is_relevant`, all other records are left out: `handle` never sees them.

        After a turn it waits `linger_seconds`, so that records under load share a transaction.

        `on_idle` is called at every turn that finds all partitions read to their end.

        With a `revision` it writes only while the database is migrated to that one: the statements of another release
        would fail for the records' sake, or mean something else.
        """
        self.name = name
        self._engine = engine
        self._clients = kafka
        self._clock = clock
        self._topics = list(topics)
        self._decode = decode
        self._handle = handle
        self._is_relevant = is_relevant
        self._version_of = version_of
        self._seen_sequences = SeenSequences(name)
        self._on_commit = on_commit
        self._on_idle = on_idle
        self._offset_reset: OffsetResetPolicy = offset_reset
        self._linger_seconds = linger_seconds
        self._revision = revision
        self._batch_size = BatchSize()
        self._has_written = False
        """Whether this member has written a batch since it joined."""
        self._next_offsets: Offsets = {}
        self._stored_offsets: Offsets = {}
        """Behind the next ones by irrelevant records: reading those again would change nothing either."""
        self._skipped_positions: frozenset[Position] = frozenset()
        self._generation = 0
        """Counts how often reading went back to the stored offsets: what was read before that comes again."""
        self._prefetch: asyncio.Task[_Batch[Decoded]] | None = None
        """Reads and decodes the next batch while the last one is written."""
        self._fill_until = float("inf")
        """When the next batch is given as it is: records that keep coming must not hold back the first of them."""
        self._batch_lock = asyncio.Lock()
        """Held by a batch, and by a rebalance: neither may see the offsets while the other moves them."""
        self._rebalance_failure: Exception | None = None
        self._kafka: AIOKafkaConsumer
        self._connection: AsyncConnection
        self._identity: LogIdentity
        self._offsets: OffsetStore
        self._stored_at = self._identified_at = self._committed_to_kafka_at = self._reported_at = float("-inf")
        self._kafka_offsets: Offsets = {}
        """Those that were committed to Kafka last."""
        self.circuit_breaker = CircuitBreaker(engine, name, clock)
        self.heartbeat = Heartbeat(name, limit_seconds=90)
        """Beats when a batch is written and while there is none to write, not by polling alone."""
        self.caught_up = asyncio.Event()
        """Set while every assigned partition is read to its end."""

    @property
    def next_offsets(self) -> Offsets:
        """The partitions that this member holds, with the offset of the first unprocessed record of each."""
        return dict(self._next_offsets)

    @property
    def topic_ids(self) -> Mapping[str, UUID]:
        """Kafka's ids of the topics, by name: those to which the offsets refer."""
        return self._identity.topic_ids

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set. Raises `OperatorRequired`, such as `OffsetsOutOfRange`."""
        pause = SHORTEST_PAUSE_SECONDS
        while not stop.is_set():
            began, self._has_written = self._clock.monotonic(), False
            try:
                async with own_connection(self._engine) as self._connection:
                    await self._run_member(stop)
            except OperatorRequired:
                raise
            except (Exception, asyncio.CancelledError) as error:
                if _is_being_cancelled():
                    # Whatever a driver made of it on the way out.
                    raise asyncio.CancelledError from error
                # Any failure: the stored offsets make starting again always safe. aiokafka lets a cancellation of its
                # own out while a broker goes away; mistaken for ours, it would end the consumer silently.
                telemetry.CONSUMER_RESTARTS.labels(self.name, type(error).__name__).inc()
                if self._has_written or self._clock.monotonic() - began > STABLE_SECONDS:
                    pause = SHORTEST_PAUSE_SECONDS
                log.warning("consumer_restarts", consumer=self.name, error=repr(error), retry_seconds=pause)
                if sqlstate_of(error) == LOCK_TIMEOUT:
                    await self._end_abandoned_sessions()
                await self._clock.wait(stop, pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _end_abandoned_sessions(self) -> None:
        """Free the rows that a member holds which was frozen, as its partitions have been given to others."""
        try:
            async with own_connection(self._engine) as connection:
                ended = await end_abandoned_sessions(connection)
        except Exception as error:
            log.warning("abandoned_sessions_not_ended", consumer=self.name, error=repr(error))
        else:
            if ended:
                log.warning("abandoned_sessions_ended", consumer=self.name, sessions=ended)

    async def _run_member(self, stop: asyncio.Event) -> None:
        """Be one member of the group, from joining to the first failure or the stop."""
        self._identity = await self._clients.identify(self._topics)
        self._offsets = OffsetStore(self.name, self._identity, self._offset_reset, revision=self._revision)
        await self._offsets.require_schema(self._connection)
        self._rebalance_failure = None
        self.circuit_breaker.expire()
        self._next_offsets.clear()
        self._stored_offsets.clear()
        self._kafka_offsets = {}
        self._kafka = self._clients.consumer(
            group_id=self.name,
            enable_auto_commit=False,
            # Our own offsets decide; any other start would be a silent skip or a silent repeat.
            auto_offset_reset="none",
            # Range, so that one consumer holds the same partition numbers of all topics: all of a customer's events.
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
            self._identified_at = self._committed_to_kafka_at = self._clock.monotonic()
            while not stop.is_set():
                await self._run_once(stop)
            await self._commit_to_kafka()
        finally:
            await self._close()

    async def _run_once(self, stop: asyncio.Event) -> None:
        """Take one turn: poll, process and commit, then see to what is due, unless it is the last one."""
        await self._apply_circuit_breaker()
        if self._linger_seconds and self._prefetch is None:
            await self._clock.sleep(self._linger_seconds)
        batch = await self._next_batch()
        if self._rebalance_failure is not None:
            raise self._rebalance_failure
        if not self.circuit_breaker.is_open:
            await self._process(batch)
        await self._store_offsets()
        await self._report_lag()
        now = self._clock.monotonic()
        if now - self._identified_at > IDENTIFY_SECONDS and not stop.is_set():
            self._identified_at = now
            await self._require_same_log()
        if stop.is_set():
            # What was committed is committed to Kafka behind the last turn.
            return
        if now - self._committed_to_kafka_at > KAFKA_COMMIT_SECONDS:
            self._committed_to_kafka_at = now
            await self._commit_to_kafka()

    async def _close(self) -> None:
        self.caught_up.clear()
        if self._prefetch is not None:
            prefetch, self._prefetch = self._prefetch, None
            prefetch.cancel()
            # Awaited, for asyncio complains of a failure that is never retrieved.
            await asyncio.gather(prefetch, return_exceptions=True)
        with contextlib.suppress(Exception):
            # Leaving the group can hang while the broker is down.
            await asyncio.wait_for(self._kafka.stop(), LEAVE_LIMIT_SECONDS)

    # Poll

    async def _next_batch(self) -> _Batch[Decoded]:
        if self._prefetch is None:
            return await self._read()
        prefetch, self._prefetch = self._prefetch, None
        self._fill_until = self._clock.monotonic() + FILL_SECONDS
        try:
            return await prefetch
        finally:
            self._fill_until = float("inf")

    async def _read(self, *, until_full: bool = False) -> _Batch[Decoded]:
        """Return what one poll gives; with `until_full`, poll on while more comes and `_fill_until` is not over."""
        polled = await self._poll(self._batch_size.records, POLL_MILLISECONDS)
        # After the poll: what it gives is from where reading had gone to by then.
        batch, left = _Batch[Decoded](self._generation, {}), self._batch_size.records
        while polled:
            for part, records in polled.items():
                batch.partitions.setdefault(part, []).extend(await decode_records(records, self._decode))
                left -= len(records)
            if not until_full or left <= 0 or self._clock.monotonic() >= self._fill_until:
                break
            polled = await self._poll(left, FILL_MILLISECONDS)
            if batch.generation != self._generation:
                # What was read before comes again, and what comes now is from there on.
                batch, left = _Batch[Decoded](self._generation, {}), self._batch_size.records
        return batch

    async def _poll(self, max_records: int, milliseconds: int) -> dict[TopicPartition, list[RawRecord]]:
        try:
            polled: dict[TopicPartition, list[RawRecord]] = await self._kafka.getmany(
                timeout_ms=milliseconds, max_records=max_records
            )
        except NoOffsetForPartitionError:
            # Kafka has no committed offset of ours before the first start, and may answer so while `_load_offsets`
            # still reads the database. The seek that follows settles it.
            return {}
        except OffsetOutOfRangeError as error:
            # Kafka's committed offset may be out of range while `_load_offsets` still reads the database.
            async with self._batch_lock:
                if self._rebalance_failure is not None:
                    raise self._rebalance_failure from error
                first = await self._kafka.beginning_offsets(list(self._next_offsets))
                if all(first[part] <= offset for part, offset in self._next_offsets.items()):
                    return {}
            # Starting again compares the stored offsets with the log, and reports the difference.
            raise ConnectionError("the log no longer holds the next record") from error
        return polled

    # Process

    async def _process(self, batch: _Batch[Decoded]) -> None:
        """Write the effects of a batch; when it fails for a record's sake, of each record by itself."""
        async with self._batch_lock:
            taken = self._without_stale(batch)
            if not taken:
                return
            if len(taken) >= PREFETCH_RECORDS:
                self._prefetch = asyncio.create_task(self._read(until_full=True), name=f"{self.name} prefetch")
            began = self._clock.monotonic()
            try:
                await self._commit(taken)
            except Exception as error:
                if not _is_records_fault(error):
                    if is_transient(error):
                        self._batch_size.note_failure(len(taken))
                    raise
                # One bad record must stop only itself: processing each by itself finds it.
                log.warning("batch_split", consumer=self.name, records=len(taken), error=repr(error))
                for decoded in taken:
                    if not self.circuit_breaker.is_open:
                        await self._commit_alone(decoded)
            seconds = self._clock.monotonic() - began
            telemetry.CONSUMER_BATCH_SECONDS.labels(self.name).observe(seconds)
            self._batch_size.note_success(len(taken), seconds)
            self._has_written = True
            self.heartbeat.beat()

    def _without_stale(self, batch: _Batch[Decoded]) -> list[DecodedRecord[Decoded]]:
        """Return the records that are still to be processed: reading may have gone back, partitions may be gone."""
        if batch.generation != self._generation:
            return []
        return [
            decoded
            for part, of_partition in batch.partitions.items()
            if (next_offset := self._next_offsets.get(part)) is not None
            for decoded in of_partition
            if decoded[0].offset >= next_offset
        ]

    async def _commit_alone(self, decoded: DecodedRecord[Decoded]) -> None:
        try:
            await self._commit([decoded])
        except Exception as error:
            if not _is_records_fault(error):
                raise
            record = decoded[0]
            log.error("record_refused", consumer=self.name, offset=record.offset, exc_info=error)
            refused = UndecodableEvent("handler-failed", type(error).__name__)
            await self._commit([(record, refused)])

    # Commit

    async def _commit(self, decoded: Sequence[DecodedRecord[Decoded]]) -> None:
        """Write offsets, dead letters and effects of some records in one transaction.

        Of records that make the circuit breaker open, those after the one that opens it stay unprocessed.
        """
        work = _Work[Decoded]()
        bad_records = self.circuit_breaker.bad_records.copy()
        part = TopicPartition("", -1)
        opens_breaker = False
        for record, value in decoded:
            if record.partition != part.partition or record.topic != part.topic:
                part = TopicPartition(record.topic, record.partition)
            work.next_offsets[part] = record.offset + 1
            work.counts[record.topic] += 1
            is_bad = False
            if self._skipped_positions and position_of(record) in self._skipped_positions:
                pass
            elif isinstance(value, UndecodableEvent):
                work.dead_letters.append(DeadLetter(record, value.reason, value.detail))
                is_bad = True
            elif isinstance(value, Exception):
                raise value
            else:
                work.records.append(Record(record.topic, record.partition, record.offset, value, record.key))
            bad_records.add(is_bad=is_bad)
            if is_bad and bad_records.are_too_many():
                opens_breaker = True
                break
        relevant = self._relevant(work.records)
        if work.dead_letters or relevant:
            next_offsets = self._next_offsets | work.next_offsets
            async with self._transaction() as connection:
                await self._offsets.advance(connection, self._stored_offsets, next_offsets)
                if work.dead_letters:
                    failpoints.reach("consumer.before-dead-letters")
                    await insert_dead_letters(connection, self.name, self._identity, work.dead_letters)
                    failpoints.reach("consumer.after-dead-letters")
                if opens_breaker:
                    await self.circuit_breaker.open(connection, bad_records.count())
                if records := await self._without_stale_versions(connection, relevant):
                    await self._handle(connection, records)
                failpoints.reach("consumer.before-commit")
            failpoints.reach("consumer.after-commit")
            self._stored_offsets = next_offsets
            if relevant and self._on_commit is not None:
                self._on_commit()
        self._next_offsets.update(work.next_offsets)
        self.circuit_breaker.bad_records = bad_records
        if opens_breaker:
            self.circuit_breaker.is_open = True
            self.circuit_breaker.expire()
        self._count(work)

    async def _without_stale_versions(
        self, connection: AsyncConnection, records: Sequence[Record[Decoded]]
    ) -> Sequence[Record[Decoded]]:
        if self._version_of is None:
            return records
        return await self._seen_sequences.newest(connection, records, self._version_of)

    def _relevant(self, records: Sequence[Record[Decoded]]) -> Sequence[Record[Decoded]]:
        if self._is_relevant is None:
            return records
        return [record for record in records if self._is_relevant(record.value)]

    def _count(self, work: _Work[Decoded]) -> None:
        for dead_letter in work.dead_letters:
            telemetry.DEAD_LETTERS.labels(self.name, dead_letter.reason).inc()
            log.error(
                "dead_letter",
                consumer=self.name,
                topic=dead_letter.record.topic,
                partition=dead_letter.record.partition,
                offset=dead_letter.record.offset,
                reason=dead_letter.reason,
            )
        for topic, count in work.counts.items():
            telemetry.CONSUMED.labels(self.name, topic).inc(count)

    @contextlib.asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        """Yield the connection in a transaction: asyncpg's, for SQLAlchemy's takes a tenth of a live batch's CPU."""
        async with (await driver_of(self._connection)).transaction():
            yield self._connection

    async def _store_offsets(self) -> None:
        """Store the offsets behind irrelevant records, at most once in `STORE_SECONDS`."""
        if self._stored_offsets == self._next_offsets or self._clock.monotonic() - self._stored_at < STORE_SECONDS:
            return
        async with self._batch_lock:
            async with self._transaction() as connection:
                await self._offsets.advance(connection, self._stored_offsets, self._next_offsets)
            self._stored_offsets = dict(self._next_offsets)
        self._stored_at = self._clock.monotonic()

    async def _commit_to_kafka(self) -> None:
        """Commit the offsets to Kafka too, for lag tools. Its failure costs nothing."""
        offsets = {part: offset for part, offset in self._next_offsets.items() if part in self._kafka.assignment()}
        if offsets != self._kafka_offsets:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._kafka.commit(offsets), COMMIT_LIMIT_SECONDS)
                self._kafka_offsets = offsets

    # What is due now and then

    async def _apply_circuit_breaker(self) -> None:
        """Pause all partitions while the breaker is open. They are still polled, or the group would expel us."""
        if not self.circuit_breaker.is_due():
            return
        was_open = self.circuit_breaker.is_open
        await self.circuit_breaker.refresh()
        if self.circuit_breaker.is_open:
            self._kafka.pause(*self._kafka.assignment())
            return
        if was_open:
            # What was read meanwhile was dropped.
            for part, offset in self._next_offsets.items():
                if part in self._kafka.assignment():
                    self._kafka.seek(part, offset)
            self._generation += 1
        self._kafka.resume(*self._kafka.paused())

    async def _require_same_log(self) -> None:
        """Raise ConnectionError when a topic was recreated: it may soon hold another record at our next offset."""
        try:
            found = await asyncio.wait_for(self._clients.identify(self._topics), IDENTIFY_LIMIT_SECONDS)
        except Exception as error:
            # A broker that is away proves nothing; its failure shows in reading from it.
            log.info("log_not_identified", consumer=self.name, error=repr(error))
            return
        if found != self._identity:
            # Starting again finds out which, and stops.
            raise ConnectionError("the topics were recreated, or this is another cluster")

    async def _report_lag(self) -> None:
        lags: dict[TopicPartition, int | None] = {}
        for part in self._kafka.assignment():
            end, next_offset = self._kafka.highwater(part), self._next_offsets.get(part)
            lags[part] = None if end is None or next_offset is None else max(end - next_offset, 0)
        if self._clock.monotonic() - self._reported_at > REPORT_SECONDS:
            self._reported_at = self._clock.monotonic()
            for part, lag in lags.items():
                if lag is not None:
                    telemetry.CONSUMER_LAG.labels(self.name, part.topic, part.partition).set(lag)
        if not lags or self.circuit_breaker.is_open:
            # A member without partitions, or one that waits for an operator, has nothing to do.
            self.heartbeat.beat()
        if lags and not any(lag != 0 for lag in lags.values()):
            self.heartbeat.beat()
            self.caught_up.set()
            if self._on_idle is not None:
                await self._on_idle()
        else:
            self.caught_up.clear()

    # Rebalances

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Finish the batch that is under way, then forget the partitions."""
        async with self._batch_lock:
            for part in revoked:
                self._next_offsets.pop(part, None)
                self._stored_offsets.pop(part, None)
        for part in revoked:
            telemetry.CONSUMER_LAG.labels(self.name, part.topic, part.partition).set(0)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Seek each partition to its stored offset. aiokafka only logs what this raises, so it is kept for later."""
        try:
            async with self._batch_lock:
                await self._load_offsets(assigned)
        except Exception as error:
            self._rebalance_failure = error

    async def _load_offsets(self, assigned: set[TopicPartition]) -> None:
        self._next_offsets.clear()
        self._stored_offsets.clear()
        if not assigned:
            return
        others = {
            TopicPartition(topic, number)
            for topic in self._topics
            for number in self._kafka.partitions_for_topic(topic) or ()
        } - assigned
        first: Offsets = await self._kafka.beginning_offsets([*assigned, *others])
        async with self._engine.begin() as connection:
            await self._offsets.adopt(connection, assigned, first)
        # Members that begin together insert each other's: none may hold its own meanwhile, or they wait in a circle.
        async with self._engine.begin() as connection:
            await self._offsets.insert_missing(connection, {part: first[part] for part in others})
            stored = await self._offsets.load(connection)
            skipped = await skipped_positions(connection, self.name, self._identity.topic_ids)
        self._skipped_positions = frozenset(
            (topic, partition, offset)
            for topic, partition, offset in skipped
            if offset >= stored.get(TopicPartition(topic, partition), 0)
        )
        offsets = {part: stored[part] for part in sorted(assigned)}
        last = await self._log_ends(offsets)
        for part, offset in offsets.items():
            if not first[part] <= offset <= last[part]:
                reason = f"{part.topic}/{part.partition}: next is {offset}, the log holds {first[part]} to {last[part]}"
                async with self._engine.begin() as connection:
                    await self._offsets.reset(connection, part, first[part], reason)
                offsets[part] = first[part]
        await self._store_log_ends()
        for part, offset in offsets.items():
            self._next_offsets[part] = self._stored_offsets[part] = offset
            self._kafka.seek(part, offset)
        self._generation += 1
        if self.circuit_breaker.is_open:
            self._kafka.pause(*assigned)
        log.info("partitions_assigned", consumer=self.name, partitions=len(assigned))

    async def _log_ends(self, offsets: Offsets) -> Offsets:
        """Return the ends of the log, once they have reached these offsets, or after `LOG_END_SECONDS`.

        A broker that was killed reports for a moment the end that it last wrote down as known to all replicas.
        """
        deadline = self._clock.monotonic() + LOG_END_SECONDS
        while True:
            ends: Offsets = await self._kafka.end_offsets(list(offsets))
            if all(ends[part] >= offset for part, offset in offsets.items()) or self._clock.monotonic() > deadline:
                return ends
            await self._clock.sleep(0.2)

    async def _store_log_ends(self) -> None:
        async with self._engine.begin() as connection:
            begun = await self._offsets.without_log_end(connection)
        if begun:
            ends = await self._kafka.end_offsets(begun)
            async with self._engine.begin() as connection:
                await self._offsets.set_log_ends(connection, ends)


def _is_records_fault(error: Exception) -> bool:
    return not (isinstance(error, Fenced | OperatorRequired) or is_transient(error) or _is_being_cancelled())


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
