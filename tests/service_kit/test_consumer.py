"""The consumer on the real broker and database: every record counts exactly once, whatever happens in between."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from event_contracts.codec import UndecodableEvent
from service_kit import telemetry
from service_kit.consumer import consumer as consumer_module
from service_kit.consumer.batch_size import BatchSize
from service_kit.consumer.circuit_breaker import MAX_BAD, CircuitOpen, circuit_breaker
from service_kit.consumer.consumer import Consumer
from service_kit.consumer.dead_letters import dead_letter
from service_kit.consumer.log_identity import NO_TOPIC_ID, TopicsMissing
from service_kit.consumer.offsets import OffsetResetPolicy, OffsetsOutOfRange, consumer_offset
from service_kit.consumer.records import Record
from service_kit.database import create_engine, metadata
from service_kit.kafka import KafkaServers
from service_kit.settings import ServiceSettings
from service_kit.unit_of_work import written_durably
from tandem_cli.kafka import Topic
from tests.support import Kafka, eventually, within

seen = sa.Table("seen", sa.MetaData(), sa.Column("number", sa.Integer), sa.Column("reader", sa.Text))


@pytest.fixture
async def database(new_database: Callable[[str], str]) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(ServiceSettings(database_url=new_database("consumer")), application="test")
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.run_sync(seen.create)
    yield engine
    await engine.dispose()


@pytest.fixture
def prefetches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make batches small, so that the next one is always read while the last is written."""
    monkeypatch.setattr("service_kit.consumer.consumer.PREFETCH_RECORDS", 5)
    monkeypatch.setattr("service_kit.consumer.consumer.BatchSize", partial(BatchSize, first=5))


def decode(value: bytes | None) -> int:
    try:
        return int(value or b"")
    except ValueError as error:
        raise UndecodableEvent("malformed", str(error)) from error


class Reader:
    """A consumer that stores each number it reads; it can be made to fail."""

    def __init__(
        self,
        database: AsyncEngine,
        kafka: Kafka,
        topic: str,
        group: str = "reader",
        offset_reset: OffsetResetPolicy = "stop",
        is_relevant: Callable[[int], bool] | None = None,
        revision: str | None = None,
    ) -> None:
        self.consumer = Consumer(
            name=group,
            engine=database,
            kafka=KafkaServers(kafka.bootstrap_servers),
            topics=[topic],
            decode=decode,
            handle=self.handle,
            is_relevant=is_relevant,
            offset_reset=offset_reset,
            revision=revision,
        )
        self.database = database
        self.poison: set[int] = set()
        self.failures_left = 0
        self.name = uuid.uuid4().hex

    async def handle(self, connection: AsyncConnection, records: Sequence[Record[int]]) -> None:
        await connection.execute(sa.insert(seen), [{"number": record.value, "reader": self.name} for record in records])
        if self.poison & {record.value for record in records}:
            raise ValueError("poison")
        if self.failures_left:
            self.failures_left -= 1
            raise TimeoutError("the database is away")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(self.consumer.run(stop))
        try:
            yield
        finally:
            stop.set()
            await within(task, 20)

    async def has_read(self) -> None:
        """Wait until it has stored a number."""
        query = sa.select(sa.func.count()).select_from(seen).where(seen.c.reader == self.name)

        async def count() -> int:
            async with self.database.connect() as connection:
                return int((await connection.execute(query)).scalar_one())

        await eventually(count, 30)


@dataclass
class Log:
    """A topic of six partitions, and the database of its readers."""

    database: AsyncEngine
    kafka: Kafka
    topic: str

    async def publish(self, values: Sequence[bytes | None]) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka.bootstrap_servers, acks="all")
        await producer.start()
        try:
            await asyncio.gather(
                *[
                    await producer.send(self.topic, value, key=b"key", partition=number % 6)
                    for number, value in enumerate(values)
                ]
            )
        finally:
            await producer.stop()

    def reader(self, **options: Any) -> Reader:
        return Reader(self.database, self.kafka, self.topic, **options)

    async def read(self, count: int, **options: Any) -> None:
        """Run a reader until that many numbers are stored."""
        async with self.reader(**options).running():
            await self.holds(count)

    async def run(self) -> None:
        """Run a reader that ends by itself."""
        await within(self.reader().consumer.run(asyncio.Event()), 20)

    async def holds(self, count: int, seconds: float = 20) -> None:
        """Wait until that many numbers are stored."""

        async def is_stored() -> bool:
            return len(await self.numbers()) >= count

        await eventually(is_stored, seconds)

    async def numbers(self) -> list[int]:
        async with self.database.connect() as connection:
            return list((await connection.execute(sa.select(seen.c.number).order_by(seen.c.number))).scalars())

    async def offsets(self) -> list[tuple[int, int | None]]:
        query = sa.select(consumer_offset.c.next_offset, consumer_offset.c.log_end)
        async with self.database.connect() as connection:
            return [tuple(row) for row in (await connection.execute(query)).all()]

    async def dead_letters(self) -> int:
        async with self.database.connect() as connection:
            return int((await connection.execute(sa.select(sa.func.count()).select_from(dead_letter))).scalar_one())


