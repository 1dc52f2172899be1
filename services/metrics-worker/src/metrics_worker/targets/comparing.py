"""Compares a KPI's value with what its target makes due: for answers, and for the judge."""

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

from sqlalchemy.ext.asyncio import AsyncSession

from event_contracts.fields import DECIMAL_PLACES
from metrics_worker.answers.figures import RATIO_PLACES, decimal_text, divided, trimmed
from metrics_worker.answers.question import Question
from metrics_worker.answers.views import AnswerView, TargetFigureView
from metrics_worker.kpis.posting import Reporting
from metrics_worker.kpis.registry import Formula
from metrics_worker.targets.model import TargetKey, is_met
from metrics_worker.targets.queries import target_for


def adds_up(formula: Formula) -> bool:
    """Whether the value of some days is the sum of the values of each: a count or an amount of what happened.

    Not a ratio or a mean, and not what stands, such as a backlog.
    """
    whole = not formula.denominator and not formula.times
    return whole and not any(term.measure.level for term in formula.terms)


async def with_target(
    session: AsyncSession, question: Question, answer: AnswerView, reporting: Reporting
) -> AnswerView:
    """The answer, with the target that is set for exactly what was asked, as far as it says something of its days."""
    if len(question.filters) > 1:
        return answer
    dimension, value = next(iter(question.filters.items()), (None, None))
    target = await target_for(session, TargetKey(question.kpi.name, question.variant, dimension, value))
    if target is None:
        return answer
    direction = question.kpi.direction
    today = today_in(reporting, datetime.now(UTC))
    due = target.due_over(question.period, today, direction=direction, adds_up=adds_up(question.formula))
    if due is None:
        return answer
    met = None if answer.value is None else is_met(Decimal(answer.value), due, direction)
    shown = TargetFigureView(value=_shown(due, question.formula, reporting.currency), met=met)
    return answer.model_copy(update={"target": shown})


def today_in(reporting: Reporting, at: datetime) -> date:
    """The reporting day of an instant."""
    return at.astimezone(reporting.zone).date()


def _shown(due: Fraction, formula: Formula, currency: str) -> str:
    places = DECIMAL_PLACES[currency] if formula.unit == "money" else RATIO_PLACES
    text = decimal_text(divided(due.numerator * 10**places, due.denominator), places)
    return text if formula.unit == "money" else trimmed(text)
