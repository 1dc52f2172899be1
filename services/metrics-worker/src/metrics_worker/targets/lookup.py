"""Compares a KPI's value with what its target makes due: for answers, and for the judge."""

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from event_contracts.fields import DECIMAL_PLACES
from metrics_worker.domain.period import Period
from metrics_worker.domain.posting import Reporting
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.kpis.formula import Formula
from metrics_worker.queries.figure import RATIO_PLACES, decimal_text, divided, trimmed
from metrics_worker.queries.query import Question
from metrics_worker.queries.schemas import AnswerView, TargetFigureView
from metrics_worker.queries.sql import Found, Parameters, Read
from metrics_worker.targets.model import PERIODS, Goal, Target, TargetKey, is_met


def adds_up(formula: Formula) -> bool:
    """Whether the value of some days is the sum of the values of each: a count or an amount of what happened.

    Not a ratio or a mean, and not what stands, such as a backlog.
    """
    whole = formula.denominator is None and not formula.times
    return whole and not any(term.measure.semi_additive for term in formula.terms)


def period_evaluated(target: Target, today: date) -> Period | None:
    """The whole period that a target is judged over on a day; None before it begins, and when its KPI or variant has
    ceased to be."""
    kpi = KPIS.get(target.kpi)
    formula = None if kpi is None else kpi.variants.get(target.variant)
    if kpi is None or formula is None:
        return None
    return target.period_on(today, direction=kpi.direction, adds_up=adds_up(formula))


class TargetRead(NamedTuple):
    """The target that is set for exactly this, as `goal_of` reads it."""

    key: TargetKey

    @property
    def scans(self) -> bool:
        """See `Read`."""
        return False

    def branch(self, param: Parameters, limit: int) -> str:
        """See `Read`."""
        conditions = " AND ".join(
            [
                f"kpi = {param(self.key.kpi)} AND variant = {param(self.key.variant)}",
                f"dimension IS NOT DISTINCT FROM {param(self.key.dimension)}",
                f"dimension_value IS NOT DISTINCT FROM {param(self.key.dimension_value)}",
            ]
        )
        return f"SELECT since, period, ARRAY[value] FROM target WHERE {conditions}"  # noqa: S608 -- names of ours, no input

    def goal_in(self, found: Found) -> Goal | None:
        """What was found of it."""
        for row in found.rows[self]:
            [value] = row.numbers
            return Goal(Decimal(value), next((each for each in PERIODS if each == row.key), None), row.bucket)
        return None


class Aim:
    """The target that is set for exactly what a question asks, as far as it says something of its days."""

    def __init__(self, question: Question, reporting: Reporting) -> None:
        self._question = question
        self._reporting = reporting
        self._read = None
        if len(question.filters) <= 1:
            dimension, value = next(iter(question.filters.items()), (None, None))
            self._read = TargetRead(TargetKey(question.kpi.name, question.variant, dimension, value))

    @property
    def wanted(self) -> list[Read]:
        """What has to be read."""
        return [] if self._read is None else [self._read]

    def told(self, found: Found, answer: AnswerView) -> AnswerView:
        """The answer, with its target."""
        question, direction = self._question, self._question.kpi.direction
        goal = None if self._read is None else self._read.goal_in(found)
        if goal is None:
            return answer
        today = today_in(self._reporting, datetime.now(UTC))
        due = goal.due_over(question.period, today, direction=direction, adds_up=adds_up(question.formula))
        if due is None:
            return answer
        met = None if answer.value is None else is_met(Decimal(answer.value), due, direction)
        shown = TargetFigureView(value=_shown(due, question.formula, self._reporting.currency), met=met)
        return answer.model_copy(update={"target": shown})


def today_in(reporting: Reporting, at: datetime) -> date:
    """The reporting day of an instant."""
    return at.astimezone(reporting.zone).date()


def _shown(due: Fraction, formula: Formula, currency: str) -> str:
    places = DECIMAL_PLACES[currency] if formula.unit == "money" else RATIO_PLACES
    text = decimal_text(divided(due.numerator * 10**places, due.denominator), places)
    return text if formula.unit == "money" else trimmed(text)
