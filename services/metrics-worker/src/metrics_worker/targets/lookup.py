"""Compares a KPI's value with what its target makes due."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

from sqlalchemy.ext.asyncio import AsyncConnection

from event_contracts.fields import DECIMAL_PLACES
from metrics_worker.domain.period import Period
from metrics_worker.domain.posting import Reporting
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.kpis.formula import Formula
from metrics_worker.queries.figure import RATIO_PLACES, decimal_text, divided, trimmed
from metrics_worker.queries.query import KpiQuery
from metrics_worker.queries.schemas import AnswerRead, TargetFigureRead
from metrics_worker.targets.model import Goal, Target, TargetKey, is_met
from metrics_worker.targets.queries import goals_of


def is_sum_of_days(formula: Formula) -> bool:
    """Return whether the value of several days is the sum of the values of each: a count or an amount of flows.

    It is not for a ratio or a mean, nor for a balance such as a backlog.
    """
    whole = formula.denominator is None and not formula.times
    return whole and not any(term.measure.semi_additive for term in formula.terms)


def period_evaluated(target: Target, today: date) -> Period | None:
    """Return the whole period that a target is evaluated over on a day; None before it begins, and when its KPI or
    variant no longer exists."""
    kpi = KPIS.get(target.kpi)
    formula = None if kpi is None else kpi.variants.get(target.variant)
    if kpi is None or formula is None:
        return None
    return target.period_on(today, direction=kpi.direction, adds_up=is_sum_of_days(formula))


class TargetLookup:
    """The targets of some queries."""

    def __init__(self, goals: Mapping[TargetKey, Goal], reporting: Reporting) -> None:
        self._goals = goals
        self._reporting = reporting

    @classmethod
    async def read(
        cls, connection: AsyncConnection, queries: Iterable[KpiQuery], reporting: Reporting
    ) -> "TargetLookup":
        """Return a lookup of the targets that are set for exactly these queries, by one statement."""
        keys = dict.fromkeys(key for query in queries if (key := _key_of(query)) is not None)
        return cls(await goals_of(connection, keys), reporting)

    def annotated(self, answer: AnswerRead, query: KpiQuery) -> AnswerRead:
        """Return the answer with its target, if one is set and applies to its days."""
        key, direction = _key_of(query), query.kpi.direction
        goal = None if key is None else self._goals.get(key)
        if goal is None:
            return answer
        today = self._reporting.day_of(datetime.now(UTC))
        due = goal.due_over(query.period, today, direction=direction, adds_up=is_sum_of_days(query.formula))
        if due is None:
            return answer
        met = None if answer.value is None else is_met(Decimal(answer.value), due, direction)
        shown = TargetFigureRead(value=_shown(due, query.formula, self._reporting.currency), met=met)
        return answer.model_copy(update={"target": shown})


def _key_of(query: KpiQuery) -> TargetKey | None:
    """Return what a target would be set for; None for a query of several filters or teams, which cannot have one."""
    filters = query.single_filters
    if len(query.filters) > 1 or query.teams is not None:
        return None
    dimension, value = next(iter(filters.items()), (None, None))
    return TargetKey(query.kpi.name, query.variant, dimension, value)


def _shown(due: Fraction, formula: Formula, currency: str) -> str:
    places = DECIMAL_PLACES[currency] if formula.unit == "money" else RATIO_PLACES
    text = decimal_text(divided(due.numerator * 10**places, due.denominator), places)
    return text if formula.unit == "money" else trimmed(text)
