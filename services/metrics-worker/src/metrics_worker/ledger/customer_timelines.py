"""The write side of customer timelines: the facts of each customer in order of recording, and what each one changed.

A timeline is posted as if its events had come in the order in which they were recorded: a fact that is recorded before
others that are known already corrects what those changed. So neither order nor batches leave a trace in the ledger, and
not in the ledger of any past moment either.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import chain
from operator import itemgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from metrics_worker.domain.customer_facts import AccountFact, DealFact, Fact, Risk
from metrics_worker.domain.customer_merges import survivor_of
from metrics_worker.domain.customer_timeline import Key, TimelineEntry, key_of
from metrics_worker.domain.kinds import KIND_BY_NAME
from metrics_worker.domain.posting import Posting, Reporting
from metrics_worker.domain.relationship import Purchases, RelationshipMeasures, postings_for
from metrics_worker.ledger.aggregate import SubjectState, net_postings
from metrics_worker.ledger.bulk_insert import BULK_SECONDS, Insert, Row, Rows
from metrics_worker.ledger.merges import Merge, Merges, links_of, merges_of
from metrics_worker.ledger.tables import risk_review, timeline_entry

RELATIONSHIP: Final = KIND_BY_NAME["relationship"]

_REVIEWED: Final = tuple(
    measure.position
    for measure in (
        RelationshipMeasures.at_risk,
        RelationshipMeasures.breached,
        RelationshipMeasures.reopened,
        RelationshipMeasures.badly_rated,
        RelationshipMeasures.promise_broken,
    )
)

_READ: Final = """
    SELECT customer, count(*) AS entries, '['::bytea || string_agg(entry, ','::bytea) || ']'::bytea AS timeline
    FROM timeline_entry WHERE customer = ANY($1::uuid[]) GROUP BY customer
"""
# Adding to the row locks the timeline, in sorted order. A writer that had to wait for the lock has not seen what the
# other one wrote meanwhile, and reads again.
_LOCK_AND_READ: Final = f"""
    WITH locked AS (
        INSERT INTO customer_timeline AS existing (customer, entries)
        SELECT customer, entries FROM unnest($1::uuid[], $2::integer[]) AS sent (customer, entries)
        ON CONFLICT (customer) DO UPDATE SET entries = existing.entries + excluded.entries
        RETURNING customer, entries
    )
    SELECT locked.customer, locked.entries, coalesce(known.entries, 0), known.timeline
    FROM locked LEFT JOIN ({_READ}) AS known ON known.customer = locked.customer
"""  # noqa: S608 -- no input
_MERGE_ENTRIES: Final = "UPDATE timeline_entry SET customer = $2 WHERE customer = ANY($1::uuid[])"
_MERGE_TIMELINES: Final = """
    WITH gone AS (DELETE FROM customer_timeline WHERE customer = ANY($1::uuid[]) RETURNING entries)
    UPDATE customer_timeline SET entries = entries + (SELECT coalesce(sum(entries), 0) FROM gone) WHERE customer = $2
"""
_NAMED: Final = """
    SELECT DISTINCT customer, (convert_from(entry, 'UTF8')::jsonb ->> 3)::uuid AS named
    FROM timeline_entry WHERE customer = ANY($1::uuid[])
"""
_MOVE_ENTRIES: Final = """
    UPDATE timeline_entry SET customer = moved.survivor
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS moved (customer, named, survivor)
    WHERE timeline_entry.customer = moved.customer
        AND (convert_from(entry, 'UTF8')::jsonb ->> 3)::uuid = moved.named
"""
_COUNT: Final = """
    INSERT INTO customer_timeline (customer, entries)
    SELECT customer, (SELECT count(*) FROM timeline_entry WHERE timeline_entry.customer = given.customer)
    FROM unnest($1::uuid[]) AS given (customer)
    ON CONFLICT (customer) DO UPDATE SET entries = excluded.entries
"""

_ENTRIES: Final = Insert(timeline_entry, ("customer", "entry"))
_REVIEWS: Final = Insert(risk_review, ("customer", "day"))
_TIMELINE: Final = msgspec.json.Decoder(list[TimelineEntry])

Change = tuple[TimelineEntry, list[Posting]]
Position = tuple[datetime, int, int, int]
"""An entry's position in the order of recording: recorded time, event, customer and epoch.

No two entries have the same. An event comes in two epochs when its relay sent it, had no answer, and sends it again
after a restore has raised the epoch.
"""
_FIRST: Final = itemgetter(0)


class _Relation(NamedTuple):
    customer: UUID | None
    fact: Any


def entries_of(before: tuple[UUID | None, Any], states: Iterable[SubjectState]) -> Iterable[TimelineEntry]:
    """Yield what a subject's new states add to timelines, given its customer and fact before them."""
    known = _Relation(*before)
    for state in states:
        new = _Relation(getattr(state.state, state.kind.customer_field or ""), state.fact)
        if known.customer not in (new.customer, None) and known.fact is not None:
            # It names another customer now: on the former one's timeline it ends.
            yield entry_of(state, known.customer, None)
            known = _Relation(new.customer, None)
        if new.fact != known.fact:
            yield entry_of(state, new.customer, new.fact)
        known = new


