"""What a step of an onboarding contributes: when it was due and done, and for how long the customer waited for it."""

from collections import Counter
from datetime import date, timedelta
from operator import itemgetter
from typing import NamedTuple

from event_contracts.calendar import LAST_DAY
from event_contracts.service import OnboardingStep
from metrics_worker.domain.histogram import bucket_of
from metrics_worker.domain.measure import Measure, Measures
from metrics_worker.domain.planned_work import due_days
from metrics_worker.domain.posting import LOST_AFTER_SECONDS, Posting, Reporting, seconds_between, text_of


class OnboardingStepDimensions(NamedTuple):
    """The dimensions of steps; `owner` is the agent. A step has no channel: waits are asked for by it."""

    region: str | None
    segment: str | None
    product: str | None
    channel: str | None
    owner: str | None
    team: str | None
    customer: str | None


class OnboardingStepMeasures(
    Measures, kind="onboardingstep", credit="the agent who did the step or delivered, or has it to do"
):
    """The measures of onboardings' steps. A promised delivery is one of them, and has measures of its own besides."""

    completed: Measure = Measure("steps of onboardings, by the day they were done")
    due: Measure = Measure("steps of onboardings that were due and are done or missed, by due day")
    on_time: Measure = Measure("of these, those done by their due day, by due day")
    open: Measure = Measure("planned steps of onboardings that are not done, by due day", elapsed_only=True)
    delivered: Measure = Measure("promised deliveries that reached the customer, by the promised day")
    delivered_in_time: Measure = Measure("of these, those that did by that day, by the promised day")
    delivered_within_hour: Measure = Measure(
        "of these deliveries, those that did by an hour after that day, by the promised day"
    )
    undelivered: Measure = Measure(
        "promised deliveries that have not reached the customer, by the promised day", elapsed_only=True
    )
    waiting: Measure = Measure(
        "promised deliveries that customers wait for, since their day is over", semi_additive=True
    )
    delivered_late: Measure = Measure("promised deliveries after their day, by delivery day")
    late_seconds: Measure = Measure(
        "time from the end of the promised day to the delivery, by delivery day",
        unit="seconds",
        counted_by=delivered_late,
    )


def postings_for(step: OnboardingStep, reporting: Reporting) -> list[Posting]:
    """Return the step's whole contribution. Raise ValueError when a day is outside the calendar."""
    by_day: dict[date, Counter[str]] = {}

    def add(day: date, **amounts: int) -> None:
        by_day.setdefault(day, Counter()).update(amounts)

    done_at = step.completed_at
    if done_at is not None:
        add(reporting.day_of(done_at), completed=1)
    for day, due, on_time, still_open in due_days(step, step.due_on, done_at, reporting):
        add(day, due=due, on_time=on_time, open=still_open)
    late = None
    if step.promised and step.status in ("planned", "done"):
        over = reporting.end_of(step.due_on)
        if done_at is None:
            add(step.due_on, undelivered=1)
        else:
            is_late = done_at >= over
            within_hour = not is_late or seconds_between(over, done_at) <= LOST_AFTER_SECONDS
            add(step.due_on, delivered=1, delivered_in_time=int(not is_late), delivered_within_hour=int(within_hour))
            late = seconds_between(over, done_at) if is_late else None
        if (done_at is None or late is not None) and step.due_on < LAST_DAY:
            # The day begins at the moment at which the wait does.
            add(step.due_on + timedelta(days=1), waiting=1)
        if done_at is not None and late is not None:
            add(reporting.day_of(done_at), waiting=-1, delivered_late=1, late_seconds=late)
    dimensions = OnboardingStepDimensions(
        region=step.region,
        segment=step.segment,
        product=step.product,
        channel=None,
        owner=text_of(step.agent_id),
        team=text_of(step.team_id),
        customer=text_of(step.customer_id),
    )
    return [
        Posting(
            day,
            dimensions,
            OnboardingStepMeasures(**amounts),
            buckets=(bucket_of(late),) if late is not None and amounts["delivered_late"] else (),
        )
        for day, amounts in sorted(by_day.items(), key=itemgetter(0))
    ]
