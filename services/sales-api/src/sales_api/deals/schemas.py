"""Deals over HTTP."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field

from event_contracts.sales import OpenStage, Outcome, Stage
from sales_api.amounts import Price, at_places, trimmed
from sales_api.deals.model import Agreed, Terms
from service_kit.changes import Change
from service_kit.fields import (
    Code,
    Currency,
    Day,
    DecimalText,
    ExternalReference,
    Identifier,
    Moment,
    Name,
    Quantity,
    ReadModel,
    StrictModel,
    examples,
)

_LINES: list[Any] = [
    {"product": "heat-pump-9", "quantity": 2, "unit_price": "1299.00"},
    {"product": "installation", "quantity": 1, "unit_price": "480.50"},
]
_OWNER = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11"
_PLACE = {"region": "south", "segment": "home-decor", "channel": "organic_search"}
TERMS: Final[dict[str, Any]] = {
    "title": "Two pumps for the annex",
    "currency": "EUR",
    "lines": _LINES,
    "owner_id": _OWNER,
    **_PLACE,
    "expected_close_on": "2026-05-31",
    "upsell_suggestion_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a16",
    "external_ref": "crm-deal-4711",
}


class DealLineCreate(StrictModel):
    """One product of a deal, at a price in the deal's currency."""

    model_config = examples(_LINES[0])

    product: Code
    quantity: Quantity
    unit_price: Price


Lines = Annotated[list[DealLineCreate], Field(min_length=1, max_length=100)]


def terms_of(lines: Iterable[DealLineCreate]) -> list[Terms]:
    """Return the lines as the aggregate takes them."""
    return [Terms(product=line.product, quantity=line.quantity, unit_price=line.unit_price) for line in lines]


class LeadDealCreate(StrictModel):
    """The terms of a new deal, opened by itself or with a lead's conversion."""

    model_config = examples(TERMS)

    title: Name | None = None
    currency: Currency
    lines: Lines
    owner_id: Identifier | None = None
    region: Code | None = Field(default=None, description="The account's unless given; so are segment and channel.")
    segment: Code | None = None
    channel: Code | None = None
    expected_close_on: Day | None = None
    upsell_suggestion_id: Identifier | None = Field(
        default=None, description="The suggestion of a service agent that it came from; the lead's unless given."
    )
    external_ref: ExternalReference | None = None


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

    account_id: Identifier
    lead_id: Identifier | None = None
    occurred_at: Moment | None = None


class DealStageRequest(StrictModel):
    """The stage that the deal is in now."""

    model_config = examples({"stage": "proposal", "occurred_at": "2026-03-10T15:00:00Z"})

    stage: OpenStage
    occurred_at: Moment | None = None


class DealProposalRequest(StrictModel):
    """When a proposal was sent to the customer."""

    model_config = examples({"occurred_at": "2026-03-12T15:00:00Z"})

    occurred_at: Moment | None = None


class DealPromiseCreate(StrictModel):
    """What is promised: the time, the price in the deal's currency, and a quality beyond the usual."""

    model_config = examples({"deliver_by": "2026-04-15", "price": "2998.50", "quality": "gold"})

    deliver_by: Day
    price: Price | None = Field(default=None, description="The deal's amount when left out.")
    quality: Code | None = None

    def agreed(self) -> Agreed:
        """Return the promise as the aggregate takes it."""
        return Agreed(deliver_by=self.deliver_by, price=self.price, quality=self.quality)


class DealCloseRequest(StrictModel):
    """How the deal ended, and what is promised if it is won."""

    model_config = examples(
        {
            "outcome": "won",
            "reason": "best-service",
            "promise": {"deliver_by": "2026-04-15", "price": "2998.50", "quality": "gold"},
            "occurred_at": "2026-03-31T21:00:00Z",
        }
    )

    outcome: Outcome
    reason: Code | None = None
    promise: DealPromiseCreate | None = None
    occurred_at: Moment | None = None


class DealReopenRequest(StrictModel):
    """When the deal was reopened."""

    model_config = examples({"occurred_at": "2026-04-02T08:00:00Z"})

    occurred_at: Moment | None = None


class DealAmendRequest(Change):
    """What to correct; what is left out stays, null removes a value."""

    model_config = examples(
        {
            "lines": _LINES,
            "owner_id": _OWNER,
            **_PLACE,
            "reason": "best-price",
            "occurred_at": "2026-04-03T08:00:00Z",
        }
    )

    lines: Lines = Field(default_factory=list)
    owner_id: Identifier | None = None
    region: Code | None = None
    segment: Code | None = None
    channel: Code | None = None
    reason: Code | None = Field(default=None, description="Why it was won or lost; only of a closed deal.")
    occurred_at: Moment | None = None


class DealLineRead(ReadModel):
    """One product of a deal; `reporting_amount` is null until the deal is closed."""

    product: str
    quantity: int
    unit_price: DecimalText
    amount: DecimalText
    reporting_amount: DecimalText | None


class FrozenRateRead(ReadModel):
    """The reporting currency for one unit of the deal's, and the day whose rate it is."""

    rate: DecimalText
    on: date


class StageEntryRead(ReadModel):
    """A stage that a deal was in, and its start."""

    stage: Stage
    entered_at: Moment


class DealPromiseRead(ReadModel):
    """What a deal was won with; the price is in the deal's currency."""

    deliver_by: date
    price: DecimalText
    quality: str | None


class DealRead(ReadModel):
    """A deal. Amounts are in `currency`; once it is closed there are those in `reporting_currency` too.

    While it is open, `estimated_reporting_amount` is its worth at the rate of the day of its latest change, where one
    is known. The title is null after its customer's erasure.
    """

    id: UUID
    version: int
    account_id: UUID
    lead_id: UUID | None
    title: str | None
    stage: Stage
    currency: str
    amount: DecimalText
    lines: list[DealLineRead]
    owner_id: UUID | None
    team_id: UUID | None
    region: str | None
    segment: str | None
    channel: str | None
    opened_at: Moment
    expected_close_on: date | None
    closed_at: Moment | None
    close_reason: str | None
    frozen_rate: FrozenRateRead | None
    reporting_currency: str | None
    reporting_amount: DecimalText | None
    estimated_reporting_amount: DecimalText | None
    estimated_currency: str | None
    reopen_count: int
    stage_entries: list[StageEntryRead]
    proposal_sent_at: Moment | None
    proposal_count: int
    promise: DealPromiseRead | None
    upsell_suggestion_id: UUID | None
    external_ref: str | None
    erased_at: Moment | None
    changed_at: Moment

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


_MADE = frozenset({"amount", "lines", "frozen_rate", "reporting_amount", "estimated_reporting_amount", "promise"})
