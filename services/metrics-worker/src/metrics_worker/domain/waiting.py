"""The waits of customers that are not over: since when, and for what, by the newest state of a subject. Pure."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Final, Literal, NamedTuple, get_args
from uuid import UUID

from event_contracts.sales import Activity, Lead
from event_contracts.service import OnboardingStep, Survey, Ticket
from metrics_worker.domain.lead import waits_until
from metrics_worker.domain.posting import Reporting
from metrics_worker.domain.ticket import waits_of

WaitReason = Literal["lead", "message", "reopened", "rating", "call_back", "promise"]
WaitFunction = Literal["sales", "service"]
WAIT_REASONS: Final[tuple[WaitReason, ...]] = get_args(WaitReason)
"""A lead that was not contacted, a message that was not answered, a reopened ticket that was not answered, a bad rating
that was not followed up, a call or visit that was agreed with the customer and has not taken place, a delivery whose
promised day is over."""
SALES_REASONS: Final[frozenset[WaitReason]] = frozenset({"lead", "call_back"})
"""What sales has to answer; all else is for service."""


class OpenWait(NamedTuple):
    """A customer who waits for us."""

    reason: WaitReason
    since: datetime
    customer: UUID | None
    """None for a lead that is no customer yet."""
    owner: UUID | None
    team: UUID | None
    region: str | None
    segment: str | None
    product: str | None
    channel: str | None


def wait_id(kind: str, subject_id: UUID, wait: OpenWait) -> UUID:
    """Return the id of a wait: always the same, and in the order of time, as that of version 7."""
    milliseconds = int(wait.since.timestamp() * 1_000)
    key = f"{kind} {subject_id} {wait.reason} {wait.since.timestamp()}"
    rest = int.from_bytes(blake2b(key.encode(), digest_size=10).digest()) & ((1 << 74) - 1)
    number = milliseconds << 80 | 7 << 76 | (rest >> 62) << 64 | 2 << 62 | (rest & ((1 << 62) - 1))
    return UUID(int=number)


def of_ticket(ticket: Ticket, _reporting: Reporting) -> Sequence[OpenWait]:
    """Return the wait for the next answer to a ticket; none while its customer has nothing to wait for."""
    if ticket.merged_into is not None or ticket.cancelled_at is not None:
        return ()
    return [
        _for_service(ticket, "reopened" if wait.since == ticket.reopened_at else "message", wait.since)
        for wait in waits_of(ticket)[-1:]
        if wait.until is None
    ]


def of_survey(survey: Survey, _reporting: Reporting) -> Sequence[OpenWait]:
    """Return the wait of a bad rating for an agent to speak with the customer; none of one who was erased."""
    if survey.erased_at is not None:
        return ()
    return [_for_service(survey, "rating", wait.since) for wait in (survey.waits or [])[-1:] if wait.until is None]


def of_onboarding_step(step: OnboardingStep, reporting: Reporting) -> Sequence[OpenWait]:
    """Return the wait for a promised delivery: from the end of the promised day until it is there, or cancelled."""
    if not step.promised or step.status != "planned":
        return ()
    return [
        OpenWait(
            reason="promise",
            since=reporting.end_of(step.due_on),
            customer=step.customer_id,
            owner=step.agent_id,
            team=step.team_id,
            region=step.region,
            segment=step.segment,
            product=step.product,
            channel=None,
        )
    ]


def _for_service(record: Ticket | Survey, reason: WaitReason, since: datetime) -> OpenWait:
    return OpenWait(
        reason=reason,
        since=since,
        customer=record.customer_id,
        owner=record.agent_id,
        team=record.team_id,
        region=record.region,
        segment=record.segment,
        product=record.product,
        channel=record.channel,
    )


def of_lead(lead: Lead, _reporting: Reporting) -> Sequence[OpenWait]:
    """Return the wait for the first contact; none for a lead that something has come of, or that was erased."""
    if waits_until(lead) is not None or lead.erased_at is not None:
        return ()
    return [
        OpenWait(
            reason="lead",
            since=lead.created_at,
            customer=lead.account_id,
            owner=lead.owner_id,
            team=lead.team_id,
            region=lead.region,
            segment=lead.segment,
            product=lead.product,
            channel=lead.channel,
        )
    ]


def of_activity(activity: Activity, _reporting: Reporting) -> Sequence[OpenWait]:
    """Return the wait for what was agreed with the customer: from its due time until it is done, moved or cancelled."""
    if not activity.agreed_with_customer or activity.due_at is None or activity.status not in ("planned", "missed"):
        return ()
    return [
        OpenWait(
            reason="call_back",
            since=activity.due_at,
            customer=activity.account_id,
            owner=activity.owner_id,
            team=activity.team_id,
            region=activity.region,
            segment=activity.segment,
            product=None,
            channel=activity.channel,
        )
    ]
