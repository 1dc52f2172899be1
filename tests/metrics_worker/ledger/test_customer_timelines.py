"""What timelines post step by step is what they contribute as a whole, in whatever order and batches entries come."""

import random
from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_contracts.catalogue import State
from metrics_worker.domain.customer_timeline import TimelineEntry
from metrics_worker.domain.posting import Posting
from metrics_worker.domain.relationship import postings_for
from metrics_worker.ledger.aggregate import SubjectState, decode
from metrics_worker.ledger.customer_timelines import RELATIONSHIP, changes_of, current_entries, entries_of
from tests.metrics_worker.facts import (
    CUSTOMER,
    MORNING,
    VILNIUS,
    account,
    deal,
    line,
    moment,
    record,
    step,
    survey,
    ticket,
)
from tests.metrics_worker.histories import DEALS_AND_ONE_RISK, Recorded, interleavings
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
        for then in chance.sample(history, 5):
            until = [entry for entry in history if entry.recorded_time <= then.recorded_time]
            as_of = [posting for entry, posting in posted if entry.recorded_time <= then.recorded_time]
            assert sums_of(as_of) == sums_of(postings_for(current_entries(until), VILNIUS)), f"seed {seed}"


class Timeline:
    """A timeline of all customers, and what was posted about it, batch by batch."""

    def __init__(self) -> None:
        self.known: list[TimelineEntry] = []
        self.posted: list[tuple[TimelineEntry, Posting]] = []
        self._of_subject: dict[UUID, tuple[UUID | None, Any]] = {}

    def extend(self, states: Iterable[SubjectState]) -> None:
        """Take a batch, of which each subject's states come by rising sequence."""
        added: list[TimelineEntry] = []
        for state in states:
            if state.kind.fact_of is not None:
                added += entries_of(self._of_subject.get(state.subject_id, (None, None)), [state])
                customer = getattr(state.state, state.kind.customer_field or "")
                self._of_subject[state.subject_id] = (customer, state.fact)
        if added:
            changes = changes_of([self.known], added, VILNIUS)
            self.posted += [(entry, posting) for entry, postings in changes for posting in postings]
            self.known += added


def recorded_at(state: State, sequence: int, minute: int) -> list[SubjectState]:
    """Return the subject states of an event that was recorded in a minute."""
    return decode(record(state, sequence, recorded_time=MORNING + timedelta(minutes=minute)), VILNIUS)


@given(interleavings() | st.sampled_from(DEALS_AND_ONE_RISK).flatmap(lambda kinds: interleavings(kinds, fewest=5)))
@settings(max_examples=300)
def test_facts_in_any_order_post_what_their_recomputation_contributes(batches: list[list[Recorded]]) -> None:
    """Deals, tickets, ratings, promises, and accounts that are merged; also as of each minute of recording."""
    timeline = Timeline()
    for batch in batches:
        timeline.extend(state for fact in batch for state in recorded_at(*fact))
        whole = sums_of(postings_for(current_entries(timeline.known), VILNIUS))
        assert sums_of(posting for _, posting in timeline.posted) == whole
    for minutes in range(6):
        then = MORNING + timedelta(minutes=minutes)
        until = [entry for entry in timeline.known if entry.recorded_time <= then]
        as_of = [posting for entry, posting in timeline.posted if entry.recorded_time <= then]
        assert sums_of(as_of) == sums_of(postings_for(current_entries(until), VILNIUS))


@pytest.mark.parametrize(
    "risk",
    [
        ticket(sla_breached_at=moment("2026-03-02T12:00"), resolved_at=None),
        ticket(reopened_at=moment("2026-03-02T12:00"), reopen_count=1, resolved_at=None),
        survey(score=1, answered_at=moment("2026-03-02T12:00")),
        step(due_on=date(2026, 3, 1)),
    ],
    ids=["breached", "reopened", "badly-rated", "promise-broken"],
)
def test_a_deal_that_opens_while_its_customer_is_at_risk_is_pipeline_at_risk(risk: State) -> None:
    """In whatever order the three are recorded, and read."""
    opened = deal(line("desk", 1, "100"), account_id=CUSTOMER)
    facts = (account(id=CUSTOMER), risk, opened)
    at_risk = RELATIONSHIP.measures.index("pipeline_at_risk")
    for order in permutations(range(3)):
        for recorded in permutations(range(3)):
            timeline = Timeline()
            for number in order:
                timeline.extend(recorded_at(facts[number], 1, recorded[number]))
            sums: Counter[str] = Counter()
            for _, posting in timeline.posted:
                sums[str(posting.day)] += posting.measures[at_risk]
            assert sums["2026-03-10"] == 10_000, f"read as {order}, recorded as {recorded}"
