"""What tests of every package share: names for the servers, and waiting for a condition instead of for a while."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

from tandem_cli.kafka import EmbeddedKafka, ExternalKafka
from tandem_cli.postgres import EmbeddedPostgres, ExternalPostgres

Postgres = EmbeddedPostgres | ExternalPostgres
Kafka = EmbeddedKafka | ExternalKafka
CARELESS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""Settings of a PostgreSQL whose data may be lost in a crash of the machine: no write waits for the disk."""
PATIENCE = 3
"""How many times longer than alone a test may take beside the work of others."""
T = TypeVar("T")


@overload
async def eventually(
    condition: Callable[[], Awaitable[T]], deadline: float = 10.0, *, every: float = 0.02, patience: float = PATIENCE
) -> T: ...
@overload
async def eventually(
    condition: Callable[[], T], deadline: float = 10.0, *, every: float = 0.02, patience: float = PATIENCE
) -> T: ...
async def eventually(
    condition: Callable[[], Any], deadline: float = 10.0, *, every: float = 0.02, patience: float = PATIENCE
) -> Any:
    """Call `condition` until it returns something truthy without raising AssertionError, and return that.

    `deadline` and `every` are seconds. At the deadline the last AssertionError is raised, or one that shows what
    the condition returned last. Other exceptions pass through at once.

    A deadline is what a machine needs that does nothing else; it is multiplied by `patience`, since others work on it
    too. What must happen in time has a patience of 1.
    """
    end = time.monotonic() + deadline * patience
    while True:
        try:
            answer = condition()
            value = await answer if inspect.isawaitable(answer) else answer
            if value:
                return value
            failure = AssertionError(f"still {value!r} after {deadline * patience:g} s")
        except AssertionError as error:
            failure = error
        if time.monotonic() >= end:
            raise failure
        await asyncio.sleep(every)


async def within(awaited: Awaitable[T], seconds: float) -> T:
    """Await something that ends by itself, or raise TimeoutError after `seconds`, which have patience as above."""
    return await asyncio.wait_for(awaited, seconds * PATIENCE)
