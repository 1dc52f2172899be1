"""Writes a batch of entries into the books, inside the transaction that also moves the consumer's offsets."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.books import gaps, merges
from metrics_worker.books.fold import (
    SEGMENT_BUCKETS,
    Entry,
    HistogramKey,
    balances_of,
    difference,
    histograms_of,
    steps_of,
)
from metrics_worker.books.stories import RELATIONSHIP, Stories, versions_of
from metrics_worker.books.tables import BALANCE, HISTOGRAM, POSTING, SUBJECT, bucket_column
from metrics_worker.books.writing import Insert, Row, Rows, fetch, write
from metrics_worker.domain.customer_timeline import TimelineEntry as Version
from metrics_worker.domain.kinds import KIND_BY_NAME, TOLD_KINDS, Kind
from metrics_worker.domain.posting import Posting, Reporting
from service_kit.compiled import driver_of

POSTINGS = Counter("tandem_books_postings_total", "Postings appended to the books.", ["kind"])
STALE = Counter(
    "tandem_books_stale_entries_total", "Entries dropped because the books knew as new a state already.", ["kind"]
)


ACCOUNT: Final = KIND_BY_NAME["account"]


@dataclass(frozen=True)
class Move:
    """What a batch did to one subject of a kind."""

    sequence: int
    """Of the state that stood before; 0 when the books did not know the subject."""
    told: bytes | None
    """The state that stood before, as JSON; None when the books did not know the subject."""
    steps: list[Entry]
    """What is newer, by rising sequence, at least one: its last is the state that stands now."""
    decode: Callable[[bytes], Any]

    @cached_property
    def before(self) -> Any:
        """The state that stood before, as the kind's struct, or None; decoded when somebody asks."""
        return None if self.told is None else self.decode(self.told)


Moves = dict[int, Move]
"""By the subject's id as a number, in rising order."""
Change = tuple[Entry, list[Posting]]
"""What one event changed."""


class Ledger:
    """The books, as the consumer writes them."""

    def __init__(self, reporting: Reporting, *, sums: bool = True) -> None:
        """Without `sums`, balances and histograms are left to `summing.sum_up`."""
        self._pages = [_Page(kind, reporting, sums=sums) for kind in TOLD_KINDS]
        self._relationships = _Page(RELATIONSHIP, reporting, sums=sums)
        self._stories = Stories(reporting)
        self._reporting = reporting

    async def apply(
        self, connection: AsyncConnection, entries: Sequence[Entry], *, beside: Sequence[Rows] = ()
    ) -> None:
        """Folds a batch into the books, and writes what has to be written with it.

        The caller begins and commits the transaction. Entries may come in any order and more than once: for each
        subject the highest sequence wins.
        """
        # asyncpg itself from here on: COPY, and arrays of whole columns, are its strength.
        driver = await driver_of(connection)
        if not driver.is_in_transaction():
            raise RuntimeError("the books are only written inside a transaction")
        known, customers = await merges.known_merges(driver, entries)
        by_kind = steps_of(entries)
        pages = [page for page in self._pages if page.kind in by_kind]
        moves = {page.kind: await page.turn(driver, by_kind[page.kind]) for page in pages}
        # A subject may have named another customer before, which is none of the batch's.
        known |= await merges.merges_of(driver, _customers_before(moves) - customers)
        new = merges.merges_told((move.steps for move in moves.get(ACCOUNT, {}).values()), known)
        told = [version for kind, moved in moves.items() for version in self._versions(kind, moved)]
        chapter = await self._stories.tell(driver, told, known, new)
        await gaps.note(
            driver,
            entries,
            {(kind.name, number): move.sequence for kind, moved in moves.items() for number, move in moved.items()},
        )
        written = [page.written(page.changes(moves[page.kind])) for page in pages if page.kind.kept]
        written.append(self._relationships.written(chapter.changes))
        merged = bool(known or new)
        for each in written:
            if merged or each.postings.are_many:
                await write(driver, [each.postings])
        if merged:
            await merges.move(driver, known, new, moves.keys())
        # Sums at the very end: every consumer changes the same ones, and waits from here to the other's commit.
        sets = [
            [*chapter.rows, *beside],
            *(each.sums if merged or each.postings.are_many else [each.postings, *each.sums] for each in written),
        ]
        if len(moves) == 1:
            # What one event changes goes in one statement. Of several kinds, there would be too many different ones.
            sets = [list(chain.from_iterable(sets))]
        for together in sets:
            await write(driver, together)

    def _versions(self, kind: Kind, moved: Moves) -> Iterable[Version]:
        """What the batch's steps of a kind tell of customers' stories."""
        if kind.fact_of is None:
            return
        for move in moved.values():
            before = move.before
            stood = before is not None and (
                getattr(before, kind.customer_field or ""),
                kind.fact_of(before, self._reporting),
            )
            yield from versions_of(stood or (None, None), move.steps)


def _customers_before(moves: Mapping[Kind, Moves]) -> set[UUID]:
    """The customers that the subjects named before they moved."""
    found = {
        getattr(move.before, kind.customer_field)
        for kind, moved in moves.items()
        if kind.customer_field is not None
        for move in moved.values()
        if move.told is not None
    }
    return found - {None}


