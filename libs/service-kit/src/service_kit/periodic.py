"""Jobs that run again and again until they are stopped, and show when no run of theirs succeeds any more."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import structlog

from service_kit import telemetry
from service_kit.concurrency import wait_unless_stopped
from service_kit.health import Heartbeat

log = structlog.get_logger()

_RUNNING: Final[set["PeriodicJob"]] = set()


class PeriodicJob:
    """Runs a function, pauses, and runs it again; a failed run is counted, and the next one starts afresh.

    A run that fails is progress nevertheless, so that its process stays alive, which has other work; that none succeeds
    makes the process not ready, and shows in its metrics.
    """

    def __init__(
        self,
        name: str,
        run_once: Callable[[], Awaitable[object]],
        *,
        pause: float | Callable[[float], float],
        limit_seconds: float = 90,
    ) -> None:
        """`pause` is in seconds, or makes them of those that the last run took.

        When a run returns True, more is waiting, and the next one follows at once. A run has to end within
        `limit_seconds` of the last one, and one of them to succeed.
        """
        self.name = name
        self._run_once = run_once
        self._pause = pause
        self.heartbeat = Heartbeat(name, limit_seconds=limit_seconds)
        self._failures = 0
        self._succeeded_at = time.monotonic()

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set."""
        with self._shown():
            while not stop.is_set():
                began = time.monotonic()
                has_more: object = False
                try:
                    has_more = await self._run_once()
                    self._note(failures=0)
                except Exception as error:
                    # Any failure: the others in the process have to go on.
                    self._note(failures=self._failures + 1)
                    log.warning("job_failed", job=self.name, error=repr(error), in_a_row=self._failures)
                self.heartbeat.beat()
                if has_more is not True:
                    pause = self._pause(time.monotonic() - began) if callable(self._pause) else self._pause
                    await wait_unless_stopped(stop, pause)

    @contextlib.contextmanager
    def _shown(self) -> Iterator[None]:
        self._succeeded_at = time.monotonic()
        self._note(failures=self._failures)
        telemetry.JOB_SECONDS_SINCE_SUCCESS.labels(self.name).set_function(self._seconds_since_success)
        _RUNNING.add(self)
        try:
            yield
        finally:
            _RUNNING.discard(self)
            telemetry.JOB_SECONDS_SINCE_SUCCESS.remove(self.name)
            telemetry.JOB_FAILURES.remove(self.name)

    def _note(self, *, failures: int) -> None:
        self._failures = failures
        telemetry.JOB_FAILURES.labels(self.name).set(failures)
        if not failures:
            self._succeeded_at = time.monotonic()

    def _seconds_since_success(self) -> float:
        """Return the seconds since the last success, or since the job began."""
        return time.monotonic() - self._succeeded_at

    @property
    def is_failing(self) -> bool:
        """Return whether the last run failed, and none has succeeded within the limit."""
        return self._failures > 0 and self._seconds_since_success() > self.heartbeat.limit_seconds


async def check_jobs() -> None:
    """Raise RuntimeError when a job of this process fails at every run."""
    failing = sorted(job.name for job in _RUNNING if job.is_failing)
    if failing:
        raise RuntimeError(f"no run succeeds of {', '.join(failing)}")
