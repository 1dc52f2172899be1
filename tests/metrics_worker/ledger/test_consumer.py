"""From Kafka to the API: events are published, and the KPIs show them, each counted exactly once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.ledger.consumer import LedgerConsumer
from metrics_worker.ledger.tables import metadata
from metrics_worker.maintenance.verify import verify
from service_kit.consumer.dead_letters import dead_letter
from service_kit.kafka import KafkaServers
from tandem_cli.kafka import Topic
from tests.metrics_worker.facts import (
    AGENT,
    VILNIUS,
    deal,
    eur,
    interaction,
    lead,
    line,
    logged,
    moment,
    record,
    survey,
    ticket,
)
from tests.support import Kafka, eventually, within

MARCH = {"from": "2026-03-01", "to": "2026-03-31"}


@dataclass
class Line:
    """A consumer at work on topics of its own."""

    sales: str
    service: str
    bootstrap_servers: str
    bookkeeper: LedgerConsumer
    producer: AIOKafkaProducer

    async def publish(self, topic: str, *values: bytes | None, partition: int = 0) -> None:
        for value in values:
            await self.producer.send_and_wait(topic, value, key=b"key", partition=partition)


@asynccontextmanager
async def consuming(bookkeeper: LedgerConsumer) -> AsyncIterator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(bookkeeper.run(stop))
    try:
        yield
    finally:
        stop.set()
        await within(running, 15)


@pytest.fixture
async def straight(engine: AsyncEngine, kafka: Kafka, new_topic: Callable[..., str]) -> AsyncIterator[Line]:
    """A running consumer of two new topics, over an empty ledger."""
    topics = new_topic("sales"), new_topic("service")
    bookkeeper = LedgerConsumer(engine, KafkaServers(kafka.bootstrap_servers), VILNIUS, topics=topics)
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer, consuming(bookkeeper):
        yield Line(*topics, kafka.bootstrap_servers, bookkeeper, producer)


def shows(client: httpx.AsyncClient, kpi: str, value: str, **parameters: str) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        answer = await client.get(f"/v1/kpis/{kpi}", params=MARCH | parameters)
        assert answer.json()["value"] == value, answer.text
        return True

    return check


async def dead_letters(engine: AsyncEngine) -> Sequence[Any]:
    query = sa.select(dead_letter.c.reason, dead_letter.c.value).order_by(dead_letter.c.id)
    async with engine.connect() as connection:
        return (await connection.execute(query)).all()


async def test_events_of_both_services_change_the_kpis(straight: Line, client: httpx.AsyncClient) -> None:
    won = deal(line("desk", 1, "1299.00"), stage="won")
    await straight.publish(straight.sales, record(lead(converted_at=moment("2026-03-11T09:00"))), record(won, 2))
    contact = interaction(talk_seconds=100, hold_seconds=20, wrap_up_seconds=3)
    await straight.publish(
        straight.service,
        record(ticket(resolved_at=moment("2026-03-12T09:00"), status="resolved", inbound_count=1), 4),
        record(logged(contact), 2),
        record(survey(answered_at=moment("2026-03-13T09:00"), score=5), 2),
    )
    await eventually(shows(client, "csat", "1"), deadline=20)
    await eventually(shows(client, "lead_conversion_rate", "1"))
    await eventually(shows(client, "revenue", "1299.00"))
    await eventually(shows(client, "sales_volume", "1", product="desk"))
    await eventually(shows(client, "resolution_rate", "0.5"))
    await eventually(shows(client, "first_contact_resolution", "1"))
    await eventually(shows(client, "average_handle_time", "123", owner=str(AGENT)))


async def test_a_bad_record_is_set_aside_and_its_neighbours_count(
    straight: Line, client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    dollars = record(deal(line("desk", 1, "10"), stage="won")).replace(b'"EUR"', b'"USD"')
    hair = record(deal(line("desk", 1, "10"), stage="won", reporting_amount=eur("10.001")))
    bad: list[bytes | None] = [b"{", None, dollars, hair, b'{"type":"sales.deal-closed"}']
    await straight.publish(straight.sales, record(lead()), *bad, record(lead()))
    await eventually(shows(client, "leads_created", "2"), deadline=20)
    found = await dead_letters(engine)
    assert [stored.value for stored in found] == bad
    assert [stored.reason for stored in found] == ["malformed", "empty", "invalid-data", "invalid-data", "malformed"]


async def stored_offsets(engine: AsyncEngine) -> dict[tuple[str, int], int]:
    table = metadata.tables["consumer_offset"]
    async with engine.connect() as connection:
        rows = await connection.execute(sa.select(table.c.topic, table.c.partition, table.c.next_offset))
        return {(row.topic, row.partition): row.next_offset for row in rows}


async def test_a_consumer_that_was_overtaken_writes_nothing(
    straight: Line, client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await straight.publish(straight.sales, record(lead()))
    await eventually(shows(client, "leads_created", "1"), deadline=20)
    table = metadata.tables["consumer_offset"]
    async with engine.begin() as connection:
        # Another consumer took this partition over and has come further, while ours slept.
        theirs = sa.update(table).where(table.c.topic == straight.sales, table.c.partition == 0)
        await connection.execute(theirs.values(next_offset=2))
    await straight.publish(straight.sales, record(lead()), record(lead()))
    # Ours is fenced off, restarts at the other one's offsets, and so skips what that one has posted.
    await eventually(shows(client, "leads_created", "2"), deadline=20)
    assert (await stored_offsets(engine))[straight.sales, 0] == 3


async def test_a_new_consumer_goes_on_where_the_last_one_stopped(
    engine: AsyncEngine, kafka: Kafka, new_topic: Callable[..., str], client: httpx.AsyncClient
) -> None:
    topic = new_topic("sales")
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        for expected in ("3", "6"):
            for number in range(3):
                await producer.send_and_wait(topic, record(lead()), partition=number)
            async with consuming(
                LedgerConsumer(engine, KafkaServers(kafka.bootstrap_servers), VILNIUS, topics=[topic])
            ):
                await eventually(shows(client, "leads_created", expected), deadline=20)
    assert sum((await stored_offsets(engine)).values()) == 6


async def test_the_consumer_survives_a_database_that_drops_its_connections(
    straight: Line, client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await straight.publish(straight.sales, record(lead()))
    await eventually(shows(client, "leads_created", "1"), deadline=20)
    async with engine.connect() as connection:
        await connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    await straight.publish(straight.sales, record(lead()), record(lead()))

    async def recovered() -> bool:
        answer = await client.get("/v1/kpis/leads_created", params=MARCH)
        # The API's own connections were dropped too: it answers 503, anything else would be wrong.
        assert answer.status_code in (200, 503), answer.text
        assert answer.status_code == 200
        assert answer.json()["value"] == "3"
        return True

    await eventually(recovered, deadline=20)


async def test_where_another_program_publishes_the_outboxes_an_idle_ledger_is_complete_up_to_now(
    engine: AsyncEngine, kafka: Kafka, new_topic: Callable[..., str], client: httpx.AsyncClient
) -> None:
    async def fresh_as_of() -> datetime | None:
        answer = await client.get("/v1/kpis/leads_created")
        body = answer.json()["fresh_as_of"]
        return datetime.fromisoformat(body) if body else None

    topics, servers = [new_topic("sales")], KafkaServers(kafka.bootstrap_servers)
    async with consuming(LedgerConsumer(engine, servers, VILNIUS, topics=topics, completeness="log")):
        first = await eventually(fresh_as_of, deadline=20)
        assert first is not None
        assert abs(datetime.now(UTC) - first) < timedelta(seconds=20)

        async def later() -> bool:
            now = await fresh_as_of()
            return now is not None and now > first

        await eventually(later)


async def test_two_consumers_share_the_work_and_the_balances(
    straight: Line, client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    topics = [straight.sales, straight.service]
    another = LedgerConsumer(engine, KafkaServers(straight.bootstrap_servers), VILNIUS, topics=topics)
    async with consuming(another):
        published = 0

        async def shared() -> bool:
            nonlocal published
            # Under way while partitions change hands: none may be lost or counted twice.
            await straight.publish(straight.sales, record(lead()), partition=published % 6)
            published += 1
            return bool(another.consumer.next_offsets and straight.bookkeeper.consumer.next_offsets)

        await eventually(shared, deadline=20)
        for number in range(60):
            await straight.publish(straight.sales, record(lead()), partition=number % 6)
        await eventually(shows(client, "leads_created", str(published + 60)), deadline=20)
    report = await verify(engine, KafkaServers(straight.bootstrap_servers), VILNIUS, topics=topics, catch_up_seconds=20)
    assert report.to_json()["differences"] == []


async def test_a_consumer_that_is_there_before_a_topic_waits_for_it(
    engine: AsyncEngine, kafka: Kafka, new_topic: Callable[..., str], client: httpx.AsyncClient
) -> None:
    def attempts() -> float:
        labels = {"consumer": "metrics-worker", "error": "TopicsMissing"}
        return REGISTRY.get_sample_value("tandem_consumer_restarts_total", labels) or 0

    before = attempts()
    early, late = new_topic("sales"), f"service.{uuid4().hex[:12]}"
    bookkeeper = LedgerConsumer(engine, KafkaServers(kafka.bootstrap_servers), VILNIUS, topics=[early, late])
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer, consuming(bookkeeper):
        await producer.send_and_wait(early, record(lead()), partition=0)
        await eventually(lambda: attempts() > before, deadline=20)
        # A ledger that does not read one of its topics yet must not claim to be fresh.
        assert (await client.get("/v1/kpis/leads_created")).json()["fresh_as_of"] is None
        kafka.create_topics([Topic(late, 6, False)])
        await eventually(shows(client, "leads_created", "1"), deadline=20)
        await producer.send_and_wait(late, record(ticket()), partition=0)
        await eventually(shows(client, "tickets_opened", "1"), deadline=20)


async def test_added_partitions_are_read_and_the_ledger_stays_exact(
    engine: AsyncEngine,
    kafka: Kafka,
    new_topic: Callable[..., str],
    client: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service_kit.consumer.consumer.METADATA_MILLISECONDS", 200)
    topic = new_topic("sales")
    bookkeeper = LedgerConsumer(engine, KafkaServers(kafka.bootstrap_servers), VILNIUS, topics=[topic])
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    moves = lead()
    async with consuming(bookkeeper):
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
            for number in range(6):
                await producer.send_and_wait(topic, record(lead()), partition=number)
            # The key of this one leads to another partition from then on: its newer state may be read first.
            await producer.send_and_wait(topic, record(lead(id=moves.id, region="LATAM"), 2), partition=0)
            await eventually(shows(client, "leads_created", "7"), deadline=20)
            await admin.create_partitions({topic: NewPartitions(12)})
        await admin.close()
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
            for number in range(6, 12):
                await producer.send_and_wait(topic, record(lead(region="APAC")), partition=number)
            await producer.send_and_wait(topic, record(moves, 1), partition=11)
            await producer.send_and_wait(topic, record(lead(id=moves.id, region="MEA"), 3), partition=11)
            await eventually(shows(client, "leads_created", "6", region="APAC"), deadline=20)
            await eventually(shows(client, "leads_created", "1", region="MEA"), deadline=20)
            await eventually(shows(client, "leads_created", "13"))
    assert len(await stored_offsets(engine)) == 12
    report = await verify(engine, KafkaServers(kafka.bootstrap_servers), VILNIUS, topics=[topic], catch_up_seconds=20)
    assert report.to_json()["differences"] == []
