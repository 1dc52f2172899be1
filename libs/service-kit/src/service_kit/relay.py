"""The relay: moves events from a database's outbox to Kafka, in order within a key, at least once.

Why batches are built here and not by the producer: each round sends at most one record batch to a partition, so a
batch arrives whole or not at all, and an event can never overtake an earlier one of its key, whatever fails when.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from functools import lru_cache, partial
from struct import unpack
from typing import Any, Final

import asyncpg
import sqlalchemy as sa
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import MessageSizeTooLargeError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from event_contracts.codec import CONTENT_TYPE, MAX_EVENT_BYTES, TYPE_HEADER, type_of, with_epoch
from service_kit import failpoints, telemetry
from service_kit.clock import SYSTEM_CLOCK, Clock
from service_kit.compiled import CompiledStatement, driver_of
from service_kit.database import own_connection
from service_kit.health import Heartbeat
from service_kit.kafka import FencingProducer, Kafka
from service_kit.log_repair import LogRepair, Row
from service_kit.outbox import measure_outbox, outbox
from service_kit.outbox_notify import CHANNEL
from service_kit.published_events import move_to_published, stream
from service_kit.relay_lease import Lease, relay_lease
from service_kit.watermarks import Watermarks

log = structlog.get_logger()

ROUND_ROWS: Final = 2000
BATCH_BYTES: Final = 900 * 1024
COMPRESSION: Final = "zstd"
"""A fifth of the time that aiokafka's lz4 takes, which is at its highest level, for two thirds of the size."""
BUSY_POLL_SECONDS: Final = 0.003
IDLE_POLL_SECONDS: Final = 1.0
BUSY_SECONDS: Final = 0.1
"""For so long after an event without a notification, the next one is polled for at once: of ten a second none waits."""
LINGER_SECONDS: Final = 0.004
LOADED_SECONDS: Final = 0.005
"""A notification that comes so soon after the last event waits for `LINGER_SECONDS`, for others to share its round. A
round costs as much for one event as for ten, here, in Kafka and in every consumer."""
SEND_SECONDS: Final = 20
"""Longer than the producer's own time-out, so that its answer is final when ours comes."""
REQUEST_MILLISECONDS: Final = 10_000
STANDBY_SECONDS: Final = 0.5
GAUGES_SECONDS: Final = 5
PARTITIONS_SECONDS: Final = 30
"""How long partitions that were added to a topic may go unnoticed."""
MISSING_SECONDS: Final = 5
"""How long until a topic that is missing is looked for again."""
CACHED_KEYS: Final = 10_000
PRODUCER: Final = "tandem-relay-"
"""The beginning of the relays' transactional ids."""

_MIX: Final = 0x5BD1E995
_WORD: Final = 0xFFFFFFFF
_CONTENT_TYPE: Final = ("content-type", CONTENT_TYPE.encode())

# Not `position > last`: positions commit out of order, and a lower one that commits late would be lost for ever.
_parked = outbox.alias("parked")
_NEXT: Final = CompiledStatement(
    sa.select(
        outbox.c.position,
        outbox.c.aggregatetype,
        outbox.c.aggregateid,
        outbox.c.payload,
        # With the rows: none that is committed once an epoch has begun is published under the one before.
        sa.func.coalesce(sa.select(stream.c.epoch).scalar_subquery(), 1).label("epoch"),
    )
    .where(
        # What waits for a topic that is missing must not fill the rounds of the others.
        outbox.c.aggregatetype != sa.all_(sa.bindparam("missing", type_=sa.ARRAY(sa.Text))),
        ~sa.exists().where(
            _parked.c.parked_reason.is_not(None),
            _parked.c.aggregateid == outbox.c.aggregateid,
            _parked.c.position <= outbox.c.position,
        ),
    )
    .order_by(outbox.c.position)
    .limit(sa.literal_column(str(ROUND_ROWS)))
)
_HOLDS_LEASE: Final = sa.exists().where(relay_lease.c.epoch == sa.bindparam("epoch"))
_PARK: Final = CompiledStatement(
    sa.update(outbox)
    .where(outbox.c.position == sa.bindparam("parked_position"), _HOLDS_LEASE)
    .values(parked_reason=sa.bindparam("parked_reason"))
)


