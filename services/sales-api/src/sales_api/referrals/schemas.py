"""Referrals over HTTP."""

from pydantic import Field

from sales_api.fields import (
    AccountId,
    AccountIdRead,
    Channel,
    ChannelRead,
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
from service_kit.fields import Moment, OccurredAt, ReadModel, RecordId, StrictModel, UpdatedAt, Version, examples


class ReferralCreate(StrictModel):
    """The recommending customer, and the lead that came of it."""

    model_config = examples(
        {
            "account_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
            "lead_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13",
            "occurred_at": "2026-04-20T09:00:00Z",
        }
    )

    account_id: AccountId = Field(description="The customer who recommends.")
    lead_id: LeadId | None = None
    """The lead that came of it."""
    occurred_at: OccurredAt | None = None


class ReferralUpdate(Change):
    """What was recorded wrongly; what is left out stays, null removes a value."""

    model_config = examples(
        {
            "lead_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13",
            "owner_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "region": "south",
            "segment": "home-decor",
            "channel": "trade_show",
            "occurred_at": "2026-04-21T09:00:00Z",
        }
    )

    lead_id: LeadId | None = None
    """The lead that came of it, as long as it is not converted."""
    owner_id: OwnerId | None = None
    """The salesperson of the customer who recommends."""
    region: Region | None = None
    segment: Segment | None = None
    channel: Channel | None = None
    occurred_at: OccurredAt | None = None


class ReferralRead(ReadModel):
    """A recommendation."""

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    account_id: AccountIdRead
    """The customer who recommends."""
    lead_id: LeadIdRead | None
    """The lead that came of it."""
    owner_id: OwnerIdRead | None
    team_id: TeamIdRead | None
    region: RegionRead | None
    segment: SegmentRead | None
    channel: ChannelRead | None
    recorded_at: Moment
    """When the customer gave it."""
