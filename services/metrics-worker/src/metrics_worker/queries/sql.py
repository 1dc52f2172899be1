"""The statements of an answer: sums from blocks when at most one dimension is involved, else from the postings.

What has to be read is declared first, as values, and then read together: what two KPIs have in common is read once, and
all reads from blocks are branches of one statement.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from operator import add
from typing import Final, NamedTuple, Protocol

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from event_contracts.calendar import FIRST_DAY
from metrics_worker.domain.kinds import Kind
from metrics_worker.domain.period import Interval, Period
from metrics_worker.ledger.blocks import (
    ALL,
    BUCKET_BITS,
    DAY_BITS,
    HIGH,
    HIGH_UNIT_BITS,
    NO_VALUE,
    NOT_IN_BLOCKS,
)
from metrics_worker.ledger.tables import CUSTOMER, POSTING, bucket_column
from metrics_worker.queries.merged_values import NO_MERGES, Merges, merges_for
from metrics_worker.queries.plan import LARGEST, Piece, cover
from metrics_worker.queries.query import FilterValue
from service_kit.compiled import driver_of
from service_kit.concurrency import cooperative_chunks

DAY_OF_CELL: Final = f"start + (cell & {(1 << DAY_BITS) - 1}) - 1"
"""SQL for the day of a `cell` of a month's block."""
AT_ONCE: Final = 250
"""Rows, groups or values that are processed before other tasks run: some milliseconds."""
OPENING = date.min
"""The bucket of everything before the period: the opening value of semi-additive measures."""

Cell = tuple[date | None, str | None]
"""A bucket's first day by the calendar (None without an interval) and a group's key: see `values_of`."""
Cells = dict[Cell, tuple[int, ...]]
Histograms = dict[Cell, dict[int, int]]
Filters = tuple[tuple[str, FilterValue], ...]
"""By dimension."""


def values_of(key: str | None, dimensions: Sequence[str]) -> tuple[str | None, ...]:
    """Return the values of a group's dimensions: the key itself is that of one, and of several a JSON array."""
    return (key,) if len(dimensions) == 1 else tuple(json.loads(key or "[]"))


class Parameters:
    """The parameters of one statement, in the order in which it names them."""

    def __init__(self) -> None:
        self.values: list[object] = []

    def __call__(self, value: object) -> str:
        """Return the parameter's name in the statement. Its type follows from what it is compared with."""
        self.values.append(value)
        return f"${len(self.values)}"


class Read(Protocol):
    """Something to be read from the database, as one branch of a statement. Equal ones are read once."""

    @property
    def scans(self) -> bool:
        """Whether it scans postings: what may take long has a statement, and its time-out, to itself."""
        ...

    def branch(self, param: Parameters, limit: int) -> str:
        """Return SQL that selects a date, a text and an array of `numeric`; at most `limit` rows where they may be
        many."""
        ...


class Row(NamedTuple):
    """What every branch of a statement selects."""

    bucket: date | None
    key: str | None
    numbers: Sequence[Decimal | int]


