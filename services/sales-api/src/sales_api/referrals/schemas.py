"""Referrals over HTTP."""

from pydantic import Field

from sales_api.fields import (
    AccountId,
    AccountIdRead,
    ChannelRead,
    LeadId,
    LeadIdRead,
    OwnerIdRead,
    RegionRead,
    SegmentRead,
    TeamIdRead,
)
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
