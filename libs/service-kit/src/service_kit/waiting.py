"""How a loop waits between its turns: for a while, but never past the moment when it is told to stop."""

import asyncio
import contextlib


async def wait_unless_stopped(stop: asyncio.Event, seconds: float) -> None:
    """Returns after `seconds`, or as soon as `stop` is set."""
    with contextlib.suppress(TimeoutError):
        # Not `wait_for`, which makes a task each time; loops that look for work wait hundreds of times a second.
        async with asyncio.timeout(seconds):
            await stop.wait()
