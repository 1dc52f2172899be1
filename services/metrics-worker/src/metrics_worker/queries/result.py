"""What a formula reads over a period: the sums to be read, and the figures that follow from what was read."""

from collections.abc import AsyncIterator, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from operator import add, sub
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.domain.histogram import quantile
from metrics_worker.domain.kinds import Kind
from metrics_worker.domain.measure import Sum, Term, key_of
from metrics_worker.domain.period import Period, bucket_of
from metrics_worker.kpis.formula import Formula, kind_of
from metrics_worker.queries.figure import Figure
from metrics_worker.queries.query import KpiQuery
from metrics_worker.queries.sql import AT_ONCE, OPENING, Cells, Counts, Found, Read, Sums, read
from service_kit.concurrency import cooperative_chunks
from service_kit.problems import Unprocessable

FormulaKey = TypeVar("FormulaKey", bound=Hashable)
Key = TypeVar("Key", bound=Hashable)
MAX_POINTS: Final = 100_000
"""Values in one answer at most: groups times buckets."""
MAX_SERIES_POINTS: Final = 20_000
"""The same of an answer with series: each of their points is rendered, whether or not anything happened then."""
MAX_ROWS: Final = 2 * MAX_POINTS + 1
"""Rows of one read: enough to see that the answer would be too large, as a semi-additive measure has an opening value
beside that of each bucket."""

_NOTHING: Final[Mapping[Any, int]] = MappingProxyType({})


def _nothing() -> Mapping[Any, int]:
    return _NOTHING


@dataclass(slots=True)
class Amounts:
    """What a formula reads of one group in one bucket: sums by the keys of terms, and the histogram of a duration."""

    # Of a hundred thousand groups, most have one or two of these: empty ones are shared.
    flows: Mapping[str, int] = field(default_factory=_nothing)
    opening: Mapping[str, int] = field(default_factory=_nothing)
    """Of semi-additive measures, the values before the bucket."""
    closing: Mapping[str, int] = field(default_factory=_nothing)
    """The values at its end."""
    histogram: Mapping[int, int] = field(default_factory=_nothing)

    @property
    def is_empty(self) -> bool:
        """Whether there are no flows and no balances."""
        return not (self.flows or self.histogram or any(self.opening.values()) or any(self.closing.values()))

    def plus(self, other: "Amounts") -> "Amounts":
        """Return the sums of this group's and another's, in the same bucket."""
        return Amounts(
            _sum_of(self.flows, other.flows),
            _sum_of(self.opening, other.opening),
            _sum_of(self.closing, other.closing),
            _sum_of(self.histogram, other.histogram),
        )

    def figure(self, formula: Formula) -> Figure:
        """Return the formula's figure. Of a percentile, the numerator is the percentile, the denominator the count."""
        if formula.percentile is not None:
            found = quantile(self.histogram, formula.percentile)
            return Figure(numerator=found or 0, denominator=sum(self.histogram.values()))
        numerator = self._sum(formula.numerator)
        for factor in formula.times:
            numerator *= self._sum(factor)
        if formula.denominator is None:
            return Figure(numerator=numerator, denominator=None)
        denominator = self._sum(formula.denominator)
        for factor in formula.over:
            denominator *= self._sum(factor)
        return Figure(numerator=numerator, denominator=denominator)

    def _sum(self, side: Sum) -> int:
        total = 0
        # A plain loop: an answer by customer computes this for each of a hundred thousand.
        for sign, key, moment in _reading_of(side):
            amounts = self.flows if moment == "flow" else self.opening if moment == "opening" else self.closing
            total += sign * amounts.get(key, 0)
        return total


def _sum_of(amounts: Mapping[Key, int], others: Mapping[Key, int]) -> dict[Key, int]:
    found = dict(amounts)
    for key, amount in others.items():
        found[key] = found.get(key, 0) + amount
    return found


@cache
def _reading_of(side: Sum) -> tuple[tuple[int, str, Literal["flow", "opening", "closing"]], ...]:
    """Return each term's sign and key, and which of the amounts it is."""
    return tuple(
        (term.sign, term.key, "flow" if not term.measure.semi_additive else "opening" if term.at_start else "closing")
        for term in side.terms
    )


