"""The loop of whoever looks for work: every failure is met by looking again."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from service_kit.health import Heartbeat
from service_kit.waiting import wait_unless_stopped

log = structlog.get_logger()


async def look_until_stopped(
    look: Callable[[], Awaitable[object]],
    stop: asyncio.Event,
    heartbeat: Heartbeat,
    *,
    rest: Callable[[float], float],
) -> None:
    """Looks again and again until `stop` is set; rests in between for what `rest` makes of a look's seconds.

    A look that fails is logged under the heartbeat's name, and the next one begins anew.
    """
    while not stop.is_set():
        began = time.monotonic()
        try:
            await look()
            heartbeat.beat()
        except Exception as error:
            # Any failure: the heartbeat tells when no look succeeds.
            log.warning(f"{heartbeat.name}_failed", error=repr(error))
        await wait_unless_stopped(stop, rest(time.monotonic() - began))
