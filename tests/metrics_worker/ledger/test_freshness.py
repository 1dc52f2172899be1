"""The ledger is as fresh as the partition that is furthest behind, and as what the services have published."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from aiokafka import TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts.watermark import Watermark, encode, watermarks_topic
from metrics_worker.ledger.aggregate import SubjectState, decode
from metrics_worker.ledger.completeness import WatermarkReader
from metrics_worker.ledger.consumer import LedgerConsumer
from metrics_worker.ledger.status import (
    HISTORY_EVENTS,
    HISTORY_QUIET_SECONDS,
    LATE,
    can_be_evaluated,
    complete_partitions,
    fresh_as_of,
    history_read_at,
    is_caught_up,
    parts_of_history,
)
from metrics_worker.ledger.tables import CONSUMER, metadata
from service_kit.clock import SYSTEM_CLOCK
from service_kit.compiled import driver_of
from service_kit.consumer.log_identity import TopicIdentity
from service_kit.consumer.records import Record
from service_kit.database import create_engine, own_connection
from service_kit.database import metadata as kit_metadata
from service_kit.kafka import KafkaServers
from service_kit.outbox import outbox
from service_kit.relay import Relay
from service_kit.settings import ServiceSettings
from service_kit.watermarks import Watermarks
from tests.metrics_worker.facts import MORNING, VILNIUS, lead, record
from tests.support import Kafka, eventually, within

LATER = MORNING + timedelta(minutes=5)


async def assign(engine: AsyncEngine, *partitions: int) -> None:
    table = metadata.tables["consumer_offset"]
    async with engine.begin() as connection:
        for partition in partitions:
            await connection.execute(
                table.insert().values(consumer=CONSUMER, cluster_id="k", topic="t", partition=partition, next_offset=0)
            )


async def note(engine: AsyncEngine, complete_until: dict[tuple[str, int], datetime]) -> datetime | None:
    async with engine.begin() as connection:
        await complete_partitions(connection, complete_until)
        return await fresh_as_of(connection)


async def test_nothing_is_known_before_every_partition_was_read(engine: AsyncEngine) -> None:
    await assign(engine, 0, 1)
    assert await note(engine, {}) is None
    assert await note(engine, {("t", 0): MORNING}) is None
    assert await note(engine, {("t", 1): LATER}) == MORNING


async def test_the_partition_that_is_furthest_behind_decides(engine: AsyncEngine) -> None:
    await assign(engine, 0, 1)
    assert await note(engine, {("t", 0): LATER, ("t", 1): MORNING}) == MORNING
    assert await note(engine, {("t", 1): LATER}) == LATER


async def test_a_late_event_takes_nothing_back(engine: AsyncEngine) -> None:
    await assign(engine, 0)
    assert await note(engine, {("t", 0): LATER}) == LATER
    assert await note(engine, {("t", 0): MORNING}) == LATER


# Histories


def a_batch(number: int, happened_before: timedelta, partitions: int = 1) -> list[Record[list[SubjectState]]]:
    """Facts that were recorded that long after they happened."""
    return [
        Record(
            "t", offset % partitions, offset, decode(record(lead(), recorded_time=MORNING + happened_before), VILNIUS)
        )
        for offset in range(number)
    ]


async def test_a_batch_notes_its_history_and_how_far_its_partitions_are_complete(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await assign(engine, 0, 1)
    consumer = LedgerConsumer(engine, KafkaServers("nowhere:1"), VILNIUS, topics=["t"])
    monkeypatch.setattr(consumer, "_newly_complete", lambda: {("t", 0): LATER, ("t", 1): MORNING})
    async with engine.begin() as connection:
        assert await history_read_at(connection) is None
        for _ in range(2):
            await consumer._handle(connection, a_batch(HISTORY_EVENTS, 2 * LATE, partitions=2))
        assert await fresh_as_of(connection) == MORNING
        noted = await history_read_at(connection)
        assert noted is not None
        # What follows has no part of it.
        await consumer._handle(connection, a_batch(1, 2 * LATE))
        assert await history_read_at(connection) == noted


async def test_many_late_facts_in_a_batch_are_a_history_until_none_have_come_for_a_while(engine: AsyncEngine) -> None:
    await assign(engine, 0, 1)
    consumer = LedgerConsumer(engine, KafkaServers("nowhere:1"), VILNIUS, topics=["t"], completeness="log")
    async with engine.begin() as connection:
        await connection.execute(sa.text("UPDATE consumer_offset SET log_end = 0"))
        assert await can_be_evaluated(connection)
        await consumer._handle(connection, a_batch(HISTORY_EVENTS, 2 * LATE, partitions=2))
        assert await is_caught_up(connection)
        assert await history_read_at(connection) is not None
        assert not await can_be_evaluated(connection)
        # Nothing is said about how far it is complete.
        assert await fresh_as_of(connection) is None
        quiet = timedelta(seconds=HISTORY_QUIET_SECONDS)
        await connection.execute(
            sa.update(table := metadata.tables["freshness"]).values(history_read_at=sa.func.now() - quiet)
        )
        assert await can_be_evaluated(connection)
        assert (await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one() == 2
    assert await note(engine, {("t", 0): LATER, ("t", 1): MORNING}) == MORNING


@pytest.mark.parametrize(
    ("number", "happened_before"), [(HISTORY_EVENTS - 1, 2 * LATE), (2 * HISTORY_EVENTS, LATE), (0, LATE)]
)
def test_few_late_facts_and_many_new_ones_are_no_history(number: int, happened_before: timedelta) -> None:
    assert parts_of_history(a_batch(number, happened_before)) == set()


# Watermarks

TOPIC_ID = UUID(int=7)


def watermark(complete_until: datetime, *ends: int, topic_id: UUID = TOPIC_ID) -> bytes:
    return encode(Watermark(topic="t", topic_id=topic_id, complete_until=complete_until, ends=ends))


def reader(*values: bytes | None) -> WatermarkReader:
    reader = WatermarkReader(KafkaServers("nowhere:1"), ["t"], SYSTEM_CLOCK)
    for value in values:
        reader.note("t", value)
    return reader


def complete_until(reader: WatermarkReader, *next_offsets: int) -> dict[int, datetime]:
    offsets = {TopicPartition("t", number): offset for number, offset in enumerate(next_offsets)}
    found = reader.complete_until(offsets, {"t": TOPIC_ID})
    return {number: moment for (_, number), moment in found.items()}


def test_a_partition_is_complete_up_to_the_newest_watermark_that_it_has_reached() -> None:
    followed = reader(watermark(MORNING, 1, 5), watermark(LATER, 3, 5))
    assert complete_until(followed, 0, 4) == {}
    assert complete_until(followed, 1, 5) == {0: MORNING, 1: LATER}
    assert complete_until(followed, 3, 9) == {0: LATER, 1: LATER}


def test_a_partition_that_no_watermark_knows_is_not_complete() -> None:
    assert complete_until(reader(watermark(MORNING, 0)), 0, 0) == {0: MORNING}


@pytest.mark.parametrize("value", [None, b"", b"{", b"{}", watermark(LATER, 0, topic_id=UUID(int=8))])
def test_what_is_no_watermark_of_this_topic_completes_nothing(value: bytes | None) -> None:
    assert complete_until(reader(watermark(MORNING, 0), value), 0) == {0: MORNING}


# From an outbox to the ledger


@pytest.fixture
async def source(new_database: Callable[[str], str]) -> AsyncIterator[AsyncEngine]:
    """The database of a service, as far as a relay needs it."""
    engine = create_engine(ServiceSettings(database_url=new_database("source")), application="test")
    async with engine.begin() as connection:
        await connection.run_sync(kit_metadata.create_all)
    yield engine
    await engine.dispose()


@asynccontextmanager
async def relaying(source: AsyncEngine, kafka: Kafka, topic: str) -> AsyncIterator[None]:
    stop = asyncio.Event()
    relay = Relay(engine=source, kafka=KafkaServers(kafka.bootstrap_servers), watermarked=topic)
    running = asyncio.create_task(relay.run(stop))
    try:
        yield
    finally:
        stop.set()
        await within(running, 20)


@asynccontextmanager
async def consuming(engine: AsyncEngine, kafka: Kafka, topics: Sequence[str]) -> AsyncIterator[LedgerConsumer]:
    stop = asyncio.Event()
    consumer = LedgerConsumer(engine, KafkaServers(kafka.bootstrap_servers), VILNIUS, topics=topics)
    running = asyncio.create_task(consumer.run(stop))
    try:
        yield consumer
    finally:
        stop.set()
        await within(running, 20)


async def record_a_lead(source: AsyncEngine, topic: str, *, parked_reason: str | None = None) -> datetime:
    """Commit an event to the outbox, and return when."""
    row = {
        "id": uuid4(),
        "aggregatetype": topic,
        "aggregateid": str(uuid4()),
        "type": "sales.lead-created",
        "payload": record(lead()),
        "parked_reason": parked_reason,
    }
    async with source.begin() as connection:
        recorded: datetime = (
            await connection.execute(sa.insert(outbox).values(row).returning(outbox.c.created_at))
        ).scalar_one()
    return recorded


async def freshness(engine: AsyncEngine) -> datetime | None:
    async with engine.connect() as connection:
        return await fresh_as_of(connection)


async def is_fresher_than(engine: AsyncEngine, moment: datetime) -> bool:
    fresh = await freshness(engine)
    return fresh is not None and fresh > moment


async def written_again(consumer: LedgerConsumer) -> None:
    """Return when the consumer has asked twice more how complete its partitions are."""
    asked_at = set[float]()

    def has_asked_again() -> bool:
        asked_at.add(consumer._completed_at)
        return len(asked_at) == 3

    await eventually(has_asked_again, 20)


async def test_fresh_as_of_never_passes_what_a_service_has_recorded_and_not_published(
    source: AsyncEngine, engine: AsyncEngine, kafka: Kafka, new_topic: Callable[..., str]
) -> None:
    topic = new_topic("sales", watermarked=True)
    async with consuming(engine, kafka, [topic]) as consumer:
        async with relaying(source, kafka, topic):
            first = await record_a_lead(source, topic)
            await eventually(lambda: is_fresher_than(engine, first), 30)
        unpublished = await record_a_lead(source, topic)
        await written_again(consumer)
        stopped = await freshness(engine)
        assert stopped is not None
        assert first < stopped <= unpublished
        async with relaying(source, kafka, topic):
            await eventually(lambda: is_fresher_than(engine, unpublished), 30)


async def test_a_parked_event_holds_the_freshness_back(
    source: AsyncEngine, engine: AsyncEngine, kafka: Kafka, new_topic: Callable[..., str]
) -> None:
    topic = new_topic("sales", watermarked=True)
    parked = await record_a_lead(source, topic, parked_reason="too large")
    published = await record_a_lead(source, topic)
    async with consuming(engine, kafka, [topic]) as consumer, relaying(source, kafka, topic):
        await eventually(lambda: freshness(engine), 30)
        await written_again(consumer)
        assert await freshness(engine) == parked < published


async def test_events_go_on_without_a_topic_for_watermarks(
    source: AsyncEngine, engine: AsyncEngine, kafka: Kafka, new_topic: Callable[..., str]
) -> None:
    topic = new_topic("sales")
    await record_a_lead(source, topic)

    async def is_read() -> bool:
        async with engine.connect() as connection:
            count = sa.select(sa.func.count()).select_from(metadata.tables["subject_state"])
            return bool((await connection.execute(count)).scalar_one())

    async with consuming(engine, kafka, [topic]), relaying(source, kafka, topic):
        await eventually(is_read, 30)
        assert await freshness(engine) is None


async def test_no_watermark_is_published_to_another_log_than_the_events_went_to(
    source: AsyncEngine, kafka: Kafka, new_topic: Callable[..., str]
) -> None:
    topic = new_topic("sales", watermarked=True)
    servers = KafkaServers(kafka.bootstrap_servers)
    present = (await servers.identify([topic])).topics
    former = {topic: TopicIdentity("former", uuid4())}
    place = TopicPartition(watermarks_topic(topic), 0)
    reading = servers.consumer(enable_auto_commit=False)
    await reading.start()
    try:
        async with own_connection(source) as connection:
            driver = await driver_of(connection)
            for known, end in ((former, 0), (present, 1)):
                watermarks = Watermarks(topic, servers, SYSTEM_CLOCK)
                await watermarks.publish_when_due(driver, known)
                await watermarks.close()
                assert await reading.end_offsets([place]) == {place: end}
    finally:
        await reading.stop()
