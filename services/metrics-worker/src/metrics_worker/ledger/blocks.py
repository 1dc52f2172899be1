"""Blocks: the sums of postings by month and year, and the memory that their only writer keeps of them.

A block sums up the postings of a kind under one value of one dimension in a month or a year. A month's block also has
the sums of each day. Both have a histogram of each duration. Blocks are kept apart by `part`, one for each writer, and
readers add them up. So no two writers change the same row, and each writes whole blocks without reading them first.
"""

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from typing import Final, Literal, NamedTuple

import asyncpg

from metrics_worker.domain.kinds import Kind
from metrics_worker.domain.posting import Posting
from metrics_worker.ledger.bulk_insert import Insert, Row, Rows
from metrics_worker.ledger.tables import block, block_part

ALL: Final = "all"
"""The dimension of the total."""
NO_VALUE: Final = ""
"""The value of postings without one: a code is never empty, so it is distinct from every code."""
NOT_IN_BLOCKS: Final = "customer"
"""The dimension without blocks: a customer has hardly more than one posting a day, so that its blocks would be as many
rows as the postings, and larger ones. Queries about customers read the postings."""

Span = Literal["month", "year"]

DAY_BITS: Final = 8
"""Of a cell's number, the lower bits hold the day of the month, the upper ones the measure."""
BUCKET_BITS: Final = 10
"""Of a bucket's number, the lower bits hold the histogram's bucket, the upper ones the duration."""
HIGH: Final = 64
"""Added to a measure's number for the higher digits of a sum that exceeds 64 bits."""
HIGH_UNIT_BITS: Final = 62
"""The higher digits count in units of 2 to this power."""
_MOST: Final = 1 << HIGH_UNIT_BITS

CELLS_IN_MEMORY: Final = 600_000
"""Cells and buckets that a writer remembers between batches: some 80 MiB."""


class BlockKey(NamedTuple):
    """What a block sums up."""

    kind: str
    dimension: str
    span: Span
    start: date
    """The first day of the month or year."""
    value: str
    """`NO_VALUE` for postings without one."""


class Block:
    """The sums of a month or year, sparse. Zeros may be left in: they cancel out when it is written."""

    __slots__ = ("buckets", "cells")

    def __init__(self) -> None:
        self.cells: dict[int, int] = {}
        """A month's sums by `measure << DAY_BITS | day`; a year's by `measure << DAY_BITS`."""
        self.buckets: dict[int, int] = {}
        """The count of each bucket, by `duration << BUCKET_BITS | bucket`."""

    def __len__(self) -> int:
        return len(self.cells) + len(self.buckets)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Block)
            and _non_zero(self.cells) == _non_zero(other.cells)
            and _non_zero(self.buckets) == _non_zero(other.buckets)
        )

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __bool__(self) -> bool:
        """True unless everything in it cancels out."""
        return any(self.cells.values()) or any(self.buckets.values())

    def add(self, other: "Block") -> None:
        """Add the sums of another block of the same key."""
        for numbers, added in ((self.cells, other.cells), (self.buckets, other.buckets)):
            for number, amount in added.items():
                numbers[number] = numbers.get(number, 0) + amount


def _non_zero(numbers: Mapping[int, int]) -> dict[int, int]:
    return {number: amount for number, amount in numbers.items() if amount}


Blocks = dict[BlockKey, Block]


def blocks_of(kind: Kind, postings: Iterable[Posting]) -> Blocks:
    """Return the blocks that sum up postings of a kind."""
    blocks: Blocks = {}
    for day, by_dimension in _sums_by_day(kind, postings).items():
        month, year = day.replace(day=1), day.replace(month=1, day=1)
        for dimension, by_value in by_dimension.items():
            for value, amounts in by_value.items():
                of_month = _block(blocks, kind, dimension, "month", month, value).cells
                of_year = _block(blocks, kind, dimension, "year", year, value).cells
                for measure, amount in enumerate(amounts):
                    if amount:
                        whole = measure << DAY_BITS
                        of_month[whole | day.day] = amount
                        of_year[whole] = of_year.get(whole, 0) + amount
    if kind.durations:
        _add_buckets(blocks, kind, postings)
    return {key: block for key, block in blocks.items() if block}


