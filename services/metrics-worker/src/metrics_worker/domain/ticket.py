"""What a ticket contributes: by cohort on the day it was opened, by period when it was answered and resolved."""

from datetime import datetime, timedelta
from typing import NamedTuple

from event_contracts.service import Ticket, Wait
from metrics_worker.domain.histogram import bucket_of
from metrics_worker.domain.measure import Measure, Measures
from metrics_worker.domain.posting import LOST_AFTER_SECONDS, Posting, Reporting, credited, seconds_between, text_of

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


RESPONDER = "the agent who replied first"
RESOLVER = "the agent who resolved the ticket"
FIRST_RESOLVER = "the agent who resolved the ticket for the first time"

ANSWERER = "the agent who answered"


class TicketMeasures(Measures, kind="ticket", credit="the agent who has the ticket now"):
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
    first_responded: Measure = Measure("tickets, by day of first response", credit=RESPONDER)
    first_response_seconds: Measure = Measure(
        "time from opening to first response, by day of first response",
        unit="seconds",
        counted_by=first_responded,
        credit=RESPONDER,
    )
    business_responded: Measure = Measure(
        "tickets under a policy with business hours, by day of first response", credit=RESPONDER
    )
    business_response_seconds: Measure = Measure(
        "business time from opening to first response, by day of first response",
        unit="seconds",
        counted_by=business_responded,
        credit=RESPONDER,
    )
    resolved: Measure = Measure("tickets that are resolved now, by day of last resolution", credit=RESOLVER)
    resolution_seconds: Measure = Measure(
        "time from opening to last resolution, by day of last resolution",
        unit="seconds",
        counted_by=resolved,
        credit=RESOLVER,
    )
    business_resolved: Measure = Measure(
        "resolved tickets under a policy with business hours, by day of last resolution", credit=RESOLVER
    )
    business_resolution_seconds: Measure = Measure(
        "business time from opening to last resolution, by day of last resolution",
        unit="seconds",
        counted_by=business_resolved,
        credit=RESOLVER,
    )
    onboarded: Measure = Measure("resolved onboardings of won deals, by day of last resolution", credit=RESOLVER)
    onboarding_seconds: Measure = Measure(
        "time from winning the deal to resolving its onboarding, by day of last resolution",
        unit="seconds",
        counted_by=onboarded,
        credit=RESOLVER,
    )
    resolved_reopened: Measure = Measure(
        "resolved tickets that were reopened before, by day of last resolution", credit=RESOLVER
    )
    resolved_first_contact: Measure = Measure(
        "resolved tickets with at most one customer contact and no reopening, by resolution day", credit=RESOLVER
    )
    resolved_under_sla: Measure = Measure(
        "resolved tickets under an SLA policy, by day of last resolution", credit=RESOLVER
    )
    resolved_within_sla: Measure = Measure(
        "of these, those without a breach, by day of last resolution", credit=RESOLVER
    )
    first_resolved: Measure = Measure("tickets, by day of first resolution", credit=FIRST_RESOLVER)
    held: Measure = Measure(
        "of these, those not reopened within seven days so far, by day of first resolution", credit=FIRST_RESOLVER
    )
    backlog: Measure = Measure("tickets neither resolved nor closed", semi_additive=True)
    unattended: Measure = Measure("of these, those without a first response", semi_additive=True)
    onboardings: Measure = Measure("onboardings of won deals, by the day the deal was won")
    onboarding_backlog: Measure = Measure("onboardings neither resolved nor closed", semi_additive=True)
    waits: Measure = Measure("times in which customers waited for us, by the day they began")
    replied: Measure = Measure("waits that ended by our reply or resolution, by that day", credit=ANSWERER)
    reply_seconds: Measure = Measure(
        "time from a customer's question, or the reopening, to our next reply or resolution, by day of that",
        unit="seconds",
        counted_by=replied,
        credit=ANSWERER,
    )
    waiting: Measure = Measure("tickets whose customer waits for our answer", semi_additive=True)
    waits_within_hour: Measure = Measure(
        "of these times, those that our reply or resolution ended within an hour, by the day they began"
    )


DURATIONS = tuple(measure.column for measure in TicketMeasures.columns if measure.counted_by is not None)


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
    waits = waits_of(ticket)
    # The first wait began with the opening, and its postings join those.
    asked = int(bool(waits) and waits[0].since == ticket.opened_at)
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
        waits=asked,
        waiting=asked,
        waits_within_hour=int(asked and _within_hour(waits[0])),
    )
    postings = [Posting(reporting.day_of(ticket.opened_at), dimensions, cohort)]
    done_at = _first(ticket.resolved_at, ticket.closed_at)
    attended_at = _first(ticket.first_responded_at, done_at)
    first_resolved_at = _first_resolved_at(ticket)
    parts: dict[tuple[datetime, ServiceDimensions], dict[str, int]] = {}

    def add(moment: datetime | None, under: ServiceDimensions, amounts: dict[str, int]) -> None:
        # One posting for each moment and person, since most of these coincide: rows are what a posting costs.
        if moment is not None:
            parts.setdefault((moment, under), {}).update(amounts)

    add(ticket.first_responded_at, credited(dimensions, ticket.first_responded_by), _response(ticket, response or 0))
    add(ticket.resolved_at, credited(dimensions, ticket.resolved_by), _resolution(ticket))
    held = int(first_resolved_at is not None and _held(ticket, first_resolved_at))
    add(first_resolved_at, credited(dimensions, ticket.first_resolved_by), {"first_resolved": 1, "held": held})
    add(done_at, dimensions, {"backlog": -1})
    add(attended_at, dimensions, {"unattended": -1})
    postings += _of_waits(waits[1:] if asked else waits, dimensions, reporting)
    if asked and waits[0].until is not None:
        add(waits[0].until, dimensions, {"waiting": -1})
        add(waits[0].until, credited(dimensions, waits[0].answered_by), _answer(waits[0]))
    for (moment, under), amounts in sorted(parts.items(), key=lambda part: part[0][0]):
        buckets = _buckets(*(amounts.get(duration) for duration in DURATIONS))
        postings.append(Posting(reporting.day_of(moment), under, TicketMeasures(**amounts), buckets=buckets))
    return postings


