"""Accounts over HTTP."""

from typing import Any
from uuid import UUID

from pydantic import Field

from service_kit.changes import Change
from service_kit.fields import Code, ExternalReference, Identifier, Moment, Name, ReadModel, StrictModel, examples

_ATTRIBUTION: dict[str, Any] = {
    "region": "south",
    "segment": "home-decor",
    "channel": "organic_search",
    "owner_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
}


class AccountFields(StrictModel):
    """The fields of a new account, registered or converted from a lead."""

    region: Code | None = None
    segment: Code | None = None
    channel: Code | None = Field(default=None, description="Where the customer came from.")
    owner_id: Identifier | None = Field(default=None, description="The salesperson who is responsible for the account.")
    referred_by: Identifier | None = Field(default=None, description="The customer who recommended us to this one.")
    external_ref: ExternalReference | None = None


class AccountCreate(AccountFields):
    """A new customer."""

    model_config = examples(
        {"name": "Casa Verde Ltda", **_ATTRIBUTION, "external_ref": "crm-881"}
        | {"referred_by": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a17", "occurred_at": "2026-03-02T09:30:00Z"}
    )

    name: Name
    occurred_at: Moment | None = None


class AccountUpdate(Change):
    """What to change; what is left out stays, null removes a value."""

    model_config = examples({"name": "Casa Verde S.A.", **_ATTRIBUTION, "occurred_at": "2026-03-31T14:00:00Z"})

    name: Name = Field(default_factory=str)
    region: Code | None = None
    segment: Code | None = None
    channel: Code | None = None
    owner_id: Identifier | None = None
    occurred_at: Moment | None = None


class AccountMergeRequest(StrictModel):
    """The other account of the same customer."""

    model_config = examples({"into": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12", "occurred_at": "2026-03-31T14:00:00Z"})

    into: Identifier
    occurred_at: Moment | None = None


class AccountRead(ReadModel):
    """A customer in sales; the name is null after erasure.

    `team_id` is the owner's team when the owner got the account.
    """

    id: UUID
    version: int
    name: str | None
    region: str | None
    segment: str | None
    channel: str | None
    owner_id: UUID | None
    team_id: UUID | None
    external_ref: str | None
    referred_by: UUID | None
    registered_at: Moment
    merged_into: UUID | None
    erased_at: Moment | None
    changed_at: Moment
