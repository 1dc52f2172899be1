"""Consumers that freeze, come, go and are slow."""

import asyncio
import signal
import time
from typing import Final

import pytest

from service_kit.failpoints import EXIT_CODE
from tests.faults.experiment import Experiment
from tests.faults.oracle import connect, log_ends, records_unread, stored_offsets
from tests.faults.repeat import publish_again
from tests.faults.rows import fault
from tests.support import eventually


@fault(10)
async def test_a_consumer_that_slept_beyond_its_session_changes_nothing_when_it_wakes(experiment: Experiment) -> None:
    """A zombie: its partitions went to the other member while it was frozen in the middle of its work."""
    stack = experiment.stack
    async with experiment.load():
        await experiment.answers(20)
        stack.kill("metrics-consumer", signal.SIGSTOP)
        await experiment.answers(40)
        ends = await log_ends(stack, {part for _, part in await stored_offsets(stack)})

        async def other_has_all() -> bool:
            # After ten seconds the group gives it the frozen one's part.
            return await records_unread(stack, ends) == 0

        await eventually(other_has_all, 120, every=0.5)
        stack.kill("metrics-consumer", signal.SIGCONT)
        await experiment.answers(20)
    experiment.repaired()
    await experiment.caught_up(within=60)
    await experiment.all_agree()


MEMBER_SECONDS: Final = 10.0
MEMBERS: Final = 12
SLOW_SECONDS: Final = 20.0
PROGRESS_SECONDS: Final = 30.0


@fault(11)
@pytest.mark.long
async def test_members_that_come_and_go_and_a_slow_batch_stop_no_progress(experiment: Experiment) -> None:
    """The batch is slow since a table of the ledger is locked: it is tried again until it gets through."""
    stack = experiment.stack
    pace, changes, slow = (
        (MEMBER_SECONDS, MEMBERS, SLOW_SECONDS) if experiment.form.is_long else (4.0, 4, SLOW_SECONDS / 2)
    )
    stop = asyncio.Event()
    watching = asyncio.create_task(longest_pause(experiment, stop))
    async with experiment.load():
        await experiment.answers(20)
        for number in range(changes):
            process = stack.processes["metrics-consumer-2"]
            if number % 2:
                await asyncio.to_thread(stack.restart, process.name, wait=False)
            else:
                process.expected_to_run = False
                await asyncio.to_thread(process.stop)
            await asyncio.sleep(pace)  # the pace of the fault
        connection = await connect(stack, "metrics")
        try:
            async with connection.transaction():
                await connection.execute("lock table subject_state in share mode")
                await asyncio.sleep(slow)  # the length of the fault
        finally:
            await connection.close()
        experiment.repaired()
        experiment.findings.note("works again after", await experiment.works(within=PROGRESS_SECONDS), "s")
    stop.set()
    pause = await watching
    experiment.findings.note("longest time without a batch", pause, "s")
    experiment.repaired()
    await experiment.caught_up(within=60)
    await experiment.all_agree()
    assert pause <= PROGRESS_SECONDS


async def longest_pause(experiment: Experiment, stop: asyncio.Event) -> float:
    """Return the longest time in which the ledger's consumers stored no batch, until the stop."""
    longest, last, since = 0.0, -1, time.monotonic()
    while not stop.is_set():
        offsets = await stored_offsets(experiment.stack)
        total = sum(offset for (consumer, _), offset in offsets.items() if consumer == "metrics-worker")
        assert offsets, "there are no offsets"
        if total != last:
            last, since = total, time.monotonic()
        longest = max(longest, time.monotonic() - since)
        await asyncio.sleep(0.5)  # between two looks
    return longest


@fault(28)
async def test_an_event_of_a_story_that_was_read_in_one_batch_comes_again(experiment: Experiment) -> None:
    """Won, reopened and lost while the consumers are stopped; then all of it again, in a random order."""
    stack, business = experiment.stack, experiment.business
    consumers = ("service-consumer", "service-consumer-2", "metrics-consumer", "metrics-consumer-2")
    for name in consumers:
        stack.kill(name, signal.SIGSTOP)
    for _ in range(20 if experiment.form.is_long else 5):
        deal = await business.win_a_deal(channel="online")
        await business.send("sales", "POST", f"/v1/deals/{deal}/reopen", {})
        await business.send("sales", "POST", f"/v1/deals/{deal}/close", {"outcome": "lost"})
    for name in consumers:
        stack.kill(name, signal.SIGCONT)
    experiment.repaired()
    await experiment.caught_up(within=60)
    # Beside what is new: a batch of repeats alone is dropped whole.
    async with experiment.load(5):
        again = await publish_again(stack.bootstrap_servers, experiment.random, times=1)
    experiment.findings.note("repeats", again)
    experiment.repaired()
    await experiment.caught_up(within=60)
    await experiment.all_agree()


@fault(34)
@pytest.mark.long
async def test_all_members_end_amid_a_batch_and_their_partitions_change_hands(experiment: Experiment) -> None:
    """Both end before a commit, with blocks written; the one that is back first gets the other's partitions."""
    stack = experiment.stack
    members = ["metrics-consumer", "metrics-consumer-2"]
    rounds = 10 if experiment.form.is_long else 2
    async with experiment.load():
        await experiment.answers(20)
        for _ in range(rounds):
            for name in members:
                point = f"consumer.before-commit={experiment.random.randint(1, 5)}"
                await asyncio.to_thread(stack.restart, name, env_overrides={"FAILPOINT": point}, wait=False)
                stack.processes[name].expected_to_run = False
            for name in members:
                code = await asyncio.wait_for(asyncio.to_thread(stack.processes[name].wait), 60)
                assert code == EXIT_CODE, list(stack.processes[name].last_lines)
            experiment.random.shuffle(members)
            for name in members:
                await asyncio.to_thread(stack.restart, name, env_overrides={"FAILPOINT": ""})
    experiment.findings.note("rounds", rounds)
    experiment.repaired()
    await experiment.caught_up(within=60)
    await experiment.all_agree()