class UnsendableRow(Exception):
    """A row that Kafka will never take."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position
        self.reason = reason


class Relay:
    """The relay of one process. Several may run: a lease in the database makes one of them the active one."""

    def __init__(
        self, *, engine: AsyncEngine, kafka: Kafka, watermarked: str | None = None, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        """`watermarked` is the topic of events whose watermarks it publishes."""
        self._engine = engine
        self._kafka = kafka
        self._watermarks = None if watermarked is None else Watermarks(watermarked, kafka, clock)
        self._clock = clock
        self._partitions: dict[str, tuple[float, int]] = {}
        """By topic, with the time when they were counted; 0 where the topic is missing."""
        self._log_repair: LogRepair | None = None
        self.heartbeat = Heartbeat("relay", limit_seconds=90)
        """Beats with every round that succeeds, and while another relay is the active one."""

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop` is set; survive every failure by starting again."""
        pause = 0.2
        while not stop.is_set():
            try:
                async with own_connection(self._engine) as connection:
                    if (lease := await self._become_active(connection, stop)) is not None:
                        log.info("relay_active", epoch=lease.epoch)
                        await self._relay(connection, lease, stop)
                return
            except Exception as error:
                # Any failure: an unforeseen error must not end the relay and leave the outbox to grow.
                telemetry.RELAY_FAILURES.labels(type(error).__name__).inc()
                log.warning("relay_failed", error=repr(error), retry_seconds=pause)
                await self._clock.wait(stop, pause)
                pause = min(pause * 2, 2.0)
            finally:
                telemetry.RELAY_ACTIVE.set(0)
                telemetry.RELAY_TOPIC_MISSING.clear()

    async def check_log(self) -> None:
        """Raise RuntimeError while the log is another one than events were published to, and not filled yet."""
        if self._log_repair is not None and self._log_repair.holds_outbox:
            raise RuntimeError("the topics are other ones than events were published to: republish with --lost-log")

    async def _become_active(self, connection: AsyncConnection, stop: asyncio.Event) -> Lease | None:
        driver = await driver_of(connection)
        while not stop.is_set():
            if (lease := await Lease.take(driver, self._clock)) is not None:
                telemetry.RELAY_ACTIVE.set(1)
                return lease
            self.heartbeat.beat()
            await self._clock.wait(stop, STANDBY_SECONDS)
        return None

    async def _relay(self, connection: AsyncConnection, lease: Lease, stop: asyncio.Event) -> None:
        producer = self._kafka.fencing_producer(
            f"{PRODUCER}{lease.producer}",
            acks="all",
            enable_idempotence=True,
            compression_type=COMPRESSION,
            max_batch_size=BATCH_BYTES,
            max_request_size=2 * MAX_EVENT_BYTES,
            request_timeout_ms=REQUEST_MILLISECONDS,
            retry_backoff_ms=100,
        )
        driver = await driver_of(connection)
        # What a crash of the database takes back from this connection is only that rows were sent: they are sent again.
        await driver.execute("SET synchronous_commit TO off")
        wakeup = _Wakeup(stop, self._clock)
        stopping = asyncio.create_task(wakeup.follow_stop())
        measured = float("-inf")
        self._partitions.clear()
        self._log_repair = log_repair = LogRepair(
            self._kafka, self._clock, partial(self._send, producer), producer.send_only_to
        )
        try:
            await asyncio.wait_for(producer.start(), SEND_SECONDS)
            # One that took over while this one started may have been fenced by it. It starts again; this one stops.
            await lease.renew()
            await driver.add_listener(CHANNEL, wakeup.notify)
            while not stop.is_set():
                await lease.renew_when_due()
                await log_repair.step(driver, lease)
                await wakeup.linger()
                sent, has_more = 0, log_repair.has_more
                if not log_repair.holds_outbox:
                    sent, is_left = await self._round(driver, producer, lease, log_repair)
                    has_more = has_more or is_left
                    if self._watermarks is not None:
                        await asyncio.wait_for(
                            self._watermarks.publish_when_due(driver, log_repair.topics), SEND_SECONDS
                        )
                self.heartbeat.beat()
                now = self._clock.monotonic()
                if now - measured > GAUGES_SECONDS:
                    await measure_outbox(driver)
                    measured = now
                wakeup.note(sent)
                if not has_more:
                    await wakeup.wait()
        finally:
            self._log_repair = None
            stopping.cancel()
            # A stop that waits for a broker that is down would never end.
            with contextlib.suppress(Exception):
                await asyncio.wait_for(producer.stop(), 5)
            if self._watermarks is not None:
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(self._watermarks.close(), 5)

    async def _round(
        self, driver: asyncpg.Connection, producer: FencingProducer, lease: Lease, log_repair: LogRepair
    ) -> tuple[int, bool]:
        """Send what waits, at most one batch a partition. Return the number of rows sent, and whether more wait.

        What waits for a topic that is missing is left out until it is time to look for the topic again.
        """
        rows = await _NEXT.all(driver, missing=self._missing())
        if not rows:
            return 0, False
        epoch = rows[0]["epoch"]
        waiting: list[Row] = [
            (position, topic, key, None if payload is None else with_epoch(payload, epoch))
            for position, topic, key, payload, _ in rows
        ]
        await log_repair.note_topics(driver, lease, {row[1] for row in waiting})
        try:
            sent = set(await self._send(producer, waiting))
        except UnsendableRow as unsendable:
            await _PARK.execute(
                driver, parked_position=unsendable.position, parked_reason=unsendable.reason, epoch=lease.epoch
            )
            log.error("outbox_row_parked", position=unsendable.position, reason=unsendable.reason)
            return 0, True
        failpoints.reach("relay.before-delete")
        await move_to_published(driver, [row for row in waiting if row[0] in sent], epoch=epoch, lease=lease.epoch)
        failpoints.reach("relay.after-delete")
        missing = self._missing()
        return len(sent), len(rows) == ROUND_ROWS or len(sent) < sum(row[1] not in missing for row in waiting)

    async def _send(self, producer: FencingProducer, rows: Sequence[Row]) -> list[int]:
        """Send rows and await every acknowledgement. Return the positions sent; raise when no batch got through."""
        batches: dict[tuple[str, int], tuple[Any, list[int]]] = {}
        full: set[tuple[str, int]] = set()
        partitions = {topic: await self._count(producer, topic) for topic in {row[1] for row in rows}}
        for position, topic, key_text, payload in rows:
            if not partitions[topic]:
                continue
            if payload is not None and len(payload) > MAX_EVENT_BYTES:
                raise UnsendableRow(position, f"{len(payload)} bytes; at most {MAX_EVENT_BYTES} can be sent")
            key = key_text.encode()
            target = (topic, partition_of(key, partitions[topic]))
            if target in full:
                continue
            if (known := batches.get(target)) is None:
                known = batches[target] = (producer.create_batch(), [])
            batch, members = known
            if batch.append(timestamp=None, key=key, value=payload, headers=_headers(payload)) is None:
                # The rest of this partition waits for the next round, behind what goes now.
                full.add(target)
            else:
                members.append(position)
        failpoints.reach("relay.before-send")
        async with asyncio.timeout(SEND_SECONDS):
            futures = [
                await producer.send_batch(batch, topic, partition=partition)
                for (topic, partition), (batch, _) in batches.items()
            ]
            failpoints.reach("relay.before-acknowledgement")
            outcomes = await asyncio.gather(*futures, return_exceptions=True)
            failpoints.reach("relay.after-acknowledgement")
        sent: list[int] = []
        failure: BaseException | None = None
        for ((topic, partition), (_, members)), outcome in zip(batches.items(), outcomes, strict=True):
            if isinstance(outcome, MessageSizeTooLargeError) and len(members) == 1:
                raise UnsendableRow(members[0], "the broker refuses a record of this size")
            if isinstance(outcome, BaseException):
                failure = outcome
                # It may be gone.
                self._partitions.pop(topic, None)
                continue
            telemetry.RELAYED.labels(topic).inc(len(members))
            if self._watermarks is not None:
                self._watermarks.note_sent(TopicPartition(topic, partition), outcome.offset + len(members))
            sent += members
        if failure is not None and not sent:
            raise failure
        return sent

    def _missing(self) -> list[str]:
        """Return the topics that are missing and not yet to be looked for again."""
        now = self._clock.monotonic()
        return [topic for topic, (at, count) in self._partitions.items() if not count and now - at <= MISSING_SECONDS]

    async def _count(self, producer: FencingProducer, topic: str) -> int:
        """Return the number of a topic's partitions; 0 when it does not exist."""
        counted_at, count = self._partitions.get(topic, (float("-inf"), None))
        if count is None or self._clock.monotonic() - counted_at > (PARTITIONS_SECONDS if count else MISSING_SECONDS):
            before, count = count, await asyncio.wait_for(producer.count_partitions(topic), SEND_SECONDS)
            self._partitions[topic] = (self._clock.monotonic(), count)
            telemetry.RELAY_TOPIC_MISSING.labels(topic).set(not count)
            if not count and before != 0:
                log.error("topic_missing", topic=topic, retry_seconds=MISSING_SECONDS)
            elif count and before == 0:
                log.info("topic_found", topic=topic, partitions=count)
        return count