def _sums_by_day(kind: Kind, postings: Iterable[Posting]) -> dict[date, dict[str, dict[str | None, list[int]]]]:
    wholes, shares = _dimensions_counted(kind)
    # By day, then dimension, then value: hashing all three together for each would cost more than the sums.
    days: dict[date, dict[str, dict[str | None, list[int]]]] = {}
    nothing = [0] * len(kind.measures)
    for day, dimensions, measures, split, _ in postings:
        by_dimension = days.get(day)
        if by_dimension is None:
            by_dimension = days[day] = {name: {} for name, _ in (*wholes, *shares)}
        # Of the many measures of a kind a posting has a few.
        amounts = [(measure, amount) for measure, amount in enumerate(measures) if amount]
        for name, position in shares if split else wholes:
            value = None if position is None else dimensions[position]
            by_value = by_dimension[name]
            sums = by_value.get(value)
            if sums is None:
                sums = by_value[value] = nothing.copy()
            for measure, amount in amounts:
                sums[measure] += amount
    return days


def _add_buckets(blocks: Blocks, kind: Kind, postings: Iterable[Posting]) -> None:
    counted = dict(zip((False, True), _dimensions_counted(kind), strict=True))
    counts: dict[tuple[date, int, bool, tuple[str | None, ...]], int] = {}
    for day, dimensions, measures, split, buckets in postings:
        for duration, bucket in enumerate(buckets):
            if bucket is not None and (count := measures[kind.counters[duration]]):
                key = (day.replace(day=1), duration << BUCKET_BITS | bucket, split, dimensions)
                counts[key] = counts.get(key, 0) + count
    for (month, number, split, dimensions), count in counts.items():
        year = month.replace(month=1)
        for name, position in counted[split]:
            value = None if position is None else dimensions[position]
            for found in (
                _block(blocks, kind, name, "month", month, value),
                _block(blocks, kind, name, "year", year, value),
            ):
                found.buckets[number] = found.buckets.get(number, 0) + count


def _block(blocks: Blocks, kind: Kind, dimension: str, span: Span, start: date, value: str | None) -> Block:
    key = BlockKey(kind.name, dimension, span, start, value or NO_VALUE)
    found = blocks.get(key)
    if found is None:
        found = blocks[key] = Block()
    return found


def _dimensions_counted(kind: Kind) -> tuple[list[tuple[str, int | None]], list[tuple[str, int | None]]]:
    """Return the dimensions whose blocks a posting counts in, and the position of its value among the posting's.

    A whole counts in the total and in each dimension but the split one, a share in the split one only.
    """
    positions = [(name, position) for position, name in enumerate(kind.dimensions) if name != NOT_IN_BLOCKS]
    wholes = [(name, position) for name, position in positions if name != kind.split_by]
    return [(ALL, None), *wholes], [(name, position) for name, position in positions if name == kind.split_by]


# ------------------------------------------------------------------------------------------------- as rows

_WRITE: Final = Insert(
    block,
    ("kind", "dimension", "span", "start", "value", "part", "sums", "cells", "amounts", "buckets", "counts"),
    conflict="(kind, dimension, span, start, value, part) DO UPDATE SET sums = excluded.sums, cells = excluded.cells, "
    "amounts = excluded.amounts, buckets = excluded.buckets, counts = excluded.counts",
)
_WRITE_REVISION: Final = Insert(
    block_part, ("part", "revision"), conflict="(part) DO UPDATE SET revision = excluded.revision"
)
_LOCK_PART: Final = "SELECT revision FROM block_part WHERE part = $1 FOR UPDATE"
_LOAD: Final = """
    SELECT kind, dimension, span, start, value, sums, cells, amounts, buckets, counts
    FROM unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::text[])
        AS wanted (kind, dimension, span, start, value)
    JOIN block USING (kind, dimension, span, start, value)
    WHERE block.part = $6
"""


def row_of(key: BlockKey, found: Block, part: int) -> Row:
    """Return the row of `block` that holds it."""
    sums: list[int] = []
    cells: dict[int, int] = {}
    for number, amount in found.cells.items():
        if amount:
            measure = number >> DAY_BITS
            _add_at(sums, measure, amount)
            if key.span == "month":
                _set_cell(cells, number, amount)
    for measure, amount in enumerate(sums[:HIGH]):
        if not -_MOST <= amount < _MOST:
            high, sums[measure] = divmod(amount, _MOST)
            _add_at(sums, HIGH + measure, high)
    buckets = _non_zero(found.buckets)
    return (*key, part, sums, [*cells], [*cells.values()], [*buckets], [*buckets.values()])


