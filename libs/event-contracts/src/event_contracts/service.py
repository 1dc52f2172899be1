"""What service publishes on `service.events`: tickets and surveys, and what is done for customers besides."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from event_contracts.catalogue import SERVICE_TOPIC, State, event
from event_contracts.fields import Code, Count, Moment, Money, Score, Seconds
from event_contracts.sales import Promise

TicketKind = Literal["presales_question", "installation", "maintenance", "problem", "complaint", "training_request"]
TicketChannel = Literal["phone", "email", "chat", "in_person", "web"]
Priority = Literal["low", "normal", "high", "urgent"]
TicketStatus = Literal["open", "resolved", "closed"]
Direction = Literal["inbound", "outbound"]
Visibility = Literal["public", "internal"]
SurveyKind = Literal["csat"]
SlaTarget = Literal["first_response", "resolution"]
Recommendation = Annotated[
    int, msgspec.Meta(ge=0, le=10, description="How likely they would recommend us, from 0 (not at all) to 10.")
]
Effort = Annotated[
    int, msgspec.Meta(ge=1, le=7, description="How easy it was, from 1 (very difficult) to 7 (very easy).")
]


class Customer(State, frozen=True, kw_only=True):
    """A customer whom service met before sales did; names are in the directory."""

    region: Code | None
    segment: Code | None
    registered_at: Moment
    erased_at: Moment | None = None
    """When names and texts were erased for good; ids, codes and amounts stay, so that the sums do."""


@event("service.customer-registered", topic=SERVICE_TOPIC, subject_kind="customers")
class CustomerRegistered(Customer, frozen=True, kw_only=True):
    """Service entered a customer of its own."""


@event("service.customer-erased", topic=SERVICE_TOPIC, subject_kind="customers")
class CustomerErased(Customer, frozen=True, kw_only=True):
    """A customer's name and all that was written of it were erased: erase your copies too. Its numbers stay."""


class Interaction(msgspec.Struct, frozen=True, kw_only=True):
    """One contact handled on a ticket. Immutable; attribution is as it stood when it took place."""

    id: UUID
    ticket_id: UUID
    customer_id: UUID
    agent_id: UUID | None
    """Null for an automatic message."""
    team_id: UUID | None
    direction: Direction
    visibility: Visibility
    channel: TicketChannel
    ticket_kind: TicketKind
    priority: Priority
    region: Code | None
    segment: Code | None
    product: Code | None
    talk_seconds: Seconds
    hold_seconds: Seconds
    wrap_up_seconds: Seconds
    occurred_at: Moment


class Ticket(State, frozen=True, kw_only=True):
    """A customer's question, request or problem. Region, segment and product are as when it was opened."""

    customer_id: UUID
    kind: TicketKind
    channel: TicketChannel
    priority: Priority
    status: TicketStatus
    region: Code | None
    segment: Code | None
    product: Code | None
    agent_id: UUID | None
    team_id: UUID | None
    opened_at: Moment
    assigned_at: Moment | None = None
    first_responded_at: Moment | None = None
    """The first public reply by a person; a reopened ticket keeps it."""
    resolved_at: Moment | None = None
    """When it was last resolved; null while it is open, and again after it was reopened."""
    resolution: Code | None = None
    closed_at: Moment | None = None
    reopened_at: Moment | None = None
    """When it was last reopened."""
    reopen_count: Count = 0
    interaction_count: Count = 0
    inbound_count: Count = 0
    """Interactions that the customer began: more than one means that they had to come back."""
    first_resolved_at: Moment | None = None
    """When it was resolved for the first time; a reopened ticket keeps it."""
    first_reopened_at: Moment | None = None
    escalated_at: Moment | None = None
    """When it was first passed on to somebody with more knowledge or say."""
    merged_into: UUID | None = None
    """The ticket that tells of the same; this one counts no more."""
    merged_at: Moment | None = None
    first_response_due_at: Moment | None = None
    """By when the service-level agreement asks for the first response; null where none applies."""
    resolution_due_at: Moment | None = None
    """By when the service-level agreement asks for the resolution; null where none applies."""
    sla_breached_at: Moment | None = None
    """When the first of the two passed unfulfilled."""
    first_response_business_seconds: Count | None = None
    """Business hours from opening to the first response; null where the policy has no business hours."""
    resolution_business_seconds: Count | None = None
    """Business hours from opening to the resolution; null where the policy has no business hours."""
    onboarding_deal_id: UUID | None = None
    """The won deal that this ticket brings into use, for an onboarding."""
    onboarding_since: Moment | None = None
    """When that deal was won, as service was told."""
    erased_at: Moment | None = None
    """When names and texts were erased for good; ids, codes and amounts stay, so that the sums do."""


