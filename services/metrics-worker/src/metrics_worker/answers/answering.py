"""Answers a question from the books, out of one snapshot, so that its parts agree with each other."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from metrics_worker.answers.figures import Figure, difference_text, sum_shown, value_text
from metrics_worker.answers.period import Period, bucket_of
from metrics_worker.answers.queries import Cell, sums
from metrics_worker.answers.question import Question
from metrics_worker.answers.views import AnswerView, GroupView, PointView, PreviousView
from metrics_worker.books.freshness import fresh_as_of
from metrics_worker.kpis.posting import Reporting
from metrics_worker.kpis.registry import Formula
from service_kit.problems import Unprocessable

MAX_POINTS = 100_000
"""Values in one answer at most: groups times buckets."""

Figures = dict[Cell, Figure]


async def answer(session: AsyncSession, question: Question, reporting: Reporting) -> AnswerView:
    """The whole answer. Raises `Unprocessable` when it would be too large to be of use."""
    connection = await snapshot(session)
    render = _Renderer(question.formula, reporting.currency)
    cells = await _figures(session, question, question.period, group_by=None)
    total = _total(cells, question.formula)
    previous = None
    if question.with_previous:
        before = question.period.previous()
        before_cells = await _figures(session, question, before, group_by=None, in_buckets=False)
        previous = render.previous(before, _total(before_cells, question.formula), total)
    groups = None
    if question.group_by is not None:
        groups = render.groups(question, await _figures(session, question, question.period, group_by=question.group_by))
    return AnswerView(
        kpi=question.kpi.name,
        variant=question.variant,
        unit=question.formula.unit,
        currency=reporting.currency if question.formula.unit == "money" else None,
        start=question.period.start,
        end=question.period.end,
        timezone=reporting.zone.key,
        value=render.value(total),
        numerator=render.numerator(total),
        denominator=render.denominator(total),
        previous=previous,
        series=render.series(question, {bucket: figure for (bucket, _), figure in cells.items()}),
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


async def _figures(
    session: AsyncSession, question: Question, period: Period, *, group_by: str | None, in_buckets: bool = True
) -> Figures:
    formula = question.formula
    found: dict[Cell, dict[str, int]] = defaultdict(dict)
    for kind, measures in formula.kinds.items():
        cells = await sums(
            session,
            kind,
            measures,
            period,
            interval=question.interval if in_buckets else None,
            group_by=group_by,
            filters=question.filters,
            limit=MAX_POINTS + 1,
        )
        for cell, amounts in cells.items():
            found[cell] |= {f"{kind.name}.{name}": amount for name, amount in zip(measures, amounts, strict=True)}
    if len(found) > MAX_POINTS:
        raise _too_large()
    return {cell: _figure(formula, amounts) for cell, amounts in found.items()}


def _figure(formula: Formula, amounts: Mapping[str, int]) -> Figure:
    return Figure(
        numerator=sum(amounts.get(name, 0) for name in formula.numerator),
        denominator=sum(amounts.get(name, 0) for name in formula.denominator) if formula.denominator else None,
    )


def _total(figures: Figures, formula: Formula) -> Figure:
    return Figure(
        numerator=sum(figure.numerator for figure in figures.values()),
        denominator=sum(figure.denominator or 0 for figure in figures.values()) if formula.denominator else None,
    )


def _too_large() -> Unprocessable:
    return Unprocessable(
        f"The answer would hold more than {MAX_POINTS} values. Ask for fewer days, a longer interval, or filter."
    )


class _Renderer:
    """Writes figures in one formula's unit."""

    def __init__(self, formula: Formula, currency: str) -> None:
        self._formula = formula
        self._currency = currency
        self._numerator_unit = formula.unit_of(formula.numerator)
        self._denominator_unit = formula.unit_of(formula.denominator)
        self._nothing = _figure(formula, {})

    def value(self, figure: Figure) -> str | None:
        return value_text(figure, self._formula, self._currency)

    def numerator(self, figure: Figure) -> int | str | None:
        return sum_shown(figure.numerator, self._numerator_unit, self._currency)

    def denominator(self, figure: Figure) -> int | str | None:
        return sum_shown(figure.denominator, self._denominator_unit, self._currency)

    def previous(self, period: Period, before: Figure, now: Figure) -> PreviousView:
        return PreviousView(
            start=period.start,
            end=period.end,
            value=self.value(before),
            change=difference_text(self.value(now), self.value(before), self._formula),
            numerator=self.numerator(before),
            denominator=self.denominator(before),
        )

    def series(self, question: Question, figures: Mapping[date | None, Figure]) -> list[PointView] | None:
        """One point a bucket, those without any event included; None when no interval was asked for."""
        interval = question.interval
        if interval is None:
            return None
        points = []
        for start in question.period.buckets(interval):
            figure = figures.get(bucket_of(start, interval), self._nothing)
            points.append(
                PointView(
                    start=start,
                    value=self.value(figure),
                    numerator=self.numerator(figure),
                    denominator=self.denominator(figure),
                )
            )
        return points

    def groups(self, question: Question, figures: Figures) -> list[GroupView]:
        """One group a value, by key, what has no value last."""
        by_key: dict[str | None, dict[date | None, Figure]] = defaultdict(dict)
        for (bucket, key), figure in figures.items():
            by_key[key][bucket] = figure
        buckets = len(question.period.buckets(question.interval)) if question.interval else 1
        if len(by_key) * buckets > MAX_POINTS:
            raise _too_large()
        groups = []
        for key in sorted(by_key, key=lambda key: (key is None, key or "")):
            cells = by_key[key]
            total = _total({(bucket, key): figure for bucket, figure in cells.items()}, self._formula)
            groups.append(
                GroupView(
                    key=key,
                    value=self.value(total),
                    numerator=self.numerator(total),
                    denominator=self.denominator(total),
                    series=self.series(question, cells),
                )
            )
        return groups