def entry_of(state: SubjectState, customer: UUID | None, fact: Fact | None) -> TimelineEntry:
    """Return the entry that a state makes on a customer's timeline. Raise ValueError when it names no customer."""
    if customer is None:
        raise ValueError(f"{state.kind.name} {state.subject_id} names no customer")
    return TimelineEntry(
        recorded_time=state.recorded_time,
        event_id=state.event_id,
        time=state.time,
        customer=customer,
        kind=state.kind.name,
        subject_id=state.subject_id,
        sequence=state.sequence,
        fact=fact,
        epoch=state.epoch,
    )


def changes_of(
    timelines: Iterable[Sequence[TimelineEntry]], added: Sequence[TimelineEntry], reporting: Reporting
) -> list[Change]:
    """Return what has to be posted when timelines become one and get new entries, by the entry that changed it.

    `timelines` are the entries so far, in any order; they are several only when `added` includes a merge.
    """
    new = _in_order(added)
    first = new[0][0]
    known = [_in_order(entries) for entries in timelines]
    posted = {
        position: change
        for entries in known
        if entries and entries[-1][0] >= first
        for position, _, change in _changes_from(first, entries, reporting)
    }
    found = []
    for position, entry, change in _changes_from(first, sorted(chain(*known, new), key=_FIRST), reporting):
        net = net_postings(posted.get(position, []), change)
        if net:
            found.append((entry, net))
    return found


def current_entries(entries: Iterable[TimelineEntry]) -> dict[Key, TimelineEntry]:
    """Return the entry with the highest version of each subject."""
    current: dict[Key, TimelineEntry] = {}
    for entry in entries:
        _put(current, entry)
    return current


def _put(current: dict[Key, TimelineEntry], entry: TimelineEntry) -> None:
    key = key_of(entry)
    known = current.get(key)
    if known is None or known.version < entry.version:
        current[key] = entry


def _in_order(entries: Iterable[TimelineEntry]) -> list[tuple[Position, TimelineEntry]]:
    """Return entries in the order of recording, each with its position."""
    return sorted(
        [((entry.recorded_time, entry.event_id.int, entry.customer.int, entry.epoch), entry) for entry in entries],
        key=_FIRST,
    )


def _changes_from(
    first: Position, entries: Iterable[tuple[Position, TimelineEntry]], reporting: Reporting
) -> Iterable[tuple[Position, TimelineEntry, list[Posting]]]:
    """Yield what each entry changed, in the order of recording, from a position on."""
    current: dict[Key, TimelineEntry] = {}
    purchases: Purchases = {}
    before: list[Posting] | None = None
    for position, entry in entries:
        if position < first:
            _put(current, entry)
            continue
        if isinstance(entry.fact, DealFact) and _only_opens(current, entry):
            # Most deals are open first: that changes nothing, and need not be computed to be known.
            _put(current, entry)
            yield position, entry, []
            continue
        if before is None:
            before = postings_for(current, reporting, purchases)
        _put(current, entry)
        after = postings_for(current, reporting, purchases)
        yield position, entry, net_postings(before, after)
        before = after


def _only_opens(current: Mapping[Key, TimelineEntry], entry: TimelineEntry) -> bool:
    """Return whether a deal is open and nothing depends on it: no risk is possible, and its customer has an account."""
    known = current.get(key_of(entry))
    if isinstance(entry.fact, DealFact) and entry.fact.closed_at is not None:
        return False
    if known is not None and isinstance(known.fact, DealFact) and known.fact.closed_at is not None:
        return False
    if any(isinstance(each.fact, Risk) for each in current.values()):
        return False
    account = current.get(("account", entry.customer, entry.customer))
    return account is not None and isinstance(account.fact, AccountFact) and account.fact.merged_into is None


class TimelineChanges(NamedTuple):
    """What a batch changes on timelines."""

    changes: list[tuple[SubjectState, list[Posting]]]
    """To be posted."""
    rows: list[Rows]
    """To be written in the same transaction."""