@event("service.ticket-opened", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketOpened(Ticket, frozen=True, kw_only=True):
    """A ticket came in."""


class TicketAssignment(msgspec.Struct, frozen=True, kw_only=True):
    """Who had the ticket before."""

    previous_agent_id: UUID | None


@event("service.ticket-assigned", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketAssigned(Ticket, frozen=True, kw_only=True):
    """A ticket was given to an agent or a team."""

    change: TicketAssignment


@event("service.interaction-logged", topic=SERVICE_TOPIC, subject_kind="tickets")
class InteractionLogged(Ticket, frozen=True, kw_only=True):
    """A contact was handled. The subject is the ticket; the contact itself is `change`, a subject of its own
    (`interactions/<id>`) to whoever keeps books of contacts, at this event's sequence."""

    change: Interaction


@event("service.ticket-first-responded", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketFirstResponded(Ticket, frozen=True, kw_only=True):
    """A person replied to the customer for the first time."""


@event("service.ticket-resolved", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketResolved(Ticket, frozen=True, kw_only=True):
    """The ticket was solved."""


class TicketReopening(msgspec.Struct, frozen=True, kw_only=True):
    """Which resolution was taken back."""

    previous_resolved_at: Moment


@event("service.ticket-reopened", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketReopened(Ticket, frozen=True, kw_only=True):
    """The solution did not hold: the ticket loses its resolution and keeps its first response."""

    change: TicketReopening


@event("service.ticket-closed", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketClosed(Ticket, frozen=True, kw_only=True):
    """A resolved ticket was put away for good."""


@event("service.ticket-escalated", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketEscalated(Ticket, frozen=True, kw_only=True):
    """The ticket was passed on to somebody with more knowledge or say."""


@event("service.ticket-merged", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketMerged(Ticket, frozen=True, kw_only=True):
    """The ticket told of the same as another and counts no more; the other one's numbers stay as they are."""


@event("service.ticket-erased", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketErased(Ticket, frozen=True, kw_only=True):
    """What was written on a ticket and its contacts was erased with its customer; its numbers stay."""


class SlaBreach(msgspec.Struct, frozen=True, kw_only=True):
    """What was not done in time."""

    target: SlaTarget
    due_at: Moment


@event("service.sla-breached", topic=SERVICE_TOPIC, subject_kind="tickets")
class SlaBreached(Ticket, frozen=True, kw_only=True):
    """A ticket waited longer than its service-level agreement allows."""

    change: SlaBreach


class Survey(State, frozen=True, kw_only=True):
    """What a customer was asked after a ticket: satisfaction, recommendation, effort, or several of them.

    Attribution is the ticket's when it was sent.
    """

    kind: SurveyKind
    ticket_id: UUID
    customer_id: UUID
    agent_id: UUID | None
    team_id: UUID | None
    ticket_kind: TicketKind
    channel: TicketChannel
    priority: Priority
    region: Code | None
    segment: Code | None
    product: Code | None
    sent_at: Moment
    answered_at: Moment | None = None
    """When it was first answered; a revision keeps it."""
    score: Score | None = None
    """Satisfaction; null while unanswered, and where it was not asked about."""
    recommendation: Recommendation | None = None
    effort: Effort | None = None
    erased_at: Moment | None = None
    """When names and texts were erased for good; ids, codes and amounts stay, so that the sums do."""


@event("service.survey-sent", topic=SERVICE_TOPIC, subject_kind="surveys")
class SurveySent(Survey, frozen=True, kw_only=True):
    """A survey went out."""


@event("service.survey-answered", topic=SERVICE_TOPIC, subject_kind="surveys")
class SurveyAnswered(Survey, frozen=True, kw_only=True):
    """The customer answered."""


class SurveyRevision(msgspec.Struct, frozen=True, kw_only=True):
    """The answer before."""

    previous_score: Score


@event("service.survey-revised", topic=SERVICE_TOPIC, subject_kind="surveys")
class SurveyRevised(Survey, frozen=True, kw_only=True):
    """The customer changed the answer; it counts on the day of the first one."""

    change: SurveyRevision


@event("service.survey-erased", topic=SERVICE_TOPIC, subject_kind="surveys")
class SurveyErased(Survey, frozen=True, kw_only=True):
    """What the customer wrote was erased with the customer; the score stays."""


class Training(State, frozen=True, kw_only=True):
    """A training that a customer was given."""

    customer_id: UUID
    agent_id: UUID | None
    team_id: UUID | None
    region: Code | None
    segment: Code | None
    product: Code | None
    attendees: Count
    delivered_at: Moment


@event("service.training-delivered", topic=SERVICE_TOPIC, subject_kind="trainings")
class TrainingDelivered(Training, frozen=True, kw_only=True):
    """A customer's people were trained."""


class CheckIn(State, frozen=True, kw_only=True):
    """A conversation that service sought on its own, before anything was wrong."""

    customer_id: UUID
    agent_id: UUID | None
    team_id: UUID | None
    region: Code | None
    segment: Code | None
    product: Code | None
    due_on: date | None
    """The last day that it was planned for; null when unplanned."""
    completed_at: Moment


@event("service.check-in-completed", topic=SERVICE_TOPIC, subject_kind="checkins")
class CheckInCompleted(CheckIn, frozen=True, kw_only=True):
    """Service asked a customer how they fare."""


class Maintenance(State, frozen=True, kw_only=True):
    """One visit or update under a maintenance plan."""

    plan_id: UUID | None
    customer_id: UUID
    agent_id: UUID | None
    team_id: UUID | None
    region: Code | None
    segment: Code | None
    product: Code | None
    due_on: date
    """The last day on which it is in time."""
    performed_at: Moment


@event("service.maintenance-performed", topic=SERVICE_TOPIC, subject_kind="maintenance")
class MaintenancePerformed(Maintenance, frozen=True, kw_only=True):
    """Planned maintenance was done."""


class Delivery(State, frozen=True, kw_only=True):
    """What was delivered for a won deal, as the customer accepted it; to be held against the deal's promise."""

    deal_id: UUID
    customer_id: UUID
    agent_id: UUID | None
    team_id: UUID | None
    region: Code | None
    segment: Code | None
    delivered_at: Moment
    accepted_at: Moment
    price: Money
    """What the customer had to pay in the end, in the deal's currency."""
    quality_as_agreed: bool
    """What the customer said of the quality, held against what was agreed on."""
    promise: Promise | None = None
    """What the deal was won with, as service was told; null where nothing was agreed on."""


@event("service.delivery-accepted", topic=SERVICE_TOPIC, subject_kind="deliveries")
class DeliveryAccepted(Delivery, frozen=True, kw_only=True):
    """The customer accepted what was delivered for a won deal."""


class Review(State, frozen=True, kw_only=True):
    """What a customer said of us in public, as a score; the words stay where they were said."""

    customer_id: UUID
    region: Code | None
    segment: Code | None
    product: Code | None
    channel: Code | None
    """Where it was said: a marketplace, a directory, a forum."""
    score: Score
    reviewed_at: Moment


@event("service.review-recorded", topic=SERVICE_TOPIC, subject_kind="reviews")
class ReviewRecorded(Review, frozen=True, kw_only=True):
    """A customer's public review was found, or found changed."""


class UpsellSuggestion(State, frozen=True, kw_only=True):
    """What a service agent thinks a customer would gain from buying; sales makes a lead of it."""

    customer_id: UUID
    ticket_id: UUID | None
    agent_id: UUID | None
    team_id: UUID | None
    region: Code | None
    segment: Code | None
    product: Code | None
    suggested_at: Moment


@event("service.upsell-suggested", topic=SERVICE_TOPIC, subject_kind="upsells")
class UpsellSuggested(UpsellSuggestion, frozen=True, kw_only=True):
    """A service agent saw what else a customer could use."""