def merged(amounts: Iterable[Amounts]) -> Amounts:
    """Return the amounts of buckets that follow each other as those of one bucket."""
    [*parts] = amounts
    if len(parts) == 1:
        return parts[0]
    flows: dict[str, int] = {}
    histogram: dict[int, int] = {}
    for part in parts:
        flows = _sum_of(flows, part.flows)
        histogram = _sum_of(histogram, part.histogram)
    return Amounts(flows, parts[0].opening, parts[-1].closing, histogram) if parts else Amounts()


Series = dict[date | None, Amounts]
"""By the first day of the calendar bucket, in order of time; one under None without an interval."""


async def together(groups: Sequence[Series]) -> Series:
    """Return several groups as one: the sums of what is read, bucket by bucket. Other tasks run in between."""
    found: Series = {}
    async for some in cooperative_chunks(groups, AT_ONCE):
        for series in some:
            for bucket, amounts in series.items():
                found[bucket] = found[bucket].plus(amounts) if bucket in found else amounts
    return found


class FormulaReads:
    """The reads of a query's formula over a period, whole or by group."""

    def __init__(self, query: KpiQuery, period: Period, *, group_by: tuple[str, ...] = ()) -> None:
        formula, filters = query.formula, tuple(sorted(query.filters.items()))
        self.period = period
        self._formula = formula
        self._buckets: list[date | None] = [None]
        if query.interval is not None:
            self._buckets = [bucket_of(start, query.interval) for start in period.buckets(query.interval)]
        first = formula.terms[0].measure
        sums = Sums(kind_of(first), (), period, query.interval, group_by, filters, as_of=query.as_of)
        self._parts, self._counts = [], None
        if formula.percentile is None:
            self._parts = _parts(formula.terms, sums)
        else:
            self._counts = Counts(
                kind_of(first), first.column, period, query.interval, group_by, filters, as_of=query.as_of
            )

    @property
    def reads(self) -> list[Read]:
        """Return what has to be read."""
        sums = [each for part in self._parts for each in part.reads]
        return sums if self._counts is None else [*sums, self._counts]

    async def figure(self, found: Found) -> Figure:
        """Return the formula's figure of the whole period."""
        return merged((await self.groups(found)).get(None, {}).values()).figure(self._formula)

    async def groups(self, found: Found) -> dict[str | None, Series]:
        """Return what the formula reads, by group, without empty groups.

        Raise `Unprocessable` when that is more than an answer may hold.
        """
        limit = MAX_POINTS if self._buckets == [None] else min(MAX_SERIES_POINTS, MAX_POINTS)
        if any(found.rows_of(each, MAX_ROWS) >= MAX_ROWS for each in self.reads):
            raise _too_large(limit)
        if len(self._buckets) > 1 and len(found.keys(self.reads)) * len(self._buckets) > limit:
            # Before any of them is made.
            raise _too_large(limit)
        groups: dict[str | None, Series] = {}

        def at(key: str | None, bucket: date | None) -> Amounts:
            series = groups.get(key)
            if series is None:
                series = groups[key] = {each: Amounts() for each in self._buckets}
            return series[bucket]

        a_few = max(AT_ONCE // len(self._buckets), 1)
        for part in self._parts:
            async for names, cells in part.cells(found):
                if part.semi_additive:
                    async for keys in cooperative_chunks(list(dict.fromkeys(key for _, key in cells)), a_few):
                        for key in keys:
                            value = cells.get((OPENING, key), (0,) * len(names))
                            for bucket in self._buckets:
                                amounts = at(key, bucket)
                                amounts.opening = {**amounts.opening, **_named(names, value)}
                                value = tuple(map(add, value, cells.get((bucket, key), (0,) * len(names))))
                                amounts.closing = {**amounts.closing, **_named(names, value)}
                else:
                    async for some in cooperative_chunks(list(cells.items()), AT_ONCE):
                        for (bucket, key), flows in some:
                            amounts = at(key, bucket)
                            amounts.flows = {**amounts.flows, **_named(names, flows)}
        if self._counts is not None:
            for (bucket, key), histogram in (await found.histograms(self._counts)).items():
                at(key, bucket).histogram = histogram
        if len(groups) * len(self._buckets) > limit:
            raise _too_large(limit)
        left: dict[str | None, Series] = {}
        async for some_groups in cooperative_chunks(list(groups.items()), a_few):
            left |= {key: series for key, series in some_groups if not all(each.is_empty for each in series.values())}
        return left


class _Part(NamedTuple):
    """Sums of one kind over the same days, and those of what carries no value of some dimensions."""

    sums: Sums
    carrying: tuple[str, ...]

    @property
    def semi_additive(self) -> bool:
        return self.sums.from_the_beginning

    @property
    def reads(self) -> list[Read]:
        return [self.sums, *(each for each in map(self._without, self.carrying) if each is not None)]

    async def cells(self, found: Found) -> AsyncIterator[tuple[list[str], Cells]]:
        """Yield the sums under the keys of their terms, and those of what carries each of the dimensions."""
        names = [f"{self.sums.kind.name}.{name}" for name in self.sums.measures]
        whole = await found.cells_in_turns(self.sums)
        yield names, whole
        for dimension in self.carrying:
            # What carries a value is all but what carries none: shares of a split subject may be more than it.
            missing = self._without(dimension)
            without = {} if missing is None else await found.cells_in_turns(missing)
            yield [key_of(name, dimension) for name in names], await _less(whole, without)

    def _without(self, dimension: str) -> Sums | None:
        filters = dict(self.sums.filters)
        if filters.get(dimension) is not None:
            return None
        return self.sums._replace(filters=tuple(sorted({**filters, dimension: None}.items())))


def _parts(terms: Iterable[Term], like: Sums) -> list[_Part]:
    """Return the terms by kind, apart by which days their measures are read of."""
    parts: dict[tuple[Kind, bool, bool], list[Term]] = {}
    for term in terms:
        measure = term.measure
        parts.setdefault((kind_of(measure), measure.semi_additive, measure.elapsed_only), []).append(term)
    return [
        _Part(
            like._replace(
                kind=kind,
                measures=tuple(dict.fromkeys(term.measure.column for term in of_part)),
                from_the_beginning=semi_additive,
                elapsed_only=elapsed_only,
            ),
            tuple(dict.fromkeys(term.carrying for term in of_part if term.carrying is not None)),
        )
        for (kind, semi_additive, elapsed_only), of_part in parts.items()
    ]


async def figures(
    connection: AsyncConnection,
    formulas: Mapping[FormulaKey, Formula],
    period: Period,
    *,
    as_of: datetime | None = None,
) -> dict[FormulaKey, Figure]:
    """Return each formula's figure of everything over a period, from few statements for all formulas."""
    terms = [term for formula in formulas.values() for term in formula.terms]
    parts = _parts(terms, Sums(kind_of(terms[0].measure), (), period, as_of=as_of))
    counts = {
        key: Counts(kind_of(duration.measure), duration.measure.column, period, as_of=as_of)
        for key, formula in formulas.items()
        if formula.percentile is not None
        for duration in formula.numerator.terms
    }
    found = await read(connection, [*(each for part in parts for each in part.reads), *counts.values()], limit=MAX_ROWS)
    flows: dict[str, int] = {}
    opening: dict[str, int] = {}
    closing: dict[str, int] = {}
    for part in parts:
        async for names, cells in part.cells(found):
            nothing = (0,) * len(names)
            before, moved = cells.get((OPENING, None), nothing), cells.get((None, None), nothing)
            if part.semi_additive:
                opening |= _named(names, before)
                closing |= _named(names, tuple(map(add, before, moved)))
            else:
                flows |= _named(names, moved)
    amounts = Amounts(flows, opening, closing)
    return {
        key: Amounts(histogram=(await found.histograms(counts[key])).get((None, None), {})).figure(formula)
        if key in counts
        else amounts.figure(formula)
        for key, formula in formulas.items()
    }


def _named(names: list[str], amounts: tuple[int, ...]) -> dict[str, int]:
    return dict(zip(names, amounts, strict=True))


async def _less(amounts: Cells, without: Cells) -> Cells:
    less: Cells = {}
    async for cells in cooperative_chunks(list(amounts.items()), AT_ONCE):
        less |= {cell: tuple(map(sub, whole, without[cell])) if cell in without else whole for cell, whole in cells}
    return less


def _too_large(limit: int) -> Unprocessable:
    return Unprocessable(
        f"The answer would hold more than {limit} values. Ask for fewer days, a longer interval, or filter;"
        " GET /v1/exports/postings returns everything as a file."
    )
