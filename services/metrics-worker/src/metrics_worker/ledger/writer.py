"""Writes a batch of subject states into the ledger, in the transaction that also advances the consumer's offsets."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.domain.customer_timeline import TimelineEntry
from metrics_worker.domain.kinds import KINDS, Kind
from metrics_worker.domain.posting import Posting, Reporting
from metrics_worker.domain.waiting import OpenWait, wait_id
from metrics_worker.ledger import merges, sequence_conflicts, sequence_gaps
from metrics_worker.ledger.aggregate import SubjectState, group_by_subject, net_postings
from metrics_worker.ledger.blocks import Blocks, BlockWriter, blocks_of
from metrics_worker.ledger.bulk_insert import Insert, Row, Rows, fetch, write
from metrics_worker.ledger.customer_timelines import RELATIONSHIP, entries_of, extend_timelines, split_timelines
from metrics_worker.ledger.dimension_codes import Codes, DimensionCodes, coded
from metrics_worker.ledger.tables import CUSTOMER, POSTING, bucket_column, open_wait, subject_state
from service_kit.compiled import driver_of

POSTINGS = Counter("tandem_ledger_postings_total", "Postings appended to the ledger.", ["kind"])
STALE = Counter(
    "tandem_ledger_stale_states_total", "States dropped because the ledger had the same or a newer one.", ["kind"]
)

# PostgreSQL 18's `old` gives the state before, drops what is not newer, and writes, in one statement.
_WRITE_STATES: Final = Insert(
    subject_state,
    ("kind", "id", "epoch", "sequence", "event_id", "state"),
    conflict="""(kind, id) DO UPDATE
        SET epoch = excluded.epoch, sequence = excluded.sequence, event_id = excluded.event_id,
            state = excluded.state
        WHERE (existing.epoch, existing.sequence) < (excluded.epoch, excluded.sequence)""",
    returning="new.kind, new.id, old.epoch, old.sequence, old.event_id, old.state",
)
_OF_WAIT: Final = (*("id", "kind", "subject_id", "reason", "since"), *OpenWait._fields[2:])
_WRITE_WAITS: Final = Insert(
    open_wait,
    _OF_WAIT,
    conflict=f"(id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in OpenWait._fields[2:])}",
)
_END_WAITS: Final = "DELETE FROM open_wait WHERE id = ANY($1)"


@dataclass(frozen=True)
class Transition:
    """What a batch did to one subject."""

    version: tuple[int, int]
    """The epoch and sequence of the state before; zeros when the ledger did not know the subject."""
    event_id: UUID | None
    """Of the state before; None when the ledger did not know the subject."""
    encoded: bytes | None
    """The state before, as JSON; None when the ledger did not know the subject, or it was withdrawn."""
    steps: list[SubjectState]
    """The newer states by rising version, at least one."""
    decode: Callable[[bytes], Any]

    @cached_property
    def before(self) -> Any:
        """The state before, as the kind's struct, or None; decoded on first use."""
        return None if self.encoded is None else self.decode(self.encoded)


Transitions = dict[Kind, dict[int, Transition]]
"""By kind, in its order, and the subject's id as a number."""
Change = tuple[SubjectState, list[Posting]]
"""What one event changed."""


