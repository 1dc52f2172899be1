"""Answers a query from the ledger, out of one snapshot, so that its parts agree with each other."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from fractions import Fraction

from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.domain.period import Period, bucket_of
from metrics_worker.domain.posting import Reporting
from metrics_worker.kpis.formula import Formula
from metrics_worker.ledger.status import fresh_as_of
from metrics_worker.queries.figure import Figure, difference_text, sum_shown, value_text
from metrics_worker.queries.query import KpiQuery
from metrics_worker.queries.result import MAX_ROWS, Amounts, FormulaReads, Series, merged, together
from metrics_worker.queries.schemas import AnswerRead, GroupRead, NowRead, PointRead, PreviousRead
from metrics_worker.queries.sql import AT_ONCE, Found, Read, read, values_of

Values = tuple[str | None, ...]
"""Of the dimensions that a query groups by, in their order."""


async def answer(connection: AsyncConnection, query: KpiQuery, reporting: Reporting) -> AnswerRead:
    """Return the whole answer. Raise `Unprocessable` when it would be too large to be of use."""
    fresh = await fresh_as_of(connection)
    builder = AnswerBuilder(query, reporting)
    return await builder.answer(await read(connection, builder.reads, limit=MAX_ROWS), fresh)


class AnswerBuilder:
    """The reads of one query, and the answer that follows from what was read."""

    def __init__(self, query: KpiQuery, reporting: Reporting) -> None:
        self.query = query
        self._reporting = reporting
        self._whole = FormulaReads(query, query.period)
        self._previous = self._now = self._groups = None
        if query.with_previous:
            self._previous = FormulaReads(replace(query, interval=None), query.period.previous())
        if query.as_of is not None:
            self._now = FormulaReads(replace(query, interval=None, as_of=None), query.period)
        if query.group_by:
            self._groups = FormulaReads(query, query.period, group_by=query.group_by)

    @property
    def reads(self) -> list[Read]:
        """Return what has to be read, by `read` with a limit of `MAX_ROWS`."""
        parts = (self._whole, self._previous, self._now, self._groups)
        return [each for part in parts if part is not None for each in part.reads]

    async def answer(self, found: Found, fresh_as_of: datetime | None) -> AnswerRead:
        """Return the answer. Other tasks run in between: it may hold 100,000 values.

        Raise `Unprocessable` when it would be too large to be of use.
        """
        query, reporting = self.query, self._reporting
        render = Renderer(query.formula, reporting.currency)
        whole = (await self._whole.groups(found)).get(None, {})
        total = merged(whole.values()).figure(query.formula)
        return AnswerRead(
            kpi=query.kpi.name,
            variant=query.variant,
            unit=query.formula.unit,
            currency=reporting.currency if query.formula.unit == "money" else None,
            start=query.period.start,
            end=query.period.end,
            timezone=reporting.zone.key,
            filters=query.single_filters,
            teams=query.teams,
            as_of=query.as_of,
            now=None if self._now is None else render.now(total, await self._now.figure(found)),
            value=render.value(total),
            numerator=render.numerator(total),
            denominator=render.denominator(total),
            previous=None
            if self._previous is None
            else render.previous(self._previous.period, await self._previous.figure(found), total),
            series=render.series(query, whole),
            groups=None if self._groups is None else await render.groups(query, await self._groups.groups(found)),
            groups_add_up=query.formula.adds_up_by(query.group_by) if query.group_by else None,
            fresh_as_of=fresh_as_of,
        )


class Renderer:
    """Writes figures in one formula's unit."""

    def __init__(self, formula: Formula, currency: str) -> None:
        self._formula = formula
        self._currency = currency
        # A product of several measures has a unit of its own: it is shown as a whole number.
        self._numerator_unit = None if formula.times else formula.numerator.unit
        self._denominator_unit = None if formula.over or formula.denominator is None else formula.denominator.unit

    def value(self, figure: Figure) -> str | None:
        return value_text(figure, self._formula, self._currency)

    def numerator(self, figure: Figure) -> int | str | None:
        return sum_shown(figure.numerator, self._numerator_unit, self._currency)

    def denominator(self, figure: Figure) -> int | str | None:
        return sum_shown(figure.denominator, self._denominator_unit, self._currency)

    def now(self, then: Figure, now: Figure) -> NowRead:
        return NowRead(
            value=self.value(now),
            change=difference_text(self.value(now), self.value(then), self._formula),
            numerator=self.numerator(now),
            denominator=self.denominator(now),
        )

    def previous(self, period: Period, before: Figure, now: Figure) -> PreviousRead:
        return PreviousRead(
            start=period.start,
            end=period.end,
            value=self.value(before),
            change=difference_text(self.value(now), self.value(before), self._formula),
            numerator=self.numerator(before),
            denominator=self.denominator(before),
        )

    def series(self, query: KpiQuery, series: Mapping[date | None, Amounts]) -> list[PointRead] | None:
        """Return one point a bucket, empty ones included; None without an interval."""
        interval = query.interval
        if interval is None:
            return None
        points = []
        for start in query.period.buckets(interval):
            figure = series.get(bucket_of(start, interval), Amounts()).figure(self._formula)
            points.append(
                PointRead(
                    start=start,
                    value=self.value(figure),
                    numerator=self.numerator(figure),
                    denominator=self.denominator(figure),
                )
            )
        return points

    async def groups(self, query: KpiQuery, by_key: Mapping[str | None, Series]) -> list[GroupRead]:
        """Return one group for each combination of values, sorted by them, those without a value last.

        With `top`, the highest values come first, and all other groups follow as one.
        """
        in_order: Sequence[tuple[Values, Series]] = sorted(
            ((values_of(key, query.group_by), series) for key, series in by_key.items()),
            key=lambda group: [(value is None, value or "") for value in group[0]],
        )
        others: list[Series] = []
        if query.top is not None:
            # Sorting keeps the order of equal ones.
            in_order = sorted(in_order, key=lambda group: self._rank(group[1]))
            others = [series for _, series in in_order[query.top :]]
            in_order = in_order[: query.top]
        groups: list[GroupRead] = []
        for values, series in in_order:
            groups.append(self._group(query, values, series))
            if len(groups) % max(AT_ONCE // len(series), 1) == 0:
                await asyncio.sleep(0)
        if others:
            groups.append(self._group(query, None, await together(others), of=len(others)))
        return groups

    def _group(self, query: KpiQuery, values: Values | None, series: Series, *, of: int = 1) -> GroupRead:
        total = merged(series.values()).figure(self._formula)
        return GroupRead(
            key=values[0] if values is not None and len(values) == 1 else None,
            keys=None if values is None else dict(zip(query.group_by, values, strict=True)),
            groups=of,
            value=self.value(total),
            numerator=self.numerator(total),
            denominator=self.denominator(total),
            series=self.series(query, series),
        )

    def _rank(self, series: Series) -> tuple[bool, Fraction]:
        """Return what sorts the highest value first, and groups without a value last."""
        figure = merged(series.values()).figure(self._formula)
        if figure.denominator is None or self._formula.percentile is not None:
            return figure.denominator == 0, Fraction(-figure.numerator)
        if figure.denominator <= 0:
            return True, Fraction(0)
        return False, Fraction(-figure.numerator, figure.denominator)
