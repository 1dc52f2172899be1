"""Writes a batch of entries into the books, inside the transaction that also moves the consumer's offsets."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
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
from metrics_worker.books.tables import BALANCE, POSTING, bucket_column
from metrics_worker.kpis.kinds import KIND_BY_NAME, TOLD_KINDS, Kind
from metrics_worker.kpis.posting import Posting, Reporting
from metrics_worker.kpis.relationships import Version
from service_kit.prepared import driver_of

POSTINGS = Counter("tandem_books_postings_total", "Postings appended to the books.", ["kind"])
STALE = Counter(
    "tandem_books_stale_entries_total", "Entries dropped because the books knew as new a state already.", ["kind"]
)


BULK_ROWS = 200
"""From so many rows on a statement takes them from a temporary table filled by COPY, which costs the consumer a third
of what arrays cost it; below, arrays are half a millisecond quicker. docs/decisions/0016 has the figures."""
BULK_SECONDS = 30.0
"""What one statement over a whole batch may take: more than a request's, less than would cost us our partitions."""

Row = tuple[Any, ...]
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


class Ledger:
    """The books, as the consumer writes them."""

    def __init__(self, reporting: Reporting) -> None:
        self._pages = [_Page(kind, reporting) for kind in TOLD_KINDS]
        self._relationships = _Page(RELATIONSHIP, reporting)
        self._stories = Stories(reporting)
        self._reporting = reporting

    async def apply(self, connection: AsyncConnection, entries: Sequence[Entry]) -> None:
        """Folds a batch into the books. The caller begins and commits the transaction.

        Entries may come in any order and more than once: for each subject the highest sequence wins.
        """
        # asyncpg itself from here on: COPY, and arrays of whole columns, are its strength.
        driver = await driver_of(connection)
        if not driver.is_in_transaction():
            raise RuntimeError("the books are only written inside a transaction")
        known, customers = await merges.known_merges(driver, entries)
        by_kind = steps_of(entries)
        moves: dict[Kind, Moves] = {}
        sums: list[_Sums] = []
        for page in self._pages:
            of_kind = by_kind.get(page.kind)
            if of_kind:
                moves[page.kind] = await page.turn(driver, of_kind, sums)
        # A subject may have named another customer before, which is none of the batch's.
        known |= await merges.merges_of(driver, _customers_before(moves) - customers)
        new = merges.merges_told((move.steps for move in moves.get(ACCOUNT, {}).values()), known)
        if known or new:
            await merges.move(driver, known, new, moves.keys())
        told = [version for kind, moved in moves.items() for version in self._versions(kind, moved)]
        await self._relationships.post(driver, await self._stories.tell(driver, told, known, new), sums)
        await gaps.note(
            driver,
            entries,
            {(kind.name, number): move.sequence for kind, moved in moves.items() for number, move in moved.items()},
        )
        # At the very end: every consumer changes the same sums, and waits from here to the other's commit.
        for each in sums:
            await each.page.add(driver, each)

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


