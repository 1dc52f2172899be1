"""Tickets and the contacts about them, over HTTP."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

from pydantic import Field, model_validator

from event_contracts.service import WaitEnd
from service_api.fields import (
    AgentId,
    AgentIdRead,
    ContactChannel,
    ContactDirection,
    ContactVisibility,
    CustomerId,
    CustomerIdRead,
    HoldSeconds,
    HoldSecondsRead,
    KindOfTicket,
    Note,
    NoteRead,
    ProductOf,
    ProductOfRead,
    Region,
    RegionRead,
    Resolution,
    ResolutionRead,
    Segment,
    SegmentRead,
    StatusOfTicket,
    TalkSeconds,
    TalkSecondsRead,
    TeamId,
    TeamIdRead,
    TicketDescription,
    TicketDescriptionRead,
    TicketIdRead,
    TicketSubject,
    TicketSubjectRead,
    Urgency,
    WrapUpSeconds,
    WrapUpSecondsRead,
)
from service_kit.changes import Change
from service_kit.custom_fields.values import CustomGiven, CustomizedRead
from service_kit.fields import (
    ErasedAt,
    ExternalReference,
    ExternalReferenceRead,
    Identifier,
    Moment,
    OccurredAt,
    ReadModel,
    RecordId,
    StrictModel,
    UpdatedAt,
    Version,
    described,
    examples,
)
from service_kit.identifiers import new_id

_ONBOARDING_DEAL = described(
    "The customer's won deal that it brings into use, for an onboarding.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a18"
)
_MERGED_INTO = described(
    "The ticket about the same matter that goes on, if this one was merged.",
    "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a15",
    rarely=True,
)
_FOLLOW_UP_TO = described(
    "The ticket that had been done with for too long to be reopened by the customer's message, if this is a follow-up.",
    "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13",
    rarely=True,
)
_OCCURRED = "2025-03-31T21:00:00Z"
_TEAM = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14"
_AGENT = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11"


def _now() -> datetime:
    return datetime.now(UTC)


class TicketCreate(StrictModel):
    """A customer's question, request or problem."""

    model_config = examples(
        {
            "custom": {},
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

    customer_id: CustomerId
    kind: KindOfTicket
    channel: ContactChannel
    priority: Urgency = "normal"
    product: ProductOf | None = None
    subject: TicketSubject | None = None
    description: TicketDescription | None = None
    agent_id: AgentId | None = None
    """The agent who is to work on it."""
    team_id: TeamId | None = Field(default=None, description="The agent's team when left out.")
    onboarding_deal_id: Annotated[Identifier, _ONBOARDING_DEAL] | None = Field(
        default=None, description="The customer's won deal that it brings into use, for an onboarding."
    )
    external_ref: ExternalReference | None = None
    custom: CustomGiven = Field(default_factory=dict)
    occurred_at: OccurredAt | None = None


_ASSIGNED = "is changed by assigning the ticket: POST …/assign"


class TicketUpdate(Change):
    """What was recorded wrongly; what is left out stays, null removes a value."""

    elsewhere: ClassVar = {
        "agent_id": _ASSIGNED,
        "team_id": _ASSIGNED,
        "status": "is changed by what happens to the ticket: POST …/resolve, …/reopen, …/close",
    }
    model_config = examples(
        {
            "custom": {},
            "customer_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
            "kind": "complaint",
            "channel": "email",
            "priority": "urgent",
            "region": "baltics",
            "segment": "manufacturing",
            "product": "heat-pump-9",
            "subject": "No hot water since Monday",
            "description": "The display shows E4.",
            "resolution": "replaced-part",
            "opened_at": "2025-03-31T20:00:00Z",
            "resolved_at": "2025-03-31T20:40:00Z",
            "closed_at": "2025-03-31T20:50:00Z",
            "occurred_at": _OCCURRED,
        }
    )

    customer_id: CustomerId = Field(
        default_factory=new_id,
        description="The customer whom it is of, if it was recorded under another one; region and segment are theirs"
        " now, unless given. Not of an onboarding, which follows its deal.",
    )
    kind: KindOfTicket = "problem"
    channel: ContactChannel = "phone"
    """The way in which the customer opened it."""
    priority: Urgency = "normal"
    region: Region | None = None
    """The customer's region when it was opened, by its code."""
    segment: Segment | None = None
    """The customer's segment when it was opened, by its code."""
    product: ProductOf | None = None
    subject: TicketSubject | None = None
    description: TicketDescription | None = None
    resolution: Resolution | None = Field(default=None, description="How it was solved; only of a resolved ticket.")
    opened_at: Moment = Field(default_factory=_now, description="When the customer asked; not of an onboarding.")
    resolved_at: Moment = Field(default_factory=_now, description="When it was last solved; only of one that is.")
    closed_at: Moment = Field(default_factory=_now, description="When it was closed; only of one that is.")
    custom: CustomGiven = Field(default_factory=dict)
    occurred_at: OccurredAt | None = None


class TicketAssignRequest(StrictModel):
    """Who is to work on it: an agent, a team, or both. A team alone takes it from the agent who had it."""

    model_config = examples({"agent_id": _AGENT, "team_id": _TEAM, "occurred_at": _OCCURRED})

    agent_id: AgentId | None = None
    """The agent who is to work on it."""
    team_id: TeamId | None = Field(default=None, description="The agent's team when left out.")
    occurred_at: OccurredAt | None = None

    @model_validator(mode="after")
    def _names_a_person(self) -> Self:
        if self.agent_id is None and self.team_id is None:
            raise ValueError("name an agent, a team, or both")
        return self


class TicketEscalateRequest(TicketAssignRequest):
    """Who has more knowledge or authority: an agent, a team, or both."""


class TicketMergeRequest(StrictModel):
    """The ticket that is about the same."""

    model_config = examples({"into": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a15", "occurred_at": _OCCURRED})

    into: Identifier
    """The ticket about the same matter, of the same customer, that goes on."""
    occurred_at: OccurredAt | None = None


class TicketResolveRequest(StrictModel):
    """How it was solved, and by whom."""

    model_config = examples({"resolution": "replaced-part", "agent_id": _AGENT, "occurred_at": _OCCURRED})

    agent_id: AgentId | None = Field(
        default=None, description="Who solved it; when left out, the agent who sends this, or else the ticket's."
    )
    resolution: Resolution | None = None
    occurred_at: OccurredAt | None = None


class TicketReopenRequest(StrictModel):
    """When it was reopened."""

    model_config = examples({"occurred_at": _OCCURRED})

    occurred_at: OccurredAt | None = None


class TicketCloseRequest(StrictModel):
    """When it was closed."""

    model_config = examples({"occurred_at": _OCCURRED})

    occurred_at: OccurredAt | None = None


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

    direction: ContactDirection
    visibility: ContactVisibility = "public"
    channel: ContactChannel | None = Field(default=None, description="The ticket's when left out.")
    agent_id: AgentId | None = Field(default=None, description="Null for an automatic message.")
    """The agent who took part; null for an automatic message."""
    talk_seconds: TalkSeconds = 0
    hold_seconds: HoldSeconds = 0
    wrap_up_seconds: WrapUpSeconds = 0
    note: Note | None = None
    external_ref: ExternalReference | None = None
    occurred_at: OccurredAt | None = None


class InteractionUpdate(Change):
    """What was recorded wrongly of a contact; what is left out stays, null removes a value."""

    elsewhere: ClassVar = {"team_id": "is the agent's: correct agent_id"}
    model_config = examples(
        {
            "direction": "outbound",
            "visibility": "public",
            "channel": "phone",
            "agent_id": _AGENT,
            "talk_seconds": 430,
            "hold_seconds": 45,
            "wrap_up_seconds": 120,
            "note": "Called back; a technician comes on Friday.",
            "occurred_at": _OCCURRED,
        }
    )

    direction: ContactDirection = "outbound"
    visibility: ContactVisibility = "public"
    channel: ContactChannel = "phone"
    agent_id: AgentId | None = None
    """The agent who took part; null for an automatic message."""
    talk_seconds: TalkSeconds = 0
    hold_seconds: HoldSeconds = 0
    wrap_up_seconds: WrapUpSeconds = 0
    note: Note | None = None
    occurred_at: Moment = Field(default_factory=_now, description="When the contact began.")


class CreditRead(ReadModel):
    """Who did something, and their team then."""

    person_id: Annotated[UUID, described("The agent; null where none was named.", _AGENT)] | None
    team_id: TeamIdRead | None
    """The team that they did it for."""


class WaitRead(ReadModel):
    """A time in which the customer waited for us."""

    since: Annotated[Moment, described("When they asked, or the ticket was reopened.", "2026-04-02T08:00:00Z")]
    until: Annotated[Moment, described("When we answered; null while they wait.", "2026-04-02T08:25:00Z")] | None
    ended_by: Annotated[WaitEnd, described("What ended it; null while they wait.", "reply", schema="WaitEnd")] | None
    answered_by: CreditRead | None
    """Who answered."""


class TicketRead(CustomizedRead):
    """A ticket. Business seconds are null where its SLA policy counts around the clock, or it has none."""

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    customer_id: CustomerIdRead
    kind: KindOfTicket
    channel: ContactChannel
    priority: Urgency
    status: StatusOfTicket
    region: RegionRead | None
    """The customer's region when it was opened, by its code."""
    segment: SegmentRead | None
    """The customer's segment when it was opened, by its code."""
    product: ProductOfRead | None
    subject: TicketSubjectRead | None
    description: TicketDescriptionRead | None
    agent_id: AgentIdRead | None
    """The agent who is to work on it."""
    team_id: TeamIdRead | None
    """The team that is to work on it."""
    external_ref: ExternalReferenceRead | None
    opened_at: Moment
    """When the customer asked."""
    assigned_at: Moment | None
    """When it was last assigned."""
    first_responded_at: Moment | None
    """When a person first replied in public; null before that."""
    first_responded_by: CreditRead | None
    """Who that was."""
    resolved_at: Moment | None
    """When it was last solved; null unless it is."""
    resolved_by: CreditRead | None
    """Who solved it; it stays theirs when the ticket is assigned to another person."""
    resolution: ResolutionRead | None
    closed_at: Annotated[Moment, described("When it was done with for good.", "2026-04-07T08:00:00Z")] | None
    reopened_at: Annotated[Moment, described("When it was last reopened.", "2026-04-02T08:00:00Z", rarely=True)] | None
    reopen_count: Annotated[int, described("How often it was reopened.", 0)]
    interaction_count: Annotated[int, described("How many contacts about it were logged.", 2)]
    inbound_count: Annotated[int, described("How many of the contacts came from the customer.", 1)]
    merged_contact_count: Annotated[
        int, described("How often the customer came about the tickets that were merged into this one.", 0)
    ]
    waits: list[WaitRead] | None
    """Each time in which the customer waited for us, in order; null for tickets of before this was recorded."""
    waiting_since: Annotated[Moment, described("Since when the customer waits for us.", "2026-04-02T08:00:00Z")] | None
    first_resolved_at: Moment | None
    """When it was solved for the first time."""
    first_resolved_by: CreditRead | None
    """Who solved it then."""
    first_reopened_at: (
        Annotated[Moment, described("When it was reopened for the first time.", "2026-04-02T08:00:00Z", rarely=True)]
        | None
    )
    escalated_at: (
        Annotated[
            Moment,
            described(
                "When it was first passed on to more knowledge or authority.", "2026-03-31T23:00:00Z", rarely=True
            ),
        ]
        | None
    )
    merged_into: Annotated[UUID, _MERGED_INTO] | None
    merged_at: (
        Annotated[Moment, described("When it was merged into that ticket.", "2026-04-01T08:00:00Z", rarely=True)] | None
    )
    sla_policy_id: (
        Annotated[
            UUID, described("The SLA policy that it is under; null for none.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a20")
        ]
        | None
    )
    first_response_due_at: Moment | None
    """By when a person has to reply; null without such a target."""
    resolution_due_at: Moment | None
    """By when it has to be solved; null without such a target."""
    first_response_breached_at: (
        Annotated[Moment, described("When the first response was late.", "2026-03-31T21:15:00Z", rarely=True)] | None
    )
    resolution_breached_at: (
        Annotated[Moment, described("When the resolution was late.", "2026-04-01T05:00:00Z", rarely=True)] | None
    )
    first_response_business_seconds: (
        Annotated[
            int,
            described(
                "Seconds of business hours until the first response; null where its policy counts around the clock.",
                420,
            ),
        ]
        | None
    )
    resolution_business_seconds: (
        Annotated[
            int,
            described(
                "Seconds of business hours until the last resolution; null where its policy counts around the clock.",
                9_300,
            ),
        ]
        | None
    )
    onboarding_deal_id: Annotated[UUID, _ONBOARDING_DEAL] | None
    onboarding_since: Moment | None
    """When the deal that it brings into use was won."""
    follow_up_to: Annotated[UUID, _FOLLOW_UP_TO] | None
    cancelled_at: Moment | None
    """When the onboarding's deal was taken back from won; it counts nowhere until that deal is won again."""
    erased_at: ErasedAt | None


class InteractionRead(ReadModel):
    """A contact. It changes only where it was recorded wrongly, and as it is erased with its customer.

    `ticket_version` is the version for the ticket's next If-Match.
    """

    id: RecordId
    version: Version
    ticket_id: TicketIdRead
    ticket_version: Annotated[int, described("The ticket's own version, for the ticket's next If-Match.", 4)]
    agent_id: AgentIdRead | None
    """The agent who took part; null for an automatic message."""
    team_id: TeamIdRead | None
    """The team of the agent, or of the ticket."""
    direction: ContactDirection
    visibility: ContactVisibility
    channel: ContactChannel
    talk_seconds: TalkSecondsRead
    hold_seconds: HoldSecondsRead
    wrap_up_seconds: WrapUpSecondsRead
    note: NoteRead | None
    external_ref: ExternalReferenceRead | None
    occurred_at: OccurredAt
    """When the contact began."""
    erased_at: ErasedAt | None

    @classmethod
    def of(cls, row: Any) -> "InteractionRead":
        """Return the view of a contact, or of a row with its columns."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})
