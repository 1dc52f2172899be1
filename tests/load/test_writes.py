"""What writes cost: the APIs alone beside a bare handler with the same two inserts, and the whole system."""

import asyncio
import json
import os
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg
import psutil
import pytest

from tandem_cli.ports import free_port
from tandem_cli.postgres import EmbeddedPostgres
from tandem_cli.stack import LocalStack
from tests.business import Business, connected
from tests.load.cpu import CpuMeter, processes_of, report_cpu
from tests.load.report import median, percentile, report
from tests.support import eventually

ROUNDS = 5
WRITES = 400
CLIENTS = 16
MANY_CLIENTS = 64
CLOSINGS = 2_000

pytestmark = pytest.mark.long


@pytest.fixture
async def business(stack: LocalStack) -> AsyncIterator[Business]:
    made = connected(stack, seed=1)
    await made.found()
    yield made
    await made.http.close()


@dataclass(frozen=True)
class Bare:
    """The bare handlers, over a database of the same server."""

    url: str
    process: psutil.Process


@pytest.fixture
async def bare(stack: LocalStack) -> AsyncIterator[Bare]:
    assert isinstance(stack.postgres, EmbeddedPostgres)
    stack.postgres.create_database("bare")
    port = free_port()
    environment = os.environ | {"DATABASE_URL": stack.postgres.url("bare")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.load.peers.bare_api", str(port), env=environment
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
        yield Bare(url, psutil.Process(process.pid))
    finally:
        process.terminate()
        await process.wait()


Write = tuple[str, dict[str, Any]]
"""A URL and a body."""


@contextmanager
def alone(stack: LocalStack, *names: str) -> Iterator[None]:
    """Suspend every process of the stack but these."""
    suspended = [process for name, process in processes_of(stack).items() if name not in (*names, "postgresql")]
    for process in suspended:
        process.suspend()
    try:
        yield
    finally:
        for process in suspended:
            process.resume()


@dataclass
class Sent:
    """What became of some writes."""

    seconds: float
    waits: list[float]
    answers: Counter[int]

    @property
    def rate(self) -> float:
        """Writes answered a second."""
        return len(self.waits) / self.seconds


async def send(business: Business, writes: list[Write], clients: int = CLIENTS) -> Sent:
    """Send writes by some clients at once, each after its last was answered."""
    waiting = iter(writes)
    waits: list[float] = []
    answers: Counter[int] = Counter()

    async def client() -> None:
        for url, body in waiting:
            began = time.perf_counter()
            async with business.http.post(url, json=body, headers={"Idempotency-Key": str(uuid.uuid4())}) as answer:
                answers[answer.status] += 1
                assert answer.status in (200, 201, 503), await answer.text()
                await answer.read()
            waits.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return Sent(time.perf_counter() - began, waits, answers)


async def compare(
    name: str,
    business: Business,
    api: psutil.Process,
    peer: Bare,
    real: Callable[[], Awaitable[list[Write]]],
    path: str,
) -> None:
    """Measure in turns, and report the medians of the rates' ratio and of the CPU seconds a write of both."""
    ratios, rates, ours, theirs = [], [], [], []
    for number in range(ROUNDS + 1):
        writes = await real()
        meter = CpuMeter({"api": api, "bare": peer.process})
        sent = await send(business, writes)
        cpu = meter.seconds()["api"]
        same = await send(business, [(peer.url + path, writes[0][1])] * len(writes))
        # The first round only warms up.
        if number:
            ratios.append(sent.rate / same.rate)
            rates.append(sent.rate)
            ours.append(cpu / len(writes) * 1000)
            theirs.append(meter.seconds()["bare"] / len(writes) * 1000)
    report(f"{name}_per_second", median(rates), "writes/s")
    report(f"{name}_vs_bare_handler", median(ratios), "")
    report(f"{name}_api_cpu_ms", median(ours), "ms")
    report(f"{name}_bare_handler_cpu_ms", median(theirs), "ms")


async def opened_deals(business: Business, number: int) -> list[str]:
    """Return the ids of new deals."""
    opening = {
        "account_id": business.accounts[0], "currency": "EUR", "owner_id": business.reps[0],
        "lines": [{"product": business.products[0], "quantity": 2, "unit_price": "99.50"}],
    }  # fmt: skip
    limit = asyncio.Semaphore(CLIENTS)

    async def open_deal() -> str:
        async with limit:
            return str((await business.send("sales", "POST", "/v1/deals", opening))["id"])

    return await asyncio.gather(*(open_deal() for _ in range(number)))


async def test_writes_of_the_whole_system(stack: LocalStack, business: Business) -> None:
    """Deals are closed by many clients at once, until the last of them is in the ledger."""

    async def counted() -> int:
        async with business.http.get(f"{stack.urls['metrics']}/v1/kpis/sales_volume") as answer:
            assert answer.status == 200, await answer.text()
            return int((await answer.json())["numerator"])

    deals = await opened_deals(business, CLOSINGS)
    await eventually(lambda: is_settled(business), 300)
    before = await counted()
    meter, began = CpuMeter(processes_of(stack)), time.perf_counter()
    closings = [(f"{stack.urls['sales']}/v1/deals/{deal_id}/close", {"outcome": "won"}) for deal_id in deals]
    sent = await send(business, closings, MANY_CLIENTS)

    async def all_counted() -> bool:
        return await counted() - before >= sent.answers[200] and await is_settled(business)

    await eventually(all_counted, 300)
    spent, took = meter.seconds(), time.perf_counter() - began
    print()
    report("close_deal_whole_system_per_second", len(deals) / took, "deals/s")
    report("close_deal_64_clients_p50_ms", percentile(sent.waits, 50) * 1000, "ms")
    report("close_deal_64_clients_p99_ms", percentile(sent.waits, 99) * 1000, "ms")
    report("close_deal_64_clients_503", sent.answers[503], "answers")
    report_cpu("close_deal", spent, len(deals))


async def is_settled(business: Business) -> bool:
    """Return whether no event waits in an outbox, and no consumer is behind."""
    for database in ("sales", "service"):
        connection = await asyncpg.connect(business.stack.database_url(database).replace("+asyncpg", ""))
        try:
            if await connection.fetchval("select count(*) from outbox"):
                return False
        finally:
            await connection.close()
    running = business.stack.data.running()
    assert running is not None
    for part in running.parts:
        if part.name.endswith("-consumer"):
            async with business.http.get(f"http://127.0.0.1:{part.port}/metrics") as answer:
                lags = [line for line in (await answer.text()).splitlines() if line.startswith("tandem_consumer_lag")]
                if any(float(line.rpartition(" ")[2]) for line in lags):
                    return False
    return True


async def test_writes_of_the_apis_alone(stack: LocalStack, business: Business, bare: Bare) -> None:
    sales, service = stack.urls["sales"], stack.urls["service"]
    lead = {"channel": "referral", "region": "EMEA", "segment": "smb", "owner_id": business.reps[0]}
    ticket = {"customer_id": business.accounts[0], "kind": "problem", "channel": "phone", "priority": "high"}
    processes = processes_of(stack)

    async def leads() -> list[Write]:
        return [(f"{sales}/v1/leads", lead)] * WRITES

    async def closings() -> list[Write]:
        deals = await opened_deals(business, WRITES)
        return [(f"{sales}/v1/deals/{deal_id}/close", {"outcome": "won"}) for deal_id in deals]

    async def tickets() -> list[Write]:
        return [(f"{service}/v1/tickets", ticket)] * WRITES

    print()
    with alone(stack, "sales-api"):
        await compare("create_lead", business, processes["sales-api"], bare, leads, "/leads")
        await compare("close_deal", business, processes["sales-api"], bare, closings, f"/deals/{uuid.uuid4()}/close")
    with alone(stack, "service-api"):
        await compare("open_ticket", business, processes["service-api"], bare, tickets, "/tickets")


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
        single = (await send(business, [(f"{url}/v1/leads", lead)] * WRITES)).rate
        began = time.perf_counter()
        for _ in range(5):
            await asyncio.gather(*(imported() for _ in range(4)))
        rate = 5 * 4 * in_one / (time.perf_counter() - began)
        # The first round only warms up.
        if number:
            ratios.append(rate / single)
            rates.append(rate)
    print()
    report("imported_leads_per_second", median(rates), "leads/s")
    report("imported_leads_vs_single_requests", median(ratios), "")
