"""What a lead contributes: by cohort on the day it came in, and by period on the day that something came of it."""

from datetime import datetime
from typing import NamedTuple

from event_contracts.sales import Lead
from metrics_worker.domain.histogram import bucket_of
from metrics_worker.domain.measure import Measure, Measures
from metrics_worker.domain.posting import LOST_AFTER_SECONDS, Posting, Reporting, credited, seconds_between, text_of


class LeadDimensions(NamedTuple):
    """The dimensions of leads."""

    region: str | None
    segment: str | None
    product: str | None
    channel: str | None
    owner: str | None
    team: str | None
    customer: str | None


CONTACTED = "the salesperson who contacted the lead"


class LeadMeasures(Measures, kind="lead", credit="the lead's owner now"):
    """The measures of leads."""

    created: Measure = Measure("leads, by creation day")
    cohort_contacted: Measure = Measure("leads contacted so far, by creation day")
    cohort_qualified: Measure = Measure("leads qualified so far, by creation day")
    cohort_disqualified: Measure = Measure("leads disqualified so far, by creation day")
    cohort_converted: Measure = Measure("leads converted so far, by creation day")
    contacted: Measure = Measure("leads, by day of first contact", credit=CONTACTED)
    qualified: Measure = Measure("leads, by qualification day", credit="the lead's owner when it was qualified")
    disqualified: Measure = Measure("leads, by disqualification day")
    converted: Measure = Measure("leads, by conversion day")
    response_seconds: Measure = Measure(
        "time from creation to first contact, by day of first contact",
        unit="seconds",
        counted_by=contacted,
        credit=CONTACTED,
    )
    within_hour: Measure = Measure("leads that something came of within an hour, by creation day")
    waiting: Measure = Measure("leads without a contact, and of which nothing has come", semi_additive=True)


def first_step_at(lead: Lead) -> datetime | None:
    """Return when a lead was contacted, or something else had come of it that needs a contact; None while nothing."""
    steps = (lead.contacted_at, lead.qualified_at, lead.converted_at)
    return min((step for step in steps if step is not None), default=None)


def waits_until(lead: Lead) -> datetime | None:
    """Return when a lead no longer waited for us; None while it does. An erasure ends no wait: it changes no number."""
    ends = (first_step_at(lead), lead.disqualified_at)
    return min((end for end in ends if end is not None), default=None)


def postings_for(lead: Lead, reporting: Reporting) -> list[Posting]:
    """Return the lead's whole contribution. Raise ValueError when a day is outside the calendar."""
    dimensions = LeadDimensions(
        region=lead.region,
        segment=lead.segment,
        product=lead.product,
        channel=lead.channel,
        owner=text_of(lead.owner_id),
        team=text_of(lead.team_id),
        customer=text_of(lead.account_id),
    )
    first, done = first_step_at(lead), waits_until(lead)
    cohort = LeadMeasures(
        created=1,
        within_hour=int(first is not None and seconds_between(lead.created_at, first) <= LOST_AFTER_SECONDS),
        waiting=1,
        cohort_contacted=int(lead.contacted_at is not None),
        cohort_qualified=int(lead.qualified_at is not None),
        cohort_disqualified=int(lead.disqualified_at is not None),
        cohort_converted=int(lead.converted_at is not None),
    )
    postings = [Posting(reporting.day_of(lead.created_at), dimensions, cohort)]
    parts: dict[tuple[datetime, LeadDimensions], dict[str, int]] = {}

    def add(moment: datetime | None, under: LeadDimensions, **amounts: int) -> None:
        # One posting for each moment and person, since some of these coincide: rows are what a posting costs.
        if moment is not None:
            parts.setdefault((moment, under), {}).update(amounts)

    if lead.contacted_at is not None:
        response = seconds_between(lead.created_at, lead.contacted_at)
        add(lead.contacted_at, credited(dimensions, lead.contacted_by), contacted=1, response_seconds=response)
    add(lead.qualified_at, credited(dimensions, lead.qualified_by), qualified=1)
    add(lead.disqualified_at, dimensions, disqualified=1)
    add(lead.converted_at, dimensions, converted=1)
    # What was entered late may have ended before it began.
    add(None if done is None else max(done, lead.created_at), dimensions, waiting=-1)
    for (moment, under), amounts in sorted(parts.items(), key=lambda part: part[0][0]):
        buckets = (bucket_of(amounts["response_seconds"]),) if "response_seconds" in amounts else ()
        postings.append(Posting(reporting.day_of(moment), under, LeadMeasures(**amounts), buckets=buckets))
    return postings
