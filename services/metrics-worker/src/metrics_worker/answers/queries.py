"""Reads sums from the books: balances when at most one dimension is involved, else postings or their copies.

What is to be read is said first, as values, and then read together: each is a branch of one statement. A page of KPIs
costs one way to the database and back, and what two of them have in common is read once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from operator import add
from typing import Any, Final, NamedTuple, Protocol

import asyncpg
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncSession

from metrics_worker.answers.spans import LARGEST, Piece, cover
from metrics_worker.books.fold import ALL, NO_VALUE, NOT_IN_BALANCES, SEGMENT_BUCKETS
from metrics_worker.books.narrow import Narrowed, narrowed_until
from metrics_worker.books.tables import BALANCE, HISTOGRAM, NARROW, POSTING, bucket_column
from metrics_worker.books.tables import OPENING as OPENINGS
from metrics_worker.domain.kinds import Kind
from metrics_worker.domain.period import Interval, Period
from metrics_worker.domain.posting import EARLIEST_DAY
from service_kit.compiled import begun_driver_of, driver_of, noticing_cuts
from service_kit.concurrency import cooperative_chunks

AT_ONCE: Final = 250
"""Rows, groups or values that are worked on before others have their turn: some milliseconds."""
ALL_THERE_IS: Final = 10**9
"""Rows: a limit to nothing."""
OPENING = date.min
"""The bucket of all that was before the period: what levels begin with."""

Cell = tuple[date | None, str | None]
"""A bucket's first day by the calendar (None without an interval) and a group's key (None for no value)."""
Cells = dict[Cell, tuple[int, ...]]
Histograms = dict[Cell, dict[int, int]]
Filters = tuple[tuple[str, str | None], ...]
"""By dimension, which value; None asks for what has no value."""


class Parameters:
    """The parameters of one statement, in the order in which it names them."""

    def __init__(self, narrowed: Mapping[str, Narrowed]) -> None:
        self.values: list[object] = []
        self.narrowed = narrowed
        """By kind, how far its narrow copy goes."""

    def __call__(self, value: object) -> str:
        """The parameter's name in the statement. Its type follows from what it is compared with."""
        self.values.append(value)
        return f"${len(self.values)}"


class Read(Protocol):
    """Something to be read of the database, as one branch of a statement. Equal ones are read once."""

    @property
    def scans(self) -> bool:
        """Whether postings are looked through for it: what takes long has a statement, and its time-out, to itself."""
        ...

    def branch(self, param: Parameters, limit: int) -> str:
        """SQL that selects a date, a text and an array of `numeric`; `limit` rows at most where they may be many."""
        ...


class Row(NamedTuple):
    """What every branch of a statement selects."""

    bucket: date | None
    key: str | None
    numbers: Sequence[Decimal | int]
    """Whole numbers, but for a target's."""


class Sums(NamedTuple):
    """The measures' sums for each bucket and group that has any.

    Without `group_by` every cell's key is None. With `from_the_beginning` there is the bucket `OPENING` besides.
    """

    kind: Kind
    measures: tuple[str, ...]
    period: Period
    interval: Interval | None = None
    group_by: str | None = None
    filters: Filters = ()
    from_the_beginning: bool = False
    as_of: datetime | None = None

    @property
    def scans(self) -> bool:
        """See `Read`."""
        return not _is_kept(self)

    def branch(self, param: Parameters, limit: int) -> str:
        """See `Read`."""
        by = (["1"] if self.interval or self.from_the_beginning else []) + (["2"] if self.group_by else [])
        # Without any group, PostgreSQL would answer an empty range with one row of nulls.
        end = f"GROUP BY {', '.join(by)} LIMIT {limit:d}" if by else "HAVING count(*) > 0"
        return " UNION ALL ".join(
            source.told(
                f"SELECT {bucket} AS bucket, {source.key} AS key, {source.sums(self.measures)} AS numbers "  # noqa: S608 -- names of ours, no input
                f"FROM {source.table} WHERE {source.condition} {end}"
            )
            for source, bucket in self._looks(param)
        )

    def _looks(self, param: Parameters) -> Iterator[tuple["_Source", str]]:
        """What has to be summed, and the bucket that it belongs to."""
        pieces = _pieces(self.period, self.interval, self.from_the_beginning)
        bucket = of_any = _bucket(self.interval)
        if self.from_the_beginning:
            opening = f"{param(OPENING)}::date"
            of_any = f"CASE WHEN day < {param(self.period.start)} THEN {opening} ELSE {bucket} END"
        if _is_kept(self):
            yield _kept(self, BALANCE[self.kind].name, pieces, param), of_any
            return
        narrowed = _narrowed(self, param)
        if narrowed is None or not self.from_the_beginning:
            yield from ((source, of_any) for source in _looked_through(self, pieces, param))
            return
        yield _posted(self, f"{_days(pieces, param)} AND id > {narrowed.posting_id:d}", param, POSTING), of_any
        openings = narrowed.openings
        following = self.period.end + timedelta(days=1)
        yield from ((source, opening) for source in _stood(self, self.period.start, openings, param))
        between = any(self.period.start < each <= following for each in openings)
        if between and self.interval is None and set(self.measures) <= set(self.kind.levels):
            # What stood at either end is less to look through than all that happened between.
            yield from ((source, bucket) for source in _stood(self, following, openings, param))
            yield from ((source.taken_away(), bucket) for source in _stood(self, self.period.start, openings, param))
        else:
            within = _days(_pieces(self.period, self.interval, False), param)
            yield _posted(self, within, param, NARROW), bucket


