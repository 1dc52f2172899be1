"""Books of the first version come to the newest: what people entered is kept, what the log tells is read anew."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from aiokafka import AIOKafkaProducer
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import metrics_worker
from event_contracts.codec import decode
from event_contracts.metrics import KpiTargetMissed
from metrics_worker.books.keeping import Bookkeeper
from metrics_worker.books.tables import metadata as books
from metrics_worker.books.verify import verify
from metrics_worker.jobs.restatements import Restater
from metrics_worker.jobs.targets import Judge
from metrics_worker.settings import MetricsSettings
from service_kit.consumer.log_identity import identify_log
from service_kit.database import create_engine
from service_kit.identifiers import new_id
from service_kit.outbox import outbox
from tests.metrics_worker.facts import VILNIUS, deal, line, moment, record, survey, ticket
from tests.support import Kafka, eventually
from tests.upgrading import WHEN, Values, fill, id_in, upgrade, upgraded_step_by_step

OF_KINDS = ("_subject", "_posting", "_balance", "_histogram", "_narrow", "_opening")
READ_ANEW = {
    "account_merge",
    "consumer_offset",
    "freshness",
    "narrowed",
    "opening_balance",
    "relationship_fact",
    "relationship_review",
    "sequence_gap",
    *(name for name in books.tables if name.endswith(OF_KINDS)),
}
DEALS = 120
MADE: Values = {
    "books": {"timezone": VILNIUS.zone.key, "currency": VILNIUS.currency, "rules_version": 1},
    "dead_letter": {"consumer": "metrics-worker", "status": "sent"},
    "target": {
        "kpi": "revenue",
        "variant": "standard",
        "dimension": None,
        "dimension_value": None,
        "value": 5000,
        "period": None,
        "since": WHEN.date(),
        "missed": None,
        "missed_since": None,
    },
    "outbox": {"aggregatetype": "metrics.events", "parked_reason": "the broker refused it"},
    "webhook_delivery": {"status": "delivered"},
    "closed_period": {"name": "2026-03-10", "first_day": WHEN.date(), "last_day": WHEN.date()},
    "closed_figure": {
        "kpi": "sales_volume",
        "variant": "standard",
        "as_closed": {"value": str(DEALS), "numerator": DEALS, "denominator": None},
        "told": {"value": str(DEALS), "numerator": DEALS, "denominator": None},
    },
}
LETTERS = {0: "sent", 1: "discarded", 2: "open", 3: "open"}
"""By offset; the third is mended, and not sent yet."""


async def test_what_people_entered_outlives_every_migration(new_database: Callable[[str], str]) -> None:
    await upgraded_step_by_step(
        new_database("upgraded"),
        metrics_worker,
        MADE,
        # Letters that nobody has settled come again.
        emptied=READ_ANEW | {"dead_letter"},
        # By which rules books are kept is what these migrations change.
        made_anew={
            ("books", "rules_version"),
            ("consumer_halt", "halted_at"),
            ("consumer_halt", "open_allowed"),
        },
        renamed={"consumer_halt": "circuit_breaker"},
    )


async def test_targets_that_nobody_can_address_any_more_are_taken_away(new_database: Callable[[str], str]) -> None:
    engine = create_engine(MetricsSettings(database_url=new_database("upgraded")), application="test")
    another = "INSERT INTO target SELECT (jsonb_populate_record(target, :differing)).* FROM target"
    differing = {"id": str(new_id()), "kpi": "cost_to_serve_minutes"}
    async with engine.connect() as connection:
        await connection.run_sync(upgrade, metrics_worker, "0017")
        by_team = MADE["target"] | {"kpi": "advocacy", "dimension": "team", "dimension_value": "x"}
        await connection.run_sync(fill, {**MADE, "target": by_team})
        await connection.execute(sa.text(another).bindparams(sa.bindparam("differing", differing, JSONB)))
        await connection.run_sync(upgrade, metrics_worker)
        left = (await connection.execute(sa.text("SELECT kpi FROM target"))).scalars().all()
    await engine.dispose()
    assert left == ["advocacy"]


@pytest.fixture
async def log(kafka: Kafka, new_topic: Callable[..., str]) -> tuple[str, str]:
    """Deals won for 10 euros each, something of service, and four records that nobody can read."""
    sales, service = new_topic("sales"), new_topic("service")
    sold = [record(deal(line("desk", 1, "10"), stage="won", closed_at=WHEN), 2) for _ in range(DEALS)]
    served = [record(ticket(), 1), record(survey(answered_at=moment("2026-03-11"), score=2))]
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        for offset in range(len(LETTERS)):
            assert (await producer.send_and_wait(sales, b"{", partition=0)).offset == offset
        for topic, values in ((sales, sold), (service, served)):
            for number, value in enumerate(values):
                await producer.send(topic, value, partition=number % 6)
        await producer.flush()
    return sales, service


async def test_books_of_an_early_version_are_read_anew_and_judged_by_once_they_are_whole(
    new_database: Callable[[str], str], kafka: Kafka, log: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service_kit.consumer.consumer.SMALLEST_BATCH", 20)
    monkeypatch.setattr("service_kit.consumer.consumer.LARGEST_BATCH", 20)
    monkeypatch.setattr("metrics_worker.jobs.targets.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("metrics_worker.jobs.restatements.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("metrics_worker.jobs.restatements.REST", 1)
    engine = create_engine(MetricsSettings(database_url=new_database("upgraded")), application="test")
    async with engine.connect() as connection:
        await connection.run_sync(upgrade, metrics_worker, "0004")
        await set_aside(connection, kafka, log[0])
        before = await letters(connection)
        for revision in ("0004", "0010"):
            await connection.run_sync(upgrade, metrics_worker, revision)
            await connection.run_sync(fill, MADE)
        await connection.run_sync(upgrade, metrics_worker)
    async with judging(engine):
        stopped = asyncio.create_task(bookkeeper(engine, kafka, log).run(asyncio.Event()))
        await eventually(lambda: has_read(engine, DEALS // 3), 30)
        stopped.cancel()
        await asyncio.wait([stopped], timeout=30)
        assert stopped.cancelled()
        stop = asyncio.Event()
        running = asyncio.create_task(bookkeeper(engine, kafka, log).run(stop))
        report = await verify(engine, kafka.bootstrap_servers, VILNIUS, topics=log, catch_up_seconds=60)
        assert report.to_json()["ok"], report.to_json()
        await eventually(lambda: told(engine), 30)
        stop.set()
        await asyncio.wait_for(running, 60)
    await Restater(engine, VILNIUS).look()
    # The target was judged once, by whole books; the closed period is as it was closed.
    [missed] = await told(engine)
    assert isinstance(missed, KpiTargetMissed)
    assert (missed.id, missed.reached) == (id_in("target"), Decimal(10 * DEALS))
    async with engine.connect() as connection:
        after = await letters(connection)
    assert [status for _, status in after.values()] == list(LETTERS.values())
    assert [after[offset] == before[offset] for offset in LETTERS] == [True, True, True, False], "open ones came again"
    await engine.dispose()


async def set_aside(connection: AsyncConnection, kafka: Kafka, topic: str) -> None:
    """Enters the letters of the log as a consumer did, and what people made of them."""
    identity = await identify_log(kafka.bootstrap_servers, [topic])
    statement = (
        'INSERT INTO dead_letter (consumer, cluster_id, topic, topic_id, partition, "offset", value, headers, reason,'
        " detail, status, mended_value) VALUES ('metrics-worker', :cluster_id, :topic, :topic_id, 0, :offset, :value,"
        " '[]', 'malformed', 'said before', :status, :mended)"
    )
    for offset, status in LETTERS.items():
        letter = {"cluster_id": identity.cluster_id, "topic": topic, "topic_id": identity.topic_ids[topic]}
        letter |= {"offset": offset, "value": b"{", "status": status, "mended": b"{}" if offset == 2 else None}
        await connection.execute(sa.text(statement), letter)
    await connection.commit()


async def letters(connection: AsyncConnection) -> dict[int, tuple[Any, str]]:
    """Id and status by offset."""
    found = await connection.execute(sa.text('SELECT "offset", id, status FROM dead_letter ORDER BY "offset"'))
    return {row.offset: (row.id, row.status) for row in found}


def bookkeeper(engine: AsyncEngine, kafka: Kafka, topics: tuple[str, str]) -> Bookkeeper:
    return Bookkeeper(engine, kafka.bootstrap_servers, VILNIUS, topics=topics)


@asynccontextmanager
async def judging(engine: AsyncEngine) -> AsyncIterator[None]:
    """Judges all the while, as `metrics-jobs` does."""
    stop = asyncio.Event()
    judges = [asyncio.create_task(each(engine, VILNIUS).job.run(stop)) for each in (Judge, Restater)]
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*judges), 60)


async def has_read(engine: AsyncEngine, records: int) -> bool:
    async with engine.connect() as connection:
        query = sa.text("SELECT coalesce(sum(next_offset), 0) FROM consumer_offset")
        return bool((await connection.execute(query)).scalar_one() > records)


async def told(engine: AsyncEngine) -> list[Any]:
    """What was published since the upgrade."""
    async with engine.connect() as connection:
        rows = await connection.execute(sa.select(outbox.c.payload).where(outbox.c.parked_reason.is_(None)))
        return [decode(row.payload).data for row in rows]
