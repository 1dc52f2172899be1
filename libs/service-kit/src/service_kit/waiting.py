"""How a loop waits: between its turns, never past the moment when it is told to stop, and for others amid long work."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Final, TypeVar

PORTION: Final = 50

Item = TypeVar("Item")


async def wait_unless_stopped(stop: asyncio.Event, seconds: float) -> None:
    """Returns after `seconds`, or as soon as `stop` is set."""
    with contextlib.suppress(TimeoutError):
        # Not `wait_for`, which makes a task each time; loops that look for work wait hundreds of times a second.
        async with asyncio.timeout(seconds):
            await stop.wait()


async def in_portions(items: Sequence[Item], size: int = PORTION) -> AsyncIterator[Sequence[Item]]:
    """All items, `size` at a time; after each portion, some milliseconds of work, all else that is due has its turn."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
        await asyncio.sleep(0)
