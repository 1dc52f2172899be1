"""What the ledger must hold, from each subject's newest state alone: no order, no batches, no reversals."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from metrics_worker.domain.customer_merges import survivor_of
from metrics_worker.domain.customer_timeline import TimelineEntry
from metrics_worker.domain.kinds import Kind
from metrics_worker.domain.posting import Posting, Reporting, text_of
from metrics_worker.domain.relationship import postings_for
from metrics_worker.ledger.aggregate import SubjectState
from metrics_worker.ledger.bulk_insert import Row
from metrics_worker.ledger.customer_timelines import RELATIONSHIP, entry_of
from metrics_worker.ledger.merges import MERGING_KINDS, target_of
from metrics_worker.ledger.writer import wait_rows


class Newest(NamedTuple):
    """As much of a subject's newest state as the ledger follows from."""

    version: tuple[int, int]
    event_id: UUID
    postings: list[Posting]
    customer: UUID | None
    merged_into: UUID | None
    entry: TimelineEntry | None
    waits: dict[UUID, Row]
    """The rows of its open waits, by their ids."""


def newest_of(state: SubjectState) -> Newest:
    """Return a state's value if it is the newest of its subject."""
    field = state.kind.customer_field
    customer: UUID | None = None if field is None else getattr(state.state, field)
    return Newest(
        version=state.version,
        event_id=state.event_id,
        postings=state.postings,
        customer=customer,
        merged_into=target_of(state) if state.kind in MERGING_KINDS else None,
        entry=None if customer is None or state.fact is None else entry_of(state, customer, state.fact),
        waits=wait_rows(state.kind, state.subject_id, state.waits),
    )


def recomputed(newest: Mapping[Kind, Iterable[Newest]], reporting: Reporting) -> dict[Kind, list[Posting]]:
    """Return all contributions, by kind, each under the customer that survives."""
    merged_into = {
        subject.customer: subject.merged_into
        for kind in MERGING_KINDS
        for subject in newest.get(kind, ())
        if subject.customer is not None and subject.merged_into is not None
    }
    found: dict[Kind, list[Posting]] = {}
    timelines = {}
    for kind, subjects in newest.items():
        postings = found.setdefault(kind, [])
        for subject in subjects:
            if subject.customer in merged_into:
                survivor = text_of(survivor_of(subject.customer, merged_into))
                postings += [_under(survivor, kind, posting) for posting in subject.postings]
            else:
                postings += subject.postings
            if (entry := subject.entry) is not None:
                timelines[entry.kind, entry.subject_id, entry.customer] = entry
    found[RELATIONSHIP] = postings_for(timelines, reporting)
    return found


def _under(customer: str | None, kind: Kind, posting: Posting) -> Posting:
    position = kind.dimensions.index("customer")
    dimensions = (*posting.dimensions[:position], customer, *posting.dimensions[position + 1 :])
    return posting._replace(dimensions=dimensions)
