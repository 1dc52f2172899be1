"""Leads over HTTP."""

from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import Field, model_validator

from sales_api.accounts.schemas import AccountFields
from sales_api.deals.schemas import TERMS, LeadDealCreate
from sales_api.fields import (
    AccountId,
    AccountIdRead,
    AccountName,
    ChangedAt,
    Channel,
    ChannelRead,
    Company,
    CompanyRead,
    DealIdRead,
    DisqualificationReason,
    DisqualificationReasonRead,
    DisqualifiedAt,
    EMail,
    EMailRead,
    LeadStatusField,
    OwnerId,
    OwnerIdRead,
    PersonName,
    PersonNameRead,
    Phone,
    PhoneRead,
    ProductOf,
    ProductOfRead,
    Region,
    RegionRead,
    Segment,
    SegmentRead,
    SuggestionId,
    SuggestionIdRead,
    TeamIdRead,
)
from service_kit.changes import Change
from service_kit.custom_fields.values import CustomGiven, CustomizedRead
from service_kit.fields import (
    ErasedAt,
    ExternalReference,
    ExternalReferenceRead,
    Moment,
    Name,
    OccurredAt,
    ReadModel,
    RecordId,
    StrictModel,
    UpdatedAt,
    Version,
    described,
    examples,
)

_OWNER = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11"
_ACCOUNT = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12"
_CUSTOMER: dict[str, Any] = {
    "name": "Casa Verde Ltda",
    "region": "south",
    "segment": "home-decor",
    "channel": "referral",
    "owner_id": _OWNER,
    "referred_by": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a17",
    "external_ref": "crm-881",
    "custom": {},
}
_WHEN = "2026-03-02T09:30:00Z"

_OPENED_AT = described(
    "When the sale began, where that was before the conversion. Only some roles may give a time in the past.",
    "2026-03-05T10:00:00Z",
)

Line = Annotated[Name, Field(description="Stays in this service; no event carries it.")]


class LeadFields(StrictModel):
    """What is given of a lead, when it is created and when it is corrected."""

    name: PersonName | None = None
    company: Company | None = None
    email: EMail | None = None
    phone: Phone | None = None
    channel: Channel | None = Field(default=None, description="Where the lead came from.")
    region: Region | None = None
    segment: Segment | None = None
    product: ProductOf | None = None
    """The code of the product that they are interested in."""
    upsell_suggestion_id: SuggestionId | None = Field(
        default=None, description="The suggestion of a service agent that it came from."
    )
    custom: CustomGiven = Field(default_factory=dict)
    occurred_at: OccurredAt | None = None


class LeadCreate(LeadFields):
    """A possible customer. Every field may be left out; none is guessed."""

    model_config = examples(
        {
            "name": "Joana Prado",
            "company": "Casa Verde Ltda",
            "email": "joana@casaverde.example",
            "phone": "+55 11 5550 0100",
            "channel": "referral",
            "region": "south",
            "segment": "home-decor",
            "product": "heat-pump-9",
            "account_id": _ACCOUNT,
            "owner_id": _OWNER,
            "upsell_suggestion_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a16",
            "external_ref": "mql-000123",
            "custom": {},
            "occurred_at": _WHEN,
        }
    )

    account_id: AccountId | None = Field(default=None, description="The customer, if it is known.")
    owner_id: OwnerId | None = Field(default=None, description="The salesperson; the lead is assigned at once.")
    external_ref: ExternalReference | None = None


class LeadUpdate(LeadFields, Change):
    """What was recorded wrongly; what is left out stays, null removes a value."""

    elsewhere: ClassVar = {
        "owner_id": "is changed by assigning the lead: POST …/assign",
        "account_id": "is set by converting the lead: POST …/convert",
        "deal_id": "is set by converting the lead: POST …/convert",
        "status": "is changed by what happens to the lead: POST …/contact, …/qualify, …/disqualify, …/convert",
    }
    model_config = examples(
        {
            "name": "Joana Prado",
            "company": "Casa Verde S.A.",
            "email": "joana@casaverde.example",
            "phone": "+55 11 5550 0101",
            "channel": "trade_show",
            "region": "south",
            "segment": "home-decor",
            "product": "heat-pump-9",
            "upsell_suggestion_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a16",
            "disqualified_reason": "no_budget",
            "custom": {},
            "occurred_at": _WHEN,
        }
    )

    disqualified_reason: DisqualificationReason = Field(
        default="", description="Why it was given up; only of a disqualified lead."
    )


class LeadAssignRequest(StrictModel):
    """The salesperson that the lead is assigned to."""

    model_config = examples({"owner_id": _OWNER, "occurred_at": _WHEN})

    owner_id: OwnerId
    """The salesperson who gets it."""
    occurred_at: OccurredAt | None = None


