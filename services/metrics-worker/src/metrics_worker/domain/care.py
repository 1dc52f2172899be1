"""What trainings, check-ins and maintenance contribute, on the day they were done and on the day they were due; and
suggestions and public reviews, each on its day."""

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from operator import itemgetter
from typing import NamedTuple

from event_contracts.service import CheckIn, Maintenance, Review, Training, UpsellSuggestion
from metrics_worker.domain.measure import Measure, Measures
from metrics_worker.domain.planned_work import Due, due_days
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


class TrainingMeasures(Measures, kind="training", credit="the agent who delivered it, or has it to do"):
    """The measures of trainings."""

    delivered: Measure = Measure("trainings, by delivery day")
    attendees: Measure = Measure("people trained in them")
    due: Measure = Measure("trainings that were due and are delivered or missed, by due day")
    on_time: Measure = Measure("of these, those delivered by their due time, by due day")
    open: Measure = Measure("planned trainings that are not delivered, by due day", elapsed_only=True)


class CheckInMeasures(Measures, kind="checkin", credit="the agent who completed it, or has it to do"):
    """The measures of check-ins."""

    completed: Measure = Measure("check-ins, by completion day")
    due: Measure = Measure("check-ins that were due and are completed or missed, by due day")
    on_time: Measure = Measure("of these, those completed by then, by due day")
    with_due: Measure = Measure("completed check-ins with a due day, by completion day")
    open: Measure = Measure("planned check-ins that are not completed, by due day", elapsed_only=True)


class MaintenanceMeasures(Measures, kind="maintenance", credit="the agent who performed it, or has it to do"):
    """The measures of planned maintenance."""

    performed: Measure = Measure("planned maintenance, by the day it was performed")
    on_time: Measure = Measure("of what was due, maintenance performed by its due day, by due day")
    due: Measure = Measure("planned maintenance that was due and is performed or missed, by due day")
    open: Measure = Measure("planned maintenance that is not performed, by due day", elapsed_only=True)


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
    done = {"delivered": 1, "attendees": training.attendees}
    by_day = _by_day(training, training.due_at, training.delivered_at, done, reporting)
    return [Posting(day, _dimensions(training), TrainingMeasures(**amounts)) for day, amounts in by_day]


def postings_for_check_in(check_in: CheckIn, reporting: Reporting) -> list[Posting]:
    """Return the check-in's whole contribution. Raise ValueError when its day is outside the calendar."""
    done = {"completed": 1, "with_due": int(check_in.due_on is not None)}
    by_day = _by_day(check_in, check_in.due_on, check_in.completed_at, done, reporting)
    return [Posting(day, _dimensions(check_in), CheckInMeasures(**amounts)) for day, amounts in by_day]


def postings_for_maintenance(maintenance: Maintenance, reporting: Reporting) -> list[Posting]:
    """Return the maintenance's whole contribution. Raise ValueError when its day is outside the calendar."""
    by_day = _by_day(maintenance, maintenance.due_on, maintenance.performed_at, {"performed": 1}, reporting)
    return [Posting(day, _dimensions(maintenance), MaintenanceMeasures(**amounts)) for day, amounts in by_day]


def postings_for_upsell(suggestion: UpsellSuggestion, reporting: Reporting) -> list[Posting]:
    """Return the suggestion's whole contribution. Raise ValueError when its day is outside the calendar."""
    return [Posting(reporting.day_of(suggestion.suggested_at), _dimensions(suggestion), UpsellMeasures(1))]


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


def _by_day(
    work: Training | CheckIn | Maintenance,
    due: Due | None,
    done_at: datetime | None,
    done: Mapping[str, int],
    reporting: Reporting,
) -> list[tuple[date, Counter[str]]]:
    """Return the measures by day: those of `done` on the day it was done, and those of each day it was due."""
    by_day: dict[date, Counter[str]] = {}
    if done_at is not None:
        by_day[reporting.day_of(done_at)] = Counter(done)
    for day, was_due, on_time, still_open in due_days(work, due, done_at, reporting):
        by_day.setdefault(day, Counter()).update(due=was_due, on_time=on_time, open=still_open)
    return sorted(by_day.items(), key=itemgetter(0))


def _dimensions(state: Training | CheckIn | Maintenance | UpsellSuggestion) -> CareDimensions:
    return CareDimensions(
        region=state.region,
        segment=state.segment,
        product=state.product,
        owner=text_of(state.agent_id),
        team=text_of(state.team_id),
        customer=text_of(state.customer_id),
    )