class Valueless(NamedTuple):
    """The measures' sums of what carries no value of a dimension, with the dimension as key; under `ALL` the whole.

    A dimension of which everything carries a value is left out, and so is the customer.
    """

    kind: Kind
    measures: tuple[str, ...]
    period: Period
    from_the_beginning: bool = False

    @property
    def scans(self) -> bool:
        """See `Read`."""
        return False

    def branch(self, param: Parameters, limit: int) -> str:
        """See `Read`."""
        # Spelled out, so that the primary key leads to the rows.
        dimensions = ", ".join(f"'{name}'" for name in (ALL, *self.kind.dimensions))
        within = _within(_pieces(self.period, None, self.from_the_beginning), param)
        condition = f"dimension IN ({dimensions}) AND value = '{NO_VALUE}' AND {within}"
        source = _Source(BALANCE[self.kind].name, condition, "dimension")
        return (
            f"SELECT NULL::date, {source.key}, {source.sums(self.measures)} "  # noqa: S608 -- names of ours, no input
            f"FROM {source.table} WHERE {source.condition} GROUP BY 2"
        )


class Counts(NamedTuple):
    """How many of a duration fall into each bucket of its histogram, for each bucket of days and group that has any."""

    kind: Kind
    duration: str
    period: Period
    interval: Interval | None = None
    group_by: str | None = None
    filters: Filters = ()
    as_of: datetime | None = None

    @property
    def scans(self) -> bool:
        """See `Read`."""
        return not _is_kept(self)

    def branch(self, param: Parameters, limit: int) -> str:
        """As `Read` says, but of `bigint`: a bucket of the histogram and the counts from there on, or pairs of both."""
        wholes: list[Piece] = []
        days = _pieces(self.period, self.interval, False)
        if _is_kept(self):
            wholes = [piece for piece in days if piece.span != "day"]
            days = [piece for piece in days if piece.span == "day"]
        bucket = _bucket(self.interval)
        parts = []
        if wholes:
            source = _kept(self, HISTOGRAM[self.kind].name, wholes, param)
            parts.append(
                f"SELECT {bucket}, {source.key}, ARRAY[segment * {SEGMENT_BUCKETS}]::bigint[] || counts::bigint[] "  # noqa: S608 -- names of ours, no input
                f"FROM {source.table} WHERE duration = '{self.duration}' AND {source.condition}"
            )
        if days or not parts:
            number = bucket_column(self.duration)
            counting = self.kind.measures[self.kind.counting[self.kind.durations.index(self.duration)]]
            # A row a group and not one a bucket: what is limited is what an answer holds.
            parts += [
                source.told(
                    "SELECT bucket, key, array_agg(ARRAY[number, count]::bigint[]) AS numbers FROM ("  # noqa: S608 -- names of ours, no input
                    f"SELECT {bucket} AS bucket, {source.key} AS key, {number} AS number, "
                    f"coalesce(sum({counting}), 0) AS count FROM {source.table} "
                    f"WHERE {number} IS NOT NULL AND {source.condition} GROUP BY 1, 2, 3"
                    f") AS counted GROUP BY 1, 2 LIMIT {limit:d}"
                )
                for source in _looked_through(self, days, param)
            ]
        return " UNION ALL ".join(parts)


