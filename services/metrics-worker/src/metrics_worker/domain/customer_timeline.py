"""One customer's timeline: what events recorded about the customer, in sales and in service."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from metrics_worker.domain.customer_facts import AccountFact, CustomerFact, Fact
from metrics_worker.domain.customer_merges import survivor_of


class TimelineEntry(msgspec.Struct, frozen=True, array_like=True):
    """What one event changed about one subject, as far as it matters to the customer's timeline."""

    recorded_time: datetime
    event_id: UUID
    time: datetime
    customer: UUID
    """The one that the subject itself names, whatever was merged since."""
    kind: str
    subject_id: UUID
    sequence: int
    fact: Fact | None
    """None when the subject no longer matters to the timeline."""
    epoch: int = 1

    @property
    def version(self) -> tuple[int, int]:
        """Return the epoch and sequence of its event."""
        return self.epoch, self.sequence


Key = tuple[str, UUID, UUID]
Timeline = Mapping[Key, TimelineEntry]
"""The newest entry of each subject, by its kind, its id and the customer that it names."""


def key_of(entry: TimelineEntry) -> Key:
    """Return the subject, and the customer that it names."""
    return (entry.kind, entry.subject_id, entry.customer)


def by_survivor(entries: Iterable[TimelineEntry]) -> dict[UUID, list[TimelineEntry]]:
    """Return the entries that have a fact, by the customer that they count for."""
    with_fact = [entry for entry in entries if entry.fact is not None]
    merged_into = {
        entry.customer: UUID(entry.fact.merged_into)
        for entry in with_fact
        if isinstance(entry.fact, AccountFact | CustomerFact) and entry.fact.merged_into is not None
    }
    found: dict[UUID, list[TimelineEntry]] = {}
    for entry in with_fact:
        survivor = survivor_of(entry.customer, merged_into) if merged_into else entry.customer
        found.setdefault(survivor, []).append(entry)
    return found