@pytest.fixture
def log(database: AsyncEngine, kafka: Kafka, new_topic: Callable[[str], str]) -> Log:
    return Log(database, kafka, new_topic("consumer"))


def texts(count: int, start: int = 0) -> list[bytes | None]:
    return [str(number).encode() for number in range(start, start + count)]


@pytest.mark.usefixtures("prefetches")
async def test_each_record_counts_once_over_restarts(log: Log) -> None:
    await log.publish(texts(1000))
    await log.read(1000)
    await log.publish(texts(500, start=1000))
    await log.read(1500)
    assert await log.numbers() == list(range(1500))


@pytest.mark.usefixtures("prefetches")
async def test_irrelevant_records_are_skipped_and_never_handled(log: Log) -> None:
    reader = log.reader(is_relevant=lambda number: number >= 300)
    await log.publish(texts(300))

    async def stored(count: int) -> bool:
        async with log.database.connect() as connection:
            offsets = (await connection.execute(sa.select(consumer_offset.c.next_offset))).scalars()
            return bool(sum(offsets) == count)

    async with reader.running():
        await eventually(lambda: stored(300), 20)
        assert await log.numbers() == []
        await log.publish(texts(12, start=300))
        await log.holds(12)
        await log.publish(texts(12))
        # In one batch with others they are left out too.
        await log.publish([*texts(60), *texts(12, start=312)])
        await log.holds(24)
        await eventually(lambda: stored(396), 20)
    async with log.reader().running():
        await log.publish(texts(6, start=500))
        await log.holds(30)
    assert await log.numbers() == [*range(300, 324), *range(500, 506)]


@pytest.mark.usefixtures("prefetches")
async def test_a_failed_transaction_leaves_nothing_and_is_retried(log: Log) -> None:
    await log.publish(texts(100))
    reader = log.reader()
    reader.failures_left = 2
    async with reader.running():
        await log.holds(100)
    assert await log.numbers() == list(range(100))


