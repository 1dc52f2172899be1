"""What a ticket contributes: by cohort on the day it was opened, by period when it was answered and resolved."""

from datetime import datetime, timedelta
from typing import NamedTuple

from event_contracts.service import Ticket
from metrics_worker.domain.histogram import bucket_of
from metrics_worker.domain.measure import Measure, Measures
from metrics_worker.domain.posting import Posting, Reporting, seconds_between, text_of

LOST_AFTER_SECONDS = 3_600
"""A customer left alone for longer is lost."""
HELD_AFTER = timedelta(days=7)
"""A resolution that is not reopened for so long counts as final."""


class ServiceDimensions(NamedTuple):
    """The dimensions of tickets and interactions; `owner` is the agent, `kind` the ticket's."""

    region: str | None
    segment: str | None
    product: str | None
    channel: str | None
    owner: str | None
    team: str | None
    customer: str | None
    priority: str | None
    kind: str | None


class TicketMeasures(Measures, kind="ticket"):
    """The measures of tickets. One that was merged into another, or cancelled, contributes nothing.

    An onboarding is work that the company gives itself: it has measures of its own, and is in none of the others.
    """

    opened: Measure = Measure("tickets, by opening day")
    presales: Measure = Measure("presales questions, by opening day")
    cohort_resolved: Measure = Measure("tickets that are resolved now, by opening day")
    cohort_reopened: Measure = Measure("tickets reopened at least once, by opening day")
    cohort_escalated: Measure = Measure("tickets escalated so far, by opening day")
    cohort_within_hour: Measure = Measure("tickets with a first response within an hour, by opening day")
    reopenings: Measure = Measure("reopenings of tickets, by opening day")
    first_responded: Measure = Measure("tickets, by day of first response")
    first_response_seconds: Measure = Measure(
        "time from opening to first response, by day of first response",
        unit="seconds",
        counted_by=first_responded,
    )
    business_responded: Measure = Measure("tickets under a policy with business hours, by day of first response")
    business_response_seconds: Measure = Measure(
        "business time from opening to first response, by day of first response",
        unit="seconds",
        counted_by=business_responded,
    )
    resolved: Measure = Measure("tickets that are resolved now, by day of last resolution")
    resolution_seconds: Measure = Measure(
        "time from opening to last resolution, by day of last resolution",
        unit="seconds",
        counted_by=resolved,
    )
    business_resolved: Measure = Measure(
        "resolved tickets under a policy with business hours, by day of last resolution"
    )
    business_resolution_seconds: Measure = Measure(
        "business time from opening to last resolution, by day of last resolution",
        unit="seconds",
        counted_by=business_resolved,
    )
    onboarded: Measure = Measure("resolved onboardings of won deals, by day of last resolution")
    onboarding_seconds: Measure = Measure(
        "time from winning the deal to resolving its onboarding, by day of last resolution",
        unit="seconds",
        counted_by=onboarded,
    )
    resolved_reopened: Measure = Measure("resolved tickets that were reopened before, by day of last resolution")
    resolved_first_contact: Measure = Measure(
        "resolved tickets with at most one customer contact and no reopening, by resolution day"
    )
    resolved_under_sla: Measure = Measure("resolved tickets under an SLA policy, by day of last resolution")
    resolved_within_sla: Measure = Measure("of these, those without a breach, by day of last resolution")
    first_resolved: Measure = Measure("tickets, by day of first resolution")
    held: Measure = Measure("of these, those not reopened within seven days so far, by day of first resolution")
    backlog: Measure = Measure("tickets neither resolved nor closed", semi_additive=True)
    unattended: Measure = Measure("of these, those without a first response", semi_additive=True)
    onboardings: Measure = Measure("onboardings of won deals, by the day the deal was won")
    onboarding_backlog: Measure = Measure("onboardings neither resolved nor closed", semi_additive=True)


