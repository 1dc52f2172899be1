"""What salespeople's activities and customers' recommendations contribute, on the day they took place."""

from typing import NamedTuple

from event_contracts.sales import Activity, Referral
from metrics_worker.domain.measure import Measure, Measures
from metrics_worker.domain.posting import Posting, Reporting, text_of


class SellingDimensions(NamedTuple):
    """The dimensions of activities and referrals; of a referral, all are the recommending customer's."""

    region: str | None
    segment: str | None
    channel: str | None
    owner: str | None
    team: str | None
    customer: str | None


class ActivityMeasures(Measures, kind="activity", credit="whoever did it"):
    """The measures of activities."""

    completed: Measure = Measure("activities, by completion day")
    follow_ups: Measure = Measure("activities with a due time, by completion day")
    on_time: Measure = Measure("of these, those completed by then, by completion day")


class ReferralMeasures(Measures, kind="referral", credit="the recommending account's owner at that time"):
    """The measures of referrals."""

    recorded: Measure = Measure("recommendations by customers, by recording day")


def postings_for_activity(activity: Activity, reporting: Reporting) -> list[Posting]:
    """Return the activity's whole contribution. Raise ValueError when its day is outside the calendar."""
    due = activity.due_at
    measures = ActivityMeasures(
        completed=1,
        follow_ups=int(due is not None),
        on_time=int(due is not None and activity.completed_at <= due),
    )
    return [Posting(reporting.day_of(activity.completed_at), _dimensions(activity), measures)]


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
