"""The whole system with TLS everywhere: each process signs in as itself, and has the rights of its own work only."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import httpx
import pytest
from aiokafka.errors import KafkaConnectionError

from service_kit.kafka import KafkaServers
from tandem_cli.kafka import EmbeddedKafka
from tandem_cli.postgres import EmbeddedPostgres
from tandem_cli.server_security import ServerSecurity
from tandem_cli.stack import LocalStack
from tests.business import Business, connected
from tests.certificates import Authority
from tests.commands import run_script
from tests.metrics_worker.webhooks.receiver import receiving
from tests.support import CARELESS, eventually

pytestmark = pytest.mark.clock


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    system = LocalStack(
        tmp_path_factory.mktemp("secured"),
        postgres_options=CARELESS,
        security=ServerSecurity(authority.issue("127.0.0.1"), authority.ca_pem, "the admin's password"),
        env_overrides={"WEBHOOKS_ALLOW_LOOPBACK": "true"},
    )
    system.start()
    yield system
    system.stop()


@pytest.fixture(scope="module")
async def business(secured: LocalStack) -> AsyncIterator[Business]:
    business = connected(secured, seed=1)
    await business.found(accounts=1)
    yield business
    await business.http.close()


async def revenue(secured: LocalStack) -> str | None:
    headers = {"Authorization": f"Bearer {secured.token('analyst')}"}
    async with httpx.AsyncClient(headers=headers, timeout=30) as http:
        answer = await http.get(f"{secured.urls['metrics']}/v1/kpis/revenue")
    assert answer.status_code == 200, answer.text
    value: str | None = answer.json()["value"]
    return value


async def run(secured: LocalStack, script: str, environment: dict[str, str]) -> None:
    finished = await asyncio.to_thread(run_script, script, env={**os.environ, **environment, "LOG_LEVEL": "error"})
    assert finished.returncode == 0, finished.stdout + finished.stderr


async def test_a_closed_deal_reaches_its_kpi(secured: LocalStack, business: Business) -> None:
    before = await revenue(secured)
    await business.win_a_deal(channel="referral")

    async def has_risen() -> bool:
        return await revenue(secured) != before

    await eventually(has_risen, 60, every=0.2)


async def test_the_ledger_is_verified_as_the_consumer_and_rebuilt_as_the_owner(
    secured: LocalStack, business: Business
) -> None:
    for _ in range(3):
        await business.convert_a_lead()
        await business.resolve_a_ticket()
    consumer = dict(secured.processes["metrics-consumer"].env)
    await run(secured, "metrics-verify", consumer)
    await run(secured, "metrics-replay", consumer | {"DATABASE_URL": secured.database_url("metrics")})
    # The tables are others now, with the same rights.
    before = await revenue(secured)
    await business.win_a_deal(channel="referral")

    async def has_risen() -> bool:
        return await revenue(secured) != before

    await eventually(has_risen, 60, every=0.2)
    await run(secured, "metrics-verify", consumer)
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {secured.token('analyst')}"}, timeout=30) as http:
        newest, before = (await http.get(f"{secured.urls['metrics']}/v1/proofs")).json()["items"]
    assert (newest["result"], newest["rebuilt_since"]) == ("exact", False)
    assert (before["result"], before["rebuilt_since"]) == ("exact", True)


async def test_targets_are_evaluated_and_sent_to_webhooks(secured: LocalStack, business: Business) -> None:
    async with receiving() as receiver:
        await business.send(
            "metrics", "POST", "/v1/webhooks", {"url": receiver.url, "event_types": ["metrics.kpi-target-missed"]}
        )
        target = {"value": "1000000000.00", "since": datetime.now(UTC).date().isoformat()}
        await business.send("metrics", "PUT", "/v1/targets/revenue", target)
        await eventually(lambda: receiver.received, 60, every=0.1)
    assert "webhook-signature" in receiver.received[0].headers


async def test_the_sla_clock_finds_a_breach(secured: LocalStack, business: Business) -> None:
    policy = {"name": "At once", "first_response_seconds": 1}
    await business.send("service", "POST", "/v1/sla-policies", policy)
    body = {"customer_id": business.accounts[0], "kind": "problem", "channel": "email"}
    ticket = await business.send("service", "POST", "/v1/tickets", body)

    async def is_breached() -> bool:
        async with business.http.get(f"{secured.urls['service']}/v1/tickets/{ticket['id']}") as answer:
            return bool((await answer.json())["first_response_breached_at"])

    await eventually(is_breached, 60, every=0.2)


async def test_an_erasure_reaches_the_other_service(secured: LocalStack, business: Business) -> None:
    customer = await business.register_account()
    await eventually(lambda: business.service_knows(customer), 60)
    body = {"customer_id": customer, "kind": "problem", "channel": "email", "subject": "personal"}
    ticket = await business.send("service", "POST", "/v1/tickets", body)
    await business.send("sales", "POST", f"/v1/accounts/{customer}/erase", {})

    async def is_erased() -> bool:
        async with business.http.get(f"{secured.urls['service']}/v1/tickets/{ticket['id']}") as answer:
            return (await answer.json())["subject"] is None

    await eventually(is_erased, 60, every=0.2)


async def test_nothing_is_reached_without_tls(secured: LocalStack) -> None:
    assert isinstance(secured.postgres, EmbeddedPostgres)
    assert isinstance(secured.kafka, EmbeddedKafka)
    with pytest.raises(KafkaConnectionError):
        await KafkaServers(secured.bootstrap_servers).identify(["sales.events"])
    for process in secured.processes.values():
        assert process.env["DATABASE_SSL_MODE"] == "verify-full"
        assert process.env["KAFKA_SECURITY_PROTOCOL"] == ("SASL_SSL" if process.program.needs_kafka else "")


async def test_no_process_logged_what_it_may_not_do(secured: LocalStack) -> None:
    for name in secured.processes:
        log = (secured.data.path / "logs" / f"{name}.log").read_text()
        assert "InsufficientPrivilege" not in log, name
        assert "AuthorizationFailed" not in log, name
