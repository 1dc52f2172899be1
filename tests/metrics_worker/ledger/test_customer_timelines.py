"""What timelines post step by step is what they contribute as a whole, in whatever order and batches entries come."""

import random
from collections import Counter
from collections.abc import Iterable

from metrics_worker.domain.customer_timeline import TimelineEntry
from metrics_worker.domain.posting import Posting
from metrics_worker.domain.relationship import postings_for
from metrics_worker.ledger.customer_timelines import changes_of, current_entries
from tests.metrics_worker.facts import VILNIUS
from tests.metrics_worker.timelines import history_of_a_customer

LENGTH = 40


def sums_of(postings: Iterable[Posting]) -> dict[tuple[object, ...], int]:
    """Return the sum of each measure by day and dimensions, without those that are 0."""
    sums: Counter[tuple[object, ...]] = Counter()
    for posting in postings:
        for number, amount in enumerate(posting.measures):
            sums[posting.day, posting.dimensions, posting.split, number] += amount or 0
    return {key: amount for key, amount in sums.items() if amount}


def test_changes_add_up_to_the_recomputation_after_every_batch() -> None:
    """Also as of each moment of recording: what is posted of an entry depends on those recorded before it alone."""
    for seed in range(30):
        history, chance = history_of_a_customer(LENGTH, seed), random.Random(seed)
        arriving = history[:]
        if seed % 3:
            chance.shuffle(arriving)
        known: list[TimelineEntry] = []
        posted: list[tuple[TimelineEntry, Posting]] = []
        while arriving:
            size = chance.randint(1, 8)
            batch, arriving = arriving[:size], arriving[size:]
            for entry, postings in changes_of([known], batch, VILNIUS):
                posted += [(entry, posting) for posting in postings]
            known += batch
            whole = sums_of(postings_for(current_entries(known), VILNIUS))
            assert sums_of(posting for _, posting in posted) == whole, f"seed {seed}, {len(known)} entries"
        for moment in chance.sample(history, 5):
            until = [entry for entry in history if entry.recorded_time <= moment.recorded_time]
            as_of = [posting for entry, posting in posted if entry.recorded_time <= moment.recorded_time]
            assert sums_of(as_of) == sums_of(postings_for(current_entries(until), VILNIUS)), f"seed {seed}"
