"""The passage of time, for loops whose waits a simulation decides on."""

import asyncio
import time
from typing import Final, Protocol

from service_kit.concurrency import wait_unless_stopped


class Clock(Protocol):
    """What a loop needs of time."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards, from any start."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Return after `seconds`, or as soon as the event is set."""


class SystemClock:
    """The time of this machine."""

    def monotonic(self) -> float:
        """Return `time.monotonic()`."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        await asyncio.sleep(seconds)

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Return after `seconds`, or as soon as the event is set."""
        await wait_unless_stopped(event, seconds)


SYSTEM_CLOCK: Final = SystemClock()
