"""Keeps customers' stories: which facts events told, in the order in which they were recorded, and what each changed.

A story is posted as if its events had come in that order, whichever came first: a fact that is recorded before others
that are known already corrects what those changed. So neither order nor batches leave a trace in the books, and not in
those of any past moment either.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import chain
from operator import itemgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from metrics_worker.books.fold import Entry, difference
from metrics_worker.books.merges import Merges, links_of
from metrics_worker.books.tables import relationship_fact, relationship_review
from metrics_worker.books.writing import Insert, Row, Rows
from metrics_worker.domain.customer_facts import AccountFact, DealFact, Fact, SurveyFact, TicketFact
from metrics_worker.domain.customer_merges import survivor_of
from metrics_worker.domain.customer_timeline import Key, key_of
from metrics_worker.domain.customer_timeline import TimelineEntry as Version
from metrics_worker.domain.kinds import KIND_BY_NAME
from metrics_worker.domain.posting import Posting, Reporting
from metrics_worker.domain.relationship import Purchases, RelationshipMeasures, postings_for

RELATIONSHIP: Final = KIND_BY_NAME["relationship"]
SECONDS: Final = 30.0
"""What one statement over a whole batch's stories may take."""

_REVIEWED: Final = tuple(
    measure.position
    for measure in (
        RelationshipMeasures.at_risk,
        RelationshipMeasures.breached,
        RelationshipMeasures.reopened,
        RelationshipMeasures.badly_rated,
    )
)

_READ: Final = """
    SELECT customer, count(*) AS facts, '['::bytea || string_agg(told, ','::bytea) || ']'::bytea AS told
    FROM relationship_fact WHERE customer = ANY($1::uuid[]) GROUP BY customer
"""
# Adding to the row is what locks the story, in sorted order. Whoever had to wait for that has not seen what the other
# one wrote meanwhile, and reads again.
_LOCK_AND_READ: Final = f"""
    WITH locked AS (
        INSERT INTO relationship_subject AS subject (id, facts)
        SELECT id, facts FROM unnest($1::uuid[], $2::integer[]) AS told (id, facts)
        ON CONFLICT (id) DO UPDATE SET facts = subject.facts + excluded.facts
        RETURNING id, facts
    )
    SELECT locked.id, locked.facts, coalesce(story.facts, 0), story.told
    FROM locked LEFT JOIN ({_READ}) AS story ON story.customer = locked.id
"""  # noqa: S608 -- no input
_MERGE_FACTS: Final = "UPDATE relationship_fact SET customer = $2 WHERE customer = ANY($1::uuid[])"
_MERGE_SUBJECTS: Final = """
    WITH gone AS (DELETE FROM relationship_subject WHERE id = ANY($1::uuid[]) RETURNING facts)
    UPDATE relationship_subject SET facts = facts + (SELECT coalesce(sum(facts), 0) FROM gone) WHERE id = $2
"""

_FACTS: Final = Insert(relationship_fact, ("customer", "told"))
_REVIEWS: Final = Insert(relationship_review, ("customer", "day"))
_VERSIONS: Final = msgspec.json.Decoder(list[Version])

Change = tuple[Version, list[Posting]]
Order = tuple[datetime, int, int]
"""A version's place: when it was recorded, by which event, and of which customer."""
_FIRST: Final = itemgetter(0)


class _Told(NamedTuple):
    customer: UUID | None
    fact: Any


def versions_of(before: tuple[UUID | None, Any], steps: Iterable[Entry]) -> Iterable[Version]:
    """What a subject's steps tell of its customer's story, given the customer and the fact that stood before."""
    standing = _Told(*before)
    for step in steps:
        told = _Told(getattr(step.state, step.kind.customer_field or ""), step.fact)
        if standing.customer not in (told.customer, None) and standing.fact is not None:
            # It names another customer now: to the one before it says nothing any more.
            yield version_of(step, standing.customer, None)
            standing = _Told(told.customer, None)
        if told.fact != standing.fact:
            yield version_of(step, told.customer, told.fact)
        standing = told


def version_of(step: Entry, customer: UUID | None, fact: Fact | None) -> Version:
    """What an entry tells of a customer's story. Raises ValueError when it names no customer."""
    if customer is None:
        raise ValueError(f"{step.kind.name} {step.subject_id} names no customer")
    return Version(
        recorded_time=step.recorded_time,
        event_id=step.event_id,
        time=step.time,
        customer=customer,
        kind=step.kind.name,
        subject_id=step.subject_id,
        sequence=step.sequence,
        fact=fact,
    )


def changes(stories: Iterable[Sequence[Version]], told: Sequence[Version], reporting: Reporting) -> list[Change]:
    """What has to be posted when stories become one and get new versions, by the version that changed it.

    `stories` are the versions so far, in any order; they are several only when `told` tells of a merge.
    """
    new = _in_order(told)
    first = new[0][0]
    known = [_in_order(versions) for versions in stories]
    posted = {
        order: change
        for versions in known
        if versions and versions[-1][0] >= first
        for order, _, change in _from(first, versions, reporting)
    }
    found = []
    for order, version, change in _from(first, sorted(chain(*known, new), key=_FIRST), reporting):
        net = difference(posted.get(order, []), change)
        if net:
            found.append((version, net))
    return found


def story_of(versions: Iterable[Version]) -> dict[Key, Version]:
    """What stands: of each subject the version of the highest sequence."""
    story: dict[Key, Version] = {}
    for version in versions:
        _tell(story, version)
    return story


def _tell(story: dict[Key, Version], version: Version) -> None:
    key = key_of(version)
    standing = story.get(key)
    if standing is None or standing.sequence < version.sequence:
        story[key] = version