class Sums(NamedTuple):
    """The measures' sums for each bucket and group that has any.

    Without `group_by` every cell's key is None. With `from_the_beginning` there is the bucket `OPENING` besides.
    """

    kind: Kind
    measures: tuple[str, ...]
    period: Period
    interval: Interval | None = None
    group_by: tuple[str, ...] = ()
    filters: Filters = ()
    from_the_beginning: bool = False
    as_of: datetime | None = None
    elapsed_only: bool = False
    """Of days that are over only, now or as of the moment. Which those are is known within the statement."""

    @property
    def scans(self) -> bool:
        """See `Read`."""
        return not _is_in_blocks(self)

    def branch(self, param: Parameters, limit: int) -> str:
        """See `Read`."""
        grouped = (["1"] if self.interval or self.from_the_beginning else []) + (["2"] if self.group_by else [])
        # Without any group, PostgreSQL would answer an empty range with one row of nulls.
        end = f"GROUP BY {', '.join(grouped)} LIMIT {limit:d}" if grouped else "HAVING count(*) > 0"
        # The sum of a month or year has its days to come too.
        pieces = _pieces(self.period, "day" if self.elapsed_only else self.interval, self.from_the_beginning)
        sources = [_postings(self, pieces, param)] if self.scans else _blocks(self, pieces, param)
        return _union(
            source.with_text(
                f"SELECT {self._bucket(source.day, param)} AS bucket, {source.key} AS key, "
                f"{source.sums(self.kind, self.measures)} AS sums FROM {source.table} "
                f"WHERE {source.condition}{self._elapsed(source.day, param)} {end}"
            )
            for source in sources
        )

    def _elapsed(self, day: str, param: Parameters) -> str:
        """Return SQL for the condition that a day is over in the ledger's time zone, where only such days count."""
        if not self.elapsed_only:
            return ""
        moment = "now()" if self.as_of is None else f"{param(self.as_of)}::timestamptz"
        return f" AND {day} < (SELECT ({moment} AT TIME ZONE timezone)::date FROM ledger)"

    def _bucket(self, day: str, param: Parameters) -> str:
        bucket = _bucket(self.interval, day)
        if not self.from_the_beginning:
            return bucket
        return f"CASE WHEN {day} < {param(self.period.start)} THEN {param(OPENING)}::date ELSE {bucket} END"


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
        condition = f"kind = '{self.kind.name}' AND dimension IN ({dimensions}) AND value = '{NO_VALUE}'"
        pieces = _pieces(self.period, None, self.from_the_beginning)
        return _union(
            f"SELECT NULL::date, {source.key}, {source.sums(self.kind, self.measures)} "
            f"FROM {source.table} WHERE {source.condition} GROUP BY 2"
            for source in _block_sources(condition, "dimension", self.kind, self.measures, pieces, param)
        )


class Counts(NamedTuple):
    """How many of a duration fall into each bucket of its histogram, for each bucket of days and group that has any."""

    kind: Kind
    duration: str
    period: Period
    interval: Interval | None = None
    group_by: tuple[str, ...] = ()
    filters: Filters = ()
    as_of: datetime | None = None

    @property
    def scans(self) -> bool:
        """See `Read`."""
        return not _is_in_blocks(self)

    def branch(self, param: Parameters, limit: int) -> str:
        """As `Read`, but of `bigint`: pairs of a bucket of the histogram and its count."""
        days, counted = _pieces(self.period, self.interval, False), []
        duration = self.kind.durations.index(self.duration)
        if not self.scans:
            wholes = [piece for piece in days if piece.span != "day"]
            days = [piece for piece in days if piece.span == "day"]
            if wholes:
                condition, key = _block_condition(self, param)
                counts = (
                    f"SELECT {_bucket(self.interval, 'start')} AS bucket, {key} AS key, "
                    f"number & {(1 << BUCKET_BITS) - 1} AS number, sum(count) AS count "
                    "FROM block CROSS JOIN LATERAL unnest(buckets, counts) AS counted (number, count) "
                    f"WHERE number >> {BUCKET_BITS} = {duration} AND {condition} AND {_whole_spans(wholes, param)} "
                    "GROUP BY 1, 2, 3"
                )
                counted.append(("key", counts))
        if days or not counted:
            source = _postings(self, days, param)
            number = bucket_column(self.duration)
            counts = (
                f"SELECT {_bucket(self.interval, 'day')} AS bucket, {source.key} AS key, {number} AS number, "
                f"coalesce(sum({self.kind.measures[self.kind.counters[duration]]}), 0) AS count FROM {source.table} "
                f"WHERE {number} IS NOT NULL AND {source.condition} GROUP BY 1, 2, 3"
            )
            counted.append((source.text or "key", counts))
        # A row a group and not one a bucket: the limit is on what an answer holds.
        return _union(
            f"SELECT bucket, {text}, array_agg(ARRAY[number, count]::bigint[]) FROM ({each}) AS counts "
            f"GROUP BY bucket, key LIMIT {limit:d}"
            for text, each in counted
        )


