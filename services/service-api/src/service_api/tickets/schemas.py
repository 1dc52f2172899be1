"""Tickets and the contacts about them, over HTTP."""

from typing import Any, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from event_contracts.service import Direction, Priority, TicketChannel, TicketKind, TicketStatus, Visibility
from service_kit.fields import (
    Code,
    ExternalReference,
    Identifier,
    Moment,
    Name,
    ReadModel,
    Seconds,
    StrictModel,
    Text,
    examples,
)

_OCCURRED = "2025-03-31T21:00:00Z"
_TEAM = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14"
_AGENT = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11"


class TicketCreate(StrictModel):
    """A customer's question, request or problem."""

    model_config = examples(
        {
            "customer_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
            "kind": "problem",
            "channel": "phone",
            "priority": "high",
            "product": "heat-pump-9",
            "subject": "No hot water since the morning",
            "description": "The display shows E4.\nRestarting does not help.",
            "agent_id": _AGENT,
            "team_id": _TEAM,
            "onboarding_deal_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a18",
            "external_ref": "INC0000045",
            "occurred_at": _OCCURRED,
        }
    )

    customer_id: Identifier
    kind: TicketKind
    channel: TicketChannel
    priority: Priority = "normal"
    product: Code | None = None
    subject: Name | None = None
    description: Text | None = None
    agent_id: Identifier | None = None
    team_id: Identifier | None = Field(default=None, description="The agent's team when left out.")
    onboarding_deal_id: Identifier | None = Field(
        default=None, description="The customer's won deal that it brings into use, for an onboarding."
    )
    external_ref: ExternalReference | None = None
    occurred_at: Moment | None = None


class TicketAssignRequest(StrictModel):
    """Who is to work on it: an agent, a team, or both. A team alone takes it from the agent who had it."""

    model_config = examples({"agent_id": _AGENT, "team_id": _TEAM, "occurred_at": _OCCURRED})

    agent_id: Identifier | None = None
    team_id: Identifier | None = Field(default=None, description="The agent's team when left out.")
    occurred_at: Moment | None = None

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if self.agent_id is None and self.team_id is None:
            raise ValueError("name an agent, a team, or both")
        return self


class TicketEscalateRequest(TicketAssignRequest):
    """Who has more knowledge or authority: an agent, a team, or both."""


class TicketMergeRequest(StrictModel):
    """The ticket that is about the same."""

    model_config = examples({"into": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a15", "occurred_at": _OCCURRED})

    into: Identifier
    occurred_at: Moment | None = None


class TicketResolveRequest(StrictModel):
    """How it was solved."""

    model_config = examples({"resolution": "replaced-part", "occurred_at": _OCCURRED})

    resolution: Code | None = None
    occurred_at: Moment | None = None


class TicketReopenRequest(StrictModel):
    """When it was reopened."""

    model_config = examples({"occurred_at": _OCCURRED})

    occurred_at: Moment | None = None


class TicketCloseRequest(StrictModel):
    """When it was closed."""

    model_config = examples({"occurred_at": _OCCURRED})

    occurred_at: Moment | None = None


class InteractionCreate(StrictModel):
    """One contact about a ticket."""

    model_config = examples(
        {
            "direction": "outbound",
            "visibility": "public",
            "channel": "phone",
            "agent_id": _AGENT,
            "talk_seconds": 340,
            "hold_seconds": 45,
            "wrap_up_seconds": 120,
            "note": "Called back; a technician comes on Thursday.",
            "external_ref": "call-88120",
            "occurred_at": _OCCURRED,
        }
    )

    direction: Direction
    visibility: Visibility = "public"
    channel: TicketChannel | None = Field(default=None, description="The ticket's when left out.")
    agent_id: Identifier | None = Field(default=None, description="Null for an automatic message.")
    talk_seconds: Seconds = 0
    hold_seconds: Seconds = 0
    wrap_up_seconds: Seconds = 0
    note: Text | None = None
    external_ref: ExternalReference | None = None
    occurred_at: Moment | None = None


class TicketRead(ReadModel):
    """A ticket. Business seconds are null where its SLA policy counts around the clock, or it has none."""

    id: UUID
    version: int
    customer_id: UUID
    kind: TicketKind
    channel: TicketChannel
    priority: Priority
    status: TicketStatus
    region: str | None
    segment: str | None
    product: str | None
    subject: str | None
    description: str | None
    agent_id: UUID | None
    team_id: UUID | None
    external_ref: str | None
    opened_at: Moment
    assigned_at: Moment | None
    first_responded_at: Moment | None
    resolved_at: Moment | None
    resolution: str | None
    closed_at: Moment | None
    reopened_at: Moment | None
    reopen_count: int
    interaction_count: int
    inbound_count: int
    first_resolved_at: Moment | None
    first_reopened_at: Moment | None
    escalated_at: Moment | None
    merged_into: UUID | None
    merged_at: Moment | None
    sla_policy_id: UUID | None
    first_response_due_at: Moment | None
    resolution_due_at: Moment | None
    first_response_breached_at: Moment | None
    resolution_breached_at: Moment | None
    first_response_business_seconds: int | None
    resolution_business_seconds: int | None
    onboarding_deal_id: UUID | None
    onboarding_since: Moment | None
    erased_at: Moment | None


class InteractionRead(ReadModel):
    """A contact. It never changes, except that it is erased with its customer, which makes it version 2.

    `ticket_version` is the version for the ticket's next If-Match.
    """

    id: UUID
    version: Literal[1, 2]
    ticket_id: UUID
    ticket_version: int
    agent_id: UUID | None
    team_id: UUID | None
    direction: Direction
    visibility: Visibility
    channel: TicketChannel
    talk_seconds: int
    hold_seconds: int
    wrap_up_seconds: int
    note: str | None
    external_ref: str | None
    occurred_at: Moment
    erased_at: Moment | None

    @classmethod
    def of(cls, row: Any) -> "InteractionRead":
        """Return the view of a contact, or of a row with its columns."""
        columns = {name: getattr(row, name) for name in cls.model_fields if name != "version"}
        return cls(**columns, version=1 if row.erased_at is None else 2)
