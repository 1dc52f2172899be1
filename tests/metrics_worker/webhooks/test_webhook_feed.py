"""The feed on the real broker and database: each event of sales and service is stored once for whom it is for."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts.codec import encode
from event_contracts.examples import examples
from metrics_worker.jobs.webhook_feed import WebhookFeed
from metrics_worker.ledger.status import ledger_revision
from metrics_worker.webhooks.model import Webhook
from service_kit.identifiers import new_id
from service_kit.kafka import KafkaServers
from tandem_cli.kafka import Topic
from tests.support import Kafka, eventually, within

CLOSED, OPENED, TICKET = "sales.deal-closed", "sales.deal-opened", "service.ticket-opened"


@dataclass
class Feeding:
    """The feed of one topic, what is published on it, and who follows."""

    engine: AsyncEngine
    kafka: Kafka
    topic: str

    async def follow(self, *types: str, since: timedelta = timedelta(), **filters: list[Any]) -> UUID:
        """Register an active webhook. Filters are given by the field of the data."""
        webhook = Webhook.register(
            "https://receiver.example/",
            list(types),
            {f"data.{name}": values for name, values in filters.items()},
            at=datetime.now(UTC) - since,
        )
        row = {name: getattr(webhook, name) for name in Webhook.table.columns.keys()}  # noqa: SIM118 -- no dictionary
        async with self.engine.begin() as connection:
            await connection.execute(sa.insert(Webhook.table), row)
        return webhook.id

    async def publish(self, *names: str, age: timedelta = timedelta(), ids: list[UUID] | None = None) -> list[UUID]:
        """Publish the contract's examples of events, recorded so long ago, and return their ids."""
        ids = ids or [new_id() for _ in names]
        async with AIOKafkaProducer(bootstrap_servers=self.kafka.bootstrap_servers) as producer:
            for name, event_id in zip(names, ids, strict=True):
                example = examples()[name]
                record = encode(
                    example.data,
                    event_id=event_id,
                    time=example.time,
                    recorded_time=datetime.now(UTC) - age,
                    sequence=example.sequence,
                    partition_key=example.partition_key,
                )
                await producer.send_and_wait(self.topic, record, key=str(example.partition_key).encode())
        return ids

    async def send_raw(self, value: bytes | None) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.kafka.bootstrap_servers) as producer:
            await producer.send_and_wait(self.topic, value, key=b"raw")

    @asynccontextmanager
    async def running(self, members: int = 1) -> AsyncIterator[None]:
        """Run so many members of the group until all that there is on the topic is read."""
        feeds = [
            WebhookFeed(self.engine, KafkaServers(self.kafka.bootstrap_servers), topics=[self.topic])
            for _ in range(members)
        ]
        stop = asyncio.Event()
        tasks = [asyncio.create_task(feed.run(stop)) for feed in feeds]
        try:
            yield
            # The stored offsets of a topic that was recreated may happen to be those of the new one's end.
            await eventually(lambda: any(feed.consumer.caught_up.is_set() for feed in feeds), 60)
            await eventually(self.is_read, 60)
        finally:
            stop.set()
            await within(asyncio.gather(*tasks), 20)

    async def read(self) -> None:
        """Read all that there is on the topic."""
        async with self.running():
            pass

    async def is_read(self) -> bool:
        parts = [TopicPartition(self.topic, number) for number in range(6)]
        async with AIOKafkaConsumer(bootstrap_servers=self.kafka.bootstrap_servers) as consumer:
            ends = sum((await consumer.end_offsets(parts)).values())
        query = (
            "SELECT coalesce(sum(next_offset), -1) FROM consumer_offset"
            " WHERE consumer = 'metrics-webhooks' AND topic = :topic"
        )
        async with self.engine.connect() as connection:
            read = (await connection.execute(sa.text(query), {"topic": self.topic})).scalar_one()
        return int(read) == int(ends)

    async def stored(self, webhook_id: UUID) -> list[tuple[str, UUID]]:
        """Return the webhook's deliveries in the order in which they are sent."""
        query = "SELECT event_type, event_id FROM webhook_delivery WHERE webhook_id = :id ORDER BY next_try_at, id"
        async with self.engine.connect() as connection:
            return [(row[0], row[1]) for row in await connection.execute(sa.text(query), {"id": webhook_id})]

    async def execute(self, statement: str) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(sa.text(statement))


@pytest.fixture
def feeding(engine: AsyncEngine, kafka: Kafka, new_topic: Callable[..., str]) -> Feeding:
    return Feeding(engine, kafka, new_topic("webhooks"))


async def test_events_are_stored_for_whom_they_are_for(feeding: Feeding) -> None:
    deals = await feeding.follow(CLOSED)
    service = await feeding.follow("service.*")
    won, lost = await feeding.follow(CLOSED, stage=["won"]), await feeding.follow(CLOSED, stage=["lost"])
    metrics = await feeding.follow("metrics.*")
    _, closed, ticket = await feeding.publish(OPENED, CLOSED, TICKET)
    await feeding.read()
    assert await feeding.stored(deals) == await feeding.stored(won) == [(CLOSED, closed)]
    assert await feeding.stored(service) == [(TICKET, ticket)]
    assert await feeding.stored(lost) == await feeding.stored(metrics) == []