class Found:
    """What was read, by what was wanted."""

    def __init__(self) -> None:
        self.rows: dict[Read, list[Row]] = {}

    def cells(self, wanted: Sums) -> Cells:
        """The sums; a cell in which nothing happened is left out."""
        found: Cells = {}
        _add_up(found, self.rows[wanted])
        return found

    async def cells_in_turns(self, wanted: Sums) -> Cells:
        """The same, while others have their turn: there may be as many as there are customers."""
        found: Cells = {}
        async for rows in cooperative_chunks(self.rows[wanted], AT_ONCE):
            _add_up(found, rows)
        return found

    def rows_of(self, wanted: Read, limit: int) -> int:
        """How many cells there are, each of them once where several rows tell of it. Exact from `limit` on."""
        rows = self.rows[wanted]
        if len(rows) < limit:
            return len(rows)
        return len({(row.bucket, row.key) for row in rows})

    def by_dimension(self, wanted: Valueless) -> dict[str, tuple[int, ...]]:
        """The sums, by the dimension that no value is carried of."""
        return {row.key or "": tuple(map(int, row.numbers)) for row in self.rows[wanted]}

    async def histograms(self, wanted: Counts) -> Histograms:
        """How many fall into each bucket of the histogram that anything falls into. Others have turns meanwhile."""
        found: Histograms = {}
        async for rows in cooperative_chunks(self.rows[wanted], AT_ONCE):
            for bucket, key, numbers in rows:
                histogram = found.setdefault((bucket, key), {})
                for number, count in _counts_of(numbers):
                    if count:
                        histogram[number] = histogram.get(number, 0) + count
        return found


def _counts_of(numbers: Sequence[Any]) -> Iterable[tuple[int, int]]:
    """The buckets of a histogram and how many fall into each, of what `Counts` reads."""
    return numbers if isinstance(numbers[0], list) else enumerate(numbers[1:], start=numbers[0])


def _add_up(cells: Cells, rows: Iterable[Row]) -> None:
    for bucket, key, numbers in rows:
        amounts = tuple(map(int, numbers))
        standing = cells.get((bucket, key))
        cells[bucket, key] = amounts if standing is None else tuple(map(add, standing, amounts))


def are_one_statement(wanted: Iterable[Read]) -> bool:
    """Whether `read` reads all of it at one moment, in a snapshot or not."""
    return not any(each.scans or isinstance(each, Counts) for each in wanted)


async def read(session: AsyncSession, wanted: Iterable[Read], *, limit: int) -> Found:
    """All that is wanted: the balances by one statement, the histograms by another. `limit` rows of each at most.

    The session is in the snapshot that all of it is to be of, unless that is one statement.
    """
    asked = dict.fromkeys(wanted)
    groups: dict[Read, Sums | Counts] = {
        each._replace(group_by=None): each for each in asked if isinstance(each, Sums | Counts) and _adds_up(each)
    }
    # The postings are looked through once for the groups and for the whole that they add up to.
    adding_up = {each: groups[each] for each in asked if each in groups}
    found = Found()
    reads = [each for each in asked if each not in adding_up]
    connection = await session.connection()
    driver = await (driver_of if are_one_statement(reads) else begun_driver_of)(connection)
    async with noticing_cuts(connection):
        narrowed = await narrowed_until(connection) if any(each.scans for each in reads) else {}
        for of_counts in (False, True):
            kept = [each for each in reads if isinstance(each, Counts) == of_counts and not each.scans]
            found.rows |= await _rows(driver, narrowed, kept, limit)
        for each in reads:
            if isinstance(each, Counts) and each.scans:
                found.rows |= await _rows(driver, narrowed, [each], limit)
        # What looks through the same postings looks through them once.
        same: dict[Sums, list[Sums]] = {}
        for each in reads:
            if isinstance(each, Sums) and each.scans:
                same.setdefault(each._replace(measures=(), from_the_beginning=False), []).append(each)
        for parts in same.values():
            found.rows |= await _together(driver, narrowed, parts, limit)
    for whole, of_groups in adding_up.items():
        found.rows[whole] = []
        async for rows in cooperative_chunks(found.rows[of_groups], AT_ONCE):
            found.rows[whole] += [Row(bucket, None, numbers) for bucket, _, numbers in rows]
    return found