class LedgerWriter:
    """The ledger, as a consumer or a rebuild writes it."""

    def __init__(self, reporting: Reporting, *, part: int = 0, deferred: bool = False) -> None:
        """`deferred` leaves blocks in memory until there are too many or `flush` writes them: for a rebuild, whose
        ledger is only used when it is complete."""
        self._reporting = reporting
        self._blocks = BlockWriter(part)
        self._codes = DimensionCodes()
        self._deferred = deferred
        self._decoders = {kind: msgspec.json.Decoder(kind.state).decode for kind in KINDS if not kind.is_derived}
        self._postings = {kind: _insert_postings(kind) for kind in POSTING}

    @property
    def part(self) -> int:
        """The part of the blocks that it writes."""
        return self._blocks.part

    @part.setter
    def part(self, part: int) -> None:
        if part != self._blocks.part:
            self._blocks = BlockWriter(part)

    async def apply(
        self, connection: AsyncConnection, states: Sequence[SubjectState], *, beside: Sequence[Rows] = ()
    ) -> None:
        """Write a batch, and the rows that are to be written `beside` it.

        The caller begins and commits a transaction for each batch. States may come in any order and more than once:
        the highest version of each subject wins.
        """
        driver = await _begun_driver(connection)
        # 1. Lock what the batch depends on: merges of its customers, and the part of the blocks.
        known, customers = await merges.known_merges(driver, states)
        # A timeline stays joined until what the batch changes of it is known.
        joined, undone = known, await merges.undo(driver, states, known)
        known = {customer: merge for customer, merge in known.items() if customer not in undone}
        if not self._deferred and not await self._blocks.begin(driver):
            self._codes.forget()
        # 2. Write the newest states; what they replace makes the transitions.
        transitions = await self._write_states(driver, states)
        # A subject may have named another customer before, which is none of the batch's.
        before = await merges.merges_of(driver, _customers_before(transitions) - customers)
        joined, known = joined | before, known | before
        of_customers = (each.steps for kind in merges.MERGING_KINDS for each in transitions.get(kind, {}).values())
        new = merges.merges_in(of_customers, known)
        # 3. Extend the timelines of the customers.
        timelines = await extend_timelines(driver, self._timeline_entries(transitions), joined, new, self._reporting)
        # 4. Note who waits now, and who no longer does.
        waits = await self._waits(driver, transitions)
        # 5. Note sequences that were skipped, those that have arrived after all, and those that came twice.
        await sequence_gaps.note(driver, states, _versions_before(transitions))
        if _newer_states(transitions) < len(states):
            # Only what is not newer than the rest can be in conflict with it.
            await sequence_conflicts.note(driver, states, _events_before(transitions))
        # 6. Append the postings.
        changes = {kind: self._changes(kind, transitions[kind]) for kind in transitions if kind.has_postings}
        changes[RELATIONSHIP] = timelines.changes
        codes = await self._codes.codes_of(driver, _coded_values(changes))
        postings = [self._posting_rows(kind, changes[kind], codes) for kind in changes]
        if known or new:
            await write(driver, postings)
            postings = []
            await merges.move(driver, known, new, transitions.keys())
        # 7. Add them to the blocks.
        if self._deferred:
            # Last: what is deferred survives a rollback, so that it must hold nothing that the batch may yet lose.
            await write(driver, [*postings, *timelines.rows, waits, *beside])
            await self._blocks.add(driver, _blocks_of(changes))
            await write(driver, self._blocks.rows() if self._blocks.is_full else [])
        else:
            await self._blocks.add(driver, _blocks_of(changes))
            await write(driver, [*postings, *timelines.rows, waits, *self._blocks.rows(), *beside])
        if undone:
            await split_timelines(driver, list(undone.values()), new)

    async def flush(self, connection: AsyncConnection) -> None:
        """Write the blocks that were deferred; later batches write theirs at once."""
        await write(await _begun_driver(connection), self._blocks.rows())
        self._deferred = False

    async def _write_states(self, driver: asyncpg.Connection, states: Sequence[SubjectState]) -> Transitions:
        """Write the newest state of each subject; return the transitions of those that were not as new already."""
        by_kind = group_by_subject(states)
        kinds = [kind for kind in KINDS if kind in by_kind]
        last = [by_kind[kind][number][-1] for kind in kinds for number in sorted(by_kind[kind])]
        rows = [
            (
                state.kind.name, state.subject_id, state.epoch, state.sequence, state.event_id,
                None if state.is_withdrawn else msgspec.json.encode(state.state),
            )
            for state in last
        ]  # fmt: skip
        before = {
            (kind, subject_id.int): ((epoch or 0, sequence or 0), event_id, encoded)
            for kind, subject_id, epoch, sequence, event_id, encoded in await fetch(driver, Rows(_WRITE_STATES, rows))
        }
        transitions: Transitions = {kind: {} for kind in kinds}
        for state in last:
            kind, number = state.kind, state.subject_id.int
            known = before.get((kind.name, number))
            if known is None:
                STALE.labels(kind.name).inc()
                continue
            version, event_id, encoded = known
            newer = [step for step in by_kind[kind][number] if step.version > version]
            transitions[kind][number] = Transition(version, event_id, encoded, newer, self._decoders[kind])
        return transitions

    def _changes(self, kind: Kind, transitions: Mapping[int, Transition]) -> list[Change]:
        """Return what each step changed, one by one: a past moment can only be answered if none is skipped."""
        changes = []
        for transition in transitions.values():
            before = [] if transition.before is None else kind.postings_for(transition.before, self._reporting)
            for step in transition.steps:
                changes.append((step, net_postings(before, step.postings)))
                before = step.postings
        return changes

    async def _waits(self, driver: asyncpg.Connection, transitions: Transitions) -> Rows:
        """Delete the waits that are over; return the rows of those that began or changed."""
        ended: set[UUID] = set()
        rows: list[Row] = []
        for kind, of_kind in transitions.items():
            if kind.open_waits is None:
                continue
            for transition in of_kind.values():
                last, was = transition.steps[-1], transition.before
                waited = () if was is None else kind.open_waits(was, self._reporting)
                before = wait_rows(kind, last.subject_id, waited)
                after = wait_rows(kind, last.subject_id, last.waits)
                ended |= before.keys() - after.keys()
                rows += [row for key, row in after.items() if before.get(key) != row]
        if ended:
            await driver.execute(_END_WAITS, sorted(ended))
        return Rows(_WRITE_WAITS, sorted(rows, key=_id_of))

    def _timeline_entries(self, transitions: Transitions) -> list[TimelineEntry]:
        return [
            entry
            for kind, of_kind in transitions.items()
            if kind.fact_of is not None
            for transition in of_kind.values()
            for entry in entries_of(self._relation_before(kind, transition), transition.steps)
        ]

    def _relation_before(self, kind: Kind, transition: Transition) -> tuple[UUID | None, Any]:
        before = transition.before
        if before is None or kind.fact_of is None:
            return None, None
        return getattr(before, kind.customer_field or ""), kind.fact_of(before, self._reporting)

    def _posting_rows(self, kind: Kind, changes: Iterable[Change], codes: Codes) -> Rows:
        has_split = kind.split_by is not None
        by_code = coded(kind)
        customer = kind.dimensions.index(CUSTOMER) if CUSTOMER in kind.dimensions else None
        no_buckets = (None,) * len(kind.durations)
        rows = [
            (
                state.time, state.recorded_time, posting.day, *((posting.split,) if has_split else ()),
                *[codes[posting.dimensions[position]] for position in by_code],
                *(() if customer is None else (posting.dimensions[customer],)),
                state.event_id, state.subject_id,
                *[amount or None for amount in posting.measures], *(posting.buckets or no_buckets),
            )
            for state, postings in changes
            for posting in postings
        ]  # fmt: skip
        POSTINGS.labels(kind.name).inc(len(rows))
        return Rows(self._postings[kind], rows)


