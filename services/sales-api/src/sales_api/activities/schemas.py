"""Activities over HTTP."""

from typing import Self

from pydantic import Field, model_validator

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
    Segment,
    SegmentRead,
    TeamIdRead,
)
from service_kit.changes import Change
from service_kit.custom_fields.values import CustomGiven, CustomizedRead
from service_kit.fields import Moment, OccurredAt, RecordId, StrictModel, UpdatedAt, Version, examples


class ActivityCreate(StrictModel):
    """What was done, for a deal, a lead or an account."""

    model_config = examples(
        {
            "kind": "follow_up",
            "deal_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a18",
            "owner_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "due_at": "2026-03-16T16:00:00Z",
            "custom": {},
            "occurred_at": "2026-03-16T10:00:00Z",
        },
        {"kind": "call", "lead_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13"},
        {"kind": "visit", "account_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12"},
    )

    kind: ActivityKindField
    account_id: AccountId | None = None
    """The customer that it was done for."""
    lead_id: LeadId | None = None
    """The lead that it was done for."""
    deal_id: DealId | None = None
    owner_id: OwnerId | None = Field(
        default=None, description="Who did it; the owner of the deal, lead or account when left out."
    )
    due_at: Moment | None = Field(default=None, description="When it was promised or planned for.")
    custom: CustomGiven = Field(default_factory=dict)
    occurred_at: OccurredAt | None = None

    @model_validator(mode="after")
    def _is_for_one(self) -> Self:
        if [self.account_id, self.lead_id, self.deal_id].count(None) != 2:
            raise ValueError("name a deal, a lead or an account: one of them")
        return self


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
            "custom": {},
            "occurred_at": "2026-03-18T10:00:00Z",
        }
    )

    kind: ActivityKindField = "call"
    owner_id: OwnerId | None = None
    """The salesperson who did it."""
    region: Region | None = None
    segment: Segment | None = None
    channel: Channel | None = None
    due_at: Moment | None = Field(default=None, description="When it was promised or planned for.")
    custom: CustomGiven = Field(default_factory=dict)
    occurred_at: OccurredAt | None = None


class ActivityRead(CustomizedRead):
    """An activity. `account_id` is also the account of its deal, and of its lead if that has one."""

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    kind: ActivityKindField
    account_id: AccountIdRead | None
    """The customer that it was done for: also the account of its deal, and of its lead if that has one."""
    lead_id: LeadIdRead | None
    """The lead that it was done for."""
    deal_id: DealIdRead | None
    owner_id: OwnerIdRead | None
    """The salesperson who did it."""
    team_id: TeamIdRead | None
    region: RegionRead | None
    segment: SegmentRead | None
    channel: ChannelRead | None
    due_at: Moment | None
    """When it was promised or planned for; null if it was not."""
    completed_at: Moment
    """When it was done."""
