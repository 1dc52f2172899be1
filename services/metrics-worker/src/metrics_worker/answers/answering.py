"""Answers a question from the books, out of one snapshot, so that its parts agree with each other."""

from collections.abc import Hashable, Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from operator import add, sub
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from metrics_worker.answers.figures import Figure, difference_text, sum_shown, value_text
from metrics_worker.answers.period import Period, bucket_of
from metrics_worker.answers.queries import OPENING, Cell, counts, sums
from metrics_worker.answers.question import Question
from metrics_worker.answers.tallies import Tally, merged
from metrics_worker.answers.views import AnswerView, GroupView, NowView, PointView, PreviousView
from metrics_worker.books.freshness import fresh_as_of
from metrics_worker.kpis.kinds import KINDS, Kind
from metrics_worker.kpis.posting import Reporting
from metrics_worker.kpis.registry import Formula, carried
from service_kit.problems import Unprocessable

FormulaKey = TypeVar("FormulaKey", bound=Hashable)
MAX_POINTS = 100_000
"""Values in one answer at most: groups times buckets."""

Series = dict[date | None, Tally]
"""By the first day of the calendar bucket, in order of time; one under None without an interval."""


async def answer(session: AsyncSession, question: Question, reporting: Reporting) -> AnswerView:
    """The whole answer. Raises `Unprocessable` when it would be too large to be of use."""
    connection = await snapshot(session)
    render = Renderer(question.formula, reporting.currency)
    whole = (await _tallies(session, question, question.period, group_by=None)).get(None, {})
    total = merged(whole.values()).figure(question.formula)
    previous = None
    if question.with_previous:
        before = question.period.previous()
        series = (await _tallies(session, question, before, group_by=None, in_buckets=False)).get(None, {})
        previous = render.previous(before, merged(series.values()).figure(question.formula), total)
    now = None
    if question.as_of is not None:
        today = replace(question, as_of=None)
        series = (await _tallies(session, today, question.period, group_by=None, in_buckets=False)).get(None, {})
        now = render.now(total, merged(series.values()).figure(question.formula))
    groups = None
    if question.group_by is not None:
        groups = render.groups(question, await _tallies(session, question, question.period, group_by=question.group_by))
    return AnswerView(
        kpi=question.kpi.name,
        variant=question.variant,
        unit=question.formula.unit,
        currency=reporting.currency if question.formula.unit == "money" else None,
        start=question.period.start,
        end=question.period.end,
        timezone=reporting.zone.key,
        as_of=question.as_of,
        now=now,
        value=render.value(total),
        numerator=render.numerator(total),
        denominator=render.denominator(total),
        previous=previous,
        series=render.series(question, whole),
        groups=groups,
        fresh_as_of=await fresh_as_of(connection),
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
    tally = Tally()
    read = partial(
        sums, session, period=period, interval=None, group_by=None, limit=MAX_POINTS, as_of=as_of, filters={}
    )
    for kind in KINDS:
        of_kind = [term for formula in formulas.values() for term in formula.terms if term.kind is kind]
        for level in (False, True):
            names = list(dict.fromkeys(term.column for term in of_kind if term.measure.level == level))
            if not names:
                continue
            carrying = [*dict.fromkeys(term.carrying for term in of_kind if term.measure.level == level)]
            texts = [f"{kind.name}.{name}" for name in names]
            whole = await read(kind=kind, measures=names, from_the_beginning=level)
            _stand(tally, texts, whole, level)
            for dimension in carrying:
                if dimension is None:
                    continue
                without = await read(kind=kind, measures=names, from_the_beginning=level, filters={dimension: None})
                _stand(tally, [carried(text, dimension) for text in texts], _less(whole, without), level)
    histograms: dict[tuple[Kind, str], dict[int, int]] = {}
    found = {}
    for key, formula in formulas.items():
        if formula.percentile is None:
            found[key] = tally.figure(formula)
            continue
        [term, *_] = formula.terms
        timed = (term.kind, term.column)
        if timed not in histograms:
            counted = await counts(
                session, *timed, period, interval=None, group_by=None, filters={}, limit=MAX_POINTS, as_of=as_of
            )
            histograms[timed] = counted.get((None, None), {})
        found[key] = Tally(histogram=histograms[timed]).figure(formula)
    return found


def _stand(tally: Tally, names: list[str], amounts: Mapping[Cell, tuple[int, ...]], level: bool) -> None:
    nothing = (0,) * len(names)
    opening, moved = amounts.get((OPENING, None), nothing), amounts.get((None, None), nothing)
    if level:
        tally.before |= _named(names, opening)
        tally.after |= _named(names, tuple(map(add, opening, moved)))
    else:
        tally.flows |= _named(names, moved)


async def _tallies(
    session: AsyncSession, question: Question, period: Period, *, group_by: str | None, in_buckets: bool = True
) -> dict[str | None, Series]:
    """What the question's formula reads, by group. Groups of which nothing happened and nothing stood are left out."""
    interval = question.interval if in_buckets else None
    formula = question.formula
    buckets: list[date | None] = [None]
    if interval is not None:
        buckets = [bucket_of(start, interval) for start in period.buckets(interval)]
    found: dict[str | None, Series] = {}

    def at(key: str | None, bucket: date | None) -> Tally:
        return found.setdefault(key, {each: Tally() for each in buckets})[bucket]

    cells = 0
    for kind, measures in formula.kinds.items():
        levels = [name for name in measures if kind.measure_named(name).level]
        for names, from_the_beginning in (([name for name in measures if name not in levels], False), (levels, True)):
            if not names:
                continue
            read = partial(
                sums,
                session,
                kind,
                names,
                period,
                interval=interval,
                group_by=group_by,
                limit=MAX_POINTS + 1,
                from_the_beginning=from_the_beginning,
                as_of=question.as_of,
            )
            amounts = await read(filters=question.filters)
            cells += len(amounts)
            texts = [f"{kind.name}.{name}" for name in names]
            parts = [(texts, amounts)]
            for dimension in formula.carried[kind]:
                # What carries a value is all but what carries none: shares of a split subject may be more than it.
                if dimension in question.filters:
                    without = amounts if question.filters[dimension] is None else {}
                else:
                    without = await read(filters={**question.filters, dimension: None})
                parts.append(([carried(text, dimension) for text in texts], _less(amounts, without)))
            for names_of_part, part in parts:
                if from_the_beginning:
                    for key in {key for _, key in part}:
                        standing = part.get((OPENING, key), (0,) * len(names))
                        for bucket in buckets:
                            tally = at(key, bucket)
                            tally.before |= _named(names_of_part, standing)
                            moved = part.get((bucket, key), (0,) * len(names))
                            standing = tuple(before + change for before, change in zip(standing, moved, strict=True))
                            tally.after |= _named(names_of_part, standing)
                else:
                    for (bucket, key), flows in part.items():
                        at(key, bucket).flows |= _named(names_of_part, flows)
    if formula.percentile is not None:
        [term, *_] = formula.terms
        histograms = await counts(
            session,
            term.kind,
            term.column,
            period,
            interval=interval,
            group_by=group_by,
            filters=question.filters,
            limit=MAX_POINTS + 1,
            as_of=question.as_of,
        )
        cells += sum(map(len, histograms.values()))
        for (bucket, key), histogram in histograms.items():
            at(key, bucket).histogram = histogram
    if cells > MAX_POINTS or len(found) * len(buckets) > MAX_POINTS:
        raise _too_large()
    return {key: series for key, series in found.items() if not all(tally.empty for tally in series.values())}


def _named(names: list[str], amounts: tuple[int, ...]) -> dict[str, int]:
    return dict(zip(names, amounts, strict=True))


def _less(amounts: Mapping[Cell, tuple[int, ...]], without: Mapping[Cell, tuple[int, ...]]) -> dict[Cell, Any]:
    return {
        cell: tuple(map(sub, whole, without[cell])) if cell in without else whole for cell, whole in amounts.items()
    }


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
        self._numerator_unit = None if formula.times else formula.unit_of(formula.numerator)
        self._denominator_unit = None if formula.over else formula.unit_of(formula.denominator)

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

    def groups(self, question: Question, by_key: Mapping[str | None, Series]) -> list[GroupView]:
        """One group a value, by key, what has no value last."""
        groups = []
        for key in sorted(by_key, key=lambda key: (key is None, key or "")):
            total = merged(by_key[key].values()).figure(self._formula)
            groups.append(
                GroupView(
                    key=key,
                    value=self.value(total),
                    numerator=self.numerator(total),
                    denominator=self.denominator(total),
                    series=self.series(question, by_key[key]),
                )
            )
        return groups