async def _begun_driver(connection: AsyncConnection) -> asyncpg.Connection:
    # asyncpg itself from here on: COPY, and arrays of whole columns, are its strength.
    driver = await driver_of(connection)
    if not driver.is_in_transaction():
        raise RuntimeError("the ledger is only written inside a transaction")
    return driver


def _insert_postings(kind: Kind) -> Insert:
    return Insert(
        POSTING[kind],
        (
            "event_time", "recorded_time", "day", *(("split",) if kind.split_by else ()),
            *(kind.dimensions[position] for position in coded(kind)),
            *((CUSTOMER,) if CUSTOMER in kind.dimensions else ()), "event_id", "subject_id",
            *kind.measures, *map(bucket_column, kind.durations),
        ),
    )  # fmt: skip


def _coded_values(changes: Mapping[Kind, Iterable[Change]]) -> set[str | None]:
    found: set[str | None] = set()
    for kind, of_kind in changes.items():
        by_dimension = list(zip(*(posting.dimensions for _, postings in of_kind for posting in postings), strict=True))
        if by_dimension:
            found.update(*(by_dimension[position] for position in coded(kind)))
    return found


def _blocks_of(changes: Mapping[Kind, Iterable[Change]]) -> Blocks:
    found: Blocks = {}
    for kind, of_kind in changes.items():
        found |= blocks_of(kind, [posting for _, postings in of_kind for posting in postings])
    return found


def _customers_before(transitions: Transitions) -> set[UUID]:
    """Return the customers that subjects named before the batch."""
    found = {
        getattr(transition.before, kind.customer_field)
        for kind, of_kind in transitions.items()
        if kind.customer_field is not None
        for transition in of_kind.values()
        if transition.encoded is not None
    }
    return found - {None}


def wait_rows(kind: Kind, subject_id: UUID, waits: Iterable[OpenWait]) -> dict[UUID, Row]:
    """Return the waits of a subject, by their ids, as `open_wait` holds them."""
    keys = ((wait_id(kind.name, subject_id, wait), wait) for wait in waits)
    return {key: (key, kind.name, subject_id, *wait) for key, wait in keys}


def _id_of(row: Row) -> UUID:
    identity: UUID = row[0]
    return identity


def _versions_before(transitions: Transitions) -> dict[sequence_gaps.Subject, tuple[int, int]]:
    return {
        (kind.name, number): transition.version
        for kind, of_kind in transitions.items()
        for number, transition in of_kind.items()
    }


def _newer_states(transitions: Transitions) -> int:
    return sum(len(transition.steps) for of_kind in transitions.values() for transition in of_kind.values())


def _events_before(transitions: Transitions) -> dict[sequence_gaps.Subject, tuple[tuple[int, int], UUID | None]]:
    return {
        (kind.name, number): (transition.version, transition.event_id)
        for kind, of_kind in transitions.items()
        for number, transition in of_kind.items()
    }
