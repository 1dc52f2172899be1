"""The four console scripts as they run in production: configured by environment, ready by HTTP, stopped by SIGTERM."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from event_contracts import codec
from event_contracts.catalogue import SALES_DIRECTORY_TOPIC, SALES_TOPIC, SERVICE_DIRECTORY_TOPIC, SERVICE_TOPIC
from event_contracts.directory import SalesDirectoryEntrySet
from event_contracts.sales import AccountRegistered
from service_kit.identifiers import new_id
from tandem_cli.kafka import standard_topics
from tandem_cli.ports import free_port
from tandem_cli.spawn import clock_variables
from tests.service_api.conftest import a_ticket, make
from tests.service_kit.toy import Issuer
from tests.support import Kafka, eventually, within

SERVING = ("service-api", "service-relay", "service-consumer")


def script(name: str) -> str:
    return str(Path(sys.executable).parent / name)


@asynccontextmanager
async def running(environment: dict[str, str]) -> AsyncIterator[dict[str, tuple[Process, str]]]:
    """All processes, ready; by name, each with its address."""
    started: dict[str, tuple[Process, str]] = {}
    try:
        for name in SERVING:
            port = str(free_port())
            process = await asyncio.create_subprocess_exec(script(name), env=environment | {"HTTP_PORT": port})
            started[name] = (process, f"http://127.0.0.1:{port}")
        async with httpx.AsyncClient() as http:

            async def all_ready() -> bool:
                try:
                    answers = [await http.get(f"{address}/readyz") for _, address in started.values()]
                except httpx.TransportError:
                    return False
                return all(answer.status_code == 200 for answer in answers)

            await eventually(all_ready, 120)
        yield started
    finally:
        for process, _ in started.values():
            if process.returncode is None:
                process.kill()
            await process.wait()


async def log_of(kafka: Kafka, topic: str, key: str) -> list[codec.CloudEvent]:
    """What a topic holds under one key, in the order of the log."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        parts = [TopicPartition(topic, number) for number in range(6)]
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        found = []
        while any([await consumer.position(part) < ends[part] for part in parts]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [codec.decode(record.value) for record in records if record.key == key.encode()]
        return found
    finally:
        await consumer.stop()


@pytest.fixture
def environment(
    new_database: Callable[[str], str], kafka: Kafka, tmp_path: Path, issuer_of_processes: Issuer
) -> dict[str, str]:
    kafka.create_topics(standard_topics(6))
    return {
        "PATH": os.environ["PATH"],
        **clock_variables(),
        "DATABASE_URL": new_database("processes"),
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "AUTH_ISSUER": os.environ["AUTH_ISSUER"],
        "AUTH_JWKS": issuer_of_processes.published_in(tmp_path),
        "SURVEY_LINK_SECRET": "a secret of the tests only",
    }


@pytest.fixture
def issuer_of_processes() -> Issuer:
    return Issuer()


async def test_a_ticket_of_a_sales_customer_travels_through_all_processes(
    environment: dict[str, str], kafka: Kafka, issuer_of_processes: Issuer
) -> None:
    for _ in range(2):  # migrating again is nothing
        migration = await asyncio.create_subprocess_exec(script("service-migrate"), env=environment)
        assert await migration.wait() == 0
    account_id = new_id()
    account = AccountRegistered(
        id=account_id,
        region="baltics",
        segment=None,
        channel=None,
        owner_id=None,
        team_id=None,
        registered_at=datetime(2024, 5, 1, tzinfo=UTC),
    )
    name = SalesDirectoryEntrySet(id=account_id, kind="account", name="UAB Vėjas")
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, acks="all")
    await producer.start()
    for topic, data in ((SALES_TOPIC, account), (SALES_DIRECTORY_TOPIC, name)):
        now = datetime.now(UTC)
        event = codec.encode(data, event_id=new_id(), time=now, recorded_time=now, sequence=1, partition_key=account_id)
        await producer.send_and_wait(topic, event, key=str(account_id).encode())
    await producer.stop()

    async with running(environment) as processes:
        token = issuer_of_processes.token("service-manager", "importer")
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=processes["service-api"][1], headers=headers) as http:

            async def copied() -> bool:
                answer = await http.get(f"/v1/customers/{account_id}")
                return answer.status_code == 200 and {**answer.json(), "id": 0}.items() >= {
                    ("name", "UAB Vėjas"),
                    ("region", "baltics"),
                }

            await eventually(copied, 20)
            ticket = await a_ticket(http, customer_id=str(account_id))
            own = await make(http, "/v1/customers", name="Ona Onaitė")
            for step in ("resolve", "reopen", "resolve", "close"):
                await make(http, f"/v1/tickets/{ticket['id']}/{step}")
            survey = await make(http, "/v1/surveys", ticket_id=ticket["id"], kind="csat")
            assert (await http.post(survey["answer_path"], json={"score": 5})).status_code == 200

            async def published() -> bool:
                return len(await log_of(kafka, SERVICE_TOPIC, str(account_id))) >= 7

            await eventually(published, 20)
            events = await log_of(kafka, SERVICE_TOPIC, str(account_id))
            assert [(event.subject.split("/")[0], event.sequence, event.event_type.name) for event in events] == [
                ("tickets", 1, "service.ticket-opened"),
                ("tickets", 2, "service.ticket-resolved"),
                ("tickets", 3, "service.ticket-reopened"),
                ("tickets", 4, "service.ticket-resolved"),
                ("tickets", 5, "service.ticket-closed"),
                ("surveys", 1, "service.survey-sent"),
                ("surveys", 2, "service.survey-answered"),
            ]
            (entry,) = await log_of(kafka, SERVICE_DIRECTORY_TOPIC, own["id"])
            assert entry.subject == f"directory/{own['id']}"
        for process, _ in processes.values():
            process.send_signal(signal.SIGTERM)
        codes = [await within(process.wait(), 20) for process, _ in processes.values()]
        assert codes == [0, 0, 0]
