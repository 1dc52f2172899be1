"""What accounts look like over HTTP."""

from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field

from service_kit.changes import Change
from service_kit.fields import Code, ExternalReference, Identifier, Moment, Name, StrictModel, View

_ATTRIBUTION: dict[str, Any] = {
    "region": "south",
    "segment": "home-decor",
    "channel": "organic_search",
    "owner_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
}


class AccountFields(StrictModel):
    """What an account is made of, whoever makes it."""

    region: Code | None = None
    segment: Code | None = None
    channel: Code | None = Field(default=None, description="Where the customer came from.")
    owner_id: Identifier | None = Field(default=None, description="The salesperson who looks after the account.")
    referred_by: Identifier | None = Field(default=None, description="The customer who recommended us to this one.")
    external_ref: ExternalReference | None = None


class AccountIn(AccountFields):
    """A new customer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "Casa Verde Ltda", **_ATTRIBUTION, "external_ref": "crm-881"}
                | {"referred_by": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a17", "occurred_at": "2026-03-02T09:30:00Z"}
            ]
        }
    )

    name: Name
    occurred_at: Moment | None = None


class AccountChange(Change):
    """What is to be changed; what is not given stays, null takes a value away."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Casa Verde S.A.", **_ATTRIBUTION, "occurred_at": "2026-03-31T14:00:00Z"}]
        }
    )

    name: Name = Field(default_factory=str)
    region: Code | None = None
    segment: Code | None = None
    channel: Code | None = None
    owner_id: Identifier | None = None
    occurred_at: Moment | None = None


class AccountMerge(StrictModel):
    """Which account turned out to be the same customer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"into": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12", "occurred_at": "2026-03-31T14:00:00Z"}]
        }
    )

    into: Identifier
    occurred_at: Moment | None = None


class AccountView(View):
    """A customer as sales knows it; the name is null once it was erased.

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
