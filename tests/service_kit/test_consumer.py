"""The consumer on the real broker and database: every record counts exactly once, whatever happens in between."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa
from aiokafka import AIOKafkaProducer
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from event_contracts.codec import UndecodableEvent
from service_kit.consumer import Consumer, OffsetsOutOfRange, Record
from service_kit.consumer_tables import consumer_offset, dead_letter
from service_kit.database import create_engine, metadata
from service_kit.settings import ServiceSettings
from tests.support import Kafka, eventually

seen = sa.Table("seen", sa.MetaData(), sa.Column("number", sa.Integer), sa.Column("reader", sa.Text))


@pytest.fixture
async def books(new_database: Callable[[str], str]) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(ServiceSettings(database_url=new_database("consumer")), application="test")
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.run_sync(seen.create)
    yield engine
    await engine.dispose()


def decode(value: bytes | None) -> int:
    try:
        return int(value or b"")
    except ValueError as error:
        raise UndecodableEvent("malformed", str(error)) from error


class Reader:
    """A consumer that notes each number it read; it can be made to fail."""

    def __init__(self, books: AsyncEngine, kafka: Kafka, topic: str, group: str = "reader") -> None:
        self.consumer = Consumer(
            name=group,
            engine=books,
            bootstrap_servers=kafka.bootstrap_servers,
            topics=[topic],
            decode=decode,
            handle=self.handle,
        )
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
            await asyncio.wait_for(task, 20)


async def publish(kafka: Kafka, topic: str, values: Sequence[bytes | None]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, acks="all")
    await producer.start()
    try:
        await asyncio.gather(
            *[
                await producer.send(topic, value, key=b"key", partition=number % 6)
                for number, value in enumerate(values)
            ]
        )
    finally:
        await producer.stop()


async def numbers(books: AsyncEngine) -> list[int]:
    async with books.connect() as connection:
        return list((await connection.execute(sa.select(seen.c.number).order_by(seen.c.number))).scalars())


def texts(count: int, start: int = 0) -> list[bytes | None]:
    return [str(number).encode() for number in range(start, start + count)]


async def test_each_record_counts_once_over_restarts(
    books: AsyncEngine, kafka: Kafka, new_topic: Callable[[str], str]
) -> None:
    topic = new_topic("consumer")
    await publish(kafka, topic, texts(1000))
    async with Reader(books, kafka, topic).running():
        await eventually(lambda: _has(books, 1000), 20)
    await publish(kafka, topic, texts(500, start=1000))
    async with Reader(books, kafka, topic).running():
        await eventually(lambda: _has(books, 1500), 20)
    assert await numbers(books) == list(range(1500))


async def _has(books: AsyncEngine, count: int) -> bool:
    return len(await numbers(books)) >= count


async def test_a_failed_transaction_leaves_nothing_and_is_done_again(
    books: AsyncEngine, kafka: Kafka, new_topic: Callable[[str], str]
) -> None:
    topic = new_topic("consumer")
    await publish(kafka, topic, texts(100))
    reader = Reader(books, kafka, topic)
    reader.failures_left = 2
    async with reader.running():
        await eventually(lambda: _has(books, 100), 20)
    assert await numbers(books) == list(range(100))


async def test_bad_records_are_set_aside_with_their_bytes_and_their_neighbours_flow(
    books: AsyncEngine, kafka: Kafka, new_topic: Callable[[str], str]
) -> None:
    topic = new_topic("consumer")
    bad: list[bytes | None] = [b"not a number", b"\xff\x00", None]
    await publish(kafka, topic, [*texts(50), *bad, *texts(50, start=50)])
    reader = Reader(books, kafka, topic)
    reader.poison = {7}
    async with reader.running():
        await eventually(lambda: _has(books, 99), 20)
    assert await numbers(books) == [number for number in range(100) if number != 7]
    async with books.connect() as connection:
        letters = (await connection.execute(sa.select(dead_letter.c.value, dead_letter.c.reason))).all()
    assert {(letter.value, letter.reason) for letter in letters} == {
        (b"not a number", "malformed"),
        (b"\xff\x00", "malformed"),
        (None, "malformed"),
        (b"7", "handler-failed"),
    }


async def test_a_consumer_whose_partitions_were_advanced_by_another_writes_nothing(
    books: AsyncEngine, kafka: Kafka, new_topic: Callable[[str], str]
) -> None:
    topic = new_topic("consumer")
    await publish(kafka, topic, texts(30))
    reader = Reader(books, kafka, topic)
    async with reader.running():
        await eventually(lambda: _has(books, 30), 20)
        async with books.begin() as connection:
            await connection.execute(sa.update(consumer_offset).values(next_offset=consumer_offset.c.next_offset + 1))
        await publish(kafka, topic, texts(60, start=30))
        # Each partition's next record was "taken by another": the reader must see that, begin anew and skip it.
        await eventually(lambda: _has(books, 84), 30)
    found = await numbers(books)
    assert len(found) == len(set(found)) == 84


async def test_each_record_counts_once_while_consumers_come_and_go(
    books: AsyncEngine, kafka: Kafka, new_topic: Callable[[str], str]
) -> None:
    topic = new_topic("consumer")
    stop = asyncio.Event()
    published = 0

    async def publish_steadily() -> None:
        nonlocal published
        while not stop.is_set():
            await publish(kafka, topic, texts(60, start=published))
            published += 60

    async with Reader(books, kafka, topic).running():
        publishing = asyncio.create_task(publish_steadily())
        for _ in range(3):
            newcomer = Reader(books, kafka, topic)
            async with newcomer.running():
                await eventually(lambda name=newcomer.name: _has_read(books, name), 30)  # type: ignore[misc]
        stop.set()
        await publishing
        await eventually(lambda: _has(books, published), 30)
    assert await numbers(books) == list(range(published))


async def _has_read(books: AsyncEngine, reader: str) -> bool:
    async with books.connect() as connection:
        query = sa.select(sa.func.count()).select_from(seen).where(seen.c.reader == reader)
        return (await connection.execute(query)).scalar_one() > 0


async def test_offsets_that_the_log_does_not_hold_stop_the_consumer(
    books: AsyncEngine, kafka: Kafka, new_topic: Callable[[str], str]
) -> None:
    topic = new_topic("consumer")
    await publish(kafka, topic, texts(30))
    async with Reader(books, kafka, topic).running():
        await eventually(lambda: _has(books, 30), 20)
    async with books.begin() as connection:
        await connection.execute(sa.update(consumer_offset).values(next_offset=1000))
    with pytest.raises(OffsetsOutOfRange, match=topic):
        await asyncio.wait_for(Reader(books, kafka, topic).consumer.run(asyncio.Event()), 20)
