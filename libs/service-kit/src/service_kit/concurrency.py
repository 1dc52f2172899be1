"""Waiting in a loop that has to stop at once, and long work that lets other tasks run."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Final, TypeVar

CHUNK: Final = 50

Item = TypeVar("Item")


async def wait_unless_stopped(stop: asyncio.Event, seconds: float) -> None:
    """Return after `seconds`, or as soon as `stop` is set."""
    with contextlib.suppress(TimeoutError):
        # Not `wait_for`, which makes a task each time; a polling loop waits hundreds of times a second.
        async with asyncio.timeout(seconds):
            await stop.wait()


async def cooperative_chunks(items: Sequence[Item], size: int = CHUNK) -> AsyncIterator[Sequence[Item]]:
    """Yield all items, `size` at a time, and let other tasks run after each chunk."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
        await asyncio.sleep(0)
