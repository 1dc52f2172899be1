"""Accounts over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from sales_api.fields import (
    AccountName,
    AccountNameRead,
    ChangedAt,
    Channel,
    ChannelRead,
    OwnerId,
    OwnerIdRead,
    ReferrerId,
    ReferrerIdRead,
    Region,
    RegionRead,
    Segment,
    SegmentRead,
    TeamIdRead,
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
    RecordId,
    StrictModel,
    UpdatedAt,
    Version,
    described,
    examples,
)

_MERGED_INTO = described(
    "The account that survives, if this one was merged.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a15", rarely=True
)
_ATTRIBUTION: dict[str, Any] = {
    "region": "south",
    "segment": "home-decor",
    "channel": "referral",
    "owner_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
    "custom": {},
}


class AccountFields(StrictModel):
    """The fields of a new account, registered or converted from a lead."""

    region: Region | None = None
    segment: Segment | None = None
    channel: Channel | None = Field(default=None, description="Where the customer came from.")
    owner_id: OwnerId | None = Field(default=None, description="The salesperson who is responsible for the account.")
    referred_by: ReferrerId | None = Field(default=None, description="The customer who recommended us to this one.")
    external_ref: ExternalReference | None = None
    custom: CustomGiven = Field(default_factory=dict)


class AccountCreate(AccountFields):
    """A new customer."""

    model_config = examples(
        {"name": "Casa Verde Ltda", **_ATTRIBUTION, "external_ref": "crm-881"}
        | {"referred_by": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a17", "occurred_at": "2026-03-02T09:30:00Z"}
    )

    name: AccountName
    occurred_at: OccurredAt | None = None


class AccountUpdate(Change):
    """What to change; what is left out stays, null removes a value."""

    model_config = examples({"name": "Casa Verde S.A.", **_ATTRIBUTION, "occurred_at": "2026-03-31T14:00:00Z"})

    name: AccountName = Field(default_factory=str)
    region: Region | None = None
    segment: Segment | None = None
    channel: Channel | None = None
    owner_id: OwnerId | None = None
    custom: CustomGiven = Field(default_factory=dict)
    occurred_at: OccurredAt | None = None


class AccountMergeRequest(StrictModel):
    """The other account of the same customer."""

    model_config = examples({"into": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12", "occurred_at": "2026-03-31T14:00:00Z"})

    into: Identifier
    """The account that survives, and that all counts for from now on."""
    occurred_at: OccurredAt | None = None


class AccountUnmergeRequest(StrictModel):
    """When it was found that the two accounts are not of one customer."""

    model_config = examples({"occurred_at": "2026-04-02T08:00:00Z"})

    occurred_at: OccurredAt | None = None


class AccountRead(CustomizedRead):
    """A customer in sales; the name is null after erasure.

    `team_id` is the owner's team when the owner got the account.
    """

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    name: AccountNameRead | None
    region: RegionRead | None
    segment: SegmentRead | None
    channel: ChannelRead | None
    owner_id: OwnerIdRead | None
    team_id: TeamIdRead | None
    external_ref: ExternalReferenceRead | None
    referred_by: ReferrerIdRead | None
    registered_at: Moment
    """When the customer was registered."""
    merged_into: Annotated[UUID, _MERGED_INTO] | None
    erased_at: ErasedAt | None
    changed_at: ChangedAt