class Found:
    """What was read, by what was wanted."""

    def __init__(self) -> None:
        self.rows: dict[Read, list[Row]] = {}

    def cells(self, wanted: Sums) -> Cells:
        """Return the sums; a cell in which nothing happened is left out."""
        found: Cells = {}
        _add_up(found, self.rows[wanted])
        return found

    async def cells_in_turns(self, wanted: Sums) -> Cells:
        """Return the same, while other tasks run in between: there may be as many as there are customers."""
        found: Cells = {}
        async for rows in cooperative_chunks(self.rows[wanted], AT_ONCE):
            _add_up(found, rows)
        return found

    def rows_of(self, wanted: Read, limit: int) -> int:
        """Return how many cells there are, each once where several rows belong to it. Exact from `limit` on."""
        rows = self.rows[wanted]
        if len(rows) < limit:
            return len(rows)
        return len({(row.bucket, row.key) for row in rows})

    def keys(self, wanted: Iterable[Read]) -> set[str | None]:
        """Return the groups that have any rows."""
        return {row.key for each in wanted for row in self.rows[each]}

    def by_dimension(self, wanted: Valueless) -> dict[str, tuple[int, ...]]:
        """Return the sums, by the dimension that no value is carried of."""
        found: Cells = {}
        _add_up(found, self.rows[wanted])
        return {key or "": amounts for (_, key), amounts in found.items()}

    async def histograms(self, wanted: Counts) -> Histograms:
        """Return how many durations each bucket of the histogram holds, without empty ones. Other tasks run in
        between."""
        found: Histograms = {}
        async for rows in cooperative_chunks(self.rows[wanted], AT_ONCE):
            for bucket, key, numbers in rows:
                histogram = found.setdefault((bucket, key), {})
                for number, count in numbers:  # type: ignore[misc]  # pairs, see `Counts.branch`
                    if count:
                        histogram[number] = histogram.get(number, 0) + count
        return found


def _add_up(cells: Cells, rows: Iterable[Row]) -> None:
    for bucket, key, numbers in rows:
        amounts = tuple(map(int, numbers))
        sums = cells.get((bucket, key))
        cells[bucket, key] = amounts if sums is None else tuple(map(add, sums, amounts))


async def read(connection: AsyncConnection, wanted: Iterable[Read], *, limit: int) -> Found:
    """Read all that is wanted: sums from blocks by one statement, histograms by another. At most `limit` rows of each.

    The connection is in a transaction whose reads all see the ledger of one moment: a deal that is posted between two
    of them must not count in one and not in the other.
    """
    asked = dict.fromkeys(wanted)
    groups: dict[Read, Sums | Counts] = {
        each._replace(group_by=()): each for each in asked if isinstance(each, Sums | Counts) and _adds_up(each)
    }
    # The postings are scanned once for the groups and for the whole that they add up to.
    adding_up = {each: groups[each] for each in asked if each in groups}
    found = Found()
    reads = [each for each in asked if each not in adding_up]
    driver = await driver_of(connection)
    merges = await merges_for(
        driver, [(each.kind, _involved(each)) for each in reads if isinstance(each, Sums | Counts)]
    )
    for of_counts in (False, True):
        in_blocks = [each for each in reads if isinstance(each, Counts) == of_counts and not each.scans]
        found.rows |= await _rows(driver, in_blocks, limit, merges)
    for each in reads:
        if isinstance(each, Counts) and each.scans:
            found.rows |= await _rows(driver, [each], limit, merges)
    # What scans the same postings scans them once.
    same: dict[Sums, list[Sums]] = {}
    for each in reads:
        if isinstance(each, Sums) and each.scans:
            same.setdefault(each._replace(measures=(), from_the_beginning=False), []).append(each)
    for parts in same.values():
        found.rows |= await _together(driver, parts, limit, merges)
    for whole, of_groups in adding_up.items():
        found.rows[whole] = []
        async for rows in cooperative_chunks(found.rows[of_groups], AT_ONCE):
            found.rows[whole] += [Row(bucket, None, numbers) for bucket, _, numbers in rows]
    return found


