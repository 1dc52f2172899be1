"""`verify` finds a correct ledger in order, and finds every kind of damage."""

import json
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from aiokafka import AIOKafkaProducer, TopicPartition
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.domain.kinds import KIND_BY_NAME
from metrics_worker.ledger.aggregate import decode
from metrics_worker.ledger.consumer import LedgerConsumer
from metrics_worker.maintenance.verify import CannotVerify, Report, read_log, verify
from metrics_worker.proofs.model import DIFFERENCES_KEPT, KEPT, Proof
from metrics_worker.proofs.store import store_proof
from metrics_worker.schema import TABLES
from service_kit.consumer.log_reader import LogReader
from service_kit.kafka import KafkaServers
from tandem_cli.issuer import Issuer
from tests.commands import run_script
from tests.metrics_worker.conftest import client_of, empty
from tests.metrics_worker.facts import (
    VILNIUS,
    deal,
    eur,
    interaction,
    lead,
    line,
    logged,
    moment,
    quota,
    record,
    step,
    survey,
    ticket,
)
from tests.metrics_worker.ledger.test_consumer import consuming
from tests.support import Kafka


@pytest.fixture(scope="session")
async def topics(kafka: Kafka, new_topic: Callable[..., str]) -> tuple[str, str]:
    """A log with something of everything: repeats, corrections, a late event, and bad records."""
    sales, service = new_topic("sales"), new_topic("service")
    one = deal(line("desk", 2, "100"), line("chair", 1, "20"), stage="won")
    back = deal(line("desk", 2, "100"), id=one.id)
    contact = interaction()
    target = quota(moment("2026-03-01").date(), moment("2026-03-31").date(), eur("1000"))
    open_deal = deal(line("desk", 1, "70"), opened_at=moment("2026-02-11"))
    sold = [record(one, 1), record(back, 3), record(one, 1), record(lead(), 1), b"{", record(target), record(open_deal)]
    served = [
        record(ticket(), 1),
        record(logged(contact), 2),
        record(survey(answered_at=moment("2026-03-11"), score=2)),
        record(step()),
    ]
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        for topic, values in ((sales, sold), (service, served)):
            for number, value in enumerate(values):
                await producer.send_and_wait(topic, value, partition=number % 2)
    return sales, service


@pytest.fixture(scope="module")
async def original(shared_engine: AsyncEngine, kafka: Kafka, topics: tuple[str, str]) -> AsyncIterator[list[str]]:
    """A ledger of that log, and a copy of its rows; the tables that have any."""
    await empty(shared_engine)
    bookkeeper = LedgerConsumer(shared_engine, KafkaServers(kafka.bootstrap_servers), VILNIUS, topics=topics)
    async with consuming(bookkeeper):
        await verify(shared_engine, KafkaServers(kafka.bootstrap_servers), VILNIUS, topics=topics, catch_up_seconds=20)
    async with shared_engine.begin() as connection:
        await connection.execute(sa.text("CREATE SCHEMA original"))
        names = [table.name for table in TABLES]
        filled = [name for name in names if await connection.scalar(sa.text(f"SELECT EXISTS (SELECT FROM {name})"))]
        for name in filled:
            await connection.execute(sa.text(f"CREATE TABLE original.{name} AS TABLE {name}"))
    yield filled
    async with shared_engine.begin() as connection:
        await connection.execute(sa.text("DROP SCHEMA original CASCADE"))


@pytest.fixture
async def kept(shared_engine: AsyncEngine, original: list[str]) -> AsyncEngine:
    """That ledger, restored from the copy after the last test."""
    await empty(shared_engine)
    async with shared_engine.begin() as connection:
        for name in original:
            await connection.execute(sa.text(f"INSERT INTO {name} OVERRIDING SYSTEM VALUE TABLE original.{name}"))
    return shared_engine


async def damaged_by(statement: str, engine: AsyncEngine, kafka: Kafka, topics: tuple[str, str]) -> Report:
    async with engine.begin() as connection:
        await connection.execute(sa.text(statement))
    return await verify(engine, KafkaServers(kafka.bootstrap_servers), VILNIUS, topics=topics)


