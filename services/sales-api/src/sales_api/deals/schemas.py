"""Deals over HTTP."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from sales_api.amounts import Price, at_places, trimmed
from sales_api.deals.model import Agreed, Terms
from sales_api.fields import (
    AccountId,
    AccountIdRead,
    ChangedAt,
    Channel,
    ChannelRead,
    CloseReason,
    CloseReasonRead,
    DealOutcome,
    DealStage,
    DealTitle,
    DealTitleRead,
    LeadId,
    LeadIdRead,
    LineQuantity,
    LineQuantityRead,
    OpenDealStage,
    OwnerId,
    OwnerIdRead,
    ProductOf,
    ProductOfRead,
    PromisedQuality,
    PromisedQualityRead,
    Region,
    RegionRead,
    Segment,
    SegmentRead,
    SuggestionId,
    SuggestionIdRead,
    TeamIdRead,
)
from service_kit.changes import Change
from service_kit.custom_fields.values import CustomGiven, CustomizedRead, merged
from service_kit.fields import (
    Currency,
    CurrencyRead,
    Day,
    DecimalText,
    ErasedAt,
    ExternalReference,
    ExternalReferenceRead,
    Moment,
    OccurredAt,
    ReadModel,
    RecordId,
    StrictModel,
    UpdatedAt,
    Version,
    described,
    examples,
)
from service_kit.identifiers import new_id

_LINES: list[Any] = [
    {"product": "heat-pump-9", "quantity": 2, "unit_price": "1299.00"},
    {"product": "installation", "quantity": 1, "unit_price": "480.50"},
]
_REPORTING_AMOUNT = described(
    "The same in the reporting currency, at the rate frozen at closing; null while the deal is open.", "2598.00"
)
_ESTIMATE = described(
    "Its worth in estimated_currency while it is open, at the rate of the day of its latest change; null without one.",
    "2598.00",
    rarely=True,
)
_ESTIMATED_CURRENCY = described("The reporting currency, as ISO 4217 has it, of the estimate.", "EUR", rarely=True)
_AMOUNT = described("In the deal's currency: the sum of its lines; of a line, quantity times unit price.", "2598.00")
_RATE = described("The reporting currency for one unit of the deal's currency.", "1")
_REOPENINGS = described("How often it was reopened.", 0)
_PROPOSALS = described("How many proposals were sent.", 1)
_OWNER = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11"
_PLACE = {"region": "south", "segment": "home-decor", "channel": "referral"}
TERMS: Final[dict[str, Any]] = {
    "title": "Two pumps for the annex",
    "currency": "EUR",
    "lines": _LINES,
    "owner_id": _OWNER,
    **_PLACE,
    "expected_close_on": "2026-05-31",
    "upsell_suggestion_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a16",
    "external_ref": "crm-deal-4711",
    "custom": {},
}


class DealLineCreate(StrictModel):
    """One product of a deal, at a price in the deal's currency."""

    model_config = examples(_LINES[0])

    product: ProductOf
    quantity: LineQuantity
    unit_price: Price
    """The price of one unit in the deal's currency: a decimal string with no more places than the currency has."""


Lines = Annotated[list[DealLineCreate], Field(min_length=1, max_length=100)]


def terms_of(lines: Iterable[DealLineCreate]) -> list[Terms]:
    """Return the lines as the aggregate takes them."""
    return [Terms(product=line.product, quantity=line.quantity, unit_price=line.unit_price) for line in lines]


class LeadDealCreate(StrictModel):
    """The terms of a new deal, opened by itself or with a lead's conversion."""

    model_config = examples(TERMS)

    title: DealTitle | None = None
    currency: Currency
    """The currency of all its prices, as ISO 4217 has it."""
    lines: Lines
    """What is sold: one line a product, 100 at most."""
    owner_id: OwnerId | None = None
    """The salesperson who is responsible: the account's unless given."""
    region: Region | None = Field(default=None, description="The account's unless given; so are segment and channel.")
    segment: Segment | None = None
    """The code of the kind of customer: the account's unless given."""
    channel: Channel | None = None
    """The code of the way the customer came: the account's unless given."""
    expected_close_on: Day | None = None
    """The day by which it is likely to be closed, for forecasts."""
    upsell_suggestion_id: SuggestionId | None = Field(
        default=None, description="The suggestion of a service agent that it came from; the lead's unless given."
    )
    external_ref: ExternalReference | None = None
    custom: CustomGiven = Field(default_factory=dict)


