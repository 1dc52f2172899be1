"""Moves a merged customer's postings to the customer that remains.

Postings are always written under the customer that a subject names. Those of a merged one are then reversed there and
posted under the remaining one, as of the merge or, where they came later, as of their own event. So the ledger of every
past moment shows the customers of that moment, whichever came first, the merge or what it moves.

A customer of service's own that is linked to another one is merged into it as an account is.

A merge is undone when its service takes it back, or has lost it: a restored database corrects the customer then. The
postings of the subjects that name the customer move back, as of that event or, where they came later, as of their own.
What names the remaining customer stays there, whenever it was recorded. A merge and its undoing in one batch move
nothing, and what arrives after the undoing is posted under the customer that it names, also where it was recorded
before: the ledger of the moments between the two does not show those under the remaining customer.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from metrics_worker.domain.customer_merges import path_of, survivor_of
from metrics_worker.domain.kinds import EVENT_KINDS, KIND_BY_NAME, Kind
from metrics_worker.ledger.aggregate import SubjectState
from metrics_worker.ledger.tables import bucket_column

SECONDS: Final = 30.0
"""What moving one customer's postings of one kind may take."""

MOVED_KINDS: Final = tuple(kind for kind in EVENT_KINDS if kind.has_postings and "customer" in kind.dimensions)

MERGING_KINDS: Final = (KIND_BY_NAME["account"], KIND_BY_NAME["customer"])
"""Those whose states say into which customer they were merged."""

# A batch that includes a merge waits for all others, and they for it: otherwise it would miss what they write under the
# merged customer. Readers do not wait: neither this lock nor the one of `_KNOWN` conflicts with theirs.
_ALONE: Final = "LOCK TABLE account_merge IN EXCLUSIVE MODE"
_KNOWN: Final = """
    WITH RECURSIVE chain AS (
        SELECT customer, merged_into FROM account_merge WHERE customer = ANY($1::uuid[])
        UNION
        SELECT onward.customer, onward.merged_into
        FROM account_merge AS onward JOIN chain ON onward.customer = chain.merged_into
    )
    SELECT customer, merged_into, event_id, event_time, recorded_time FROM account_merge
    WHERE customer IN (SELECT customer FROM chain) FOR KEY SHARE
"""
_VERSIONS: Final = """
    SELECT kind, id, epoch, sequence FROM subject_state WHERE kind IN ('account', 'customer') AND id = ANY($1::uuid[])
"""
_MERGED_INTO: Final = """
    WITH RECURSIVE merged AS (
        SELECT $1::uuid AS customer
        UNION
        SELECT link.customer FROM account_merge AS link JOIN merged ON link.merged_into = merged.customer
    )
    SELECT customer FROM merged
"""
_NOTE: Final = """
    INSERT INTO account_merge (customer, merged_into, event_id, event_time, recorded_time) VALUES ($1, $2, $3, $4, $5)
"""


class Merge(NamedTuple):
    """One customer that was merged into another, and the event that did it."""

    customer: UUID
    merged_into: UUID
    event_id: UUID
    event_time: datetime
    recorded_time: datetime


Merges = dict[UUID, Merge]
"""By the customer that is gone."""


def links_of(merges: Mapping[UUID, Merge]) -> dict[UUID, UUID]:
    """Who was merged into whom."""
    return {customer: merge.merged_into for customer, merge in merges.items()}


async def known_merges(driver: asyncpg.Connection, entries: Iterable[SubjectState]) -> tuple[Merges, set[UUID]]:
    """The merges that bear on a batch's customers, and those customers.

    No other transaction can add merges until this one ends.
    """
    customers: set[UUID] = set()
    alone = False
    for entry in entries:
        field = entry.kind.customer_field
        if field is None:
            continue
        customer = getattr(entry.state, field)
        if customer is not None:
            customers.add(customer)
        if entry.kind in MERGING_KINDS and entry.state.merged_into is not None:
            customers.add(entry.state.merged_into)
            alone = True
    if alone:
        await driver.execute(_ALONE)
    return await merges_of(driver, customers), customers


async def merges_of(driver: asyncpg.Connection, customers: Collection[UUID]) -> Merges:
    """The merges that these customers went through."""
    if not customers:
        return {}
    return {row["customer"]: Merge(*row) for row in await driver.fetch(_KNOWN, list(customers))}


def merges_in(histories: Iterable[Sequence[SubjectState]], known: Mapping[UUID, Merge]) -> Merges:
    """Return the merges in customers' new states that are not known yet."""
    found: Merges = {}
    for steps in histories:
        last = target_of(steps[-1])
        for step in steps:
            target = target_of(step)
            # One that a later state takes back is undone already.
            if target is not None and target == last and step.subject_id not in known and step.subject_id not in found:
                merge = Merge(step.subject_id, target, step.event_id, step.time, step.recorded_time)
                found[step.subject_id] = merge
    return found


def target_of(customer: SubjectState) -> UUID | None:
    """Return the customer that a state of an account, or of service's own customer, was merged into."""
    target: UUID | None = None if customer.is_withdrawn else customer.state.merged_into
    return target


