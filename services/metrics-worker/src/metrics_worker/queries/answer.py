"""Answers a question from the books, out of one snapshot, so that its parts agree with each other."""

import asyncio
from collections.abc import AsyncIterator, Hashable, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime
from operator import add, sub
from typing import NamedTuple, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from metrics_worker.books.status import fresh_as_of
from metrics_worker.domain.kinds import Kind
from metrics_worker.domain.measure import Term, key_of
from metrics_worker.domain.period import Period, bucket_of
from metrics_worker.domain.posting import Reporting
from metrics_worker.kpis.formula import Formula, kind_of
from metrics_worker.queries.figure import Figure, difference_text, sum_shown, value_text
from metrics_worker.queries.query import Question
from metrics_worker.queries.result import Tally, merged
from metrics_worker.queries.schemas import AnswerView, GroupView, NowView, PointView, PreviousView
from metrics_worker.queries.sql import AT_ONCE, OPENING, Cells, Counts, Found, Read, Sums, read
from service_kit.concurrency import cooperative_chunks
from service_kit.problems import Unprocessable

FormulaKey = TypeVar("FormulaKey", bound=Hashable)
MAX_POINTS = 100_000
"""Values in one answer at most: groups times buckets."""
ROWS_AT_MOST = 2 * MAX_POINTS + 1
"""Of one read: enough to see that the answer would be too large, since a level has an opening beside each bucket."""

Series = dict[date | None, Tally]
"""By the first day of the calendar bucket, in order of time; one under None without an interval."""


async def answer(session: AsyncSession, question: Question, reporting: Reporting) -> AnswerView:
    """The whole answer. Raises `Unprocessable` when it would be too large to be of use."""
    fresh = await fresh_as_of(await snapshot(session))
    asked = Asked(question, reporting)
    return await asked.answer(await read(session, asked.wanted, limit=ROWS_AT_MOST), fresh)


class Asked:
    """One question: what has to be read to answer it, and the answer that follows from what was read."""

    def __init__(self, question: Question, reporting: Reporting) -> None:
        self.question = question
        self._reporting = reporting
        self._whole = Tallies(question, question.period)
        self._previous = self._now = self._groups = None
        if question.with_previous:
            self._previous = Tallies(replace(question, interval=None), question.period.previous())
        if question.as_of is not None:
            self._now = Tallies(replace(question, interval=None, as_of=None), question.period)
        if question.group_by is not None:
            self._groups = Tallies(question, question.period, group_by=question.group_by)

    @property
    def wanted(self) -> list[Read]:
        """What has to be read, by `read` with a limit of `ROWS_AT_MOST`."""
        parts = (self._whole, self._previous, self._now, self._groups)
        return [each for part in parts if part is not None for each in part.wanted]

    async def answer(self, found: Found, fresh_as_of: datetime | None) -> AnswerView:
        """The answer out of what was found, made while others have their turn: it may hold 100,000 values.

        Raises `Unprocessable` when it would be too large to be of use.
        """
        question, reporting = self.question, self._reporting
        render = Renderer(question.formula, reporting.currency)
        whole = (await self._whole.of(found)).get(None, {})
        total = merged(whole.values()).figure(question.formula)
        return AnswerView(
            kpi=question.kpi.name,
            variant=question.variant,
            unit=question.formula.unit,
            currency=reporting.currency if question.formula.unit == "money" else None,
            start=question.period.start,
            end=question.period.end,
            timezone=reporting.zone.key,
            as_of=question.as_of,
            now=None if self._now is None else render.now(total, await self._now.figure(found)),
            value=render.value(total),
            numerator=render.numerator(total),
            denominator=render.denominator(total),
            previous=None
            if self._previous is None
            else render.previous(self._previous.period, await self._previous.figure(found), total),
            series=render.series(question, whole),
            groups=None if self._groups is None else await render.groups(question, await self._groups.of(found)),
            fresh_as_of=fresh_as_of,
        )


async def snapshot(session: AsyncSession) -> AsyncConnection:
    """The session's connection, in which all reads see the books of one moment.

    A deal that is booked between two of our reads must not count in one and not in the other.
    """
    if session.in_transaction():
        return await session.connection()
    return await session.connection(
        execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    )


