"""A periodic job goes on after a failure, follows its work at once, and stops when it is asked to."""

import asyncio

from service_kit.periodic import PeriodicJob

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

    await asyncio.wait_for(PeriodicJob("test", run_once, pause=0).run(stop), 10)
    assert runs == 3


async def test_a_run_that_has_more_to_do_is_followed_at_once() -> None:
    stop, runs = asyncio.Event(), 0

    async def run_once() -> bool:
        nonlocal runs
        runs += 1
        if runs == 3:
            stop.set()
        return True

    await asyncio.wait_for(PeriodicJob("test", run_once, pause=LONG).run(stop), 10)
    assert runs == 3


async def test_a_stop_ends_the_pause() -> None:
    stop, has_run = asyncio.Event(), asyncio.Event()

    async def run_once() -> None:
        has_run.set()

    job = asyncio.create_task(PeriodicJob("test", run_once, pause=lambda _: LONG).run(stop))
    await asyncio.wait_for(has_run.wait(), 10)
    stop.set()
    await asyncio.wait_for(job, 10)
