"""What activities contribute, on the day they were done and on the day they were due; and customers' referrals."""

from collections import Counter
from datetime import date
from operator import itemgetter
from typing import NamedTuple

from event_contracts.sales import Activity, Referral
from metrics_worker.domain.measure import Measure, Measures
from metrics_worker.domain.planned_work import due_days
from metrics_worker.domain.posting import LOST_AFTER_SECONDS, Posting, Reporting, seconds_between, text_of


class SellingDimensions(NamedTuple):
    """The dimensions of activities and referrals; of a referral, all are the recommending customer's."""

    region: str | None
    segment: str | None
    channel: str | None
    owner: str | None
    team: str | None
    customer: str | None


class ActivityMeasures(Measures, kind="activity", credit="who did it, or has it to do"):
    """The measures of activities."""

    completed: Measure = Measure("activities, by completion day")
    follow_ups: Measure = Measure("activities that were due and are done or missed, by due day")
    on_time: Measure = Measure("of these, those completed by their due time, by due day")
    with_due: Measure = Measure("completed activities with a due time, by completion day")
    open: Measure = Measure("planned activities that are not done, by due day", elapsed_only=True)
    agreed: Measure = Measure("activities agreed with the customer that are done, missed or moved late, by due day")
    agreed_within_hour: Measure = Measure("of these, those done by an hour after the agreed time, by due day")
    agreed_open: Measure = Measure(
        "planned activities that were agreed with the customer and are not done, by due day", elapsed_only=True
    )


class ReferralMeasures(Measures, kind="referral", credit="the recommending account's owner at that time"):
    """The measures of referrals."""

    recorded: Measure = Measure("recommendations by customers, by recording day")


def postings_for_activity(activity: Activity, reporting: Reporting) -> list[Posting]:
    """Return the activity's whole contribution. Raise ValueError when its day is outside the calendar."""
    by_day: dict[date, Counter[str]] = {}
    if activity.completed_at is not None:
        with_due = int(activity.due_at is not None)
        by_day[reporting.day_of(activity.completed_at)] = Counter(completed=1, with_due=with_due)
    for day, due, on_time, still_open in due_days(activity, activity.due_at, activity.completed_at, reporting):
        by_day.setdefault(day, Counter()).update(follow_ups=due, on_time=on_time, open=still_open)
        if activity.agreed_with_customer:
            by_day[day].update(agreed=due, agreed_open=still_open)
    if activity.agreed_with_customer and activity.due_at is not None and activity.completed_at is not None:
        kept = seconds_between(activity.due_at, activity.completed_at) <= LOST_AFTER_SECONDS
        by_day[reporting.day_of(activity.due_at)]["agreed_within_hour"] += int(kept)
    dimensions = _dimensions(activity)
    return [
        Posting(day, dimensions, ActivityMeasures(**amounts))
        for day, amounts in sorted(by_day.items(), key=itemgetter(0))
    ]


def postings_for_referral(referral: Referral, reporting: Reporting) -> list[Posting]:
    """Return the referral's whole contribution. Raise ValueError when its day is outside the calendar."""
    return [Posting(reporting.day_of(referral.recorded_at), _dimensions(referral), ReferralMeasures(recorded=1))]


def _dimensions(state: Activity | Referral) -> SellingDimensions:
    return SellingDimensions(
        region=state.region,
        segment=state.segment,
        channel=state.channel,
        owner=text_of(state.owner_id),
        team=text_of(state.team_id),
        customer=text_of(state.account_id),
    )
