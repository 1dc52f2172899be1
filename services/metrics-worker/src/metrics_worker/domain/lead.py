"""What a lead contributes: by cohort on the day it came in, and by period on the day that something came of it."""

from typing import NamedTuple

from event_contracts.sales import Lead
from metrics_worker.domain.histogram import bucket_of
from metrics_worker.domain.measure import Measure, Measures
from metrics_worker.domain.posting import Posting, Reporting, credited, seconds_between, text_of


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
    cohort = LeadMeasures(
        created=1,
        cohort_contacted=int(lead.contacted_at is not None),
        cohort_qualified=int(lead.qualified_at is not None),
        cohort_disqualified=int(lead.disqualified_at is not None),
        cohort_converted=int(lead.converted_at is not None),
    )
    postings = [Posting(reporting.day_of(lead.created_at), dimensions, cohort)]
    if lead.contacted_at is not None:
        response = seconds_between(lead.created_at, lead.contacted_at)
        contact = LeadMeasures(contacted=1, response_seconds=response)
        day = reporting.day_of(lead.contacted_at)
        under = credited(dimensions, lead.contacted_by)
        postings.append(Posting(day, under, contact, buckets=(bucket_of(response),)))
    for moment, under, measures in (
        (lead.qualified_at, credited(dimensions, lead.qualified_by), LeadMeasures(qualified=1)),
        (lead.disqualified_at, dimensions, LeadMeasures(disqualified=1)),
        (lead.converted_at, dimensions, LeadMeasures(converted=1)),
    ):
        if moment is not None:
            postings.append(Posting(reporting.day_of(moment), under, measures))
    return postings
