"""The real processes, started as they are in production: migrate, API and relay, with events on the real broker."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer

from event_contracts import codec
from tandem_cli.kafka import Topic
from tandem_cli.ports import free_port
from tests.sales_api.sales import Body
from tests.service_kit.toy import Issuer
from tests.support import PATIENCE, Kafka, eventually

BIN = Path(sys.executable).parent


@contextmanager
def process(name: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A running process, which must end by itself with 0 on SIGTERM."""
    running = subprocess.Popen([BIN / name], env=os.environ | environment)
    try:
        yield running
        running.send_signal(signal.SIGTERM)
        assert running.wait(20 * PATIENCE) == 0
    finally:
        running.kill()
        running.wait()


async def answers(http: httpx.AsyncClient, address: str) -> bool:
    try:
        return (await http.get(address)).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
async def consumer(kafka: Kafka) -> AsyncIterator[AIOKafkaConsumer]:
    kafka.create_topics([Topic("sales.events", 6), Topic("sales.directory", 6, True)])
    consumer = AIOKafkaConsumer(
        "sales.events", "sales.directory", bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="latest"
    )
    await consumer.start()
    # Only what comes from now on: other tests use the same topics.
    await consumer.seek_to_end()
    for partition in consumer.assignment():
        await consumer.position(partition)
    yield consumer
    await consumer.stop()


async def test_a_sale_over_http_arrives_on_the_broker(
    new_database: Callable[[str], str], kafka: Kafka, consumer: AIOKafkaConsumer, tmp_path: Path
) -> None:
    issuer = Issuer()
    environment = {
        "DATABASE_URL": new_database("processes"),
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "AUTH_JWKS": issuer.published_in(tmp_path),
        "LOG_LEVEL": "error",
    }
    migration = await asyncio.to_thread(subprocess.run, [BIN / "sales-migrate"], env=os.environ | environment)
    assert migration.returncode == 0
    api, relay, metrics = (f"http://127.0.0.1:{free_port()}" for _ in range(3))
    token = {"Authorization": f"Bearer {issuer.token('importer')}"}
    with (
        process(
            "sales-api",
            environment | {"HTTP_PORT": api.rsplit(":", 1)[1], "PROMETHEUS_PORT": metrics.rsplit(":", 1)[1]},
        ),
        process("sales-relay", environment | {"HTTP_PORT": relay.rsplit(":", 1)[1]}),
    ):
        async with httpx.AsyncClient(headers=token) as http:
            for address in (api, relay):
                await eventually(lambda address=address: answers(http, f"{address}/readyz"), 30)  # type: ignore[misc]

            async def post(path: str, body: Body) -> Body:
                answer = await http.post(api + path, json=body)
                assert answer.is_success, answer.text
                made: Body = answer.json()
                return made

            await post("/v1/products", {"code": "pump", "name": "Pump"})
            lead = await post("/v1/leads", {"company": "Casa Verde", "channel": "online"})
            terms = {"currency": "EUR", "lines": [{"product": "pump", "quantity": 1, "unit_price": "5"}]}
            converted = await post(f"/v1/leads/{lead['id']}/convert", {"deal": terms})
            closed = await post(f"/v1/deals/{converted['deal_id']}/close", {"outcome": "won"})
            seen = await _read(consumer, 6, {lead["id"], converted["account_id"], closed["id"]})
            # Not on the public port, and only there.
            assert (await http.get(f"{api}/metrics")).status_code == 404
            assert "tandem_http_request_seconds" in (await http.get(f"{metrics}/metrics")).text
            assert (await http.get(f"{metrics}/v1/leads")).status_code == 404
    assert seen == {
        ("sales.events", lead["id"]): [("sales.lead-created", 1), ("sales.lead-converted", 2)],
        ("sales.events", converted["account_id"]): [
            ("sales.account-registered", 1),
            ("sales.deal-opened", 1),
            ("sales.deal-closed", 2),
        ],
        ("sales.directory", converted["account_id"]): [("sales.directory-entry-set", 1)],
    }


async def _read(
    consumer: AIOKafkaConsumer, count: int, identifiers: set[str]
) -> dict[tuple[str, str], list[tuple[str, int]]]:
    """So many events of these aggregates, by topic and key, in the order of the log."""
    seen: dict[tuple[str, str], list[tuple[str, int]]] = {}
    wanted = {UUID(identifier) for identifier in identifiers}
    async with asyncio.timeout(20 * PATIENCE):
        while sum(map(len, seen.values())) < count:
            record = await consumer.getone()
            event = codec.decode(record.value)
            if event.data.id in wanted:
                key = (record.topic, (record.key or b"").decode())
                seen.setdefault(key, []).append((event.event_type.name, event.sequence))
    return seen


async def test_an_api_without_an_issuer_does_not_start(new_database: Callable[[str], str]) -> None:
    environment = os.environ | {"DATABASE_URL": new_database("processes"), "AUTH_ISSUER": "", "HTTP_PORT": "0"}
    ran = await asyncio.to_thread(
        subprocess.run, [BIN / "sales-api"], env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert (ran.returncode, "set AUTH_ISSUER" in ran.stderr) == (1, True)


async def test_a_job_that_fails_at_every_run_shows_at_its_process(
    new_database: Callable[[str], str], kafka: Kafka, consumer: AIOKafkaConsumer
) -> None:
    environment = {"DATABASE_URL": new_database("failing_job"), "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
    migration = await asyncio.to_thread(subprocess.run, [BIN / "sales-migrate"], env=os.environ | environment)
    assert migration.returncode == 0
    connection = await asyncpg.connect(environment["DATABASE_URL"].replace("+asyncpg", ""))
    await connection.execute("alter table idempotency_key rename to elsewhere")
    await connection.close()
    relay = f"http://127.0.0.1:{free_port()}"
    with process("sales-relay", environment | {"HTTP_PORT": relay.rsplit(":", 1)[1], "LOG_LEVEL": "error"}):
        async with httpx.AsyncClient() as http:
            await eventually(lambda: answers(http, f"{relay}/readyz"), 60)

            async def failures() -> float:
                lines = (await http.get(f"{relay}/metrics")).text.splitlines()
                found = [line for line in lines if line.startswith('tandem_job_failures_in_a_row{name="retention"}')]
                return float(found[0].split()[1]) if found else 0

            await eventually(failures, 60)
            assert (await http.get(f"{relay}/healthz")).status_code == 200
            assert (await http.get(f"{relay}/readyz")).json()["checks"]["jobs"] == "ok"