async def figures(
    session: AsyncSession, formulas: Mapping[FormulaKey, Formula], period: Period, *, as_of: datetime | None = None
) -> dict[FormulaKey, Figure]:
    """Each formula's figure of the whole books over the days, from few queries however many formulas there are."""
    terms = [term for formula in formulas.values() for term in formula.terms]
    parts = _parts(terms, Sums(kind_of(terms[0].measure), (), period, as_of=as_of))
    histograms = {
        key: Counts(kind_of(timed.measure), timed.measure.column, period, as_of=as_of)
        for key, formula in formulas.items()
        if formula.percentile is not None
        for timed in formula.numerator.terms
    }
    wanted = [*(each for part in parts for each in part.wanted), *histograms.values()]
    found = await read(session, wanted, limit=ROWS_AT_MOST)
    flows: dict[str, int] = {}
    before: dict[str, int] = {}
    after: dict[str, int] = {}
    for part in parts:
        async for names, cells in part.cells(found):
            nothing = (0,) * len(names)
            opening, moved = cells.get((OPENING, None), nothing), cells.get((None, None), nothing)
            if part.level:
                before |= _named(names, opening)
                after |= _named(names, tuple(map(add, opening, moved)))
            else:
                flows |= _named(names, moved)
    tally = Tally(flows, before, after)
    return {
        key: Tally(histogram=(await found.histograms(histograms[key])).get((None, None), {})).figure(formula)
        if key in histograms
        else tally.figure(formula)
        for key, formula in formulas.items()
    }


class Part(NamedTuple):
    """Sums of measures of one kind, all levels or none, and the same of what carries no value of some dimensions."""

    sums: Sums
    carrying: tuple[str, ...]

    @property
    def level(self) -> bool:
        """Whether they stand, and do not happen."""
        return self.sums.from_the_beginning

    @property
    def wanted(self) -> list[Read]:
        """What has to be read."""
        return [self.sums, *(each for each in map(self._without, self.carrying) if each is not None)]

    async def cells(self, found: Found) -> AsyncIterator[tuple[list[str], Cells]]:
        """The sums under the names of their terms, and those of what carries each of the dimensions."""
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


def _parts(terms: Iterable[Term], like: Sums) -> list[Part]:
    """The terms by kind, and what happens apart from what stands."""
    of_kind: dict[tuple[Kind, bool], list[Term]] = {}
    for term in terms:
        of_kind.setdefault((kind_of(term.measure), term.measure.semi_additive), []).append(term)
    return [
        Part(
            like._replace(
                kind=kind,
                measures=tuple(dict.fromkeys(term.measure.column for term in of_sort)),
                from_the_beginning=level,
            ),
            tuple(dict.fromkeys(term.carrying for term in of_sort if term.carrying is not None)),
        )
        for (kind, level), of_sort in of_kind.items()
    ]