class _Wakeup:
    """Decides when the relay's next round begins: by a notification, or by a poll."""

    def __init__(self, stop: asyncio.Event, clock: Clock) -> None:
        self._stop = stop
        self._clock = clock
        self._woken = asyncio.Event()
        self._was_notified = False
        self._sent_at = float("-inf")
        self._surprised_at = float("-inf")
        self._poll = BUSY_POLL_SECONDS

    async def follow_stop(self) -> None:
        """End a wait when the relay has to stop."""
        await self._stop.wait()
        self._woken.set()

    def notify(self, *_: object) -> None:
        """Begin a round: a writer has committed."""
        self._woken.set()

    async def linger(self) -> None:
        """Wait for others to join a notification, under load only."""
        self._was_notified = self._woken.is_set()
        if self._was_notified and self._clock.monotonic() - self._sent_at < LOADED_SECONDS:
            await self._clock.sleep(LINGER_SECONDS)
        self._woken.clear()

    def note(self, sent: int) -> None:
        """Note how many rows a round sent."""
        if not sent:
            return
        self._sent_at = self._clock.monotonic()
        # A row that is found just before its notification comes is no surprise either.
        if not self._was_notified and not self._woken.is_set():
            self._surprised_at, self._poll = self._sent_at, BUSY_POLL_SECONDS

    async def wait(self) -> None:
        """Wait for a notification, or until it is time to poll: rarely, unless rows came without one recently."""
        if not self._stop.is_set():
            await self._clock.wait(self._woken, self._poll)
        if self._clock.monotonic() - self._surprised_at > BUSY_SECONDS:
            self._poll = min(self._poll * 1.2, IDLE_POLL_SECONDS)


def _headers(payload: bytes | None) -> list[tuple[str, bytes]]:
    """Return a record's headers: with its type, a consumer need not parse what it does not want."""
    kind = None if payload is None else type_of(payload)
    return [_CONTENT_TYPE] if kind is None else [_CONTENT_TYPE, (TYPE_HEADER, kind)]


@lru_cache(maxsize=CACHED_KEYS)
def partition_of(key: bytes, partitions: int) -> int:
    """Return where Kafka's own clients put a key: their murmur2, in half the time that aiokafka's takes."""
    whole = len(key) & ~3
    hashed = 0x9747B28C ^ len(key)
    for word in unpack(f"<{whole >> 2}I", key[:whole]):
        mixed = word * _MIX & _WORD
        hashed = hashed * _MIX & _WORD ^ (mixed ^ mixed >> 24) * _MIX & _WORD
    if whole != len(key):
        hashed = (hashed ^ int.from_bytes(key[whole:], "little")) * _MIX & _WORD
    hashed = (hashed ^ hashed >> 13) * _MIX & _WORD
    hashed ^= hashed >> 15
    return (hashed & 0x7FFFFFFF) % partitions