async def undo(driver: asyncpg.Connection, states: Iterable[SubjectState], known: Merges) -> Merges:
    """Undo the known merges that a batch's customers no longer have; return them."""
    newest: dict[UUID, SubjectState] = {}
    for state in states:
        if state.kind in MERGING_KINDS and state.subject_id in known:
            former = newest.get(state.subject_id)
            if former is None or former.version < state.version:
                newest[state.subject_id] = state
    candidates = [each for each in newest.values() if target_of(each) != known[each.subject_id].merged_into]
    if not candidates:
        return {}
    await driver.execute(_ALONE)
    stored = await driver.fetch(_VERSIONS, [each.subject_id for each in candidates])
    versions = {(row["kind"], row["id"]): (row["epoch"], row["sequence"]) for row in stored}
    undone = [each for each in candidates if each.version > versions.get((each.kind.name, each.subject_id), (0, 0))]
    links = links_of(known)
    for back in undone:
        survivor = survivor_of(back.subject_id, links)
        named = [row["customer"] for row in await driver.fetch(_MERGED_INTO, back.subject_id)]
        for kind in MOVED_KINDS:
            moved = (survivor, back.subject_id, back.event_id, back.time, back.recorded_time, named)
            await driver.execute(_MOVE_BACK[kind], *moved, timeout=SECONDS)
        await driver.execute("DELETE FROM account_merge WHERE customer = $1", back.subject_id)
        # The next one may have been merged into this one, which remains of it now.
        del links[back.subject_id]
    return {each.subject_id: known[each.subject_id] for each in undone}


async def move(driver: asyncpg.Connection, known: Merges, new: Merges, moved: Collection[Kind]) -> None:
    """Brings to the customers that remain what new merges move, and what a batch wrote of some kinds."""
    for merge in new.values():
        await driver.execute(_NOTE, *merge)
    merges = known | new
    links = links_of(merges)
    paths = [list(path_of(customer, links)) for customer in links]
    # What is farther from the one that remains is moved first, and then moved on with the rest.
    distance = {customer: len(path) - number for path in paths for number, customer in enumerate(path)}
    of_new = {customer for path in paths if new.keys() & set(path) for customer in path}
    for customer in sorted(distance, key=lambda customer: (-distance[customer], customer)):
        for kind in MOVED_KINDS:
            if kind in moved or customer in of_new:
                merge = merges[customer]
                await driver.execute(_MOVE[kind], customer, merge.merged_into, *merge[2:], timeout=SECONDS)


def _move_statement(kind: Kind) -> str:
    """Takes the customer that is gone, the one it is merged into, and the merge's event id, time and recorded time.

    Balances and histograms are not kept by customer: they stay as they are.
    """
    others = [name for name in kind.dimensions if name != "customer"]
    split = ["split"] if kind.split_by else []
    same = ", ".join(["subject_id", "day", *split, *others, *map(bucket_column, kind.durations)])
    earlier = "recorded_time <= $5"
    return f"""
        INSERT INTO {kind.name}_posting
            (event_id, event_time, recorded_time, customer, {same}, {", ".join(kind.measures)})
        SELECT event_id, event_time, recorded_time, side.customer, {same},
               {", ".join(f"sign * {name}" for name in kind.measures)}
        FROM (
            SELECT CASE WHEN {earlier} THEN $3::uuid ELSE event_id END AS event_id,
                   CASE WHEN {earlier} THEN $4::timestamptz ELSE event_time END AS event_time,
                   greatest(recorded_time, $5::timestamptz) AS recorded_time,
                   {same}, {", ".join(f"sum({name}) AS {name}" for name in kind.measures)}
            FROM {kind.name}_posting WHERE customer = $1
            GROUP BY 1, 2, 3, {same}
            HAVING {" OR ".join(f"sum({name}) <> 0" for name in kind.measures)}
        ) AS net
        CROSS JOIN (VALUES (-1, $1::uuid), (1, $2::uuid)) AS side (sign, customer)
    """  # noqa: S608 -- names of ours, no input


def _move_back_statement(kind: Kind) -> str:
    """Takes the customer that remained, the one that comes back, the event that says so with its time and recorded
    time, and the customers whose subjects come back with it."""
    others = [name for name in kind.dimensions if name != "customer"]
    split = ["split"] if kind.split_by else []
    same = ", ".join(["subject_id", "day", *split, *others, *map(bucket_column, kind.durations)])
    earlier = "recorded_time <= $5"
    # Each subject is looked up by its key: the customer's are few of all that there are.
    named = f"""
        SELECT (convert_from(state, 'UTF8')::jsonb ->> '{kind.customer_field}')::uuid
        FROM subject_state WHERE kind = '{kind.name}' AND id = subject_id
    """  # noqa: S608 -- names of ours, no input
    return f"""
        INSERT INTO {kind.name}_posting
            (event_id, event_time, recorded_time, customer, {same}, {", ".join(kind.measures)})
        SELECT event_id, event_time, recorded_time, side.customer, {same},
               {", ".join(f"sign * {name}" for name in kind.measures)}
        FROM (
            SELECT CASE WHEN {earlier} THEN $3::uuid ELSE event_id END AS event_id,
                   CASE WHEN {earlier} THEN $4::timestamptz ELSE event_time END AS event_time,
                   greatest(recorded_time, $5::timestamptz) AS recorded_time,
                   {same}, {", ".join(f"sum({name}) AS {name}" for name in kind.measures)}
            FROM {kind.name}_posting
            WHERE customer = $1 AND ({named}) = ANY($6::uuid[])
            GROUP BY 1, 2, 3, {same}
            HAVING {" OR ".join(f"sum({name}) <> 0" for name in kind.measures)}
        ) AS net
        CROSS JOIN (VALUES (-1, $1::uuid), (1, $2::uuid)) AS side (sign, customer)
    """  # noqa: S608 -- names of ours, no input


_MOVE_BACK: Final = {kind: _move_back_statement(kind) for kind in MOVED_KINDS}
_MOVE: Final = {kind: _move_statement(kind) for kind in MOVED_KINDS}
