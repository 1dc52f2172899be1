"""What the books must hold, from each subject's newest state alone: no order, no batches, no reversals."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from metrics_worker.books.fold import Entry
from metrics_worker.books.stories import version_of
from metrics_worker.domain.customer_merges import survivor_of
from metrics_worker.domain.customer_timeline import TimelineEntry as Version
from metrics_worker.domain.kinds import KIND_BY_NAME, Kind
from metrics_worker.domain.posting import Posting, Reporting, text_of
from metrics_worker.domain.relationship import postings_for


class Newest(NamedTuple):
    """As much of a subject's newest state as the books follow from."""

    sequence: int
    postings: list[Posting]
    customer: UUID | None
    merged_into: UUID | None
    version: Version | None


def newest_of(entry: Entry) -> Newest:
    """What an entry tells, if no newer one of its subject does."""
    field = entry.kind.customer_field
    customer: UUID | None = None if field is None else getattr(entry.state, field)
    return Newest(
        sequence=entry.sequence,
        postings=entry.postings,
        customer=customer,
        merged_into=entry.state.merged_into if entry.kind.name == "account" else None,
        version=None if customer is None or entry.fact is None else version_of(entry, customer, entry.fact),
    )


def recomputed(newest: Mapping[Kind, Iterable[Newest]], reporting: Reporting) -> dict[Kind, list[Posting]]:
    """All that stands, by kind, each under the customer that remains."""
    merged_into = {
        subject.customer: subject.merged_into
        for subject in newest.get(KIND_BY_NAME["account"], ())
        if subject.customer is not None and subject.merged_into is not None
    }
    found: dict[Kind, list[Posting]] = {}
    story = {}
    for kind, subjects in newest.items():
        postings = found.setdefault(kind, [])
        for subject in subjects:
            if subject.customer in merged_into:
                survivor = text_of(survivor_of(subject.customer, merged_into))
                postings += [_under(survivor, kind, posting) for posting in subject.postings]
            else:
                postings += subject.postings
            if (version := subject.version) is not None:
                story[version.kind, version.subject_id, version.customer] = version
    found[KIND_BY_NAME["relationship"]] = postings_for(story, reporting)
    return found


def _under(customer: str | None, kind: Kind, posting: Posting) -> Posting:
    at = kind.dimensions.index("customer")
    dimensions = (*posting.dimensions[:at], customer, *posting.dimensions[at + 1 :])
    return posting._replace(dimensions=dimensions)