async def _together(
    driver: asyncpg.Connection, parts: Sequence[Sums], limit: int, merges: Merges
) -> dict[Read, list[Row]]:
    """Read sums that differ only by their measures and by whether they begin at the beginning."""
    whole = parts[0]._replace(
        measures=tuple(dict.fromkeys(name for part in parts for name in part.measures)),
        from_the_beginning=any(part.from_the_beginning for part in parts),
    )
    found = await _rows(driver, [whole], limit, merges)
    rows = found[whole]
    for part in parts:
        if part != whole:
            positions = [whole.measures.index(name) for name in part.measures]
            found[part] = []
            async for portion in cooperative_chunks(rows, AT_ONCE):
                found[part] += [
                    Row(bucket, key, [numbers[position] for position in positions])
                    for bucket, key, numbers in portion
                    if part.from_the_beginning or bucket != OPENING
                ]
    return found


async def _rows(driver: asyncpg.Connection, reads: Sequence[Read], limit: int, merges: Merges) -> dict[Read, list[Row]]:
    """Read what is asked for, merged values as those that they count as."""
    found: dict[Read, list[Row]] = {each: [] for each in reads}
    if reads:
        param = Parameters()
        branches = [
            f"SELECT {number}, * FROM ({_with_merged(each, merges).branch(param, limit)}) AS branch"
            for number, each in enumerate(reads)
        ]
        # As text and past SQLAlchemy: to build these of its expressions costs as much as to run them.
        async for portion in cooperative_chunks(
            await driver.fetch(" UNION ALL ".join(branches), *param.values), AT_ONCE
        ):
            for number, bucket, key, numbers in portion:
                found[reads[number]].append(Row(bucket, _final_key(reads[number], key, merges), numbers))
    return found


def _with_merged(asked: Read, merges: Merges) -> Read:
    if merges is NO_MERGES or not isinstance(asked, Sums | Counts):
        return asked
    filters = tuple((name, merges.filter(asked.kind, name, value)) for name, value in asked.filters)
    return asked._replace(filters=filters)


def _final_key(asked: Read, key: str | None, merges: Merges) -> str | None:
    if merges is NO_MERGES or not isinstance(asked, Sums | Counts) or not asked.group_by:
        return key
    return merges.key(asked.kind, asked.group_by, key)


class _Source(NamedTuple):
    """What sums are read from."""

    table: str
    condition: str
    key: str
    """The group's key."""
    day: str
    """The column with the day, or with the first day of the span."""
    form: str
    """How it holds sums: in `columns` of measures, in `sums` of whole spans, or in `cells` of days."""
    text: str | None = None
    """SQL for the text of a `key`, where that is an id or a code: it is found once a group, and not once a row."""

    def with_text(self, summed: str) -> str:
        """Return SQL for sums by `bucket` and `key` with the key's text."""
        return summed if self.text is None else f"SELECT bucket, {self.text}, sums FROM ({summed}) AS summed"

    def sums(self, kind: Kind, measures: Sequence[str]) -> str:
        """Return SQL for the measures' sums."""
        return f"ARRAY[{', '.join(_SUM_OF[self.form](kind, measure) for measure in measures)}]::numeric[]"


def sum_of_days(kind: Kind, measure: str) -> str:
    """Return SQL for a measure's sum over `cell` and `amount` of months' blocks."""
    return _with_high(kind, measure, "coalesce(sum(amount) FILTER (WHERE cell >> {shift} = {number}), 0)")


