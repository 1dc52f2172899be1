"""The console scripts, run as processes."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts.catalogue import METRICS_TOPIC, SALES_TOPIC, SERVICE_TOPIC
from event_contracts.codec import decode
from metrics_worker.proofs.model import Proof
from metrics_worker.settings import MetricsSettings
from tandem_cli.kafka import Topic
from tandem_cli.ports import free_port
from tests.metrics_worker.conftest import moved
from tests.support import Kafka, eventually, within

NOWHERE = "127.0.0.1:1"
"""An address where no Kafka answers."""


@asynccontextmanager
async def running(
    script: str, settings: MetricsSettings, *arguments: str, **environment: str
) -> AsyncIterator[Process]:
    """A console script over the tests' ledger, without Kafka; killed at the end if it has not ended by then."""
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name(script),
        *arguments,
        stdout=PIPE,
        stderr=PIPE,
        env=os.environ
        | {
            "DATABASE_URL": settings.database_url,
            "KAFKA_BOOTSTRAP_SERVERS": NOWHERE,
            "REPORTING_TIMEZONE": settings.reporting_timezone,
        }
        | environment,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_proof_that_cannot_be_made_is_neither_good_nor_bad(
    engine: AsyncEngine, settings: MetricsSettings
) -> None:
    async with running("metrics-verify", settings) as process:
        out, _ = await within(process.communicate(), 30)
    report = json.loads(out)
    assert (process.returncode, report["ok"]) == (2, None)
    assert report["error"]
    assert await _proofs(engine) == []


async def test_a_proof_is_stored_and_printed_even_where_it_cannot_be_stored(
    engine: AsyncEngine, settings: MetricsSettings, kafka: Kafka
) -> None:
    kafka.create_topics([Topic(SALES_TOPIC, 6), Topic(SERVICE_TOPIC, 6)])
    brokers = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}

    async def verified() -> tuple[int | None, Any, bytes]:
        async with running("metrics-verify", settings, **brokers) as process:
            out, log = await within(process.communicate(), 60)
        return process.returncode, json.loads(out)["ok"], log

    assert (await verified())[:2] == (0, True)
    assert await _proofs(engine) == [0]
    async with engine.begin() as connection:
        await connection.execute(
            sa.text(
                "INSERT INTO subject_state (kind, id, sequence, event_id)"
                " VALUES ('lead', gen_random_uuid(), 1, gen_random_uuid())"
            )
        )
    assert (await verified())[:2] == (1, False)
    assert await _proofs(engine) == [0, 1]
    async with engine.begin() as connection:
        await connection.execute(sa.text("ALTER TABLE authoritative.proof RENAME TO elsewhere"))
    try:
        code, ok, log = await verified()
    finally:
        async with engine.begin() as connection:
            await connection.execute(sa.text("ALTER TABLE authoritative.elsewhere RENAME TO proof"))
    assert (code, ok) == (1, False)
    assert b"proof_not_stored" in log


async def _proofs(engine: AsyncEngine) -> list[int]:
    """Return how many differences each proof found."""
    async with engine.connect() as connection:
        return list(await connection.scalars(sa.select(Proof.table.c.differences_found).order_by(Proof.table.c.id)))


async def test_a_rebuild_that_is_not_possible_gives_the_reason(engine: AsyncEngine, settings: MetricsSettings) -> None:
    async with running("metrics-replay", settings, "--timezone", "Europe/Nowhere") as process:
        out, _ = await within(process.communicate(), 30)
    assert process.returncode == 1
    assert "'Europe/Nowhere' is not a time zone" in json.loads(out)["error"]


async def test_a_rebuild_prints_its_progress_and_nothing_else(
    engine: AsyncEngine, settings: MetricsSettings, kafka: Kafka
) -> None:
    kafka.create_topics([Topic(SALES_TOPIC, 6), Topic(SERVICE_TOPIC, 6)])
    brokers = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
    async with running("metrics-replay", settings, **brokers) as process:
        out, log = await within(process.communicate(), 30)
    assert process.returncode == 0
    assert json.loads(out.splitlines()[-1]) == {"rebuilt": 0}
    assert all(json.loads(line) for line in out.splitlines())
    assert b"ledger_swapped" in log


async def test_a_consumer_without_kafka_lives_and_stops_on_request(
    engine: AsyncEngine, settings: MetricsSettings
) -> None:
    port = free_port()
    async with running("metrics-consumer", settings, HTTP_PORT=str(port)) as process:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:

            async def ready() -> bool:
                try:
                    answer = await http.get("/readyz")
                except httpx.TransportError:
                    return False
                return answer.status_code == 200

            await eventually(ready, 30)
            assert "tandem_ledger_postings_total" in (await http.get("/metrics")).text
        process.send_signal(signal.SIGTERM)
        await within(process.communicate(), 20)
    assert process.returncode == 0


async def test_a_consumer_does_not_continue_a_ledger_of_other_rules(
    engine: AsyncEngine, settings: MetricsSettings
) -> None:
    async with running("metrics-consumer", settings, HTTP_PORT="0") as process:
        await eventually(lambda: _opened(engine), 30)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE ledger SET rules_version = 0")
    async with running("metrics-consumer", settings, HTTP_PORT="0") as process:
        _, complaint = await within(process.communicate(), 30)
    assert process.returncode != 0
    assert b"the ledger follows rules 0" in complaint


async def test_a_missed_target_reaches_kafka(engine: AsyncEngine, settings: MetricsSettings, kafka: Kafka) -> None:
    kafka.create_topics([Topic(METRICS_TOPIC, 6)])
    await moved(engine)
    async with engine.begin() as connection:
        target_id = (
            await connection.exec_driver_sql(
                "INSERT INTO target (id, version, kpi, variant, value, since, set_at, sequence)"
                " VALUES (uuidv7(), 1, 'revenue', 'standard', 100, '2026-01-01', now(), 0) RETURNING id"
            )
        ).scalar_one()
    reader = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest")
    await reader.start()
    parts = [TopicPartition(METRICS_TOPIC, number) for number in range(6)]
    reader.assign(parts)
    for part in parts:
        # Not left to a look-up: on a topic that was made just now it may fail once and never be tried again.
        reader.seek(part, 0)
    subjects: list[tuple[str, str]] = []

    async def is_published() -> bool:
        for records in (await reader.getmany(timeout_ms=200)).values():
            subjects.extend((event.event_type.name, event.subject) for event in map(decode, (r.value for r in records)))
        return ("metrics.kpi-target-missed", f"targets/{target_id}") in subjects

    try:
        async with running(
            "metrics-jobs", settings, KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap_servers, HTTP_PORT="0"
        ) as process:
            await eventually(is_published, 30)
            process.send_signal(signal.SIGTERM)
            await within(process.communicate(), 20)
        assert process.returncode == 0
    finally:
        await reader.stop()


async def _opened(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        return bool((await connection.exec_driver_sql("SELECT count(*) FROM ledger")).scalar_one())
