"""Writes a batch of entries into the books, inside the transaction that also moves the consumer's offsets."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.books import gaps
from metrics_worker.books.fold import Entry, balances_of, difference, histograms_of, steps_of
from metrics_worker.books.tables import BALANCE, POSTING, bucket_column
from metrics_worker.kpis.kinds import KINDS, Kind
from metrics_worker.kpis.posting import Posting, Reporting

POSTINGS = Counter("tandem_books_postings_total", "Postings appended to the books.", ["kind"])
STALE = Counter(
    "tandem_books_stale_entries_total", "Entries dropped because the books knew as new a state already.", ["kind"]
)


CHUNK = 5_000
"""Rows one statement upserts at most: every statement has a time limit, and a large batch must keep within it."""

T = TypeVar("T")


class Ledger:
    """The books, as the consumer writes them."""

    def __init__(self, reporting: Reporting) -> None:
        self._pages = [_Page(kind, reporting) for kind in KINDS]

    async def apply(self, connection: AsyncConnection, entries: Sequence[Entry]) -> None:
        """Folds a batch into the books. The caller begins and commits the transaction.

        Entries may come in any order and more than once: for each subject the highest sequence wins.
        """
        # asyncpg itself from here on: COPY, and arrays of whole columns, are its strength.
        driver = (await connection.get_raw_connection()).driver_connection
        if driver is None or not driver.is_in_transaction():
            raise RuntimeError("the books are only written inside a transaction")
        by_kind = steps_of(entries)
        sequences_before: dict[tuple[str, UUID], int] = {}
        for page in self._pages:
            of_kind = by_kind.get(page.kind)
            if of_kind:
                sequences_before |= await page.turn(driver, list(of_kind.values()))
        await gaps.note(driver, entries, sequences_before)


class _Page:
    """One kind's tables and the statements that write them."""

    def __init__(self, kind: Kind, reporting: Reporting) -> None:
        self.kind = kind
        self._reporting = reporting
        self._decoder = msgspec.json.Decoder(kind.state)
        # PostgreSQL 18's `old` gives the state that stood, drops what is not newer, and writes, in one statement.
        # Both upserts are given sorted arrays: two transactions that lock the same rows in opposite order deadlock.
        self._upsert_subjects = f"""
            INSERT INTO {kind.name}_subject AS subject (id, sequence, event_id, state)
            SELECT * FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::bytea[])
                AS told (id, sequence, event_id, state)
            ON CONFLICT (id) DO UPDATE
                SET sequence = excluded.sequence, event_id = excluded.event_id, state = excluded.state
                WHERE subject.sequence < excluded.sequence
            RETURNING new.id, old.sequence, old.state
        """  # noqa: S608 -- table names of ours, no input
        if not kind.kept:
            return
        split = ["split"] if kind.split_by else []
        self._posting_columns = [
            "event_id", "subject_id", "event_time", "recorded_time", "day", *split, *kind.dimensions, *kind.measures,
            *map(bucket_column, kind.durations),
        ]  # fmt: skip
        types = [str(BALANCE[kind].c[name].type.compile()) for name in kind.measures]
        arrays = ", ".join(f"${number}::{type_}[]" for number, type_ in enumerate(types, start=4))
        columns = ", ".join(("dimension", "value", "day", *kind.measures))
        sums = ", ".join(f"{name} = balance.{name} + excluded.{name}" for name in kind.measures)
        self._upsert_balances = f"""
            INSERT INTO {kind.name}_balance AS balance ({columns})
            SELECT * FROM unnest($1::text[], $2::text[], $3::date[], {arrays})
                AS posted ({columns})
            ON CONFLICT (dimension, value, day) DO UPDATE SET {sums}
        """  # noqa: S608 -- table names of ours, no input

        self._upsert_histograms = f"""
            INSERT INTO {kind.name}_histogram AS histogram (duration, dimension, value, day, bucket, count)
            SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::smallint[], $6::bigint[])
            ON CONFLICT (duration, dimension, value, day, bucket) DO UPDATE
                SET count = histogram.count + excluded.count
        """  # noqa: S608 -- table names of ours, no input

    async def turn(self, driver: Any, histories: list[list[Entry]]) -> dict[tuple[str, UUID], int]:
        """Writes what subjects of this kind went through, each history by rising sequence.

        Returns the sequence that stood before, of the subjects that have moved.
        """
        histories.sort(key=lambda steps: steps[-1].subject_id)
        entries = [steps[-1] for steps in histories]
        before = {
            row["id"]: row
            for some in _chunks(entries)
            for row in await driver.fetch(
                self._upsert_subjects,
                [entry.subject_id for entry in some],
                [entry.sequence for entry in some],
                [entry.event_id for entry in some],
                [msgspec.json.encode(entry.state) for entry in some],
            )
        }
        if stale := len(entries) - len(before):
            STALE.labels(self.kind.name).inc(stale)
        if self.kind.kept:
            changes = [
                change
                for steps in histories
                if (row := before.get(steps[-1].subject_id)) is not None
                for change in self._changes(row[1] or 0, self._postings_of(row[2]), steps)
            ]
            await self._append(driver, changes)
            posted = [posting for _, postings in changes for posting in postings]
            await self._add(driver, posted)
            if self.kind.durations:
                await self._count(driver, posted)
        return {(self.kind.name, subject_id): row[1] or 0 for subject_id, row in before.items()}

    @staticmethod
    def _changes(sequence: int, standing: list[Posting], steps: list[Entry]) -> list[tuple[Entry, list[Posting]]]:
        """What each step changed, one by one: the books of any moment can be told only if none is skipped."""
        changes = []
        for step in steps:
            if step.sequence > sequence:
                changes.append((step, difference(standing, step.postings)))
                standing = step.postings
        return changes

    def _postings_of(self, state: bytes | None) -> list[Posting]:
        return [] if state is None else self.kind.postings_for(self._decoder.decode(state), self._reporting)

    async def _append(self, driver: Any, changes: list[tuple[Entry, list[Posting]]]) -> None:
        has_split = self.kind.split_by is not None
        no_buckets = (None,) * len(self.kind.durations)
        rows = [
            (
                entry.event_id, entry.subject_id, entry.time, entry.recorded_time, posting.day,
                *((posting.split,) if has_split else ()), *posting.dimensions, *posting.measures,
                *(posting.buckets or no_buckets),
            )
            for entry, postings in changes
            for posting in postings
        ]  # fmt: skip
        if rows:
            await driver.copy_records_to_table(POSTING[self.kind].name, records=rows, columns=self._posting_columns)
            POSTINGS.labels(self.kind.name).inc(len(rows))

    async def _add(self, driver: Any, postings: Iterable[Posting]) -> None:
        for some in _chunks(sorted(balances_of(self.kind, postings).items())):
            keys, sums = zip(*some, strict=True)
            await driver.execute(self._upsert_balances, *zip(*keys, strict=True), *zip(*sums, strict=True))

    async def _count(self, driver: Any, postings: Iterable[Posting]) -> None:
        for some in _chunks(sorted(histograms_of(self.kind, postings).items())):
            keys, counts = zip(*some, strict=True)
            await driver.execute(self._upsert_histograms, *zip(*keys, strict=True), counts)


def _chunks(items: list[T]) -> Iterator[list[T]]:
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