def _response(ticket: Ticket, seconds: int) -> dict[str, int]:
    amounts = {"first_responded": 1, "first_response_seconds": seconds}
    business = ticket.first_response_business_seconds
    return amounts if business is None else amounts | {"business_responded": 1, "business_response_seconds": business}


def _resolution(ticket: Ticket) -> dict[str, int]:
    if ticket.resolved_at is None:
        return {}
    under_sla = ticket.first_response_due_at is not None or ticket.resolution_due_at is not None
    reopened = ticket.reopen_count > 0
    amounts = {
        "resolved": 1,
        "resolution_seconds": seconds_between(ticket.opened_at, ticket.resolved_at),
        "resolved_reopened": int(reopened),
        "resolved_first_contact": int(ticket.inbound_count <= 1 and not ticket.merged_contact_count and not reopened),
        "resolved_under_sla": int(under_sla),
        "resolved_within_sla": int(under_sla and ticket.sla_breached_at is None),
    }
    business = ticket.resolution_business_seconds
    return amounts if business is None else amounts | {"business_resolved": 1, "business_resolution_seconds": business}


def waits_of(ticket: Ticket) -> list[Wait]:
    """Return each time in which a ticket's customer waited for us.

    Of events of before that was recorded, the first is known: from the opening to the first response or the resolution.
    """
    if ticket.waits is not None:
        return ticket.waits
    if ticket.onboarding_since is not None:
        return []
    done_at = _first(ticket.resolved_at, ticket.closed_at)
    until = _first(ticket.first_responded_at, done_at)
    by = ticket.first_responded_by if until == ticket.first_responded_at else ticket.resolved_by
    return [Wait(since=ticket.opened_at, until=until, answered_by=by)]


def _of_waits(waits: list[Wait], dimensions: ServiceDimensions, reporting: Reporting) -> list[Posting]:
    postings = []
    for wait in waits:
        began = TicketMeasures(waits=1, waiting=1, waits_within_hour=int(_within_hour(wait)))
        postings.append(Posting(reporting.day_of(wait.since), dimensions, began))
        if wait.until is not None:
            day, answer = reporting.day_of(wait.until), _answer(wait)
            postings.append(Posting(day, dimensions, TicketMeasures(waiting=-1)))
            buckets = _buckets(*(answer.get(duration) for duration in DURATIONS))
            under = credited(dimensions, wait.answered_by)
            postings.append(Posting(day, under, TicketMeasures(**answer), buckets=buckets))
    return postings


def _within_hour(wait: Wait) -> bool:
    return wait.until is not None and seconds_between(wait.since, wait.until) <= LOST_AFTER_SECONDS


def _answer(wait: Wait) -> dict[str, int]:
    seconds = 0 if wait.until is None else seconds_between(wait.since, wait.until)
    return {"replied": 1, "reply_seconds": seconds}


def _of_onboarding(
    ticket: Ticket, won_at: datetime, dimensions: ServiceDimensions, reporting: Reporting
) -> list[Posting]:
    opened = TicketMeasures(onboardings=1, onboarding_backlog=1)
    postings = [Posting(reporting.day_of(won_at), dimensions, opened)]
    done_at = _first(ticket.resolved_at, ticket.closed_at)
    if done_at is not None:
        day, under = reporting.day_of(done_at), credited(dimensions, ticket.resolved_by)
        if ticket.resolved_at is None:
            postings.append(Posting(day, dimensions, TicketMeasures(onboarding_backlog=-1)))
        else:
            seconds, own = seconds_between(won_at, ticket.resolved_at), under == dimensions
            done = TicketMeasures(onboarded=1, onboarding_seconds=seconds, onboarding_backlog=-int(own))
            postings.append(Posting(day, under, done, buckets=_buckets(None, None, None, None, seconds, None)))
            if not own:
                postings.append(Posting(day, dimensions, TicketMeasures(onboarding_backlog=-1)))
    # It was not asked for; but a customer who writes about it waits like any other.
    return postings + _of_waits(waits_of(ticket), dimensions, reporting)


def _buckets(*durations: int | None) -> tuple[int | None, ...]:
    """Return the buckets of a posting's durations, in the order of the measures; empty where it has none."""
    buckets = tuple(None if seconds is None else bucket_of(seconds) for seconds in durations)
    return buckets if any(bucket is not None for bucket in buckets) else ()


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