def _add_at(sums: list[int], position: int, amount: int) -> None:
    if position >= len(sums):
        sums.extend([0] * (position + 1 - len(sums)))
    sums[position] += amount


def _set_cell(cells: dict[int, int], number: int, amount: int) -> None:
    if -_MOST <= amount < _MOST:
        cells[number] = amount
    else:
        high, cells[number] = divmod(amount, _MOST)
        cells[number + (HIGH << DAY_BITS)] = high


def block_of(
    span: Span,
    sums: Collection[int],
    cells: Collection[int],
    amounts: Collection[int],
    buckets: Collection[int],
    counts: Collection[int],
) -> Block:
    """Return the block that a row of `block` holds."""
    found = Block()
    if span == "month":
        numbers: Iterator[tuple[int, int]] = zip(cells, amounts, strict=True)
    else:
        numbers = ((measure << DAY_BITS, amount) for measure, amount in enumerate(sums) if amount)
    for number, amount in numbers:
        if number >> DAY_BITS >= HIGH:
            low = number - (HIGH << DAY_BITS)
            found.cells[low] = found.cells.get(low, 0) + (amount << HIGH_UNIT_BITS)
        else:
            found.cells[number] = found.cells.get(number, 0) + amount
    found.buckets.update(zip(buckets, counts, strict=True))
    return found


# ----------------------------------------------------------------------------------------------- in memory


class BlockWriter:
    """The writer of one part: adds to its blocks, of which it remembers those that it used last.

    What is remembered is only ever used when the database confirms that it is current: each transaction first locks
    the part's row and compares its revision with the one that this writer wrote last. A transaction that was rolled
    back, another writer of the same part and tables that a rebuild has replaced all show in another revision.
    """

    def __init__(self, part: int = 0) -> None:
        self.part = part
        self._cells_at_most = CELLS_IN_MEMORY
        self._blocks: Blocks = {}
        """The least recently used first."""
        self._dirty: dict[BlockKey, None] = {}
        self._cells = 0
        self._revision: int | None = None

    async def begin(self, driver: asyncpg.Connection) -> None:
        """Lock the part until the transaction ends, and forget the blocks that another transaction has changed."""
        revision = await driver.fetchval(_LOCK_PART, self.part)
        if revision is None or revision != self._revision:
            self._blocks.clear()
            self._dirty.clear()
            self._cells = 0

    async def add(self, driver: asyncpg.Connection, added: Blocks) -> None:
        """Add to the part's blocks. They are written by `rows`."""
        await self._load(driver, [key for key in added if key not in self._blocks])
        for key, sums in added.items():
            found = self._blocks.pop(key)
            self._cells -= len(found)
            found.add(sums)
            self._cells += len(found)
            self._blocks[key] = found
            self._dirty[key] = None

    @property
    def is_full(self) -> bool:
        """Whether it remembers more than it may."""
        return self._cells > self._cells_at_most

    def rows(self) -> list[Rows]:
        """Return all that has to be written in the transaction, and forget what is too much to remember.

        What is forgotten here before the commit is in these rows; should the commit fail, all of it is forgotten.
        """
        written = [row_of(key, self._blocks[key], self.part) for key in self._dirty]
        self._dirty.clear()
        self._revision = secrets.randbits(62)
        while self.is_full:
            oldest = next(iter(self._blocks))
            self._cells -= len(self._blocks.pop(oldest))
        return [Rows(_WRITE, written), Rows(_WRITE_REVISION, [(self.part, self._revision)])]

    async def _load(self, driver: asyncpg.Connection, keys: Collection[BlockKey]) -> None:
        if not keys:
            return
        self._blocks.update((key, Block()) for key in keys)
        for *key, sums, cells, amounts, buckets, counts in await driver.fetch(
            _LOAD, *map(list, zip(*keys, strict=True)), self.part
        ):
            name = BlockKey(*key)
            found = self._blocks[name] = block_of(name.span, sums, cells, amounts, buckets, counts)
            self._cells += len(found)