def _in_order(versions: Iterable[Version]) -> list[tuple[Order, Version]]:
    """By when they were recorded, each with its place in that order."""
    return sorted(
        [((version.recorded_time, version.event_id.int, version.customer.int), version) for version in versions],
        key=_FIRST,
    )


def _from(
    first: Order, versions: Iterable[tuple[Order, Version]], reporting: Reporting
) -> Iterable[tuple[Order, Version, list[Posting]]]:
    """What each version changed, in the order of recording, from a place in that order on."""
    story: dict[Key, Version] = {}
    purchases: Purchases = {}
    standing: list[Posting] | None = None
    for order, version in versions:
        if order < first:
            _tell(story, version)
            continue
        if isinstance(version.fact, DealFact) and _only_opens(story, version):
            # Most deals are open first: that changes nothing, and need not be computed to be known.
            _tell(story, version)
            yield order, version, []
            continue
        if standing is None:
            standing = postings_for(story, reporting, purchases)
        _tell(story, version)
        after = postings_for(story, reporting, purchases)
        yield order, version, difference(standing, after)
        standing = after


def _only_opens(story: Mapping[Key, Version], version: Version) -> bool:
    """True for an open deal that nothing depends on: nobody is at risk, and its customer has an account to go by."""
    key = key_of(version)
    stood = story.get(key)
    if isinstance(version.fact, DealFact) and version.fact.closed_at is not None:
        return False
    if stood is not None and isinstance(stood.fact, DealFact) and stood.fact.closed_at is not None:
        return False
    if any(isinstance(each.fact, TicketFact | SurveyFact) for each in story.values()):
        return False
    account = story.get(("account", version.customer, version.customer))
    return account is not None and isinstance(account.fact, AccountFact) and account.fact.merged_into is None


class Chapter(NamedTuple):
    """What a batch adds to the stories."""

    changes: list[tuple[Entry, list[Posting]]]
    """To be posted."""
    rows: list[Rows]
    """To be written in the same transaction."""


class Stories:
    """The stories, as the ledger writes them."""

    def __init__(self, reporting: Reporting) -> None:
        self._reporting = reporting

    async def tell(self, driver: Any, told: Sequence[Version], known: Merges, new: Merges) -> Chapter:
        """Adds versions to the stories of the customers that remain.

        `new` are merges that `told` tells of, and `known` those before them.
        """
        if not told:
            return Chapter([], [])
        before, after = links_of(known), links_of(known | new)
        parts = _parts(told, new, before, after)
        by_survivor: dict[UUID, list[Version]] = defaultdict(list)
        for version in told:
            by_survivor[survivor_of(version.customer, after)].append(version)
        stories = await self._read(driver, parts, by_survivor)
        found: list[Change] = []
        for survivor in sorted(parts):
            of_parts = [stories.get(part, ()) for part in parts[survivor]]
            found += changes(of_parts, by_survivor[survivor], self._reporting)
            await _join(driver, parts[survivor] - {survivor}, survivor)
        rows = [
            (survivor, msgspec.json.encode(version)) for survivor in by_survivor for version in by_survivor[survivor]
        ]
        return Chapter(
            changes=[(_entry(version, posting), [posting]) for version, postings in found for posting in postings],
            rows=[Rows(_FACTS, rows), Rows(_REVIEWS, _to_review(found))],
        )

    async def _read(
        self, driver: Any, parts: Mapping[UUID, set[UUID]], told: Mapping[UUID, Sequence[Version]]
    ) -> dict[UUID, list[Version]]:
        ids = sorted({*parts, *chain.from_iterable(parts.values())})
        new = {id_: len(told.get(id_, ())) for id_ in ids}
        stories, unseen = {}, []
        for customer, facts, seen, versions in await driver.fetch(
            _LOCK_AND_READ, ids, list(new.values()), timeout=SECONDS
        ):
            if seen + new[customer] != facts:
                unseen.append(customer)
            elif seen:
                stories[customer] = versions
        if unseen:
            stories |= {
                customer: versions for customer, _, versions in await driver.fetch(_READ, unseen, timeout=SECONDS)
            }
        return {customer: _VERSIONS.decode(versions) for customer, versions in stories.items()}


def _parts(
    told: Iterable[Version], new: Merges, before: Mapping[UUID, UUID], after: Mapping[UUID, UUID]
) -> dict[UUID, set[UUID]]:
    """The stories that become one, by the customer that remains: mostly a story alone."""
    parts: dict[UUID, set[UUID]] = defaultdict(set)
    for version in told:
        parts[survivor_of(version.customer, after)].add(survivor_of(version.customer, before))
    for merge in new.values():
        of_survivor = parts[survivor_of(merge.customer, after)]
        of_survivor |= {survivor_of(merge.customer, before), survivor_of(merge.merged_into, before)}
    return parts


async def _join(driver: Any, gone: set[UUID], survivor: UUID) -> None:
    if gone:
        await driver.execute(_MERGE_FACTS, list(gone), survivor, timeout=SECONDS)
        await driver.execute(_MERGE_SUBJECTS, list(gone), survivor)


def _to_review(found: Iterable[Change]) -> list[Row]:
    """The customers whose risk begins or ends, each with the day on which it does."""
    due: set[tuple[UUID, date]] = set()
    for _, postings in found:
        for posting in postings:
            if any(posting.measures[number] for number in _REVIEWED):
                due.add((UUID(posting.dimensions[-1]), posting.day))
    return sorted(due)


def _entry(version: Version, posting: Posting) -> Entry:
    return Entry(
        kind=RELATIONSHIP,
        subject_id=UUID(posting.dimensions[-1]),
        sequence=version.sequence,
        event_id=version.event_id,
        time=version.time,
        recorded_time=version.recorded_time,
        state=version,
        postings=[],
    )
