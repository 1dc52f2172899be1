"""What leads look like over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from event_contracts.sales import LeadStatus
from sales_api.accounts.schemas import AccountFields
from sales_api.deals.schemas import TERMS, DealTerms
from service_kit.fields import Code, ExternalReference, Identifier, Moment, Name, StrictModel, View

_OWNER = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11"
_ACCOUNT = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12"
_CUSTOMER: dict[str, Any] = {
    "name": "Casa Verde Ltda",
    "region": "south",
    "segment": "home-decor",
    "channel": "organic_search",
    "owner_id": _OWNER,
    "referred_by": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a17",
    "external_ref": "crm-881",
}
_WHEN = "2026-03-02T09:30:00Z"

Line = Annotated[Name, Field(description="Stays in this service; no event carries it.")]


class LeadIn(StrictModel):
    """Someone who may buy. Everything may be left out but nothing is guessed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Joana Prado",
                    "company": "Casa Verde Ltda",
                    "email": "joana@casaverde.example",
                    "phone": "+55 11 5550 0100",
                    "channel": "organic_search",
                    "region": "south",
                    "segment": "home-decor",
                    "product": "heat-pump-9",
                    "account_id": _ACCOUNT,
                    "owner_id": _OWNER,
                    "upsell_suggestion_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a16",
                    "external_ref": "mql-000123",
                    "occurred_at": _WHEN,
                }
            ]
        }
    )

    name: Line | None = None
    company: Line | None = None
    email: Line | None = None
    phone: Line | None = None
    channel: Code | None = Field(default=None, description="Where the lead came from.")
    region: Code | None = None
    segment: Code | None = None
    product: Code | None = None
    account_id: Identifier | None = Field(default=None, description="The customer, if it is a known one.")
    owner_id: Identifier | None = Field(default=None, description="The salesperson; the lead is assigned at once.")
    upsell_suggestion_id: Identifier | None = Field(
        default=None, description="The suggestion of a service agent that it came from."
    )
    external_ref: ExternalReference | None = None
    occurred_at: Moment | None = None


class LeadAssign(StrictModel):
    """Who gets the lead."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"owner_id": _OWNER, "occurred_at": _WHEN}]})

    owner_id: Identifier
    occurred_at: Moment | None = None


class LeadContact(StrictModel):
    """That the owner made the first contact."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"occurred_at": _WHEN}]})

    occurred_at: Moment | None = None


class LeadQualify(StrictModel):
    """That the lead is worth pursuing."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"occurred_at": _WHEN}]})

    occurred_at: Moment | None = None


class LeadDisqualify(StrictModel):
    """Why the lead is given up."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "no-budget", "occurred_at": _WHEN}]})

    reason: Code
    occurred_at: Moment | None = None


class ConvertedAccount(AccountFields):
    """The customer that the lead becomes; what is left out is the lead's."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CUSTOMER]})

    name: Name | None = Field(default=None, description="The lead's company, or else its name, unless given.")


class LeadConvert(StrictModel):
    """What the lead becomes: a customer who is known or new, and a deal if there is one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "account": _CUSTOMER,
                    "deal": TERMS,
                    "occurred_at": "2026-03-31T14:00:00Z",
                },
                {"account_id": _ACCOUNT},
            ]
        }
    )

    account_id: Identifier | None = Field(default=None, description="The customer that it turned out to be.")
    account: ConvertedAccount | None = None
    deal: DealTerms | None = None
    occurred_at: Moment | None = None

    @model_validator(mode="after")
    def _one_account(self) -> "LeadConvert":
        if self.account_id is not None and self.account is not None:
            raise ValueError("must not give both account_id and account")
        return self


class LeadView(View):
    """A lead; name, company, email and phone are null once it was erased.

    `team_id` is the owner's team when the owner got it.
    """

    id: UUID
    version: int
    status: LeadStatus
    name: str | None
    company: str | None
    email: str | None
    phone: str | None
    channel: str | None
    region: str | None
    segment: str | None
    product: str | None
    owner_id: UUID | None
    team_id: UUID | None
    account_id: UUID | None
    deal_id: UUID | None
    upsell_suggestion_id: UUID | None
    created_at: Moment
    assigned_at: Moment | None
    contacted_at: Moment | None
    qualified_at: Moment | None
    disqualified_at: Moment | None
    disqualified_reason: str | None
    converted_at: Moment | None
    external_ref: str | None
    erased_at: Moment | None
    changed_at: Moment
