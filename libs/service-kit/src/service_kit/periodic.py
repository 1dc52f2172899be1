"""Jobs that run again and again until they are stopped."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from service_kit.concurrency import wait_unless_stopped
from service_kit.health import Heartbeat

log = structlog.get_logger()


class PeriodicJob:
    """Runs a function, pauses, and runs it again; a failed run is logged, and the next one starts afresh."""

    def __init__(
        self,
        name: str,
        run_once: Callable[[], Awaitable[object]],
        *,
        pause: float | Callable[[float], float],
        limit_seconds: float = 90,
    ) -> None:
        """`pause` is in seconds, or makes them of those that the last run took.

        When a run returns True, more is waiting, and the next one follows at once.
        """
        self.name = name
        self._run_once = run_once
        self._pause = pause
        self.heartbeat = Heartbeat(name, limit_seconds=limit_seconds)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set."""
        while not stop.is_set():
            began = time.monotonic()
            has_more: object = False
            try:
                has_more = await self._run_once()
                self.heartbeat.beat()
            except Exception as error:
                # Any failure: the heartbeat shows when no run succeeds.
                log.warning("job_failed", job=self.name, error=repr(error))
            if has_more is not True:
                pause = self._pause(time.monotonic() - began) if callable(self._pause) else self._pause
                await wait_unless_stopped(stop, pause)
