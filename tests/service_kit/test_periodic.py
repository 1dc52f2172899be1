"""A periodic job goes on after a failure, shows that it fails, follows its work at once, and stops when asked to."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from service_kit.periodic import PeriodicJob, check_jobs
from tests.support import within

LONG = 3600.0
"""Longer than any test may take."""


async def test_a_failed_run_is_followed_by_the_next() -> None:
    stop, runs = asyncio.Event(), 0

    async def run_once() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise OSError("the database is away")
        stop.set()

    await within(PeriodicJob("test", run_once, pause=0).run(stop), 10)
    assert runs == 3


async def test_a_run_that_has_more_to_do_is_followed_at_once() -> None:
    stop, runs = asyncio.Event(), 0

    async def run_once() -> bool:
        nonlocal runs
        runs += 1
        if runs == 3:
            stop.set()
        return True

    await within(PeriodicJob("test", run_once, pause=LONG).run(stop), 10)
    assert runs == 3


async def test_a_stop_ends_the_pause() -> None:
    stop, has_run = asyncio.Event(), asyncio.Event()

    async def run_once() -> None:
        has_run.set()

    job = asyncio.create_task(PeriodicJob("test", run_once, pause=lambda _: LONG).run(stop))
    await within(has_run.wait(), 10)
    stop.set()
    await within(job, 10)


def shown(metric: str) -> float | None:
    return REGISTRY.get_sample_value(metric, {"name": "test"})


async def test_a_job_of_which_no_run_succeeds_shows_and_its_process_lives() -> None:
    stop, turns, goes_on = asyncio.Event(), asyncio.Queue[int](), asyncio.Semaphore(0)
    fails = True

    async def run_once() -> None:
        await goes_on.acquire()
        turns.put_nowait(1)
        if fails:
            raise OSError("the table is gone")

    async def next_turn() -> None:
        """Wait until one more run has begun, and the one before it has ended."""
        goes_on.release()
        await within(turns.get(), 60)

    job = PeriodicJob("test", run_once, pause=0, limit_seconds=0)
    running = asyncio.create_task(job.run(stop))
    try:
        await next_turn()
        await next_turn()
        assert shown("tandem_job_failures_in_a_row") in (1, 2)
        assert (shown("tandem_job_seconds_since_success") or 0) > 0
        with pytest.raises(RuntimeError, match="no run succeeds of test"):
            await check_jobs()
        # Its turns end: there is nothing that a restart would mend.
        before = job.heartbeat._last
        await next_turn()
        await next_turn()
        assert job.heartbeat._last > before
        fails = False
        await next_turn()
        await next_turn()
        assert shown("tandem_job_failures_in_a_row") == 0
        await check_jobs()
    finally:
        stop.set()
        goes_on.release()
        await within(running, 60)
    assert shown("tandem_job_failures_in_a_row") is None


async def test_a_job_that_failed_lately_is_no_reason_to_be_unready() -> None:
    stop, has_failed = asyncio.Event(), asyncio.Event()

    async def run_once() -> None:
        has_failed.set()
        raise OSError("the database is away")

    running = asyncio.create_task(PeriodicJob("test", run_once, pause=LONG, limit_seconds=LONG).run(stop))
    try:
        await within(has_failed.wait(), 60)
        await check_jobs()
    finally:
        stop.set()
        await within(running, 60)