def _sum_of_spans(kind: Kind, measure: str) -> str:
    return _with_high(kind, measure, "coalesce(sum(sums[{number} + 1]), 0)")


def _sum_of_postings(_: Kind, measure: str) -> str:
    return f"coalesce(sum({measure}), 0)"


def _with_high(kind: Kind, measure: str, template: str) -> str:
    number = kind.measures.index(measure)
    low = template.format(shift=DAY_BITS, number=number)
    if kind.measure_named(measure).unit != "money":
        return low
    # Only money may exceed what one number of 64 bits holds.
    return f"{low} + {1 << HIGH_UNIT_BITS}::numeric * {template.format(shift=DAY_BITS, number=number + HIGH)}"


_SUM_OF: Final = {"columns": _sum_of_postings, "sums": _sum_of_spans, "cells": sum_of_days}


def _blocks(wanted: Sums, pieces: Sequence[Piece], param: Parameters) -> list[_Source]:
    condition, key = _block_condition(wanted, param)
    return _block_sources(condition, key, wanted.kind, wanted.measures, pieces, param)


def _block_condition(wanted: Sums | Counts, param: Parameters) -> tuple[str, str]:
    """Return which blocks hold it, but for the time, and the group's key."""
    [dimension] = _involved(wanted) or [ALL]
    values = [f" AND value {_is(NO_VALUE if value is None else value, param)}" for _, value in wanted.filters]
    condition = f"kind = '{wanted.kind.name}' AND dimension = '{dimension}'{''.join(values)}"
    return condition, f"nullif(value, '{NO_VALUE}')" if wanted.group_by else "NULL"


def _block_sources(
    condition: str, key: str, kind: Kind, measures: Sequence[str], pieces: Sequence[Piece], param: Parameters
) -> list[_Source]:
    """Return the blocks of whole months and years, and the days of months that are only asked for in part."""
    wholes = [piece for piece in pieces if piece.span != "day"]
    days = [piece for piece in pieces if piece.span == "day"]
    sources = []
    if wholes or not days:
        spans = f"{condition} AND {_whole_spans(wholes, param)}"
        sources.append(_Source("block", spans, key, "start", "sums"))
    if days:
        numbers = [kind.measures.index(measure) for measure in measures]
        cells = ", ".join(str(each) for number in numbers for each in (number, number + HIGH))
        months = _any_of(
            [f"start BETWEEN {param(piece.first.replace(day=1))} AND {param(piece.last)}" for piece in days]
        )
        table = (
            f"(SELECT dimension, value, {DAY_OF_CELL} AS day, cell, amount "
            "FROM block CROSS JOIN LATERAL unnest(cells, amounts) AS summed (cell, amount) "
            f"WHERE {condition} AND span = 'month' AND {months} AND cell >> {DAY_BITS} IN ({cells})) AS days"
        )
        sources.append(_Source(table, _days(days, param), key, "day", "cells"))
    return sources


def _whole_spans(pieces: Sequence[Piece], param: Parameters) -> str:
    """Return which blocks are of these months and years; none of no piece."""
    return _any_of(
        [f"span = '{piece.span}' AND start BETWEEN {param(piece.first)} AND {param(piece.last)}" for piece in pieces]
    )


def _postings(wanted: Sums | Counts, pieces: Sequence[Piece], param: Parameters) -> _Source:
    conditions = [_carries(name, value, param) for name, value in wanted.filters]
    conditions.append(_days(pieces, param))
    if wanted.kind.split_by is not None:
        conditions.append("split" if _of_shares(wanted) else "NOT split")
    if wanted.as_of is not None:
        conditions.append(f"recorded_time <= {param(wanted.as_of)}")
    table = POSTING[wanted.kind].name
    key, text = _key_of_postings(wanted.group_by)
    return _Source(table, " AND ".join(conditions), key, "day", "columns", text)


