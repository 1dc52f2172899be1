"""Activities over HTTP."""

from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import Field, StrictBool, model_validator

from sales_api.fields import (
    AccountId,
    AccountIdRead,
    ActivityKindField,
    Channel,
    ChannelRead,
    DealId,
    DealIdRead,
    LeadId,
    LeadIdRead,
    OwnerId,
    OwnerIdRead,
    Region,
    RegionRead,
    RiskReasonRead,
    Segment,
    SegmentRead,
    TeamIdRead,
)
from service_kit.changes import Change
from service_kit.custom_fields.values import CustomGiven, CustomizedRead
from service_kit.fields import Moment, OccurredAt, RecordId, StrictModel, UpdatedAt, Version, described, examples
from service_kit.planned_work.rule_schemas import RuledWorkRead
from service_kit.planned_work.schemas import PlannedWorkRead, Purpose, StatusGiven, is_planned

_AGREED = described(
    "Whether the customer counts on it at `due_at`, as on a call back: from then on they wait until it is done, moved "
    "or cancelled.",
    True,
)


class ActivityCreate(StrictModel):
    """What is planned or was done, for a deal, a lead or an account."""

    model_config = examples(
        {
            "kind": "follow_up",
            "deal_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a18",
            "owner_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "due_at": "2026-03-16T16:00:00Z",
            "custom": {},
            "occurred_at": "2026-03-16T10:00:00Z",
        },
        {
            "kind": "call",
            "lead_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13",
            "status": "planned",
            "due_at": "2026-03-18T16:00:00Z",
            "purpose": "renewal",
            "agreed_with_customer": True,
        },
        {"kind": "visit", "account_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12"},
    )

    kind: ActivityKindField
    account_id: AccountId | None = None
    """The customer that it is for."""
    lead_id: LeadId | None = None
    """The lead that it is for."""
    deal_id: DealId | None = None
    owner_id: OwnerId | None = Field(
        default=None, description="Who did it or is to do it; the owner of the deal, lead or account when left out."
    )
    status: StatusGiven | None = None
    due_at: Moment | None = Field(default=None, description="By when it is to be done, or was; planned, it has one.")
    purpose: Purpose | None = None
    agreed_with_customer: Annotated[StrictBool, _AGREED] = False
    custom: CustomGiven = Field(default_factory=dict)
    occurred_at: OccurredAt | None = None

    @model_validator(mode="after")
    def _is_for_one(self) -> Self:
        if [self.account_id, self.lead_id, self.deal_id].count(None) != 2:
            raise ValueError("name a deal, a lead or an account: one of them")
        if self.status == "planned" and self.due_at is None:
            raise ValueError("give due_at of what is planned")
        if self.agreed_with_customer and self.due_at is None:
            raise ValueError("give due_at of what is agreed with the customer")
        return self

    @property
    def is_planned(self) -> bool:
        """Return whether it is to be planned, and not recorded as done."""
        return is_planned(self.status, self.due_at, self.occurred_at, datetime.now(UTC))


class ActivityUpdate(Change):
    """What was recorded wrongly; what is left out stays, null removes a value."""

    model_config = examples(
        {
            "kind": "visit",
            "owner_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "region": "south",
            "segment": "home-decor",
            "channel": "trade_show",
            "due_at": "2026-03-17T16:00:00Z",
            "purpose": "renewal",
            "agreed_with_customer": True,
            "custom": {},
            "occurred_at": "2026-03-18T10:00:00Z",
        }
    )

    kind: ActivityKindField = "call"
    owner_id: OwnerId | None = None
    """The salesperson who did it, or is to do it."""
    region: Region | None = None
    segment: Segment | None = None
    channel: Channel | None = None
    due_at: Moment | None = Field(default=None, description="By when it was to be done; to plan anew, move it.")
    purpose: Purpose | None = None
    agreed_with_customer: Annotated[StrictBool, _AGREED] = Field(default_factory=bool)
    custom: CustomGiven = Field(default_factory=dict)
    occurred_at: OccurredAt | None = None


class ActivityDoneRequest(StrictModel):
    """Who did what was planned, and when."""

    model_config = examples({"owner_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11", "occurred_at": "2026-03-16T10:00:00Z"})

    owner_id: OwnerId | None = Field(default=None, description="The salesperson who did it; whose it is when left out.")
    occurred_at: OccurredAt | None = None


class ActivityRead(CustomizedRead, PlannedWorkRead, RuledWorkRead):
    """An activity. `account_id` is also the account of its deal, and of its lead if that has one."""

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    kind: ActivityKindField
    account_id: AccountIdRead | None
    """The customer that it is for: also the account of its deal, and of its lead if that has one."""
    lead_id: LeadIdRead | None
    """The lead that it is for."""
    deal_id: DealIdRead | None
    owner_id: OwnerIdRead | None
    """The salesperson who did it, or is to do it."""
    team_id: TeamIdRead | None
    region: RegionRead | None
    segment: SegmentRead | None
    channel: ChannelRead | None
    due_at: Moment | None
    """By when it is to be done, or was; null if there was no such time."""
    completed_at: Moment | None
    """When it was done; null while it is not."""
    agreed_with_customer: Annotated[bool, _AGREED]
    reasons: list[RiskReasonRead] | None
    """Why the customer is at risk: of what sales-consumer planned for that; null for all else."""
