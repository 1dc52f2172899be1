"""From Kafka to the API: events are published, and the KPIs show them, each counted exactly once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from aiokafka import AIOKafkaProducer
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.books.keeping import Bookkeeper
from metrics_worker.books.tables import metadata
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
from tests.support import Kafka, eventually

MARCH = {"from": "2026-03-01", "to": "2026-03-31"}


@dataclass
class Line:
    """A consumer at work on topics of its own."""

    sales: str
    service: str
    bootstrap_servers: str
    bookkeeper: Bookkeeper
    producer: AIOKafkaProducer

    async def publish(self, topic: str, *values: bytes | None, partition: int = 0) -> None:
        for value in values:
            await self.producer.send_and_wait(topic, value, key=b"key", partition=partition)


@asynccontextmanager
async def consuming(bookkeeper: Bookkeeper) -> AsyncIterator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(bookkeeper.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, 15)


@pytest.fixture
async def straight(engine: AsyncEngine, kafka: Kafka, new_topic: Callable[..., str]) -> AsyncIterator[Line]:
    """A running consumer of two new topics, over empty books."""
    topics = new_topic("sales"), new_topic("service")
    bookkeeper = Bookkeeper(engine, kafka.bootstrap_servers, VILNIUS, topics=topics)
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer, consuming(bookkeeper):
        yield Line(*topics, kafka.bootstrap_servers, bookkeeper, producer)


def shows(client: httpx.AsyncClient, kpi: str, value: str, **parameters: str) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        answer = await client.get(f"/v1/kpis/{kpi}", params=MARCH | parameters)
        assert answer.json()["value"] == value, answer.text
        return True

    return check


async def letters(engine: AsyncEngine) -> Sequence[Any]:
    table = metadata.tables["dead_letter"]
    async with engine.connect() as connection:
        return (await connection.execute(sa.select(table.c.reason, table.c.value).order_by(table.c.id))).all()


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
    found = await letters(engine)
    assert [letter.value for letter in found] == bad
    assert [letter.reason for letter in found] == ["malformed", "empty", "invalid-data", "invalid-data", "malformed"]