@pytest.mark.usefixtures("prefetches")
async def test_what_is_written_durably_is_part_of_the_transaction(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    await log.publish(texts(100))
    reader = log.reader()
    failures_left = 2

    async def handle(connection: AsyncConnection, records: Sequence[Record[int]]) -> None:
        nonlocal failures_left
        async with written_durably(connection, "tests") as work:
            for record in records:
                work.insert(seen, {"number": record.value, "reader": reader.name})
        if failures_left:
            failures_left -= 1
            raise TimeoutError("the database is away")

    monkeypatch.setattr(reader.consumer, "_handle", handle)
    async with reader.running():
        await log.holds(100)
    assert await log.numbers() == list(range(100))


async def test_a_cancellation_that_escapes_from_the_client_does_not_end_the_consumer(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.publish(texts(10))
    getmany = AIOKafkaConsumer.getmany
    let_out: list[str] = []

    async def cancelled_once(self: AIOKafkaConsumer, *args: Any, **options: Any) -> Any:
        if not let_out:
            let_out.append("once")
            raise asyncio.CancelledError
        return await getmany(self, *args, **options)

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", cancelled_once)
    reader = log.reader()
    async with reader.running():
        await log.holds(10)
    assert await log.numbers() == list(range(10))


async def test_a_consumer_that_is_cancelled_ends(log: Log) -> None:
    reader = log.reader()
    task = asyncio.create_task(reader.consumer.run(asyncio.Event()))
    await eventually(lambda: reader.consumer.caught_up.is_set(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await within(task, 20)


@pytest.mark.parametrize("failure", [ConnectionError, ValueError])
async def test_a_consumer_is_cancelled_even_when_a_driver_raises_something_else(
    log: Log, monkeypatch: pytest.MonkeyPatch, failure: type[Exception]
) -> None:
    await log.publish(texts(1))
    reader = log.reader()
    handling = asyncio.Event()

    async def cut_off(connection: AsyncConnection, records: Sequence[Record[int]]) -> None:
        handling.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise failure("cut off amid a statement") from None

    monkeypatch.setattr(reader.consumer, "_handle", cut_off)
    task = asyncio.create_task(reader.consumer.run(asyncio.Event()))
    await within(handling.wait(), 20)
    task.cancel()
    await asyncio.wait([task], timeout=20)
    assert task.cancelled()


async def test_bad_records_become_dead_letters_and_the_others_are_processed(log: Log) -> None:
    bad: list[bytes | None] = [b"not a number", b"\xff\x00", None]
    await log.publish([*texts(50), *bad, *texts(50, start=50)])
    reader = log.reader()
    reader.poison = {7}
    async with reader.running():
        await log.holds(99)
    assert await log.numbers() == [number for number in range(100) if number != 7]
    async with log.database.connect() as connection:
        found = (await connection.execute(sa.select(dead_letter.c.value, dead_letter.c.reason))).all()
    assert {(row.value, row.reason) for row in found} == {
        (b"not a number", "malformed"),
        (b"\xff\x00", "malformed"),
        (None, "malformed"),
        (b"7", "handler-failed"),
    }


async def test_discarded_and_replaced_records_do_not_count_when_the_log_is_read_again(log: Log) -> None:
    await log.publish(texts(12))
    reader = log.reader()
    reader.poison = {3, 4, 5}

    async def all_are_dead_letters() -> bool:
        return await log.dead_letters() == 3

    async with reader.running():
        await log.holds(9)
        await eventually(all_are_dead_letters, 20)
    settled: dict[bytes, dict[str, Any]] = {
        b"3": {"status": "discarded"},
        b"4": {"status": "sent", "mended_value": b"40"},
        b"5": {"status": "sent"},
    }
    async with log.database.begin() as connection:
        for value, fate in settled.items():
            await connection.execute(sa.update(dead_letter).where(dead_letter.c.value == value).values(**fate))
        await connection.execute(sa.delete(seen))
        await connection.execute(sa.delete(consumer_offset))
    # Of a release that takes them all.
    again = log.reader()
    async with again.running():
        await within(again.consumer.caught_up.wait(), 20)
    assert await log.numbers() == [number for number in range(12) if number not in (3, 4)]


async def test_a_consumer_whose_partitions_were_advanced_by_another_writes_nothing(log: Log) -> None:
    await log.publish(texts(30))
    reader = log.reader()
    async with reader.running():
        await log.holds(30)
        async with log.database.begin() as connection:
            await connection.execute(sa.update(consumer_offset).values(next_offset=consumer_offset.c.next_offset + 1))
        await log.publish(texts(60, start=30))
        # Each partition's next record was "taken by another": the reader must see that, begin anew and skip it.
        await log.holds(84, 30)
    found = await log.numbers()
    assert len(found) == len(set(found)) == 84


@pytest.mark.usefixtures("prefetches")
async def test_each_record_counts_once_while_consumers_come_and_go(log: Log) -> None:
    stop = asyncio.Event()
    published = 0

    async def publish_steadily() -> None:
        nonlocal published
        while not stop.is_set():
            await log.publish(texts(60, start=published))
            published += 60

    async with log.reader().running():
        publishing = asyncio.create_task(publish_steadily())
        for _ in range(3):
            newcomer = log.reader()
            async with newcomer.running():
                await newcomer.has_read()
        stop.set()
        await publishing
        await log.holds(published, 30)
    assert await log.numbers() == list(range(published))


async def test_records_that_keep_coming_after_a_backlog_are_read_while_they_come(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service_kit.consumer.consumer.PREFETCH_RECORDS", 5)
    # Never full, and no record comes so late that it ends a batch.
    monkeypatch.setattr("service_kit.consumer.consumer.BatchSize", partial(BatchSize, first=1_000_000))
    monkeypatch.setattr("service_kit.consumer.consumer.FILL_MILLISECONDS", 1_000)
    await log.publish(texts(60))
    producer = AIOKafkaProducer(bootstrap_servers=log.kafka.bootstrap_servers, acks="all")
    await producer.start()

    async def trickle() -> None:
        for number in itertools.count(60):
            await producer.send_and_wait(log.topic, b"%d" % number, partition=number % 6)

    trickling = asyncio.create_task(trickle())
    try:
        async with log.reader().running():
            await log.holds(300)
            trickling.cancel()
    finally:
        trickling.cancel()
        await producer.stop()


async def test_a_log_end_that_a_broker_reports_too_low_is_asked_for_again(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.publish(texts(30))
    await log.read(30)
    asked = 0
    real: Callable[..., Any] = AIOKafkaConsumer.end_offsets

    async def forgetful(consumer: AIOKafkaConsumer, parts: list[TopicPartition]) -> dict[TopicPartition, int]:
        nonlocal asked
        asked += 1
        ends: dict[TopicPartition, int] = await real(consumer, parts)
        return dict.fromkeys(ends, 1) if asked <= 2 else ends

    monkeypatch.setattr(AIOKafkaConsumer, "end_offsets", forgetful)
    await log.publish(texts(30, start=30))
    await log.read(60)
    assert asked > 2
    assert await log.numbers() == list(range(60))


async def test_offsets_that_the_log_does_not_hold_stop_the_consumer(log: Log) -> None:
    await log.publish(texts(30))
    await log.read(30)
    async with log.database.begin() as connection:
        await connection.execute(sa.update(consumer_offset).values(next_offset=1000))
    with pytest.raises(OffsetsOutOfRange, match=log.topic):
        await log.run()


async def test_a_recreated_topic_stops_the_consumer(log: Log) -> None:
    await log.publish(texts(30))
    await log.read(30)
    await _recreate(log)
    await log.publish(texts(60, start=30))
    # The new topic holds more than the old one did: by its offset alone, the reader would go on and skip.
    with pytest.raises(OffsetsOutOfRange, match=f"{log.topic}/0: the topic was recreated"):
        await log.run()
    assert await log.numbers() == list(range(30))


async def test_a_recreated_topic_is_read_from_its_beginning_by_the_reset_policy(log: Log) -> None:
    await log.publish(texts(30))
    await log.read(30)
    await _recreate(log)
    await log.publish(texts(60, start=30))
    await log.read(90, offset_reset="reset")
    assert await log.numbers() == list(range(90))


async def test_a_topic_that_is_recreated_while_the_consumer_runs_stops_it(log: Log) -> None:
    await log.publish(texts(30))
    running = asyncio.create_task(log.reader().consumer.run(asyncio.Event()))
    await log.holds(30)
    await _recreate(log)
    with pytest.raises(OffsetsOutOfRange, match="recreated"):
        await within(running, 40)


async def _recreate(log: Log) -> None:
    before = (await KafkaServers(log.kafka.bootstrap_servers).identify([log.topic])).topic_ids[log.topic]
    await asyncio.to_thread(log.kafka.delete_topics, [log.topic])
    await asyncio.to_thread(log.kafka.create_topics, [Topic(log.topic, 6)])

    async def is_another() -> bool:
        try:
            identity = await KafkaServers(log.kafka.bootstrap_servers).identify([log.topic])
        except TopicsMissing:
            return False
        return identity.topic_ids[log.topic] not in (before, NO_TOPIC_ID)

    await eventually(is_another)


async def test_the_log_end_is_stored_when_reading_begins_and_kept(log: Log) -> None:
    await log.publish(texts(30))
    await log.read(30)
    await log.publish(texts(30, start=30))
    await log.read(60)
    assert await log.offsets() == [(10, 5)] * 6
    async with log.database.begin() as connection:
        await connection.execute(sa.delete(consumer_offset))
    await log.read(120)
    assert await log.offsets() == [(10, 10)] * 6


@asynccontextmanager
async def idle_member(log: Log) -> AsyncIterator[None]:
    """Be a member of the group that never begins to read. Beside another one, the partitions 0 to 2 are its own."""
    idle = AIOKafkaConsumer(
        log.topic,
        bootstrap_servers=log.kafka.bootstrap_servers,
        group_id="reader",
        client_id="0-before-all-others",
        partition_assignment_strategy=(RangePartitionAssignor,),
    )
    await idle.start()
    try:
        await eventually(lambda: len(idle.assignment()) == 6, 20)
        yield
    finally:
        await idle.stop()


async def test_partitions_that_another_member_has_not_started_have_offsets(log: Log) -> None:
    await log.publish(texts(30))
    async with idle_member(log), log.reader().running():
        await log.holds(15, 30)
        assert sorted(await log.offsets()) == [(0, 5)] * 3 + [(5, 5)] * 3


async def test_members_that_begin_together_do_not_wait_for_each_other_in_a_circle(log: Log) -> None:
    """Each stores its own offsets, and then those that others lack: no lock of the one is held at the other."""
    await log.publish(texts(30))
    await log.read(30)
    async with log.database.begin() as connection:
        await connection.execute(sa.delete(consumer_offset).where(consumer_offset.c.partition != 0))
        of_other = dict(
            (await connection.execute(sa.delete(consumer_offset).returning(consumer_offset))).mappings().one()
        )

    async def has_stored_its_own() -> bool:
        return len(await log.offsets()) == 3

    async with idle_member(log), log.database.connect() as other:
        await other.execute(sa.insert(consumer_offset), of_other)
        async with log.reader().running():
            await eventually(has_stored_its_own, 30)
            await other.commit()
            await log.holds(45)


async def test_another_cluster_stops_the_consumer(log: Log) -> None:
    await log.publish(texts(30))
    await log.read(30)
    async with log.database.begin() as connection:
        await connection.execute(sa.update(consumer_offset).values(cluster_id="elsewhere"))
    with pytest.raises(OffsetsOutOfRange, match="another Kafka cluster, elsewhere"):
        await log.run()
    await log.read(60, offset_reset="reset")
    async with log.database.connect() as connection:
        clusters = (await connection.execute(sa.select(consumer_offset.c.cluster_id).distinct())).scalars().all()
    assert "elsewhere" not in clusters


async def test_a_log_that_was_cut_past_the_stored_offset_stops_the_consumer(log: Log) -> None:
    await log.publish(texts(30))
    await log.read(30)
    await log.publish(texts(60, start=30))
    admin = AIOKafkaAdminClient(bootstrap_servers=log.kafka.bootstrap_servers)
    await admin.start()
    await admin.delete_records({TopicPartition(log.topic, 0): RecordsToDelete(before_offset=7)})
    await admin.close()
    with pytest.raises(OffsetsOutOfRange, match=f"{log.topic}/0: next is 5, the log holds 7 to 15"):
        await log.run()
    await log.read(88, offset_reset="reset")


async def test_offsets_without_a_topic_id_are_adopted(log: Log) -> None:
    await log.publish(texts(30))
    await log.read(30)
    async with log.database.begin() as connection:
        await connection.execute(sa.update(consumer_offset).values(topic_id=NO_TOPIC_ID))
    await log.publish(texts(30, start=30))
    await log.read(60)
    assert await log.numbers() == list(range(60))


@pytest.mark.usefixtures("prefetches")
async def test_bad_records_only_open_the_circuit_breaker_until_they_are_settled(log: Log) -> None:
    await log.publish([b"bad"] * 150)
    await log.publish(texts(30))
    reader = log.reader()
    async with reader.running():
        await eventually(lambda: _is_open(reader), 20)
        assert await log.dead_letters() == MAX_BAD + 1
    # A restart does not walk on through the bad records.
    reader = log.reader()
    async with reader.running():
        await eventually(lambda: _is_open(reader), 20)
        assert await log.dead_letters() == MAX_BAD + 1
        async with log.database.begin() as connection:
            await connection.execute(sa.update(dead_letter).values(status="discarded"))
        await log.holds(30)
        await reader.consumer.circuit_breaker.check()
    assert (await log.dead_letters(), await log.numbers()) == (150, list(range(30)))
    async with log.database.connect() as connection:
        assert (await connection.execute(sa.select(circuit_breaker))).all() == []


async def test_a_few_bad_records_among_many_good_ones_leave_the_circuit_breaker_closed(log: Log) -> None:
    # Every fifth, over six partitions: each has few bad ones, in whichever order they are polled.
    values: list[bytes | None] = [value if number % 5 else b"bad" for number, value in enumerate(texts(800))]
    await log.publish(values)
    reader = log.reader()
    async with reader.running():
        await log.holds(640)
        await reader.consumer.circuit_breaker.check()
    assert await log.dead_letters() == 160


async def _is_open(reader: Reader) -> bool:
    try:
        await reader.consumer.circuit_breaker.check()
    except CircuitOpen:
        return True
    return False


async def test_a_consumer_of_the_release_before_writes_nothing_once_the_database_is_migrated(log: Log) -> None:
    """Its statements fail for good records: without the fence they would all be dead letters, or halt it."""
    former = log.reader(revision="0001")
    async with log.database.begin() as connection:
        await connection.execute(sa.text("create table alembic_version (version_num text)"))
        await connection.execute(sa.text("insert into alembic_version values ('0001')"))

    async def waits() -> bool:
        return any(
            sample.labels["consumer"] == "reader" and sample.labels["error"] == "SchemaDiffers" and sample.value >= 2
            for metric in telemetry.CONSUMER_RESTARTS.collect()
            for sample in metric.samples
        )

    async with former.running():
        await log.publish(texts(1, start=1))
        await former.has_read()
        async with log.database.begin() as connection:
            await connection.execute(sa.text("alter table seen add column team text not null default 'none'"))
            await connection.execute(sa.text("alter table seen rename column reader to consumer"))
            await connection.execute(sa.text("update alembic_version set version_num = '0002'"))
        await log.publish(texts(10, start=2))
        await eventually(waits, 30)
    assert (await log.dead_letters(), await log.numbers()) == (0, [1])
    async with log.database.begin() as connection:
        # The statements of the release after it.
        await connection.execute(sa.text("alter table seen rename column consumer to reader"))
    await log.read(11, revision="0002")
    assert (await log.dead_letters(), await log.numbers()) == (0, list(range(1, 12)))


@asynccontextmanager
async def frozen_amid_a_copy(log: Log) -> AsyncIterator[None]:
    """Be another process of this consumer that holds its offsets, and sends the rest of its rows to nowhere."""
    async with log.database.connect() as connection:
        await connection.execute(sa.select(consumer_offset).with_for_update())
        raw = await connection.get_raw_connection()
        has_begun, never = asyncio.Event(), asyncio.Event()

        async def rows() -> AsyncIterator[bytes]:
            yield b"1000\tfrozen\n"
            has_begun.set()
            await never.wait()

        copy = asyncio.create_task(raw.driver_connection.copy_to_table("seen", source=rows(), timeout=600))  # type: ignore[union-attr]
        await has_begun.wait()
        yield
        copy.cancel()
        await asyncio.gather(copy, return_exceptions=True)
        await connection.invalidate()


async def test_a_consumer_goes_on_when_another_one_is_frozen_amid_a_copy(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL's time-outs end no session that waits for its client amid a statement, whose locks stay held."""
    monkeypatch.setattr("service_kit.consumer.abandoned_sessions.ABANDONED_SECONDS", 1)
    await log.publish([b"1"])
    await log.read(1)
    await log.publish([b"2"])
    async with frozen_amid_a_copy(log), log.reader().running():
        await log.holds(2)
    assert await log.numbers() == [1, 2]


async def test_a_stop_waits_once_for_each_answer_of_a_broker_that_is_down(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = ("IDENTIFY_LIMIT_SECONDS", "COMMIT_LIMIT_SECONDS", "LEAVE_LIMIT_SECONDS")
    assert sum(getattr(consumer_module, name) for name in limits) < 10
    for name in limits:
        monkeypatch.setattr(consumer_module, name, 0.2)
    monkeypatch.setattr(consumer_module, "IDENTIFY_SECONDS", 0.0)
    monkeypatch.setattr(consumer_module, "KAFKA_COMMIT_SECONDS", 0.0)
    reader, stop = log.reader(), asyncio.Event()
    asked: list[str] = []

    def hanging(name: str) -> Callable[..., Any]:
        async def hang(*_: object) -> None:
            if name == "identify":
                # Amid a turn, which would ask for more.
                stop.set()
            if stop.is_set():
                asked.append(name)
            await asyncio.Event().wait()

        return hang

    leave: Callable[..., Any] = AIOKafkaConsumer.stop
    monkeypatch.setattr(AIOKafkaConsumer, "commit", hanging("commit"))
    monkeypatch.setattr(AIOKafkaConsumer, "stop", hanging("leave"))
    running = asyncio.create_task(reader.consumer.run(stop))
    try:
        await log.publish(texts(1))
        await log.holds(1, 60)
        monkeypatch.setattr(reader.consumer._clients, "identify", hanging("identify"))
        await within(running, 60)
    finally:
        await leave(reader.consumer._kafka)
    assert asked == ["identify", "commit", "leave"]