class Tallies:
    """What a question's formula reads over some days, whole or by group."""

    def __init__(self, question: Question, period: Period, *, group_by: str | None = None) -> None:
        formula, filters = question.formula, tuple(sorted(question.filters.items()))
        self.period = period
        self._formula = formula
        self._buckets: list[date | None] = [None]
        if question.interval is not None:
            self._buckets = [bucket_of(start, question.interval) for start in period.buckets(question.interval)]
        first = formula.terms[0].measure
        asked = Sums(kind_of(first), (), period, question.interval, group_by, filters, as_of=question.as_of)
        self._parts = _parts(formula.terms, asked)
        self._counts = None
        if formula.percentile is not None:
            self._counts = Counts(
                kind_of(first), first.column, period, question.interval, group_by, filters, as_of=question.as_of
            )

    @property
    def wanted(self) -> list[Read]:
        """What has to be read."""
        sums = [each for part in self._parts for each in part.wanted]
        return sums if self._counts is None else [*sums, self._counts]

    async def figure(self, found: Found) -> Figure:
        """The formula's figure of the whole period."""
        return merged((await self.of(found)).get(None, {}).values()).figure(self._formula)

    async def of(self, found: Found) -> dict[str | None, Series]:
        """What the formula reads, by group. Groups of which nothing happened and nothing stood are left out.

        Raises `Unprocessable` when that is more than an answer may hold.
        """
        if any(found.rows_of(each, ROWS_AT_MOST) >= ROWS_AT_MOST for each in self.wanted):
            raise _too_large()
        tallies: dict[str | None, Series] = {}

        def at(key: str | None, bucket: date | None) -> Tally:
            of_key = tallies.get(key)
            if of_key is None:
                of_key = tallies[key] = {each: Tally() for each in self._buckets}
            return of_key[bucket]

        a_few = max(AT_ONCE // len(self._buckets), 1)
        for part in self._parts:
            async for names, cells in part.cells(found):
                if part.level:
                    async for keys in cooperative_chunks(list(dict.fromkeys(key for _, key in cells)), a_few):
                        for key in keys:
                            standing = cells.get((OPENING, key), (0,) * len(names))
                            for bucket in self._buckets:
                                tally = at(key, bucket)
                                tally.before = {**tally.before, **_named(names, standing)}
                                standing = tuple(map(add, standing, cells.get((bucket, key), (0,) * len(names))))
                                tally.after = {**tally.after, **_named(names, standing)}
                else:
                    async for some in cooperative_chunks(list(cells.items()), AT_ONCE):
                        for (bucket, key), flows in some:
                            tally = at(key, bucket)
                            tally.flows = {**tally.flows, **_named(names, flows)}
        if self._counts is not None:
            for (bucket, key), histogram in (await found.histograms(self._counts)).items():
                at(key, bucket).histogram = histogram
        if len(tallies) * len(self._buckets) > MAX_POINTS:
            raise _too_large()
        left: dict[str | None, Series] = {}
        async for groups in cooperative_chunks(list(tallies.items()), a_few):
            left |= {key: series for key, series in groups if not all(tally.empty for tally in series.values())}
        return left


def _named(names: list[str], amounts: tuple[int, ...]) -> dict[str, int]:
    return dict(zip(names, amounts, strict=True))


async def _less(amounts: Cells, without: Cells) -> Cells:
    less: Cells = {}
    async for cells in cooperative_chunks(list(amounts.items()), AT_ONCE):
        less |= {cell: tuple(map(sub, whole, without[cell])) if cell in without else whole for cell, whole in cells}
    return less


def _too_large() -> Unprocessable:
    return Unprocessable(
        f"The answer would hold more than {MAX_POINTS} values. Ask for fewer days, a longer interval, or filter."
    )


class Renderer:
    """Writes figures in one formula's unit."""

    def __init__(self, formula: Formula, currency: str) -> None:
        self._formula = formula
        self._currency = currency
        # A product of several measures has a unit of its own: it is shown as the whole number that it is.
        self._numerator_unit = None if formula.times else formula.numerator.unit
        self._denominator_unit = None if formula.over or formula.denominator is None else formula.denominator.unit

    def value(self, figure: Figure) -> str | None:
        return value_text(figure, self._formula, self._currency)

    def numerator(self, figure: Figure) -> int | str | None:
        return sum_shown(figure.numerator, self._numerator_unit, self._currency)

    def denominator(self, figure: Figure) -> int | str | None:
        return sum_shown(figure.denominator, self._denominator_unit, self._currency)

    def now(self, then: Figure, now: Figure) -> NowView:
        return NowView(
            value=self.value(now),
            change=difference_text(self.value(now), self.value(then), self._formula),
            numerator=self.numerator(now),
            denominator=self.denominator(now),
        )

    def previous(self, period: Period, before: Figure, now: Figure) -> PreviousView:
        return PreviousView(
            start=period.start,
            end=period.end,
            value=self.value(before),
            change=difference_text(self.value(now), self.value(before), self._formula),
            numerator=self.numerator(before),
            denominator=self.denominator(before),
        )

    def series(self, question: Question, series: Mapping[date | None, Tally]) -> list[PointView] | None:
        """One point a bucket, those without any event included; None when no interval was asked for."""
        interval = question.interval
        if interval is None:
            return None
        points = []
        for start in question.period.buckets(interval):
            figure = series.get(bucket_of(start, interval), Tally()).figure(self._formula)
            points.append(
                PointView(
                    start=start,
                    value=self.value(figure),
                    numerator=self.numerator(figure),
                    denominator=self.denominator(figure),
                )
            )
        return points

    async def groups(self, question: Question, by_key: Mapping[str | None, Series]) -> list[GroupView]:
        """One group a value, by key, what has no value last."""
        keys: list[str | None] = [
            *sorted(key for key in by_key if key is not None),
            *(None for _ in by_key.keys() & {None}),
        ]
        groups: list[GroupView] = []
        for key in keys:
            series = by_key[key]
            total = merged(series.values()).figure(self._formula)
            groups.append(
                GroupView(
                    key=key,
                    value=self.value(total),
                    numerator=self.numerator(total),
                    denominator=self.denominator(total),
                    series=self.series(question, series),
                )
            )
            if len(groups) % max(AT_ONCE // len(series), 1) == 0:
                await asyncio.sleep(0)
        return groups