class _Written(NamedTuple):
    """What changes come to as rows."""

    postings: Rows
    sums: list[Rows]
    """What they add to balances and histograms."""


class _Page:
    """One kind's tables: what a batch writes into them."""

    def __init__(self, kind: Kind, reporting: Reporting, *, sums: bool) -> None:
        self.kind = kind
        self._reporting = reporting
        self._keeps_sums = sums
        self._decoder = msgspec.json.Decoder(kind.state)
        if kind in SUBJECT:
            # PostgreSQL 18's `old` gives the state that stood, drops what is not newer, and writes, in one statement.
            self._states = Insert(
                SUBJECT[kind],
                ("id", "sequence", "event_id", "state"),
                conflict="""(id) DO UPDATE
                    SET sequence = excluded.sequence, event_id = excluded.event_id, state = excluded.state
                    WHERE stood.sequence < excluded.sequence""",
                returning="new.id, old.sequence, old.state",
            )
        if not kind.kept:
            return
        split = ("split",) if kind.split_by else ()
        self._postings = Insert(
            POSTING[kind],
            ("event_id", "subject_id", "event_time", "recorded_time", "day", *split, *kind.dimensions, *kind.measures,
             *map(bucket_column, kind.durations)),
        )  # fmt: skip
        keys = ("dimension", "span", "day", "value")
        self._balances = Insert(
            BALANCE[kind],
            (*keys, *kind.measures),
            conflict=f"({', '.join(keys)}) DO UPDATE SET "
            + ", ".join(f"{name} = stood.{name} + excluded.{name}" for name in kind.measures),
        )
        if kind.durations:
            self._histograms = Insert(
                HISTOGRAM[kind],
                ("duration", *keys, "segment", "counts"),
                conflict=f"""(duration, {", ".join(keys)}, segment) DO UPDATE
                    SET counts = ARRAY(
                        SELECT coalesce(before, 0) + coalesce(added, 0)
                        FROM unnest(stood.counts, excluded.counts) AS bucket (before, added)
                    )""",  # noqa: S608 -- names of ours
            )

    async def turn(self, driver: Any, histories: dict[int, list[Entry]]) -> Moves:
        """Writes the newest states of subjects of this kind, given what they went through by rising sequence.

        Returns those that moved; of the others the books knew as new a state already.
        """
        last = [histories[number][-1] for number in sorted(histories)]
        rows = [(entry.subject_id, entry.sequence, entry.event_id, msgspec.json.encode(entry.state)) for entry in last]
        stood = {
            subject_id.int: (sequence or 0, state)
            for subject_id, sequence, state in await fetch(driver, Rows(self._states, rows))
        }
        if stale := len(rows) - len(stood):
            STALE.labels(self.kind.name).inc(stale)
        moves: Moves = {}
        for entry in last:
            number = entry.subject_id.int
            if number in stood:
                sequence, state = stood[number]
                newer = [step for step in histories[number] if step.sequence > sequence]
                moves[number] = Move(sequence, state, newer, self._decoder.decode)
        return moves

    def changes(self, moves: Moves) -> list[Change]:
        """What each step changed, one by one: the books of any moment can be told only if none is skipped."""
        changes = []
        for move in moves.values():
            standing = [] if move.before is None else self.kind.postings_for(move.before, self._reporting)
            for step in move.steps:
                changes.append((step, difference(standing, step.postings)))
                standing = step.postings
        return changes

    def written(self, changes: Iterable[Change]) -> _Written:
        """The rows that tell of changes, and those of the sums they add to."""
        has_split = self.kind.split_by is not None
        no_buckets = (None,) * len(self.kind.durations)
        posted, rows = [], []
        for entry, postings in changes:
            posted += postings
            rows += [
                (
                    entry.event_id, entry.subject_id, entry.time, entry.recorded_time, posting.day,
                    *((posting.split,) if has_split else ()), *posting.dimensions,
                    *[amount or None for amount in posting.measures], *(posting.buckets or no_buckets),
                )
                for posting in postings
            ]  # fmt: skip
        POSTINGS.labels(self.kind.name).inc(len(rows))
        if not self._keeps_sums:
            return _Written(Rows(self._postings, rows), [])
        balances = balances_of(self.kind, posted)
        sums = [Rows(self._balances, [(*key, *balances[key]) for key in sorted(balances)])]
        if self.kind.durations:
            sums.append(Rows(self._histograms, _packed(histograms_of(self.kind, posted))))
        return _Written(Rows(self._postings, rows), sums)


def _packed(counts: dict[HistogramKey, int]) -> list[Row]:
    """One row a segment of a histogram, with the counts of its buckets as an array in PostgreSQL's notation."""
    arrays: dict[Row, list[str]] = {}
    for (*key, bucket), count in counts.items():
        segment, position = divmod(bucket, SEGMENT_BUCKETS)
        row = (*key, segment)
        array = arrays.get(row)
        if array is None:
            array = arrays[row] = ["0"] * SEGMENT_BUCKETS
        array[position] = str(count)
    return [(*key, "{" + ",".join(arrays[key]) + "}") for key in sorted(arrays)]