class DealCreate(LeadDealCreate):
    """A new deal with an account."""

    model_config = examples(
        {
            "account_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
            "lead_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13",
            **TERMS,
            "occurred_at": "2026-03-02T09:30:00Z",
        }
    )

    account_id: AccountId
    lead_id: LeadId | None = None
    occurred_at: OccurredAt | None = None


class DealUpdate(Change):
    """What was recorded wrongly; what is left out stays, null removes a value."""

    elsewhere: ClassVar = {
        "currency": "stays as it is: open a deal anew in the right currency, and lose this one",
        "amount": "is the sum of the lines: correct these",
        "stage": "is changed by what happens to the deal: POST …/stage, …/close, …/reopen",
        "close_reason": "is why a deal was closed: POST …/amend",
        "promise": "is agreed on when the deal is won: POST …/reopen, then …/close",
    }
    model_config = examples(
        {
            "account_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
            "title": "Two pumps for the main building",
            "lines": _LINES,
            "owner_id": _OWNER,
            **_PLACE,
            "expected_close_on": "2026-06-30",
            "custom": {},
            "upsell_suggestion_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a16",
            "occurred_at": "2026-03-10T15:00:00Z",
        }
    )

    account_id: AccountId = Field(
        default_factory=new_id,
        description="The account that it is with, if it was recorded under another one; region and segment are the"
        " account's now, unless given. Its lead and activities, its onboarding and delivery follow.",
    )
    title: DealTitle | None = None
    lines: Lines = Field(default_factory=list, description="What is sold: one line a product; only of an open deal.")
    owner_id: OwnerId | None = None
    region: Region | None = None
    segment: Segment | None = None
    channel: Channel | None = None
    expected_close_on: Day | None = None
    """The day by which it is likely to be closed, for forecasts."""
    upsell_suggestion_id: SuggestionId | None = None
    custom: CustomGiven = Field(default_factory=dict)
    occurred_at: OccurredAt | None = None


class DealStageRequest(StrictModel):
    """The stage that the deal is in now."""

    model_config = examples({"stage": "proposal", "occurred_at": "2026-03-10T15:00:00Z"})

    stage: OpenDealStage
    occurred_at: OccurredAt | None = None


class DealProposalRequest(StrictModel):
    """When a proposal was sent to the customer."""

    model_config = examples({"occurred_at": "2026-03-12T15:00:00Z"})

    occurred_at: OccurredAt | None = None


class DealPromiseCreate(StrictModel):
    """What is promised: the time, the price in the deal's currency, and a quality beyond the usual."""

    model_config = examples({"deliver_by": "2026-04-15", "price": "2998.50", "quality": "gold"})

    deliver_by: Day
    """The last day on which the delivery keeps the promise."""
    price: Price | None = Field(default=None, description="The deal's amount when left out.")
    quality: PromisedQuality | None = None

    def agreed(self) -> Agreed:
        """Return the promise as the aggregate takes it."""
        return Agreed(deliver_by=self.deliver_by, price=self.price, quality=self.quality)


class DealCloseRequest(StrictModel):
    """How the deal ended, and what is promised if it is won."""

    model_config = examples(
        {
            "outcome": "won",
            "reason": "best_service",
            "promise": {"deliver_by": "2026-04-15", "price": "2998.50", "quality": "gold"},
            "occurred_at": "2026-03-31T21:00:00Z",
        }
    )

    outcome: DealOutcome
    reason: CloseReason | None = None
    """The code of why it was won or lost, from the company's own list."""
    promise: DealPromiseCreate | None = None
    """What is promised with a won deal; not of a lost one."""
    occurred_at: OccurredAt | None = None


class DealReopenRequest(StrictModel):
    """When the deal was reopened."""

    model_config = examples({"occurred_at": "2026-04-02T08:00:00Z"})

    occurred_at: OccurredAt | None = None


class DealAmendRequest(Change):
    """What to correct; what is left out stays, null removes a value."""

    model_config = examples(
        {
            "lines": _LINES,
            "owner_id": _OWNER,
            **_PLACE,
            "reason": "best_price",
            "occurred_at": "2026-04-03T08:00:00Z",
        }
    )

    lines: Lines = Field(default_factory=list)
    """What is sold: one line a product, 100 at most."""
    owner_id: OwnerId | None = None
    region: Region | None = None
    segment: Segment | None = None
    channel: Channel | None = None
    reason: CloseReason | None = Field(default=None, description="Why it was won or lost; only of a closed deal.")
    occurred_at: OccurredAt | None = None