async def test_a_message_has_the_data_as_it_was_published(feeding: Feeding) -> None:
    webhook = await feeding.follow(CLOSED)
    await feeding.publish(CLOSED)
    await feeding.read()
    query = "SELECT payload FROM webhook_delivery WHERE webhook_id = :id"
    async with feeding.engine.connect() as connection:
        payload = (await connection.execute(sa.text(query), {"id": webhook})).scalar_one()
    message = json.loads(payload)
    example = examples()[CLOSED]
    assert message.keys() == {"type", "timestamp", "subject", "sequence", "epoch", "data"}
    assert (message["type"], message["sequence"], message["epoch"]) == (CLOSED, example.sequence, 1)
    assert message["subject"] == f"deals/{example.data.id}"
    assert message["data"]["stage"] == "won"


async def test_an_event_that_comes_twice_is_stored_once(feeding: Feeding) -> None:
    webhook = await feeding.follow(CLOSED)
    ids = await feeding.publish(CLOSED)
    await feeding.publish(CLOSED, ids=ids)
    await feeding.read()
    await feeding.publish(CLOSED, ids=ids)
    await feeding.read()
    assert await feeding.stored(webhook) == [(CLOSED, ids[0])]


async def test_what_is_older_than_the_webhook_is_not_sent(feeding: Feeding) -> None:
    await feeding.publish(CLOSED, age=timedelta(days=1))
    webhook = await feeding.follow(CLOSED)
    (new,) = await feeding.publish(CLOSED)
    await feeding.read()
    assert await feeding.stored(webhook) == [(CLOSED, new)]


async def test_records_that_are_no_events_stop_nothing(feeding: Feeding) -> None:
    webhook = await feeding.follow("sales.*", "service.*")
    for value in (
        None,
        b"",
        b"junk",
        b'{"type":"sales.deal-closed"}',
        b'{"type":"sales.no-such-event"}',
        b'{"type":"\xff"}',
    ):
        await feeding.send_raw(value)
    (closed,) = await feeding.publish(CLOSED)
    await feeding.read()
    assert await feeding.stored(webhook) == [(CLOSED, closed)]


async def test_members_that_come_and_go_store_each_event_once(feeding: Feeding) -> None:
    webhook = await feeding.follow("sales.*")
    async with feeding.running(members=2):
        sent = await feeding.publish(*[CLOSED, OPENED] * 20)
        async with feeding.running(members=2):
            sent += await feeding.publish(*[CLOSED, OPENED] * 20)
        sent += await feeding.publish(CLOSED)
    found = [event_id for _, event_id in await feeding.stored(webhook)]
    assert sorted(found) == sorted(sent)


async def test_what_was_sent_before_a_restore_is_not_sent_again(feeding: Feeding) -> None:
    webhook = await feeding.follow(CLOSED, since=timedelta(days=400))
    await feeding.publish(CLOSED, CLOSED, age=timedelta(days=300))
    await feeding.read()
    # A restored database has no offsets; deliveries have expired.
    await feeding.execute("DELETE FROM consumer_offset")
    await feeding.execute("DELETE FROM webhook_delivery")
    (after,) = await feeding.publish(CLOSED)
    await feeding.read()
    assert await feeding.stored(webhook) == [(CLOSED, after)]


async def test_what_was_sent_from_a_log_that_is_filled_anew_is_not_sent_again(feeding: Feeding) -> None:
    webhook = await feeding.follow(CLOSED, since=timedelta(days=400))
    began = datetime.now(UTC)
    sent = await feeding.publish(CLOSED, CLOSED, age=timedelta(days=300))
    await feeding.publish(CLOSED, age=timedelta(days=200))
    await feeding.read()
    await feeding.execute("DELETE FROM webhook_delivery")
    feeding.kafka.delete_topics([feeding.topic])
    await eventually(lambda: _recreated(feeding), 30)
    await feeding.publish(CLOSED, CLOSED, age=datetime.now(UTC) - began + timedelta(days=300), ids=sent)
    (after,) = await feeding.publish(CLOSED)
    await feeding.read()
    assert await feeding.stored(webhook) == [(CLOSED, after)]


def _recreated(feeding: Feeding) -> bool:
    try:
        feeding.kafka.create_topics([Topic(feeding.topic, 6)])
    except Exception:
        return False
    return True


async def test_the_ledger_does_not_change_by_it(feeding: Feeding) -> None:
    async def revision() -> object:
        async with feeding.engine.connect() as connection:
            return await ledger_revision(connection)

    before = await revision()
    await feeding.follow(CLOSED)
    await feeding.publish(CLOSED)
    await feeding.read()
    assert await revision() == before
