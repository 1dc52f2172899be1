"""From a write's 2xx to the KPI's new value, measured over HTTP while the system works at a steady pace."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import psutil
import pytest

from tandem_cli.commands.status import memory_bytes
from tandem_cli.stack import LocalStack
from tests.business import Business, connected
from tests.load.report import percentile, say
from tests.support import eventually

WRITES_PER_SECOND = 50
PROBES = 200
SETTLE_WRITES = 500
"""Written before the first probe, so that caches are warm and the pace is steady."""

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


async def seconds_until_shown(business: Business, channel: str) -> float:
    """Waits until the KPI shows the one deal that was won through a channel of its own."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    today = datetime.now(UTC).date().isoformat()
    query = {"from": today, "to": today, "channel": channel}
    while loop.time() - began < 10:
        async with business.http.get(business.stack.urls["metrics"] + "/v1/kpis/sales_volume", params=query) as answer:
            body = await answer.json()
            assert answer.status == 200, body
            if body["numerator"] == 1:
                return loop.time() - began
    raise AssertionError("the deal did not show within 10 s")


async def test_freshness_under_load(business: Business) -> None:
    stop = asyncio.Event()
    working = asyncio.create_task(business.work(stop, writes_per_second=WRITES_PER_SECOND))
    await eventually(lambda: sum(business.answers.values()) >= SETTLE_WRITES, 60)
    business.seconds.clear()
    waits = []
    for _ in range(PROBES):
        channel = f"probe-{uuid.uuid4().hex[:12]}"
        await business.win_a_deal(channel=channel)
        waits.append(await seconds_until_shown(business, channel))
        await asyncio.sleep(0.05)
    stop.set()
    await working
    assert set(business.answers) <= {200, 201, 409, 422}
    print()
    say("http_to_kpi_p50_ms", percentile(waits, 50) * 1000, "ms")
    say("http_to_kpi_p99_ms", percentile(waits, 99) * 1000, "ms")
    say("write_p50_ms", percentile(business.seconds, 50) * 1000, "ms")
    say("write_p99_ms", percentile(business.seconds, 99) * 1000, "ms")


async def test_memory_of_the_whole_stack(stack: LocalStack) -> None:
    running = stack.data.running()
    assert running is not None
    processes = [psutil.Process(part.pid) for part in running.parts]
    total = sum(memory_bytes(each) for process in processes for each in [process, *process.children(recursive=True)])
    say("stack_memory_mib", total / 1024**2, "MiB")