def postings_for(ticket: Ticket, reporting: Reporting) -> list[Posting]:
    """Return the ticket's whole contribution. Raise ValueError when a day is outside the calendar."""
    if ticket.merged_into is not None or ticket.cancelled_at is not None:
        # The other ticket covers the same: counting both would count the customer's question twice.
        return []
    dimensions = ServiceDimensions(
        region=ticket.region,
        segment=ticket.segment,
        product=ticket.product,
        channel=ticket.channel,
        owner=text_of(ticket.agent_id),
        team=text_of(ticket.team_id),
        customer=text_of(ticket.customer_id),
        priority=ticket.priority,
        kind=ticket.kind,
    )
    if ticket.onboarding_since is not None:
        return _of_onboarding(ticket, ticket.onboarding_since, dimensions, reporting)
    response = (
        None if ticket.first_responded_at is None else seconds_between(ticket.opened_at, ticket.first_responded_at)
    )
    cohort = TicketMeasures(
        opened=1,
        presales=int(ticket.kind == "presales_question"),
        cohort_resolved=int(ticket.resolved_at is not None),
        cohort_reopened=int(ticket.reopen_count > 0),
        cohort_escalated=int(ticket.escalated_at is not None),
        cohort_within_hour=int(response is not None and response <= LOST_AFTER_SECONDS),
        reopenings=ticket.reopen_count,
        backlog=1,
        unattended=1,
    )
    postings = [Posting(reporting.day_of(ticket.opened_at), dimensions, cohort)]
    done_at = _first(ticket.resolved_at, ticket.closed_at)
    attended_at = _first(ticket.first_responded_at, done_at)
    first_resolved_at = _first_resolved_at(ticket)
    # One posting for each moment, since most of these coincide: rows are what a posting costs.
    moments = {ticket.first_responded_at, ticket.resolved_at, first_resolved_at, done_at, attended_at}
    for moment in sorted(moment for moment in moments if moment is not None):
        first_response = response if moment == ticket.first_responded_at else None
        business_response = None if first_response is None else ticket.first_response_business_seconds
        resolved = moment == ticket.resolved_at
        resolution = seconds_between(ticket.opened_at, moment) if resolved else None
        business_resolution = ticket.resolution_business_seconds if resolved else None
        under_sla = resolved and (ticket.first_response_due_at is not None or ticket.resolution_due_at is not None)
        reopened = ticket.reopen_count > 0
        measures = TicketMeasures(
            first_responded=int(first_response is not None),
            first_response_seconds=first_response or 0,
            business_responded=int(business_response is not None),
            business_response_seconds=business_response or 0,
            resolved=int(resolved),
            resolution_seconds=resolution or 0,
            business_resolved=int(business_resolution is not None),
            business_resolution_seconds=business_resolution or 0,
            resolved_reopened=int(resolved and reopened),
            resolved_first_contact=int(resolved and ticket.inbound_count <= 1 and not reopened),
            resolved_under_sla=int(under_sla),
            resolved_within_sla=int(under_sla and ticket.sla_breached_at is None),
            first_resolved=int(moment == first_resolved_at),
            held=int(moment == first_resolved_at and _held(ticket, moment)),
            backlog=-int(moment == done_at),
            unattended=-int(moment == attended_at),
        )
        buckets = _buckets(first_response, business_response, resolution, business_resolution, None)
        postings.append(Posting(reporting.day_of(moment), dimensions, measures, buckets=buckets))
    return postings


def _of_onboarding(
    ticket: Ticket, won_at: datetime, dimensions: ServiceDimensions, reporting: Reporting
) -> list[Posting]:
    opened = TicketMeasures(onboardings=1, onboarding_backlog=1)
    postings = [Posting(reporting.day_of(won_at), dimensions, opened)]
    done_at = _first(ticket.resolved_at, ticket.closed_at)
    if done_at is not None:
        seconds = None if ticket.resolved_at is None else seconds_between(won_at, ticket.resolved_at)
        done = TicketMeasures(
            onboarded=int(seconds is not None), onboarding_seconds=seconds or 0, onboarding_backlog=-1
        )
        buckets = _buckets(None, None, None, None, seconds)
        postings.append(Posting(reporting.day_of(done_at), dimensions, done, buckets=buckets))
    return postings


def _buckets(*durations: int | None) -> tuple[int | None, ...]:
    """Return the buckets of a posting's durations, in the order of the measures; empty where it has none."""
    buckets = tuple(None if seconds is None else bucket_of(seconds) for seconds in durations)
    return buckets if any(bucket is not None for bucket in buckets) else ()


def waiting_since(ticket: Ticket) -> datetime | None:
    """Return since when a ticket's customer has waited for the first response; None when none is due."""
    answered_or_done = ticket.first_responded_at or ticket.resolved_at or ticket.closed_at
    is_request = ticket.onboarding_since is None and ticket.merged_into is None
    return ticket.opened_at if answered_or_done is None and is_request else None


def _first_resolved_at(ticket: Ticket) -> datetime | None:
    if ticket.first_resolved_at is None and ticket.reopen_count == 0:
        return ticket.resolved_at
    # A reopened ticket whose first resolution is not known is left out: so is its day.
    return ticket.first_resolved_at


def _held(ticket: Ticket, first_resolved_at: datetime) -> bool:
    if ticket.reopen_count == 0:
        return True
    first_reopened_at = ticket.first_reopened_at or (ticket.reopened_at if ticket.reopen_count == 1 else None)
    return first_reopened_at is not None and first_reopened_at - first_resolved_at > HELD_AFTER


def _first(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