async def extend_timelines(
    driver: asyncpg.Connection, added: Sequence[TimelineEntry], known: Merges, new: Merges, reporting: Reporting
) -> TimelineChanges:
    """Lock the timelines of the surviving customers, add entries to them, and return what that changes.

    `new` are the merges that `added` includes, and `known` those before them, also those that it undoes.
    """
    if not added:
        return TimelineChanges([], [])
    before, after = links_of(known), links_of(known | new)
    parts = _united(_parts(added, new, before, after))
    survivors = {part: survivor for survivor, of_survivor in parts.items() for part in of_survivor}
    by_survivor: dict[UUID, list[TimelineEntry]] = defaultdict(list)
    for entry in added:
        by_survivor[survivors[survivor_of(entry.customer, before)]].append(entry)
    timelines = await _read(driver, parts, by_survivor)
    found: list[Change] = []
    for survivor in sorted(parts):
        of_parts = [timelines.get(part, ()) for part in parts[survivor]]
        found += changes_of(of_parts, by_survivor[survivor], reporting)
        await _join(driver, parts[survivor] - {survivor}, survivor)
    rows = [(survivor, msgspec.json.encode(entry)) for survivor in by_survivor for entry in by_survivor[survivor]]
    return TimelineChanges(
        changes=[(_state_of(entry, posting), [posting]) for entry, postings in found for posting in postings],
        rows=[Rows(_ENTRIES, rows), Rows(_REVIEWS, _to_review(found))],
    )


async def _read(
    driver: asyncpg.Connection, parts: Mapping[UUID, set[UUID]], added: Mapping[UUID, Sequence[TimelineEntry]]
) -> dict[UUID, list[TimelineEntry]]:
    ids = sorted({*parts, *chain.from_iterable(parts.values())})
    new = {id_: len(added.get(id_, ())) for id_ in ids}
    timelines, unseen = {}, []
    for customer, entries, seen, timeline in await driver.fetch(
        _LOCK_AND_READ, ids, list(new.values()), timeout=BULK_SECONDS
    ):
        if seen + new[customer] != entries:
            unseen.append(customer)
        elif seen:
            timelines[customer] = timeline
    if unseen:
        again = await driver.fetch(_READ, unseen, timeout=BULK_SECONDS)
        timelines |= {customer: timeline for customer, _, timeline in again}
    return {customer: _TIMELINE.decode(timeline) for customer, timeline in timelines.items()}


def _parts(
    added: Iterable[TimelineEntry], new: Merges, before: Mapping[UUID, UUID], after: Mapping[UUID, UUID]
) -> dict[UUID, set[UUID]]:
    """Return the timelines that become one, by the surviving customer: mostly a single timeline."""
    parts: dict[UUID, set[UUID]] = defaultdict(set)
    for entry in added:
        parts[survivor_of(entry.customer, after)].add(survivor_of(entry.customer, before))
    for merge in new.values():
        of_survivor = parts[survivor_of(merge.customer, after)]
        of_survivor |= {survivor_of(merge.customer, before), survivor_of(merge.merged_into, before)}
    return parts


def _united(parts: Mapping[UUID, set[UUID]]) -> dict[UUID, set[UUID]]:
    """Return the timelines with those as one that share a part.

    They do where a customer comes from the one timeline to the other: its merge into one customer was undone, and it
    is merged into another. What it leaves behind changes too.
    """
    united: dict[UUID, set[UUID]] = {}
    for survivor in sorted(parts):
        found = set(parts[survivor])
        for other in [each for each, of_other in united.items() if of_other & found]:
            found |= united.pop(other)
        united[survivor] = found
    return united


async def _join(driver: asyncpg.Connection, gone: set[UUID], survivor: UUID) -> None:
    if gone:
        await driver.execute(_MERGE_ENTRIES, list(gone), survivor, timeout=BULK_SECONDS)
        await driver.execute(_MERGE_TIMELINES, list(gone), survivor)


async def split_timelines(driver: asyncpg.Connection, undone: Sequence[Merge], new: Merges) -> None:
    """Store apart again the entries of customers whose merges were undone; the caller has locked all merges."""
    stored = {each.merged_into for each in undone} | {each.customer for each in undone}
    stored |= {each.merged_into for each in new.values()}
    stored |= {merge.merged_into for merge in (await merges_of(driver, stored)).values()}
    rows = await driver.fetch(_NAMED, list(stored))
    links = links_of(await merges_of(driver, {row["named"] for row in rows}))
    moved = [
        (row["customer"], row["named"], survivor)
        for row in rows
        if (survivor := survivor_of(row["named"], links)) != row["customer"]
    ]
    if moved:
        await driver.execute(_MOVE_ENTRIES, *zip(*moved, strict=True), timeout=BULK_SECONDS)
        await driver.execute(_COUNT, list(stored | {survivor for _, _, survivor in moved}))


def _to_review(found: Iterable[Change]) -> list[Row]:
    """Return the customers whose risk begins or ends, each with the day on which it does."""
    due: set[tuple[UUID, date]] = set()
    for _, postings in found:
        for posting in postings:
            if any(posting.measures[number] for number in _REVIEWED):
                due.add((UUID(posting.dimensions[-1]), posting.day))
    return sorted(due)


def _state_of(entry: TimelineEntry, posting: Posting) -> SubjectState:
    return SubjectState(
        kind=RELATIONSHIP,
        subject_id=UUID(posting.dimensions[-1]),
        sequence=entry.sequence,
        event_id=entry.event_id,
        time=entry.time,
        recorded_time=entry.recorded_time,
        state=entry,
        postings=[],
    )