async def standing(session: AsyncSession, wanted: Sums) -> list[str | None]:
    """The groups of which anything of one level stands at the end of the period."""
    connection = await session.connection()
    param = Parameters(await narrowed_until(connection))
    rows = await connection.exec_driver_sql(
        f"SELECT key FROM ({wanted.branch(param, ALL_THERE_IS)}) AS told "  # noqa: S608 -- SQL of ours, no input
        "GROUP BY key HAVING sum(numbers[1]) > 0",
        tuple(param.values),
    )
    return list(rows.scalars())


async def _together(
    driver: asyncpg.Connection, narrowed: Mapping[str, Narrowed], parts: Sequence[Sums], limit: int
) -> dict[Read, list[Row]]:
    """Sums that differ only by their measures and whether they begin at the beginning."""
    whole = parts[0]._replace(
        measures=tuple(dict.fromkeys(name for part in parts for name in part.measures)),
        from_the_beginning=any(part.from_the_beginning for part in parts),
    )
    found = await _rows(driver, narrowed, [whole], limit)
    rows = found[whole]
    for part in parts:
        if part != whole:
            at = [whole.measures.index(name) for name in part.measures]
            found[part] = []
            async for chunk in cooperative_chunks(rows, AT_ONCE):
                found[part] += [
                    Row(bucket, key, [numbers[position] for position in at])
                    for bucket, key, numbers in chunk
                    if part.from_the_beginning or bucket != OPENING
                ]
    return found


async def _rows(
    driver: asyncpg.Connection, narrowed: Mapping[str, Narrowed], reads: Sequence[Read], limit: int
) -> dict[Read, list[Row]]:
    found: dict[Read, list[Row]] = {each: [] for each in reads}
    if reads:
        param = Parameters(narrowed)
        branches = [
            f"SELECT {number}, * FROM ({each.branch(param, limit)}) AS branch"  # noqa: S608 -- SQL of ours, no input
            for number, each in enumerate(reads)
        ]
        # As text and past SQLAlchemy: to build these of its expressions costs as much as to run them.
        rows = await driver.fetch(" UNION ALL ".join(branches), *param.values)
        async for chunk in cooperative_chunks(rows, AT_ONCE):
            for number, *row in chunk:
                found[reads[number]].append(Row(*row))
    return found


class _Source(NamedTuple):
    """Where sums are read from, under which condition, and what the group's key is there."""

    table: str
    condition: str
    key: str
    coded: bool = False
    """Whether the key is a code and not a value."""
    sign: str = ""
    levels: tuple[str, ...] | None = None
    """The measures that it holds, where it does not hold all."""

    def taken_away(self) -> "_Source":
        """The same, to be taken from the rest."""
        return self._replace(sign="" if self.sign else "-")

    def sums(self, measures: Sequence[str]) -> str:
        """SQL for the measures' sums."""
        # Where all postings say nothing of a measure, they add nothing to it.
        sums = (
            f"{self.sign}coalesce(sum({name}), 0)" if self.levels is None or name in self.levels else "0"
            for name in measures
        )
        return f"ARRAY[{', '.join(sums)}]::numeric[]"

    def told(self, select: str) -> str:
        """A statement over it of `bucket`, `key` and `numbers`, with values in the place of codes."""
        if not self.coded:
            return f"({select})"
        return (
            f"(SELECT bucket, value, numbers FROM ({select}) AS coded "  # noqa: S608 -- SQL of ours, no input
            "LEFT JOIN dimension_value ON code = key)"
        )


def _kept(wanted: Sums | Counts, table: str, pieces: Sequence[Piece], param: Parameters) -> _Source:
    """In the table in which sums are kept."""
    [dimension] = _involved(wanted) or [ALL]
    values = [f"value = {param(NO_VALUE if value is None else value)}" for _, value in wanted.filters]
    conditions = [f"dimension = '{dimension}'", *values, _within(pieces, param)]
    return _Source(table, " AND ".join(conditions), f"nullif(value, '{NO_VALUE}')" if wanted.group_by else "NULL")


def _looked_through(wanted: Sums | Counts, pieces: Sequence[Piece], param: Parameters) -> list[_Source]:
    """In the postings; up to one of them in their narrow copy, if there is one."""
    narrowed = _narrowed(wanted, param)
    if narrowed is None:
        return [_posted(wanted, _days(pieces, param), param, POSTING)]
    return [
        _posted(wanted, _days(pieces, param), param, NARROW),
        _posted(wanted, f"{_days(pieces, param)} AND id > {narrowed.posting_id:d}", param, POSTING),
    ]