class LeadContactRequest(StrictModel):
    """When the owner made the first contact."""

    model_config = examples({"occurred_at": _WHEN})

    occurred_at: OccurredAt | None = None


class LeadQualifyRequest(StrictModel):
    """When it was qualified."""

    model_config = examples({"occurred_at": _WHEN})

    occurred_at: OccurredAt | None = None


class LeadDisqualifyRequest(StrictModel):
    """Why it is disqualified."""

    model_config = examples({"reason": "no_budget", "occurred_at": _WHEN})

    reason: DisqualificationReason
    occurred_at: OccurredAt | None = None


class LeadAccountCreate(AccountFields):
    """The customer that the lead becomes; what is left out is taken from the lead."""

    model_config = examples(_CUSTOMER)

    name: AccountName | None = Field(default=None, description="The lead's company, or else its name, unless given.")


class ConvertedDealCreate(LeadDealCreate):
    """The terms of the deal that a conversion opens."""

    model_config = examples(TERMS | {"opened_at": "2026-03-05T10:00:00Z"})

    opened_at: Annotated[Moment, _OPENED_AT] | None = None


class LeadConvertRequest(StrictModel):
    """What the lead becomes: a known or new customer, and a deal if there is one."""

    model_config = examples(
        {
            "account": _CUSTOMER,
            "deal": TERMS | {"opened_at": "2026-03-05T10:00:00Z"},
            "occurred_at": "2026-03-31T14:00:00Z",
        },
        {"account_id": _ACCOUNT},
    )

    account_id: AccountId | None = Field(default=None, description="The known customer that it becomes.")
    account: LeadAccountCreate | None = None
    """A new customer that it becomes; the lead's own data where left out."""
    deal: ConvertedDealCreate | None = None
    """A deal to open with that customer."""
    occurred_at: OccurredAt | None = None

    @model_validator(mode="after")
    def _one_account(self) -> "LeadConvertRequest":
        if self.account_id is not None and self.account is not None:
            raise ValueError("must not give both account_id and account")
        return self


class CreditRead(ReadModel):
    """Who did something, and their team then."""

    person_id: (
        Annotated[
            UUID, described("The salesperson; null where none was named.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11")
        ]
        | None
    )
    team_id: TeamIdRead | None
    """The team that they did it for."""


class SuggestionOriginRead(ReadModel):
    """The suggestion of a service agent, as service has it."""

    customer_id: Annotated[
        UUID,
        described(
            "The customer of service; of sales too where the lead has that account, or one that it was merged into.",
            "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
        ),
    ]
    ticket_id: (
        Annotated[UUID, described("The ticket that showed the need.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a1a")] | None
    )
    agent_id: Annotated[UUID, described("The service agent who had it.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a1b")] | None
    team_id: Annotated[UUID, described("The agent's team then.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a1c")] | None
    suggested_at: Annotated[Moment, described("When they suggested it.", "2026-03-02T09:28:00Z")]


class LeadRead(CustomizedRead):
    """A lead; name, company, email and phone are null after erasure.

    `team_id` is the owner's team when the owner got it.
    """

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    status: LeadStatusField
    name: PersonNameRead | None
    company: CompanyRead | None
    email: EMailRead | None
    phone: PhoneRead | None
    channel: ChannelRead | None
    region: RegionRead | None
    segment: SegmentRead | None
    product: ProductOfRead | None
    """The code of the product that they are interested in."""
    owner_id: OwnerIdRead | None
    team_id: TeamIdRead | None
    account_id: AccountIdRead | None
    """The known customer that it is from, or has become."""
    deal_id: DealIdRead | None
    """The deal that its conversion opened."""
    upsell_suggestion_id: SuggestionIdRead | None
    suggestion: SuggestionOriginRead | None
    """What service says of that suggestion; null until sales-consumer has read it."""
    created_at: Moment
    """When the first sign of interest came."""
    assigned_at: Moment | None
    """When its owner got it."""
    contacted_at: Moment | None
    """When the owner made the first contact."""
    contacted_by: CreditRead | None
    """Who that was; it stays theirs when the lead is assigned to another person."""
    qualified_at: Moment | None
    """When it was found to be worth pursuing."""
    qualified_by: CreditRead | None
    """Whose lead it was then."""
    disqualified_at: DisqualifiedAt | None
    disqualified_reason: DisqualificationReasonRead | None
    converted_at: Moment | None
    """When it became a customer."""
    external_ref: ExternalReferenceRead | None
    erased_at: ErasedAt | None
    changed_at: ChangedAt