async def test_a_ledger_that_agrees_with_the_log_is_in_order(
    kept: AsyncEngine, kafka: Kafka, topics: tuple[str, str]
) -> None:
    report = await verify(kept, KafkaServers(kafka.bootstrap_servers), VILNIUS, topics=topics)
    assert report.to_json() == {
        "ok": True,
        "events": 10,
        "blocks": report.blocks,
        "fresh_as_of": None,
        "subjects": {
            "account": 0, "customer": 0, "lead": 1, "deal": 2, "quota": 1, "ticket": 2, "interaction": 1, "survey": 1,
            "activity": 0, "referral": 0, "training": 0, "checkin": 0, "maintenance": 0, "delivery": 0,
            "review": 0, "upsell": 0, "onboardingstep": 1,
        },
        "differences_found": 0,
        "differences": [],
    }  # fmt: skip
    async with kept.connect() as connection:
        assert report.blocks == await connection.scalar(
            sa.text("SELECT count(DISTINCT (kind, dimension, span, start, value)) FROM block")
        )


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("UPDATE block SET amounts[1] = 2 WHERE kind = 'lead' AND dimension = 'all' AND span = 'month'", "block"),
        ("UPDATE block SET sums[1] = 2 WHERE kind = 'lead' AND dimension = 'all' AND span = 'month'", "block"),
        ("UPDATE block SET sums[1] = 2 WHERE kind = 'lead' AND dimension = 'all' AND span = 'year'", "block"),
        ("UPDATE interaction_posting SET talk_seconds = 1", "interaction_posting"),
        ("UPDATE ticket_posting SET customer = NULL", "ticket_posting"),
        ("UPDATE interaction_posting SET handle_seconds_bucket = 1", "interaction_posting"),
        ("UPDATE survey_posting SET region = NULL", "survey_posting"),
        ("UPDATE survey_posting SET region = 0", "survey_posting"),
        ("UPDATE block SET buckets = '{}', counts = '{}' WHERE kind = 'interaction'", "block"),
        ("DELETE FROM block WHERE kind = 'interaction' AND dimension = 'region'", "block"),
        ("UPDATE onboardingstep_posting SET undelivered = 0", "onboardingstep_posting"),
        ("DELETE FROM subject_state WHERE kind = 'survey'", "subject_state"),
        ("UPDATE subject_state SET sequence = 7 WHERE kind = 'ticket'", "subject_state"),
        ("UPDATE block SET value = 'NOWHERE' WHERE kind = 'deal' AND dimension = 'region'", "block"),
        ("DELETE FROM dead_letter", "dead_letter"),
    ],
)
async def test_damage_is_found(
    statement: str, table: str, kept: AsyncEngine, kafka: Kafka, topics: tuple[str, str]
) -> None:
    report = await damaged_by(statement, kept, kafka, topics)
    assert not report.to_json()["ok"]
    assert {difference["table"] for difference in report.differences} == set(table.split())


async def test_what_was_found_is_answered(
    kept: AsyncEngine, kafka: Kafka, topics: tuple[str, str], app: FastAPI, issuer: Issuer
) -> None:
    async def verified() -> None:
        began_at = datetime.now(UTC)
        report = await verify(kept, KafkaServers(kafka.bootstrap_servers), VILNIUS, topics=topics)
        await store_proof(kept, report, began_at=began_at, ended_at=datetime.now(UTC))

    async def changed(statement: str) -> None:
        async with kept.begin() as connection:
            await connection.execute(sa.text(statement))

    async with client_of(app, issuer, "sales-manager") as http:

        async def answered() -> list[dict[str, Any]]:
            answer = await http.get("/v1/proofs")
            assert answer.status_code == 200, answer.text
            return answer.json()["items"]  # type: ignore[no-any-return]

        assert await answered() == []
        await verified()
        (exact,) = await answered()
        assert (exact["result"], exact["differences_found"], exact["differences"]) == ("exact", 0, [])
        assert (exact["events"], exact["subjects"], exact["rebuilt_since"]) == (10, 9, False)
        assert exact["blocks"] > 0
        assert exact["release"] == version("metrics-worker")
        assert exact["began_at"] <= exact["ended_at"]

        await changed("UPDATE block SET amounts[1] = amounts[1] + 1 WHERE span = 'month'")
        await verified()
        differs, before = await answered()
        assert before == exact
        assert (differs["result"], len(differs["differences"])) == ("differs", DIFFERENCES_KEPT)
        assert differs["differences_found"] > DIFFERENCES_KEPT
        first = differs["differences"][0]
        assert (first["table"], first["sides"].keys()) == ("block", {"log", "blocks"})
        assert first["sides"]["log"] != first["sides"]["blocks"]

        # Another ledger was opened at another time.
        await changed("UPDATE ledger SET opened_at = now()")
        assert [each["rebuilt_since"] for each in await answered()] == [True, True]
    async with client_of(app, issuer, "sales-rep") as http:
        assert (await http.get("/v1/proofs")).status_code == 403


