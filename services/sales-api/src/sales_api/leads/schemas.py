"""Leads over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, model_validator

from event_contracts.sales import LeadStatus
from sales_api.accounts.schemas import AccountFields
from sales_api.deals.schemas import TERMS, LeadDealCreate
from service_kit.fields import Code, ExternalReference, Identifier, Moment, Name, ReadModel, StrictModel, examples

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


class LeadCreate(StrictModel):
    """A possible customer. Every field may be left out; none is guessed."""

    model_config = examples(
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
    )

    name: Line | None = None
    company: Line | None = None
    email: Line | None = None
    phone: Line | None = None
    channel: Code | None = Field(default=None, description="Where the lead came from.")
    region: Code | None = None
    segment: Code | None = None
    product: Code | None = None
    account_id: Identifier | None = Field(default=None, description="The customer, if it is known.")
    owner_id: Identifier | None = Field(default=None, description="The salesperson; the lead is assigned at once.")
    upsell_suggestion_id: Identifier | None = Field(
        default=None, description="The suggestion of a service agent that it came from."
    )
    external_ref: ExternalReference | None = None
    occurred_at: Moment | None = None


class LeadAssignRequest(StrictModel):
    """The salesperson that the lead is assigned to."""

    model_config = examples({"owner_id": _OWNER, "occurred_at": _WHEN})

    owner_id: Identifier
    occurred_at: Moment | None = None


class LeadContactRequest(StrictModel):
    """When the owner made the first contact."""

    model_config = examples({"occurred_at": _WHEN})

    occurred_at: Moment | None = None


class LeadQualifyRequest(StrictModel):
    """When it was qualified."""

    model_config = examples({"occurred_at": _WHEN})

    occurred_at: Moment | None = None


class LeadDisqualifyRequest(StrictModel):
    """Why it is disqualified."""

    model_config = examples({"reason": "no-budget", "occurred_at": _WHEN})

    reason: Code
    occurred_at: Moment | None = None


class LeadAccountCreate(AccountFields):
    """The customer that the lead becomes; what is left out is taken from the lead."""

    model_config = examples(_CUSTOMER)

    name: Name | None = Field(default=None, description="The lead's company, or else its name, unless given.")


class LeadConvertRequest(StrictModel):
    """What the lead becomes: a known or new customer, and a deal if there is one."""

    model_config = examples(
        {
            "account": _CUSTOMER,
            "deal": TERMS,
            "occurred_at": "2026-03-31T14:00:00Z",
        },
        {"account_id": _ACCOUNT},
    )

    account_id: Identifier | None = Field(default=None, description="The known customer that it becomes.")
    account: LeadAccountCreate | None = None
    deal: LeadDealCreate | None = None
    occurred_at: Moment | None = None

    @model_validator(mode="after")
    def _one_account(self) -> "LeadConvertRequest":
        if self.account_id is not None and self.account is not None:
            raise ValueError("must not give both account_id and account")
        return self


class LeadRead(ReadModel):
    """A lead; name, company, email and phone are null after erasure.

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
