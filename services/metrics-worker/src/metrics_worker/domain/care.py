"""What trainings, check-ins, maintenance, suggestions and public reviews contribute, each on its day."""

from datetime import date, datetime
from typing import NamedTuple

from event_contracts.service import CheckIn, Maintenance, Review, Training, UpsellSuggestion
from metrics_worker.domain.measure import Measure, Measures
from metrics_worker.domain.posting import Posting, Reporting, text_of
from metrics_worker.domain.survey import SATISFIED_FROM


class CareDimensions(NamedTuple):
    """The dimensions of trainings, check-ins, maintenance and suggestions; `owner` is the agent."""

    region: str | None
    segment: str | None
    product: str | None
    owner: str | None
    team: str | None
    customer: str | None


class ReviewDimensions(NamedTuple):
    """The dimensions of reviews; `channel` is where one was published."""

    region: str | None
    segment: str | None
    product: str | None
    channel: str | None
    customer: str | None


class TrainingMeasures(Measures, kind="training", credit="the agent who delivered it"):
    """The measures of trainings."""

    delivered: Measure = Measure("trainings, by delivery day")
    attendees: Measure = Measure("people trained in them")


class CheckInMeasures(Measures, kind="checkin", credit="the agent who completed it"):
    """The measures of check-ins."""

    completed: Measure = Measure("check-ins, by completion day")
    due: Measure = Measure("check-ins with a planned day, by completion day")
    on_time: Measure = Measure("of these, those completed by then, by completion day")


class MaintenanceMeasures(Measures, kind="maintenance", credit="the agent who performed it"):
    """The measures of planned maintenance."""

    performed: Measure = Measure("planned maintenance, by the day it was performed")
    on_time: Measure = Measure("of this, maintenance performed by its due day, by the day it was performed")


class UpsellMeasures(Measures, kind="upsell", credit="the agent who suggested it"):
    """The measures of agents' suggestions."""

    suggested: Measure = Measure("agents' upsell suggestions, by day of suggestion")


class ReviewMeasures(Measures, kind="review"):
    """The measures of public reviews."""

    recorded: Measure = Measure("public reviews, by the day they were written")
    good: Measure = Measure("of these, those with 4 or 5 of 5")
    score: Measure = Measure("scores of these reviews", unit="score")


def postings_for_training(training: Training, reporting: Reporting) -> list[Posting]:
    """Return the training's whole contribution. Raise ValueError when its day is outside the calendar."""
    return _on(training.delivered_at, training, TrainingMeasures(1, training.attendees), reporting)


def postings_for_check_in(check_in: CheckIn, reporting: Reporting) -> list[Posting]:
    """Return the check-in's whole contribution. Raise ValueError when its day is outside the calendar."""
    on_time = _on_time(check_in.completed_at, check_in.due_on, reporting)
    measures = CheckInMeasures(completed=1, due=int(check_in.due_on is not None), on_time=on_time)
    return _on(check_in.completed_at, check_in, measures, reporting)


def postings_for_maintenance(maintenance: Maintenance, reporting: Reporting) -> list[Posting]:
    """Return the maintenance's whole contribution. Raise ValueError when its day is outside the calendar."""
    on_time = _on_time(maintenance.performed_at, maintenance.due_on, reporting)
    return _on(maintenance.performed_at, maintenance, MaintenanceMeasures(1, on_time), reporting)


def postings_for_upsell(suggestion: UpsellSuggestion, reporting: Reporting) -> list[Posting]:
    """Return the suggestion's whole contribution. Raise ValueError when its day is outside the calendar."""
    return _on(suggestion.suggested_at, suggestion, UpsellMeasures(1), reporting)


def postings_for_review(review: Review, reporting: Reporting) -> list[Posting]:
    """Return the review's whole contribution. Raise ValueError when its day is outside the calendar."""
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
