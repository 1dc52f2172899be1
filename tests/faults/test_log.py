"""What may be in the log: repeats, other orders, gaps and records that nobody can read."""

import asyncio
import random

from tests.faults.experiment import Experiment
from tests.faults.oracle import facts_of_ledger
from tests.faults.repeat import publish_again
from tests.faults.rows import fault


@fault(12)
async def test_the_whole_log_again_shuffled_and_doubled_changes_no_number(experiment: Experiment) -> None:
    """Published into the same topics once more, in a random order and twice: the balances stay as they are."""
    business = experiment.business
    await asyncio.gather(*[job() for job in (business.win_a_deal, business.resolve_a_ticket) for _ in range(10)])
    experiment.repaired()
    await experiment.all_agree()
    before = await facts_of_ledger(experiment.stack)
    again = random.Random(experiment.random.random())
    experiment.findings.note("repeats", await publish_again(experiment.stack.bootstrap_servers, again, times=2))
    experiment.repaired()
    await experiment.caught_up(within=60)
    await experiment.all_agree()
    assert await facts_of_ledger(experiment.stack) == before
