"""The relay on the real broker: everything that was committed arrives, in order within a key, and nothing else."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import ProducerFenced
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts.examples import encoded_example
from service_kit import relay, telemetry
from service_kit.clock import SYSTEM_CLOCK
from service_kit.compiled import driver_of
from service_kit.database import create_engine, metadata, own_connection
from service_kit.kafka import KafkaServers
from service_kit.outbox import outbox
from service_kit.outbox_notify import CHANNEL, OutboxNotifier
from service_kit.relay import BATCH_BYTES, Relay, partition_of
from service_kit.relay_lease import Lease, LeaseLost
from service_kit.settings import ServiceSettings
from tandem_cli.kafka import Topic
from tests.faults.rows import fault
from tests.support import Kafka, eventually, within


@pytest.fixture
async def source(new_database: Callable[[str], str]) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(ServiceSettings(database_url=new_database("relay")), application="test")
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield engine
    await engine.dispose()


@asynccontextmanager
async def relaying(engine: AsyncEngine, kafka: Kafka, count: int = 1) -> AsyncIterator[None]:
    stop = asyncio.Event()
    relays = [Relay(engine=engine, kafka=KafkaServers(kafka.bootstrap_servers)) for _ in range(count)]
    tasks = [asyncio.create_task(each.run(stop)) for each in relays]
    yield
    stop.set()
    await within(asyncio.gather(*tasks), 20)


def row(topic: str, key: str, payload: bytes | None) -> dict[str, object]:
    return {"id": uuid.uuid4(), "aggregatetype": topic, "aggregateid": key, "type": "test", "payload": payload}


async def add(engine: AsyncEngine, *rows: dict[str, object]) -> None:
    async with engine.begin() as connection:
        await connection.execute(sa.insert(outbox), list(rows))


async def is_empty(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        return (await connection.execute(sa.select(sa.func.count()).select_from(outbox))).scalar_one() == 0


async def read(kafka: Kafka, topic: str) -> dict[str, list[bytes | None]]:
    """The values of all records of a topic by key, in the order of the log."""
    found: dict[str, list[bytes | None]] = {}
    for record in await records_of(kafka, topic):
        found.setdefault((record.key or b"").decode(), []).append(record.value)
    return found


async def records_of(kafka: Kafka, topic: str) -> list[ConsumerRecord[bytes, bytes]]:
    """All records of a topic, those of a partition in order."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        parts = [TopicPartition(topic, number) for number in range(6)]
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        found: list[ConsumerRecord[bytes, bytes]] = []
        while any([await consumer.position(part) < ends[part] for part in parts]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
        return found
    finally:
        await consumer.stop()


async def end_of(kafka: Kafka, part: TopicPartition) -> int:
    """The number of records in a partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers)
    await consumer.start()
    try:
        return int((await consumer.end_offsets([part]))[part])
    finally:
        await consumer.stop()


@given(key=st.binary(max_size=100), partitions=st.integers(1, 100))
def test_a_key_goes_where_other_clients_put_it(key: bytes, partitions: int) -> None:
    numbers = list(range(partitions))
    assert partition_of(key, partitions) == DefaultPartitioner()(key, numbers, numbers)


async def test_events_arrive_in_the_order_of_their_key(
    source: AsyncEngine, kafka: Kafka, new_topic: Callable[[str], str]
) -> None:
    topic = new_topic("relay")
    rows = [row(topic, f"key-{number % 50}", str(number).encode()) for number in range(5000)]
    await add(source, *rows)
    async with relaying(source, kafka, count=2):
        await eventually(lambda: is_empty(source), 20)
    found = await read(kafka, topic)
    assert found == {f"key-{key}": [str(number).encode() for number in range(key, 5000, 50)] for key in range(50)}


async def test_a_record_says_its_type_and_a_tombstone_has_none(
    source: AsyncEngine, kafka: Kafka, new_topic: Callable[[str], str]
) -> None:
    topic = new_topic("relay")
    await add(source, row(topic, "key", encoded_example("sales.deal-closed")), row(topic, "key", None))
    async with relaying(source, kafka):
        await eventually(lambda: is_empty(source))
    found = [dict(record.headers) for record in await records_of(kafka, topic)]
    content = {"content-type": b"application/cloudevents+json"}
    assert found == [{**content, "ce_type": b"sales.deal-closed"}, content]


async def test_a_row_that_commits_late_with_a_lower_position_is_not_lost(
    source: AsyncEngine, kafka: Kafka, new_topic: Callable[[str], str]
) -> None:
    topic = new_topic("relay")
    async with relaying(source, kafka), source.connect() as slow:
        transaction = await slow.begin()
        await slow.execute(sa.insert(outbox), row(topic, "slow", b"slow"))
        await add(source, row(topic, "fast", b"fast"))
        await eventually(lambda: is_empty(source))
        await transaction.commit()
        await eventually(lambda: is_empty(source))
    assert await read(kafka, topic) == {"slow": [b"slow"], "fast": [b"fast"]}


async def test_a_stopped_relay_is_succeeded_though_its_connections_stay_open(
    source: AsyncEngine, kafka: Kafka, new_topic: Callable[[str], str]
) -> None:
    topic = new_topic("relay")
    await add(source, row(topic, "key", b"first"))
    async with relaying(source, kafka):
        await eventually(lambda: is_empty(source))
    url = source.url.render_as_string(hide_password=False)
    successor = create_engine(ServiceSettings(database_url=url), application="successor")
    await add(source, row(topic, "key", b"second"))
    async with relaying(successor, kafka):
        await eventually(lambda: is_empty(source))
    await successor.dispose()
    assert await read(kafka, topic) == {"key": [b"first", b"second"]}


async def test_a_relay_that_is_stopped_loses_its_lease_to_another(
    source: AsyncEngine, kafka: Kafka, new_topic: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service_kit.relay_lease.LEASE_SECONDS", 2.0)
    topic = new_topic("relay")
    # Its session stays open, as that of a process that is stopped; the lease is not renewed.
    async with own_connection(source) as connection:
        stopped = await Lease.take(await driver_of(connection), SYSTEM_CLOCK)
        assert stopped is not None
        await add(source, row(topic, "key", b"waits"))
        async with relaying(source, kafka):
            await eventually(lambda: is_empty(source), 15)
            with pytest.raises(LeaseLost):
                await stopped.renew()
    assert await read(kafka, topic) == {"key": [b"waits"]}


async def test_the_lease_ends_with_the_session_of_its_holder(source: AsyncEngine) -> None:
    async with own_connection(source) as waiting:
        driver = await driver_of(waiting)
        async with own_connection(source) as connection:
            first = await Lease.take(await driver_of(connection), SYSTEM_CLOCK)
            assert first is not None
            assert await Lease.take(driver, SYSTEM_CLOCK) is None
        second = await eventually(lambda: Lease.take(driver, SYSTEM_CLOCK))
        assert second is not None
        assert (second.epoch, second.producer) == (first.epoch + 1, first.producer)


async def test_what_a_fenced_relay_still_sends_is_refused_behind_the_records_of_its_successor(
    kafka: Kafka, new_topic: Callable[[str], str]
) -> None:
    topic, clients = new_topic("relay"), KafkaServers(kafka.bootstrap_servers)

    async def send(producer: AIOKafkaProducer, value: bytes | None) -> None:
        batch = producer.create_batch()
        batch.append(timestamp=None, key=b"key", value=value, headers=[])
        await (await producer.send_batch(batch, topic, partition=0))

    async with AsyncExitStack() as stack:
        old, new = (clients.fencing_producer("tandem-relay-test", acks="all") for _ in range(2))
        for producer in (old, new):
            producer.send_only_to((await clients.identify([topic])).topics)
            await producer.start()
            stack.push_async_callback(producer.stop)
        await send(old, b"name")
        await send(new, None)
        with pytest.raises(ProducerFenced):
            await send(old, b"name")
        await send(new, b"later")
    assert await read(kafka, topic) == {"key": [b"name", None, b"later"]}


async def test_a_rolled_back_event_is_never_sent(
    source: AsyncEngine, kafka: Kafka, new_topic: Callable[[str], str]
) -> None:
    topic = new_topic("relay")
    async with relaying(source, kafka):
        async with source.connect() as connection:
            await connection.execute(sa.insert(outbox), row(topic, "gone", b"gone"))
            await connection.rollback()
        await add(source, row(topic, "kept", b"kept"))
        await eventually(lambda: is_empty(source))
    assert await read(kafka, topic) == {"kept": [b"kept"]}


@fault(16)
async def test_a_row_that_cannot_be_sent_parks_its_key_and_no_other(
    source: AsyncEngine, kafka: Kafka, new_topic: Callable[[str], str]
) -> None:
    topic = new_topic("relay")
    await add(
        source,
        row(topic, "bad", b"first"),
        row(topic, "bad", b"x" * (2 * BATCH_BYTES)),
        row(topic, "bad", b"later"),
        row(topic, "good", b"1"),
        row(topic, "good", None),
    )

    async def only_the_parked_key_is_left() -> bool:
        async with source.connect() as connection:
            left = await connection.execute(
                sa.select(outbox.c.aggregateid, outbox.c.parked_reason).order_by(outbox.c.position)
            )
            rows = left.all()
        return [row.aggregateid for row in rows] == ["bad", "bad"] and rows[0].parked_reason is not None

    async with relaying(source, kafka):
        await eventually(only_the_parked_key_is_left)
    assert await read(kafka, topic) == {"bad": [b"first"], "good": [b"1", None]}


async def test_a_topic_that_is_missing_holds_back_nothing_but_its_own_events(
    source: AsyncEngine, kafka: Kafka, new_topic: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "MISSING_SECONDS", 0.5)
    topic, absent = new_topic("relay"), f"relay.{uuid.uuid4().hex}"
    # More than a round takes, before the others.
    await add(source, *(row(absent, "key", str(number).encode()) for number in range(relay.ROUND_ROWS + 1)))
    await add(source, row(topic, "key", b"1"))
    missing = telemetry.RELAY_TOPIC_MISSING.labels(absent)

    async def waiting() -> set[str]:
        async with source.connect() as connection:
            return set((await connection.execute(sa.select(outbox.c.aggregatetype))).scalars())

    async def only_those_of_the_missing_one_wait() -> bool:
        return await waiting() == {absent}

    async with relaying(source, kafka):
        await eventually(only_those_of_the_missing_one_wait, 60)
        assert missing._value.get() == 1
        await add(source, row(topic, "key", b"2"))
        await eventually(only_those_of_the_missing_one_wait, 60)
        kafka.create_topics([Topic(absent, 6)])
        await eventually(lambda: is_empty(source), 60)
        assert telemetry.RELAY_TOPIC_MISSING.labels(absent)._value.get() == 0
    assert await read(kafka, topic) == {"key": [b"1", b"2"]}
    assert await read(kafka, absent) == {"key": [str(number).encode() for number in range(relay.ROUND_ROWS + 1)]}


async def test_partitions_that_are_added_are_written_to(
    source: AsyncEngine, kafka: Kafka, new_topic: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "PARTITIONS_SECONDS", 0.2)
    topic = new_topic("relay", partitions=3)
    moving = next(key for key in map(str, range(100)) if partition_of(key.encode(), 6) > 2)

    async def new_ones_hold_records() -> bool:
        await add(source, row(topic, moving, b"later"))
        await eventually(lambda: is_empty(source), 60)
        return await end_of(kafka, TopicPartition(topic, partition_of(moving.encode(), 6))) > 0

    async with relaying(source, kafka):
        await add(source, row(topic, moving, b"first"))
        await eventually(lambda: is_empty(source), 60)
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
        await admin.start()
        await admin.create_partitions({topic: NewPartitions(6)})
        await admin.close()
        await eventually(new_ones_hold_records, 60)
    assert await end_of(kafka, TopicPartition(topic, partition_of(moving.encode(), 3))) > 0


async def test_events_larger_than_one_batch_together_all_arrive_in_order(
    source: AsyncEngine, kafka: Kafka, new_topic: Callable[[str], str]
) -> None:
    topic = new_topic("relay")
    payloads = [bytes([number]) * 400_000 for number in range(9)]
    await add(source, *(row(topic, "large", payload) for payload in payloads))
    async with relaying(source, kafka):
        await eventually(lambda: is_empty(source))
    assert (await read(kafka, topic))["large"] == payloads


async def test_a_notification_is_answered_without_waiting_for_the_next_poll(
    source: AsyncEngine, kafka: Kafka, new_topic: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than this test waits for anything.
    monkeypatch.setattr(relay, "BUSY_POLL_SECONDS", 60.0)
    monkeypatch.setattr(relay, "IDLE_POLL_SECONDS", 60.0)
    topic, notifier = new_topic("relay"), OutboxNotifier(source)
    await add(source, row(topic, "before", b"1"))
    async with relaying(source, kafka), notifier.running():
        # Found by its first poll, after which it listens.
        await eventually(lambda: is_empty(source))
        await add(source, row(topic, "notified", b"2"))
        notifier.notify()
        await eventually(lambda: is_empty(source))
    assert await read(kafka, topic) == {"before": [b"1"], "notified": [b"2"]}


async def test_a_notifier_whose_connection_is_cut_notifies_again(source: AsyncEngine) -> None:
    heard: list[object] = []
    notifier = OutboxNotifier(source)
    async with source.connect() as plain, notifier.running():
        listening = await driver_of(await plain.execution_options(isolation_level="AUTOCOMMIT"))
        await listening.add_listener(CHANNEL, lambda *_: heard.append("notified"))
        notifier.notify()
        await eventually(lambda: heard == ["notified"])
        await plain.execute(
            sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = :its"),
            {"its": f"NOTIFY {CHANNEL}"},
        )

        def notified_again() -> bool:
            notifier.notify()
            return len(heard) > 1

        await eventually(notified_again)
        await listening.reset()