class DealLineRead(ReadModel):
    """One product of a deal; `reporting_amount` is null until the deal is closed."""

    product: ProductOfRead
    quantity: LineQuantityRead
    unit_price: DecimalText
    """The price of one unit in the deal's currency."""
    amount: Annotated[DecimalText, _AMOUNT]
    reporting_amount: Annotated[DecimalText, _REPORTING_AMOUNT] | None


class FrozenRateRead(ReadModel):
    """The reporting currency for one unit of the deal's, and the day whose rate it is."""

    rate: Annotated[DecimalText, _RATE]
    on: date
    """The day whose rate it is: the closing day, or the last one before it that has a rate."""


class StageEntryRead(ReadModel):
    """A stage that a deal was in, and its start."""

    stage: DealStage
    entered_at: Moment
    """When the deal came to this stage."""


class DealPromiseRead(ReadModel):
    """What a deal was won with; the price is in the deal's currency."""

    deliver_by: date
    """The last day on which the delivery keeps the promise."""
    price: DecimalText
    """The price that was agreed, in the deal's currency."""
    quality: PromisedQualityRead | None


class DealRead(CustomizedRead):
    """A deal. Amounts are in `currency`; once it is closed there are those in `reporting_currency` too.

    While it is open, `estimated_reporting_amount` is its worth at the rate of the day of its latest change, where one
    is known. The title is null after its customer's erasure.
    """

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    account_id: AccountIdRead
    lead_id: LeadIdRead | None
    title: DealTitleRead | None
    stage: DealStage
    currency: CurrencyRead
    """The currency of its prices and amounts, as ISO 4217 has it."""
    amount: Annotated[DecimalText, _AMOUNT]
    lines: list[DealLineRead]
    """What is sold, in the order given."""
    owner_id: OwnerIdRead | None
    team_id: TeamIdRead | None
    region: RegionRead | None
    segment: SegmentRead | None
    channel: ChannelRead | None
    opened_at: Moment
    """When the sale began."""
    expected_close_on: date | None
    """The day by which it is likely to be closed, for forecasts."""
    closed_at: Moment | None
    """When it was won or lost; null while it is open."""
    close_reason: CloseReasonRead | None
    frozen_rate: FrozenRateRead | None
    """The exchange rate that its worth was frozen at; null while it is open."""
    reporting_currency: CurrencyRead | None
    """The currency that sales are compared in; null while the deal is open."""
    reporting_amount: Annotated[DecimalText, _REPORTING_AMOUNT] | None
    estimated_reporting_amount: Annotated[DecimalText, _ESTIMATE] | None
    estimated_currency: Annotated[str, _ESTIMATED_CURRENCY] | None
    reopen_count: Annotated[int, _REOPENINGS]
    stage_entries: list[StageEntryRead]
    """The stages that it was in, the first one first."""
    proposal_sent_at: Moment | None
    """When the first proposal was sent; null if none was."""
    proposal_count: Annotated[int, _PROPOSALS]
    promise: DealPromiseRead | None
    """What it was won with; null unless it is won with a promise."""
    upsell_suggestion_id: SuggestionIdRead | None
    external_ref: ExternalReferenceRead | None
    erased_at: ErasedAt | None
    changed_at: ChangedAt

    @classmethod
    def of(cls, deal: Any, lines: Iterable[Any]) -> "DealRead":
        """Return the view of a deal, or of a row with its columns, and its lines in their order."""
        own, reporting = deal.currency, deal.reporting_currency

        def in_reporting(amount: Decimal | None) -> Decimal | None:
            return None if amount is None or reporting is None else at_places(amount, reporting)

        plain = {name: getattr(deal, name) for name in cls.model_fields if name not in _MADE}
        estimate = deal.estimated_reporting_amount
        return cls(
            **plain,
            custom=merged(deal),
            amount=at_places(deal.amount, own),
            lines=[
                DealLineRead(
                    product=line.product,
                    quantity=line.quantity,
                    unit_price=at_places(line.unit_price, own),
                    amount=at_places(line.amount, own),
                    reporting_amount=in_reporting(line.reporting_amount),
                )
                for line in lines
            ],
            frozen_rate=None if deal.rate is None else FrozenRateRead(rate=trimmed(deal.rate), on=deal.rate_on),
            reporting_amount=in_reporting(deal.reporting_amount),
            estimated_reporting_amount=None if estimate is None else at_places(estimate, deal.estimated_currency),
            promise=None
            if deal.promised_by is None
            else DealPromiseRead(
                deliver_by=deal.promised_by, price=at_places(deal.promised_price, own), quality=deal.promised_quality
            ),
        )


_MADE = frozenset(
    {"amount", "custom", "lines", "frozen_rate", "reporting_amount", "estimated_reporting_amount", "promise"}
)
