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
from metrics_worker.ledger.bulk_insert import Insert, Row, Rows, array_text
from metrics_worker.ledger.tables import CUSTOMER, block, block_part

ALL: Final = "all"
"""The dimension of the total."""
NO_VALUE: Final = ""
"""The value of postings without one: a code is never empty, so it is distinct from every code."""
NOT_IN_BLOCKS: Final = CUSTOMER
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

CELLS_IN_MEMORY: Final = 150_000
"""Cells and buckets that a writer remembers between batches: some 20 MiB."""


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
    """The sums of a month or year, sparse. What cancels out stays as 0."""

    __slots__ = ("_buckets_text", "_cells_text", "buckets", "cells")

    def __init__(self) -> None:
        self.cells: dict[int, int] = {}
        """A month's sums by `measure << DAY_BITS | day`; a year's by `measure << DAY_BITS`."""
        self.buckets: dict[int, int] = {}
        """The count of each bucket, by `duration << BUCKET_BITS | bucket`."""
        self._cells_text = self._buckets_text = (0, "{}")

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

    def cells_text(self) -> str:
        """Return the numbers of the cells as PostgreSQL writes an array. They only grow, so the text is kept."""
        if self._cells_text[0] != len(self.cells):
            self._cells_text = (len(self.cells), array_text(self.cells))
        return self._cells_text[1]

    def buckets_text(self) -> str:
        """Return the numbers of the buckets likewise."""
        if self._buckets_text[0] != len(self.buckets):
            self._buckets_text = (len(self.buckets), array_text(self.buckets))
        return self._buckets_text[1]


def _non_zero(numbers: Mapping[int, int]) -> dict[int, int]:
    return {number: amount for number, amount in numbers.items() if amount}


Blocks = dict[BlockKey, Block]
_OfMonth = dict[str, dict[str | None, Block]]
"""The blocks of a month, by dimension and value."""


def blocks_of(kind: Kind, postings: Iterable[Posting]) -> Blocks:
    """Return the blocks that sum up postings of a kind."""
    blocks: Blocks = {}
    for month, of_month in _months_of(kind, postings).items():
        year = month.replace(month=1)
        for dimension, by_value in of_month.items():
            for value, found in by_value.items():
                if not found:
                    continue
                blocks[BlockKey(kind.name, dimension, "month", month, value or NO_VALUE)] = found
                of_year = BlockKey(kind.name, dimension, "year", year, value or NO_VALUE)
                _add_to_year(blocks.setdefault(of_year, Block()), found)
    return {key: found for key, found in blocks.items() if found}


def _months_of(kind: Kind, postings: Iterable[Posting]) -> dict[date, _OfMonth]:
    """Return the blocks of the months, in one pass: a batch has some hundred thousand postings times dimensions."""
    wholes, shares = _dimensions_counted(kind)
    months: dict[date, _OfMonth] = {}
    month_of_day: dict[date, _OfMonth] = {}
    for day, dimensions, measures, split, buckets in postings:
        of_month = month_of_day.get(day)
        if of_month is None:
            of_month = months.setdefault(day.replace(day=1), {name: {} for name, _ in (*wholes, *shares)})
            month_of_day[day] = of_month
        day_of_month = day.day
        # Of the many measures of a kind a posting has a few.
        sums = [(measure << DAY_BITS | day_of_month, amount) for measure, amount in enumerate(measures) if amount]
        counts = [
            (duration << BUCKET_BITS | bucket, measures[kind.counters[duration]])
            for duration, bucket in enumerate(buckets)
            if bucket is not None
        ]
        for name, position in shares if split else wholes:
            by_value = of_month[name]
            value = None if position is None else dimensions[position]
            found = by_value.get(value)
            if found is None:
                found = by_value[value] = Block()
            cells = found.cells
            for cell, amount in sums:
                cells[cell] = cells.get(cell, 0) + amount
            for number, count in counts:
                found.buckets[number] = found.buckets.get(number, 0) + count
    return months


def _add_to_year(year: Block, month: Block) -> None:
    cells, buckets = year.cells, year.buckets
    for cell, amount in month.cells.items():
        whole = cell >> DAY_BITS << DAY_BITS
        cells[whole] = cells.get(whole, 0) + amount
    for number, count in month.buckets.items():
        buckets[number] = buckets.get(number, 0) + count


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
_CREATE_PART: Final = "INSERT INTO block_part (part, revision) VALUES ($1, 0) ON CONFLICT DO NOTHING"
_LOAD: Final = """
    SELECT kind, dimension, span, start, value, sums, cells, amounts, buckets, counts
    FROM unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::text[])
        AS wanted (kind, dimension, span, start, value)
    JOIN block USING (kind, dimension, span, start, value)
    WHERE block.part = $6
"""


def row_of(key: BlockKey, found: Block, part: int) -> Row:
    """Return the row of `block` that holds it, arrays as PostgreSQL writes them."""
    sums: list[int] = [0] * (max(found.cells, default=-1) + (1 << DAY_BITS) >> DAY_BITS)
    for number, amount in found.cells.items():
        sums[number >> DAY_BITS] += amount
    if sums and not (min(sums) >= -_MOST and max(sums) < _MOST):
        split = _with_high(dict(enumerate(sums)), HIGH)
        sums = [split.get(measure, 0) for measure in range(max(split) + 1)]
    cells, amounts = "{}", "{}"
    if key.span == "month" and found.cells:
        if min(found.cells.values()) >= -_MOST and max(found.cells.values()) < _MOST:
            cells, amounts = found.cells_text(), array_text(found.cells.values())
        else:
            wide = _with_high(found.cells, HIGH << DAY_BITS)
            cells, amounts = array_text(wide), array_text(wide.values())
    return (
        *key, part, array_text(sums), cells, amounts, found.buckets_text(), array_text(found.buckets.values()),
    )  # fmt: skip


def sums_of(found: Block) -> dict[int, int]:
    """Return the sums of the whole span by measure, without zeros."""
    sums: dict[int, int] = {}
    for number, amount in found.cells.items():
        sums[number >> DAY_BITS] = sums.get(number >> DAY_BITS, 0) + amount
    return _non_zero(sums)


def _with_high(numbers: Mapping[int, int], high: int) -> dict[int, int]:
    """Return the same, with the higher digits of what exceeds 64 bits under a number of their own."""
    split: dict[int, int] = {}
    for number, amount in numbers.items():
        if -_MOST <= amount < _MOST:
            split[number] = amount
        else:
            split[number + high], split[number] = divmod(amount, _MOST)
    return split


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

    async def begin(self, driver: asyncpg.Connection) -> bool:
        """Lock the part until the transaction ends. Return whether this writer wrote it last, and that is committed;
        otherwise forget all blocks."""
        revision = await driver.fetchval(_LOCK_PART, self.part)
        if revision is None:
            # A row is all that can be locked. A writer that creates the same one at this moment is waited for.
            await driver.execute(_CREATE_PART, self.part)
            revision = await driver.fetchval(_LOCK_PART, self.part)
        is_current: bool = revision == self._revision
        if not is_current:
            self._blocks.clear()
            self._dirty.clear()
            self._cells = 0
        return is_current

    async def add(self, driver: asyncpg.Connection, added: Blocks) -> None:
        """Add to the part's blocks. They are written by `rows`."""
        # What breaks off before that leaves blocks in memory that the database does not have.
        self._revision = None
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