async def test_the_newest_proofs_are_kept(kept: AsyncEngine) -> None:
    now = datetime.now(UTC)
    for events in range(KEPT + 2):
        await store_proof(kept, Report(events=events), began_at=now, ended_at=now)
    async with kept.connect() as connection:
        found = await connection.scalars(sa.select(Proof.table.c.events).order_by(Proof.table.c.id))
        assert list(found) == list(range(2, KEPT + 2))


async def test_a_ledger_that_is_behind_is_not_compared(
    kept: AsyncEngine, kafka: Kafka, topics: tuple[str, str]
) -> None:
    async with kept.begin() as connection:
        await connection.execute(sa.text("UPDATE consumer_offset SET next_offset = 0"))
    with pytest.raises(CannotVerify, match="behind the log"):
        await verify(kept, KafkaServers(kafka.bootstrap_servers), VILNIUS, topics=topics, catch_up_seconds=0)


@pytest.mark.parametrize("database", ["mysql://nowhere/books", "postgresql+asyncpg://a:b@127.0.0.1:1/books"])
def test_what_keeps_the_command_from_comparing_is_exit_code_2(database: str) -> None:
    servers = {"DATABASE_URL": database, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    finished = run_script("metrics-verify", env={**os.environ, **servers})
    assert finished.returncode == 2
    assert json.loads(finished.stdout)["ok"] is None


async def test_a_missing_topic_is_reported(kept: AsyncEngine, kafka: Kafka) -> None:
    with pytest.raises(CannotVerify, match="no topic nowhere"):
        await verify(kept, KafkaServers(kafka.bootstrap_servers), VILNIUS, topics=["nowhere"])


async def test_the_log_is_read_as_far_as_the_ledger_has_come(kafka: Kafka, topics: tuple[str, str]) -> None:
    async with LogReader.open(
        KafkaServers(kafka.bootstrap_servers), topics[:1], partial(decode, reporting=VILNIUS)
    ) as reader:
        # Of three records in each partition, this ledger has the first two and the first one.
        until = {TopicPartition(topics[0], 0): 2, TopicPartition(topics[0], 1): 1}
        await reader.add_partitions(until)
        log = await read_log(reader, until)
    assert (log.events, log.undecodable) == (3, set())
    assert [newest.version for newest in log.newest[KIND_BY_NAME["deal"]].values()] == [(1, 3)]


async def test_two_events_with_one_sequence_are_not_in_order(
    shared_engine: AsyncEngine, kafka: Kafka, new_topic: Callable[..., str]
) -> None:
    await empty(shared_engine)
    topic, one = new_topic("sales"), deal(line("desk", 1, "100"), stage="lost")
    won = deal(line("desk", 1, "100"), stage="won", id=one.id)
    ledger = LedgerConsumer(shared_engine, KafkaServers(kafka.bootstrap_servers), VILNIUS, topics=[topic])
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer, consuming(ledger):
        for value in (record(one, 1), record(won, 1, event_id=uuid4())):
            await producer.send_and_wait(topic, value, partition=0)
        report = await verify(
            shared_engine, KafkaServers(kafka.bootstrap_servers), VILNIUS, topics=[topic], catch_up_seconds=20
        )
        assert {each["table"] for each in report.to_json()["differences"]} == {"sequence_conflict"}
        await producer.send_and_wait(topic, record(won, 2), partition=0)
        report = await verify(
            shared_engine, KafkaServers(kafka.bootstrap_servers), VILNIUS, topics=[topic], catch_up_seconds=20
        )
        assert report.to_json()["differences"] == []
