"""Clients that do not wait for each other: so many requests a second, whatever became of the earlier ones.

`python -m tests.load.open_loop` reads its `Load` as JSON from stdin, and writes the `Answers` as JSON to stdout. It is
a process of its own: threads beside the clients, as those that read the logs of a local stack, would slow them down.
"""

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp
import uvloop

from tests.load.report import percentile

TIMEOUT_SECONDS = 90.0


@dataclass
class Load:
    """What to send to one API, with which headers, for how long: writes of one kind, and reads among them."""

    url: str
    headers: dict[str, str]
    seconds: float
    writes_per_second: float
    write_path: str
    write_body: dict[str, Any]
    reads_per_second: float
    read_path: str


@dataclass
class Answers:
    """What became of it: the seconds until each answer, by status, of writes and of reads."""

    writes: dict[str, list[float]] = field(default_factory=dict)
    reads: dict[str, list[float]] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    without_retry_after: int = 0
    late: float = 0.0
    """The 99th percentile of the seconds by which the clients themselves were late."""


async def send_load(load: Load) -> Answers:
    """Send it, and return what became of it."""
    answers = Answers()
    late: list[float] = []
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=3)
    async with aiohttp.ClientSession(load.url, headers=load.headers, timeout=timeout, connector=connector) as http:

        async def request(waits: dict[str, list[float]], method: str, path: str, **options: Any) -> None:
            began = time.perf_counter()
            try:
                async with http.request(method, path, **options) as answer:
                    await answer.read()
                    waits.setdefault(str(answer.status), []).append(time.perf_counter() - began)
                    answers.without_retry_after += answer.status >= 400 and "Retry-After" not in answer.headers
            except (aiohttp.ClientError, TimeoutError) as error:
                answers.failures[repr(error)] = answers.failures.get(repr(error), 0) + 1

        async def write() -> None:
            headers = {"Idempotency-Key": str(uuid.uuid4())}
            await request(answers.writes, "POST", load.write_path, json=load.write_body, headers=headers)

        async def read() -> None:
            await request(answers.reads, "GET", load.read_path)

        async def at_pace(per_second: float, send: Callable[[], Awaitable[None]]) -> None:
            began = time.perf_counter()
            async with asyncio.TaskGroup() as group:
                for number in range(int(per_second * load.seconds)):
                    due = began + number / per_second
                    if (pause := due - time.perf_counter()) > 0:
                        await asyncio.sleep(pause)
                    late.append(time.perf_counter() - due)
                    group.create_task(_awaited(send()))

        await asyncio.gather(at_pace(load.writes_per_second, write), at_pace(load.reads_per_second, read))
    answers.late = percentile(late, 99)
    return answers


async def _awaited(sending: Awaitable[None]) -> None:
    await sending


async def sent_by_a_process(load: Load) -> Answers:
    """Send it by a process of its own, and return what became of it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.load.open_loop", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    answers, _ = await process.communicate(json.dumps(asdict(load)).encode())
    assert process.returncode == 0
    return Answers(**json.loads(answers))


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(send_load(Load(**json.load(sys.stdin)))))))
