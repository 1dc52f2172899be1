"""What service publishes on `service.events`: customers, tickets with their interactions, and surveys."""

from typing import Literal
from uuid import UUID

import msgspec

from event_contracts.catalogue import SERVICE_TOPIC, State, event
from event_contracts.fields import Code, Count, Moment, Score, Seconds

TicketKind = Literal["presales_question", "installation", "maintenance", "problem", "complaint", "training_request"]
TicketChannel = Literal["phone", "email", "chat", "in_person", "web"]
Priority = Literal["low", "normal", "high", "urgent"]
TicketStatus = Literal["open", "resolved", "closed"]
Direction = Literal["inbound", "outbound"]
Visibility = Literal["public", "internal"]
SurveyKind = Literal["csat"]


class Customer(State, frozen=True, kw_only=True):
    """A customer whom service met before sales did; names are in the directory."""

    region: Code | None
    segment: Code | None
    registered_at: Moment


@event("service.customer-registered", topic=SERVICE_TOPIC, subject_kind="customers")
class CustomerRegistered(Customer, frozen=True, kw_only=True):
    """Service entered a customer of its own."""


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


class Survey(State, frozen=True, kw_only=True):
    """A question put to a customer after a ticket; attribution is the ticket's when it was sent."""

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
