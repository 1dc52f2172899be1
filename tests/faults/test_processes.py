"""Processes that are killed, stopped, frozen and restarted, while others work beside them."""

import asyncio
import signal
import time

import pytest

from tests.faults.experiment import Experiment
from tests.faults.rows import fault

KILL_EVERY_SECONDS = 3.0
STOP_SECONDS = 20.0
TAKEOVER_SECONDS = 15.0


@fault(1)
async def test_processes_are_killed_at_random_under_load(experiment: Experiment) -> None:
    stack = experiment.stack
    number = int(experiment.form.seconds / KILL_EVERY_SECONDS)
    async with experiment.load():
        for _ in range(number):
            await asyncio.sleep(KILL_EVERY_SECONDS)  # the pace of the fault
            name = experiment.random.choice(list(stack.processes))
            await asyncio.to_thread(stack.kill, name)
            await asyncio.to_thread(stack.restart, name, wait=False)
    experiment.findings.note("kills", number)
    experiment.repaired()
    await experiment.caught_up(within=30)
    await experiment.all_agree()


@fault(22)
@pytest.mark.long
async def test_everything_is_restarted_in_turn_under_load(experiment: Experiment) -> None:
    """An API is the only one of its kind here: what its clients find closed for a moment, they send again."""
    stack = experiment.stack
    longest = 0.0
    async with experiment.load():
        for name in list(stack.processes):
            began = time.monotonic()
            stack.kill(name, signal.SIGTERM)
            process = stack.processes[name]
            process.expected_to_run = False
            code = await asyncio.wait_for(asyncio.to_thread(process.wait), STOP_SECONDS)
            longest = max(longest, time.monotonic() - began)
            assert code == 0, f"{name}: {list(process.last_lines)}"
            await asyncio.to_thread(stack.restart, name)
            await experiment.answers(20)
    experiment.findings.note("longest stop", longest, "s")
    experiment.repaired()
    await experiment.caught_up(within=30)
    await experiment.all_agree()
    # Nobody was answered by a failure: those that came while nothing listened got no answer at all.
    recording = experiment.recording
    assert set(recording.failures) <= {"ClientConnectorError", "ServerDisconnectedError", "ClientOSError"}
    assert [status for status in recording.statuses if status >= 400 and status != 422] == []
    assert experiment.gave_up == 0


@fault(31)
@pytest.mark.long
async def test_the_active_relay_freezes_and_the_standby_takes_over(experiment: Experiment) -> None:
    stack = experiment.stack
    async with experiment.load():
        await experiment.answers(20)
        for service in ("sales", "service"):
            active, standby = await relays(experiment, service)
            sent = await experiment.metric(standby, "tandem_relayed_events_total")
            stack.kill(active, signal.SIGSTOP)
            frozen_at = time.monotonic()
            try:
                oldest = 0.0
                while await experiment.metric(standby, "tandem_relayed_events_total") == sent:
                    assert time.monotonic() - frozen_at < TAKEOVER_SECONDS
                    _, shown = await experiment.health(f"{service}-api")
                    oldest = max(oldest, shown["outbox"]["oldest_seconds"])
                    await asyncio.sleep(0.25)  # between two looks
                experiment.findings.note(f"{standby} took over after", time.monotonic() - frozen_at, "s")
                assert oldest > 2, "the API did not show that events wait"
            finally:
                stack.kill(active, signal.SIGCONT)
    experiment.repaired()
    await experiment.caught_up(within=30)
    await experiment.all_agree()


async def relays(experiment: Experiment, service: str) -> tuple[str, str]:
    """Return the names of a service's active and of its standby relay."""
    names = (f"{service}-relay", f"{service}-relay-2")
    for active, standby in (names, names[::-1]):
        if await experiment.metric(active, "tandem_relay_active") == 1:
            return active, standby
    raise AssertionError(f"no relay of {service} is active")