def _key_of_postings(dimensions: Sequence[str]) -> tuple[str, str | None]:
    """Return SQL for the key of a posting's group, and for its text: see `_Source`."""
    if not dimensions:
        return "NULL", None
    if len(dimensions) == 1:
        return dimensions[0], _text_of(dimensions[0], "key")
    # Ids and codes are of two types, and an array is of one.
    of_texts = CUSTOMER in dimensions
    members = [f"{name}::text" if of_texts else name for name in dimensions]
    places = [f"key[{place}]" for place in range(1, len(dimensions) + 1)]
    texts = [
        _text_of(name, f"{place}::integer" if of_texts and name != CUSTOMER else place)
        for name, place in zip(dimensions, places, strict=True)
    ]
    return f"ARRAY[{', '.join(members)}]", f"json_build_array({', '.join(texts)})::text"


def _text_of(dimension: str, key: str) -> str:
    if dimension == CUSTOMER:
        return f"{key}::text"
    return f"(SELECT value FROM dimension_value WHERE code = {key})"


def _is(value: str | tuple[str, ...], param: Parameters) -> str:
    return f"= ANY ({param(list(value))})" if isinstance(value, tuple) else f"= {param(value)}"


def _carries(dimension: str, value: FilterValue, param: Parameters) -> str:
    """Return which postings carry a value of a dimension; none where the ledger never met it."""
    if value is None:
        return f"{dimension} IS NULL"
    if dimension == CUSTOMER:
        return f"{dimension} {_is(value, param)}"
    codes = f"SELECT code FROM dimension_value WHERE value {_is(value, param)}"
    return f"{dimension} = ANY (ARRAY({codes}))"


def _involved(wanted: Sums | Counts) -> set[str]:
    """Return the dimensions that are filtered or grouped by."""
    return {name for name, _ in wanted.filters} | {*wanted.group_by}


def _is_in_blocks(wanted: Sums | Counts) -> bool:
    involved = _involved(wanted)
    return len(involved) <= 1 and NOT_IN_BLOCKS not in involved and wanted.as_of is None


def _of_shares(wanted: Sums | Counts) -> bool:
    """Return whether shares count, as they do when the split dimension is involved, or wholes: never both."""
    return wanted.kind.split_by in _involved(wanted)


def _adds_up(wanted: Sums | Counts) -> bool:
    """Return whether these are groups that add up to the whole, and no block holds the whole either."""
    whole = wanted._replace(group_by=())
    return whole != wanted and not _is_in_blocks(whole) and _of_shares(whole) == _of_shares(wanted)


def _pieces(period: Period, interval: Interval | None, from_the_beginning: bool) -> list[Piece]:
    pieces = cover(period.start, period.end, LARGEST[interval])
    if from_the_beginning:
        pieces = cover(FIRST_DAY, period.start - timedelta(days=1), "year") + pieces
    return pieces


def _days(pieces: Sequence[Piece], param: Parameters) -> str:
    """Return SQL for the days of some pieces, which follow each other or leave a gap in between."""
    runs: list[tuple[date, date]] = []
    for piece in pieces:
        if runs and piece.first <= runs[-1][1] + timedelta(days=1):
            runs[-1] = (runs[-1][0], piece.last)
        else:
            runs.append((piece.first, piece.last))
    return _any_of([f"day BETWEEN {param(first)} AND {param(last)}" for first, last in runs])


def _any_of(conditions: Sequence[str]) -> str:
    return f"({' OR '.join(conditions)})" if conditions else "false"


def _union(selects: Iterable[str]) -> str:
    return " UNION ALL ".join(f"({select})" for select in selects)


def _bucket(interval: Interval | None, day: str) -> str:
    if interval == "day":
        return day
    return f"date_trunc('{interval}', {day}::timestamp)::date" if interval else "NULL::date"
