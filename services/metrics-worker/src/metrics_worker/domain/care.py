"""What service does for customers besides tickets contributes, on the day it was done; and what they say in public."""

from datetime import date, datetime
from typing import NamedTuple

from event_contracts.service import CheckIn, Maintenance, Review, Training, UpsellSuggestion
from metrics_worker.domain.measure import Measure, Measures
from metrics_worker.domain.posting import Posting, Reporting, text_of
from metrics_worker.domain.survey import SATISFIED_FROM


class CareDimensions(NamedTuple):
    """What trainings, check-ins, maintenance and suggestions are told apart by; `owner` is the agent."""

    region: str | None
    segment: str | None
    product: str | None
    owner: str | None
    team: str | None
    customer: str | None


class ReviewDimensions(NamedTuple):
    """What reviews are told apart by; `channel` is where one was said."""

    region: str | None
    segment: str | None
    product: str | None
    channel: str | None
    customer: str | None


class TrainingMeasures(Measures, kind="training"):
    """What is summed of trainings."""

    delivered: Measure = Measure("trainings, on the day they were delivered")
    attendees: Measure = Measure("people trained in them")


class CheckInMeasures(Measures, kind="checkin"):
    """What is summed of check-ins."""

    completed: Measure = Measure("check-ins, on the day they were completed")
    due: Measure = Measure("check-ins that were planned for a day, on the day they were completed")
    on_time: Measure = Measure("of these, those completed by then, on the day they were completed")


class MaintenanceMeasures(Measures, kind="maintenance"):
    """What is summed of planned maintenance."""

    performed: Measure = Measure("planned maintenance, on the day it was performed")
    on_time: Measure = Measure("of it, what was performed by the day it was due, on the day of that")


class UpsellMeasures(Measures, kind="upsell"):
    """What is summed of agents' suggestions."""

    suggested: Measure = Measure("agents' suggestions of what else to sell, on the day they were made")


class ReviewMeasures(Measures, kind="review"):
    """What is summed of public reviews."""

    recorded: Measure = Measure("public reviews, on the day they were written")
    good: Measure = Measure("of these, those with 4 or 5 of 5")
    score: Measure = Measure("the scores given in them", unit="score")


def postings_for_training(training: Training, reporting: Reporting) -> list[Posting]:
    """The training's whole contribution. Raises ValueError when its day is outside the calendar."""
    return _on(training.delivered_at, training, TrainingMeasures(1, training.attendees), reporting)


def postings_for_check_in(check_in: CheckIn, reporting: Reporting) -> list[Posting]:
    """The check-in's whole contribution. Raises ValueError when its day is outside the calendar."""
    on_time = _on_time(check_in.completed_at, check_in.due_on, reporting)
    measures = CheckInMeasures(completed=1, due=int(check_in.due_on is not None), on_time=on_time)
    return _on(check_in.completed_at, check_in, measures, reporting)


def postings_for_maintenance(maintenance: Maintenance, reporting: Reporting) -> list[Posting]:
    """The maintenance's whole contribution. Raises ValueError when its day is outside the calendar."""
    on_time = _on_time(maintenance.performed_at, maintenance.due_on, reporting)
    return _on(maintenance.performed_at, maintenance, MaintenanceMeasures(1, on_time), reporting)


def postings_for_upsell(suggestion: UpsellSuggestion, reporting: Reporting) -> list[Posting]:
    """The suggestion's whole contribution. Raises ValueError when its day is outside the calendar."""
    return _on(suggestion.suggested_at, suggestion, UpsellMeasures(1), reporting)


def postings_for_review(review: Review, reporting: Reporting) -> list[Posting]:
    """The review's whole contribution. Raises ValueError when its day is outside the calendar."""
    dimensions = ReviewDimensions(
        region=review.region,
        segment=review.segment,
        product=review.product,
        channel=review.channel,
        customer=text_of(review.customer_id),
    )
    measures = ReviewMeasures(recorded=1, good=int(review.score >= SATISFIED_FROM), score=review.score)
    return [Posting(reporting.day_of(review.reviewed_at), dimensions, measures)]


def _on_time(done_at: datetime, due_on: date | None, reporting: Reporting) -> int:
    return int(due_on is not None and reporting.day_of(done_at) <= due_on)


def _on(
    moment: datetime,
    state: Training | CheckIn | Maintenance | UpsellSuggestion,
    measures: tuple[int, ...],
    reporting: Reporting,
) -> list[Posting]:
    dimensions = CareDimensions(
        region=state.region,
        segment=state.segment,
        product=state.product,
        owner=text_of(state.agent_id),
        team=text_of(state.team_id),
        customer=text_of(state.customer_id),
    )
    return [Posting(reporting.day_of(moment), dimensions, measures)]
