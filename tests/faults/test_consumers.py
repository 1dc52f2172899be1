"""Consumers that freeze, come, go and are slow."""

import signal

from tests.faults.experiment import Experiment
from tests.faults.oracle import log_ends, records_unread, stored_offsets
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

        await eventually(other_has_all, 60, every=0.5)
        stack.kill("metrics-consumer", signal.SIGCONT)
        await experiment.answers(20)
    experiment.repaired()
    await experiment.caught_up(within=60)
    await experiment.all_agree()
