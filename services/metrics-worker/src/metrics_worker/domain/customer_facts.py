"""The facts of a customer's timeline: the few fields of each state that matter there.

A state without such fields gives None, and a state that changes none of them gives an equal fact: most events of
service never touch a timeline. Days are whole numbers (`date.toordinal`) in the reporting time zone.
"""

from datetime import datetime

import msgspec

from event_contracts.sales import Account, Deal, DealLine
from event_contracts.service import Customer, OnboardingStep, Survey, Ticket
from metrics_worker.domain.deal import line_revenue, stays_of, worth_of
from metrics_worker.domain.posting import Reporting, text_of
from metrics_worker.domain.step_function import Span

BADLY_RATED_TO = 2
"""The highest score, of five, that puts a customer at risk."""


class AccountFact(msgspec.Struct, frozen=True, array_like=True, tag="account"):
    """The attribution of a customer's numbers, and the customer that it was merged into."""

    region: str | None
    segment: str | None
    channel: str | None
    owner: str | None
    team: str | None
    merged_into: str | None = None


class CustomerFact(msgspec.Struct, frozen=True, array_like=True, tag="customer"):
    """The attribution of a customer whom service met first, as far as service knows it, and whom it is linked to."""

    region: str | None
    segment: str | None
    merged_into: str | None = None


class DealFact(msgspec.Struct, frozen=True, array_like=True, tag="deal"):
    """When a deal was open, its worth, how it ended, and its attribution."""

    region: str | None
    segment: str | None
    channel: str | None
    owner: str | None
    team: str | None
    open: list[Span]
    worth: int
    """In minor units of the reporting currency; of a won deal its revenue."""
    closed_at: datetime | None = None
    closed_on: int | None = None
    won: bool = False
    shares: list[tuple[str | None, int]] = []
    """Of a closed deal, each product and its part of the worth; the product is None for a deal without lines."""


class TicketFact(msgspec.Struct, frozen=True, array_like=True, tag="ticket"):
    """What of a ticket matters: a question before a purchase, a breached agreement, a solution that did not hold."""

    asked_at: datetime | None
    """Set for a question before a purchase."""
    breached_at: datetime | None
    reopened_at: datetime | None
    done_at: datetime | None
    """When a breached or reopened ticket was resolved or closed; null while it is open."""
    breached: Span | None = None
    reopened: Span | None = None
    """The days on which it was breached or reopened, and unresolved."""


class SurveyFact(msgspec.Struct, frozen=True, array_like=True, tag="survey"):
    """A bad rating, and its ticket."""

    ticket: str
    answered_at: datetime
    answered_on: int


class PromiseFact(msgspec.Struct, frozen=True, array_like=True, tag="promise"):
    """A promised delivery that did not come by its day."""

    since: datetime
    """When that day was over."""
    broken: Span
    """The days on which the customer waited for it."""


Risk = TicketFact | SurveyFact | PromiseFact
"""What can put a customer at risk. Without any, a deal that opens changes nothing."""
Fact = AccountFact | CustomerFact | DealFact | Risk


def of_account(account: Account, _reporting: Reporting) -> AccountFact:
    """Return the fact of a customer of sales."""
    return AccountFact(
        region=account.region,
        segment=account.segment,
        channel=account.channel,
        owner=text_of(account.owner_id),
        team=text_of(account.team_id),
        merged_into=text_of(account.merged_into),
    )


def of_customer(customer: Customer, _reporting: Reporting) -> CustomerFact:
    """Return the fact of a customer whom service met first."""
    return CustomerFact(region=customer.region, segment=customer.segment, merged_into=text_of(customer.merged_into))


def of_deal(deal: Deal, reporting: Reporting) -> DealFact:
    """Return the fact of a deal. Raise ValueError where `deal.postings_for` does."""
    spans: list[Span] = []
    for stay in stays_of(deal):
        if stay.stage in ("won", "lost"):
            continue
        since = _day(stay.since, reporting)
        until = None if stay.until is None else _day(stay.until, reporting)
        # Stages follow each other: to the timeline they are one span of being open.
        if spans and spans[-1][1] == since:
            spans[-1] = (spans[-1][0], until)
        else:
            spans.append((since, until))
    closed_at = deal.closed_at if deal.stage in ("won", "lost") else None
    won = deal.stage == "won" and closed_at is not None
    return DealFact(
        region=deal.region,
        segment=deal.segment,
        channel=deal.channel,
        owner=text_of(deal.owner_id),
        team=text_of(deal.team_id),
        open=spans,
        worth=worth_of(deal, reporting),
        closed_at=closed_at,
        closed_on=None if closed_at is None else _day(closed_at, reporting),
        won=won,
        shares=[] if closed_at is None else _shares(deal, won, reporting),
    )


def _shares(deal: Deal, won: bool, reporting: Reporting) -> list[tuple[str | None, int]]:
    def worth(line: DealLine) -> int:
        return line_revenue(line, reporting) if won else 0

    shares: dict[str | None, int] = {}
    for line in deal.lines:
        shares[line.product] = shares.get(line.product, 0) + worth(line)
    return list(shares.items()) or [(None, worth_of(deal, reporting) if won else 0)]


def of_ticket(ticket: Ticket, reporting: Reporting) -> TicketFact | None:
    """Return the fact of a ticket; None for one that neither asks before a purchase nor puts the customer at risk.

    Raise ValueError when a day is outside the calendar.
    """
    asked_at = ticket.opened_at if ticket.kind == "presales_question" else None
    breached_at = ticket.sla_breached_at
    reopened_at = ticket.reopened_at if ticket.reopen_count > 0 else None
    counts = ticket.merged_into is None and ticket.cancelled_at is None
    if not counts or not (asked_at or breached_at or reopened_at):
        return None
    done_at = min((moment for moment in (ticket.resolved_at, ticket.closed_at) if moment is not None), default=None)
    done_on = None if done_at is None else _day(done_at, reporting)
    risky = breached_at is not None or reopened_at is not None
    return TicketFact(
        asked_at=asked_at,
        breached_at=breached_at,
        reopened_at=reopened_at,
        done_at=done_at if risky else None,
        breached=None if breached_at is None else (_day(breached_at, reporting), done_on),
        reopened=None if reopened_at is None else (_day(reopened_at, reporting), done_on),
    )


def of_survey(survey: Survey, reporting: Reporting) -> SurveyFact | None:
    """Return the fact of a survey; None for one without a bad rating."""
    if survey.answered_at is None or survey.score is None or survey.score > BADLY_RATED_TO:
        return None
    return SurveyFact(
        ticket=str(survey.ticket_id),
        answered_at=survey.answered_at,
        answered_on=_day(survey.answered_at, reporting),
    )


def of_onboarding_step(step: OnboardingStep, reporting: Reporting) -> PromiseFact | None:
    """Return the fact of a step; None for one that is not promised, and for a delivery within its day."""
    if not step.promised or step.status not in ("planned", "done"):
        return None
    since = reporting.end_of(step.due_on)
    if step.completed_at is not None and step.completed_at < since:
        return None
    delivered_on = None if step.completed_at is None else _day(step.completed_at, reporting)
    return PromiseFact(since=since, broken=(step.due_on.toordinal() + 1, delivered_on))


def _day(moment: datetime, reporting: Reporting) -> int:
    return reporting.day_of(moment).toordinal()
