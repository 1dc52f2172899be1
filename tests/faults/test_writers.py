"""Writers beside each other: one commits late, many change one record, and more come than there is room for."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final
from uuid import uuid4

import pytest
import sqlalchemy as sa
from aiokafka import TopicPartition
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service_kit.database import create_engine, metadata
from service_kit.kafka import KafkaServers
from service_kit.outbox import outbox
from service_kit.relay import Relay
from service_kit.settings import ServiceSettings
from tests.faults.experiment import Experiment, Findings, Form
from tests.faults.oracle import connect
from tests.faults.rows import fault
from tests.support import Kafka, eventually

INTERLEAVINGS: Final = 1000
AT_ONCE: Final = 20
HELD_SECONDS: Final = 5.0
WRITERS: Final = 4
DRAIN_SECONDS: Final = 300.0
OVERLOAD_SECONDS: Final = 60.0
TIMES: Final = 10
ACCEPTED_SECONDS: Final = 2.0


@pytest.fixture
async def source(new_database: Callable[[str], str]) -> AsyncIterator[AsyncEngine]:
    """A database with an outbox, and connections for all that write at once."""
    settings = ServiceSettings(database_url=new_database("gap"), database_pool_size=AT_ONCE + 2)
    engine = create_engine(settings, application="test")
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield engine
    await engine.dispose()


@fault(3)
async def test_what_took_a_lower_position_and_commits_after_others_were_relayed_is_published(
    source: AsyncEngine, kafka: Kafka, new_topic: Callable[[str], str], form: Form, findings: Findings, seed: int
) -> None:
    """In the long form the first ones are held for 5 s, beyond every wait of the relay."""
    topic, chance = new_topic("gap"), random.Random(seed)
    number = INTERLEAVINGS if form.is_long else 2 * AT_ONCE
    async with relaying(source, kafka):
        for first in range(0, number, AT_ONCE):
            async with AsyncExitStack() as stack:
                slow = [await stack.enter_async_context(source.connect()) for _ in range(AT_ONCE)]
                for connection in slow:
                    await insert(connection, topic)
                async with source.begin() as quick:
                    await insert(quick, topic)
                await eventually(lambda: is_empty(source), 30)
                if form.is_long and not first:
                    await asyncio.sleep(HELD_SECONDS)  # the length of the fault
                chance.shuffle(slow)
                for connection in slow:
                    await connection.commit()
            await eventually(lambda: is_empty(source), 30)
    findings.note("interleavings", number)
    assert await published(source) == number + number // AT_ONCE
    assert await ends(kafka, topic) == number + number // AT_ONCE


@asynccontextmanager
async def relaying(engine: AsyncEngine, kafka: Kafka) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(Relay(engine=engine, kafka=KafkaServers(kafka.bootstrap_servers)).run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


async def insert(connection: AsyncConnection, topic: str) -> None:
    key = str(uuid4())
    payload = b'{"id": "%s", "subject": "tests/%s", "sequence": 1}' % (key.encode(), key.encode())
    row = {"id": uuid4(), "aggregatetype": topic, "aggregateid": key, "type": "test", "payload": payload}
    await connection.execute(sa.insert(outbox), row)


async def is_empty(engine: AsyncEngine) -> bool:
    """Return whether all that was committed is published."""
    async with engine.connect() as connection:
        return (await connection.execute(sa.select(sa.func.count()).select_from(outbox))).scalar_one() == 0


async def published(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(sa.text("select count(*) from published_event"))).scalar_one())


async def ends(kafka: Kafka, topic: str) -> int:
    """Return the number of records in a topic."""
    clients = KafkaServers(kafka.bootstrap_servers)
    consumer = clients.consumer()
    await consumer.start()
    try:
        return sum((await consumer.end_offsets(await partitions(clients, topic))).values())
    finally:
        await consumer.stop()


async def partitions(clients: KafkaServers, topic: str) -> list[TopicPartition]:
    identity = await clients.identify([topic])
    return [TopicPartition(topic, number) for number in range(identity.partitions[topic])]


def bulk(accounts: list[str], region: str) -> dict[str, Any]:
    """Return the body of one write that changes several accounts, all or nothing, in this order."""
    records = [{"id": each} for each in accounts]
    return {"operation": "update_account", "records": records, "body": {"region": region}}


@fault(4)
async def test_a_writer_that_begins_first_and_commits_last_publishes_last(experiment: Experiment) -> None:
    """It waits for another record, which another session has locked, while a later one changes and commits the same."""
    business = experiment.business
    rounds = 20 if experiment.form.is_long else 3
    for number in range(rounds):
        locked, contended = [await business.register_account() for _ in range(2)]
        connection = await connect(experiment.stack, "sales")
        try:
            async with connection.transaction():
                await connection.execute("select from account where id = $1::text::uuid for update", locked)
                first = asyncio.create_task(
                    business.send("sales", "POST", "/v1/bulk", bulk([locked, contended], f"EARLY{number}"))
                )
                await eventually(lambda: waits_for_a_lock(experiment), 10)
                await business.send("sales", "PATCH", f"/v1/accounts/{contended}", {"region": f"LATE{number}"})
                assert not first.done()
        finally:
            await connection.close()
        await first
    experiment.findings.note("rounds", rounds)
    await business.win_a_deal()
    experiment.repaired()
    await experiment.caught_up(within=60)
    await experiment.all_agree()


async def waits_for_a_lock(experiment: Experiment) -> bool:
    """Return whether a statement of the API waits for a row."""
    connection = await connect(experiment.stack, "sales")
    try:
        return bool(
            await connection.fetchval(
                "select count(*) from pg_stat_activity where application_name = 'sales-api'"
                " and wait_event_type = 'Lock'"
            )
        )
    finally:
        await connection.close()


@fault(21)
async def test_writers_of_one_customer_in_opposite_orders_are_all_answered(experiment: Experiment) -> None:
    """Everything of the load is of one customer, beside writers that change the same accounts in opposite orders."""
    business = experiment.business
    accounts = business.accounts[:]
    business.accounts[:] = accounts[:1]
    stop = asyncio.Event()

    async def write(order: list[str], name: str) -> int:
        count = 0
        while not stop.is_set():
            await business.send("sales", "POST", "/v1/bulk", bulk(order, f"{name}{count % 2}"))
            count += 1
        return count

    orders = [accounts if number % 2 else accounts[::-1] for number in range(WRITERS)]
    writing = [asyncio.create_task(write(order, f"R{number}")) for number, order in enumerate(orders)]
    async with experiment.load():
        pass
    stop.set()
    experiment.findings.note("writes in opposite orders", sum(await asyncio.gather(*writing)))
    experiment.repaired()
    await experiment.caught_up(within=60)
    await experiment.all_agree()
    assert not experiment.recording.failed


@fault(20)
@pytest.mark.long
async def test_ten_times_the_load_is_refused_in_part_and_drained(experiment: Experiment) -> None:
    seconds = OVERLOAD_SECONDS if experiment.form.is_long else experiment.form.seconds
    async with experiment.load(seconds, per_second=TIMES * experiment.form.per_second):
        pass
    ended_at = time.monotonic()
    experiment.repaired()
    await experiment.caught_up(within=DRAIN_SECONDS)
    experiment.findings.note("drained after", time.monotonic() - ended_at, "s")
    await experiment.all_agree(within=DRAIN_SECONDS + 60)
    accepted = experiment.recording.p99_accepted()
    experiment.findings.note("p99 of what was accepted", accepted, "s")
    assert set(experiment.recording.statuses) <= {200, 201, 422, 429, 503}
    assert accepted <= ACCEPTED_SECONDS