class _Page:
    """One kind's tables and the statements that write them.

    Each upsert is one statement over a source: arrays for a few rows, a temporary table for many. Rows are sorted
    either way: two transactions that lock the same rows in opposite order deadlock.
    """

    def __init__(self, kind: Kind, reporting: Reporting) -> None:
        self.kind = kind
        self._reporting = reporting
        self._decoder = msgspec.json.Decoder(kind.state)
        self._subjects = _Source(f"{kind.name}_subject", ("id", "sequence", "event_id", "state"), _SUBJECT_TYPES)
        # PostgreSQL 18's `old` gives the state that stood, drops what is not newer, and writes, in one statement.
        self._upsert_subjects = f"""
            INSERT INTO {kind.name}_subject AS subject (id, sequence, event_id, state)
            SELECT id, sequence, event_id, state FROM {{source}}
            ON CONFLICT (id) DO UPDATE
                SET sequence = excluded.sequence, event_id = excluded.event_id, state = excluded.state
                WHERE subject.sequence < excluded.sequence
            RETURNING new.id, old.sequence, old.state
        """  # noqa: S608 -- table names of ours, no input
        if not kind.kept:
            return
        split = ("split",) if kind.split_by else ()
        self._posting_columns = (
            "event_id", "subject_id", "event_time", "recorded_time", "day", *split, *kind.dimensions, *kind.measures,
            *map(bucket_column, kind.durations),
        )  # fmt: skip
        types = tuple(str(BALANCE[kind].c[name].type.compile()) for name in kind.measures)
        self._balances = _Source(f"{kind.name}_balance", (*_KEY_COLUMNS, *kind.measures), (*_KEY_TYPES, *types))
        columns = ", ".join((*_KEY_COLUMNS, *kind.measures))
        self._upsert_balances = f"""
            INSERT INTO {kind.name}_balance AS balance ({columns})
            SELECT {columns} FROM {{source}}
            ON CONFLICT ({", ".join(_KEY_COLUMNS)}) DO UPDATE
                SET {", ".join(f"{name} = balance.{name} + excluded.{name}" for name in kind.measures)}
        """  # noqa: S608 -- table names of ours, no input
        keys = ("duration", *_KEY_COLUMNS, "segment")
        types = ("text", *_KEY_TYPES, "smallint", "text")
        self._histograms = _Source(f"{kind.name}_histogram", (*keys, "counts"), types)
        self._upsert_histograms = f"""
            INSERT INTO {kind.name}_histogram AS histogram ({", ".join(keys)}, counts)
            SELECT {", ".join(keys)}, counts::integer[] FROM {{source}}
            ON CONFLICT ({", ".join(keys)}) DO UPDATE
                SET counts = ARRAY(
                    SELECT coalesce(stood, 0) + coalesce(added, 0)
                    FROM unnest(histogram.counts, excluded.counts) AS bucket (stood, added)
                )
        """  # noqa: S608 -- table names of ours, no input

    async def turn(self, driver: Any, histories: dict[int, list[Entry]], sums: list["_Sums"]) -> Moves:
        """Writes what subjects of this kind went through, each history by rising sequence; puts by what it sums to.

        Returns those that moved; of the others the books knew as new a state already.
        """
        last = [histories[number][-1] for number in sorted(histories)]
        rows = [(entry.subject_id, entry.sequence, entry.event_id, msgspec.json.encode(entry.state)) for entry in last]
        stood = {
            subject_id.int: (sequence or 0, state)
            for subject_id, sequence, state in await self._subjects.fetch(driver, self._upsert_subjects, rows)
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
        if self.kind.kept:
            await self.post(driver, [change for move in moves.values() for change in self._changes(move)], sums)
        return moves

    def _changes(self, move: Move) -> Iterable[tuple[Entry, list[Posting]]]:
        """What each step changed, one by one: the books of any moment can be told only if none is skipped."""
        standing = [] if move.before is None else self.kind.postings_for(move.before, self._reporting)
        for step in move.steps:
            yield step, difference(standing, step.postings)
            standing = step.postings

    async def post(self, driver: Any, changes: list[tuple[Entry, list[Posting]]], sums: list["_Sums"]) -> None:
        """Appends postings, and puts by what they sum to."""
        has_split = self.kind.split_by is not None
        no_buckets = (None,) * len(self.kind.durations)
        rows = [
            (
                entry.event_id, entry.subject_id, entry.time, entry.recorded_time, posting.day,
                *((posting.split,) if has_split else ()), *posting.dimensions,
                *[amount or None for amount in posting.measures], *(posting.buckets or no_buckets),
            )
            for entry, postings in changes
            for posting in postings
        ]  # fmt: skip
        if not rows:
            return
        await driver.copy_records_to_table(
            POSTING[self.kind].name, records=rows, columns=self._posting_columns, timeout=BULK_SECONDS
        )
        POSTINGS.labels(self.kind.name).inc(len(rows))
        posted = [posting for _, postings in changes for posting in postings]
        balances = balances_of(self.kind, posted)
        sums.append(
            _Sums(
                self,
                [(*key, *balances[key]) for key in sorted(balances)],
                _packed(histograms_of(self.kind, posted)) if self.kind.durations else [],
            )
        )

    async def add(self, driver: Any, sums: "_Sums") -> None:
        """Adds to the balances and histograms."""
        await self._balances.fetch(driver, self._upsert_balances, sums.balances)
        await self._histograms.fetch(driver, self._upsert_histograms, sums.histograms)


class _Sums(NamedTuple):
    """What a batch adds to one kind's balances and histograms, as sorted rows."""

    page: _Page
    balances: list[Row]
    histograms: list[Row]


_SUBJECT_TYPES = ("uuid", "integer", "uuid", "bytea")
_KEY_COLUMNS = ("dimension", "span", "day", "value")
_KEY_TYPES = ("text", "text", "date", "text")


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


class _Source:
    """Rows on their way into a table: arrays of whole columns, or a temporary table that empties itself.

    Money goes as 64-bit numbers as long as every amount fits: a `numeric` costs the consumer twenty times as much.
    """

    def __init__(self, target: str, columns: tuple[str, ...], types: tuple[str, ...]) -> None:
        self._columns = columns
        self._money = [position for position, type_ in enumerate(types) if type_.startswith("NUMERIC")]
        narrow = tuple("bigint" if type_.startswith("NUMERIC") else type_ for type_ in types)
        self._narrow, self._wide = _Form(f"{target}_told", columns, narrow), _Form(f"{target}_wide", columns, types)

    async def fetch(self, driver: Any, statement: str, rows: Sequence[Row]) -> Iterable[Any]:
        """Runs a statement over the rows, once a transaction; `{source}` in it stands for where they are."""
        if not rows:
            return []
        form = self._narrow if self._fit(rows) else self._wide
        if len(rows) < BULK_ROWS:
            return await driver.fetch(statement.format(source=form.arrays), *zip(*rows, strict=True))  # type: ignore[no-any-return]
        await driver.execute(form.create)
        await driver.copy_records_to_table(
            form.table, schema_name="pg_temp", records=rows, columns=self._columns, timeout=BULK_SECONDS
        )
        return await driver.fetch(statement.format(source=form.table), timeout=BULK_SECONDS)  # type: ignore[no-any-return]

    def _fit(self, rows: Sequence[Row]) -> bool:
        of_column = map(itemgetter, self._money)
        return all(min(map(of, rows)) >= _LEAST and max(map(of, rows)) <= _MOST for of in of_column)


_LEAST, _MOST = -(2**63), 2**63 - 1


class _Form:
    """One set of types that rows may go by."""

    def __init__(self, table: str, columns: tuple[str, ...], types: tuple[str, ...]) -> None:
        self.table = table
        arrays = ", ".join(f"${number}::{type_}[]" for number, type_ in enumerate(types, start=1))
        self.arrays = f"unnest({arrays}) AS told ({', '.join(columns)})"
        typed = ", ".join(f"{name} {type_}" for name, type_ in zip(columns, types, strict=True))
        self.create = f"CREATE TEMPORARY TABLE IF NOT EXISTS {table} ({typed}) ON COMMIT DELETE ROWS"