def _narrowed(wanted: Sums | Counts, param: Parameters) -> Narrowed | None:
    """How far the narrow copy goes that serves the question; None where none does."""
    # The postings have an index on customers.
    by_customer = dict(wanted.filters).get(NOT_IN_BALANCES) is not None
    return None if by_customer else param.narrowed.get(wanted.kind.name)


def _stood(wanted: Sums, day: date, openings: Sequence[date], param: Parameters) -> Iterator[_Source]:
    """What stood at the beginning of a day, by the narrow copy: what it opened with before, and what came since."""
    first = EARLIEST_DAY
    if before := [each for each in openings if each <= day]:
        first = before[-1]
        # No more than the levels, and not when they were recorded.
        brought = wanted._replace(as_of=None)
        yield _posted(brought, f"day = {param(first)}", param, OPENINGS)._replace(levels=wanted.kind.levels)
        if wanted.as_of is not None:
            later = f"day < {param(first)} AND recorded_time > {param(wanted.as_of)}"
            yield _posted(brought, later, param, NARROW).taken_away()
    if first < day:
        yield _posted(wanted, _between(first, day - timedelta(days=1), param), param, NARROW)


def _posted(wanted: Sums | Counts, days: str, param: Parameters, tables: Mapping[Kind, Table]) -> _Source:
    """In the postings or what was made of them, under another condition beside those of the question."""
    coded = tables is not POSTING
    given = "(SELECT code FROM dimension_value WHERE value = {})" if coded else "{}"
    conditions = [
        f"{name} IS NULL" if value is None else f"{name} = {given.format(param(value))}"
        for name, value in wanted.filters
    ]
    conditions.append(days)
    if wanted.kind.split_by is not None:
        conditions.append("split" if _of_shares(wanted) else "NOT split")
    if wanted.as_of is not None:
        conditions.append(f"recorded_time <= {param(wanted.as_of)}")
    table = tables[wanted.kind].name
    return _Source(table, " AND ".join(conditions), wanted.group_by or "NULL", coded and wanted.group_by is not None)


def _involved(wanted: Sums | Counts) -> set[str]:
    """The dimensions that are filtered or grouped by."""
    return {name for name, _ in wanted.filters} | ({wanted.group_by} if wanted.group_by else set())


def _is_kept(wanted: Sums | Counts) -> bool:
    """Whether balances or histograms hold it."""
    involved = _involved(wanted)
    return len(involved) <= 1 and NOT_IN_BALANCES not in involved and wanted.as_of is None


def _of_shares(wanted: Sums | Counts) -> bool:
    """Shares when the dimension that subjects are split by is asked about, wholes when not: never both."""
    return wanted.kind.split_by in _involved(wanted)


def _adds_up(wanted: Sums | Counts) -> bool:
    """Whether these are groups that add up to the whole, and the whole is kept nowhere either."""
    whole = wanted._replace(group_by=None)
    return whole != wanted and not _is_kept(whole) and _of_shares(whole) == _of_shares(wanted)


def _pieces(period: Period, interval: Interval | None, from_the_beginning: bool) -> list[Piece]:
    pieces = cover(period.start, period.end, LARGEST[interval])
    if from_the_beginning:
        pieces = cover(EARLIEST_DAY, period.start - timedelta(days=1), "year") + pieces
    return pieces


def _within(pieces: Sequence[Piece], param: Parameters) -> str:
    """The balances of some pieces; none of no piece."""
    return _any_of([f"span = '{piece.span}' AND {_between(piece.first, piece.last, param)}" for piece in pieces])


def _days(pieces: Sequence[Piece], param: Parameters) -> str:
    """The days of some pieces, which follow each other or leave a gap between the first and the last."""
    runs: list[tuple[date, date]] = []
    for piece in pieces:
        if runs and piece.first <= runs[-1][1] + timedelta(days=1):
            runs[-1] = (runs[-1][0], piece.last)
        else:
            runs.append((piece.first, piece.last))
    return _any_of([_between(first, last, param) for first, last in runs])


def _between(first: date, last: date, param: Parameters) -> str:
    return f"day BETWEEN {param(first)} AND {param(last)}"


def _any_of(conditions: Sequence[str]) -> str:
    return f"({' OR '.join(conditions)})" if conditions else "false"


def _bucket(interval: Interval | None) -> str:
    if interval == "day":
        return "day"
    return f"date_trunc('{interval}', day::timestamp)::date" if interval else "NULL::date"
