"""What the two APIs' writes cost, beside a bare handler that takes the same body and inserts one row."""

import asyncio
import json
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import aiohttp
import pytest

from tandem_cli.ports import free_port
from tandem_cli.postgres import EmbeddedPostgres
from tandem_cli.stack import LocalStack
from tests.business import Business, connected
from tests.load.report import median, say
from tests.support import eventually

ROUNDS = 5
WRITES = 400
CLIENTS = 16

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    system = LocalStack(tmp_path_factory.mktemp("stack"))
    system.start()
    yield system
    system.stop()


@pytest.fixture
async def business(stack: LocalStack) -> AsyncIterator[Business]:
    made = connected(stack, seed=1)
    await made.found()
    yield made
    await made.http.close()


@pytest.fixture
async def bare(bench_postgres: EmbeddedPostgres, bench_database: str) -> AsyncIterator[str]:
    """The bare handlers' URL."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.load.peers.bare_api", str(port), env=os.environ | {"DATABASE_URL": bench_database}
    )
    url = f"http://127.0.0.1:{port}"

    async def answers() -> bool:
        async with aiohttp.ClientSession() as http:
            try:
                async with http.get(f"{url}/openapi.json") as answer:
                    return answer.status == 200
            except aiohttp.ClientConnectionError:
                return False

    try:
        await eventually(answers, 30)
        yield url
    finally:
        process.terminate()
        await process.wait()


Write = tuple[str, dict[str, Any]]
"""A URL and a body."""


async def writes_per_second(business: Business, writes: list[Write]) -> float:
    """Sends them by some clients at once, each after its last was answered."""
    waiting = iter(writes)

    async def client() -> None:
        for url, body in waiting:
            async with business.http.post(url, json=body, headers={"Idempotency-Key": str(uuid.uuid4())}) as answer:
                assert answer.status in (200, 201), await answer.text()
                await answer.read()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return len(writes) / (time.perf_counter() - began)


async def compare(name: str, business: Business, real: Callable[[], Any], bare: list[Write]) -> None:
    """Measures in turn and tells the median of the ratios; 1.0 would be as quick as the bare handler."""
    ratios, rates = [], []
    for number in range(ROUNDS + 1):
        ours = await writes_per_second(business, await real())
        theirs = await writes_per_second(business, bare)
        # The first round only warms up.
        if number:
            ratios.append(ours / theirs)
            rates.append(ours)
    say(f"{name}_per_second", median(rates), "writes/s")
    say(f"{name}_vs_bare_handler", median(ratios), "")


async def test_writes(stack: LocalStack, business: Business, bare: str) -> None:
    sales, service = stack.urls["sales"], stack.urls["service"]
    lead = {"channel": "referral", "region": "EMEA", "segment": "smb", "owner_id": business.reps[0]}
    closing = {"outcome": "won"}
    ticket = {"customer_id": business.accounts[0], "kind": "problem", "channel": "phone", "priority": "high"}

    async def leads() -> list[Write]:
        return [(f"{sales}/v1/leads", lead)] * WRITES

    async def closings() -> list[Write]:
        opening = {
            "account_id": business.accounts[0], "currency": "EUR", "owner_id": business.reps[0],
            "lines": [{"product": business.products[0], "quantity": 2, "unit_price": "99.50"}],
        }  # fmt: skip
        limit = asyncio.Semaphore(CLIENTS)

        async def open_deal() -> str:
            async with limit:
                return str((await business.send("sales", "POST", "/v1/deals", opening))["id"])

        opened = await asyncio.gather(*(open_deal() for _ in range(WRITES)))
        return [(f"{sales}/v1/deals/{deal_id}/close", closing) for deal_id in opened]

    async def tickets() -> list[Write]:
        return [(f"{service}/v1/tickets", ticket)] * WRITES

    print()
    await compare("create_lead", business, leads, [(f"{bare}/leads", lead)] * WRITES)
    await compare("close_deal", business, closings, [(f"{bare}/deals/{uuid.uuid4()}/close", closing)] * WRITES)
    await compare("open_ticket", business, tickets, [(f"{bare}/tickets", ticket)] * WRITES)


async def test_imports(stack: LocalStack, business: Business) -> None:
    """Leads by bulk imports beside the same leads by single requests."""
    url = stack.urls["sales"]
    lead = {"channel": "referral", "region": "EMEA", "segment": "smb", "owner_id": business.reps[0]}
    in_one = 100
    rows = "\n".join([json.dumps({"resource": "leads", "record": lead})] * in_one)

    async def imported() -> None:
        async with business.http.post(
            f"{url}/v1/imports", data=rows, headers={"Content-Type": "application/x-ndjson"}
        ) as answer:
            assert (await answer.json())["created"] == in_one

    ratios, rates = [], []
    for number in range(ROUNDS + 1):
        single = await writes_per_second(business, [(f"{url}/v1/leads", lead)] * WRITES)
        began = time.perf_counter()
        for _ in range(5):
            await asyncio.gather(*(imported() for _ in range(4)))
        rate = 5 * 4 * in_one / (time.perf_counter() - began)
        # The first round only warms up.
        if number:
            ratios.append(rate / single)
            rates.append(rate)
    print()
    say("imported_leads_per_second", median(rates), "leads/s")
    say("imported_leads_vs_single_requests", median(ratios), "")
