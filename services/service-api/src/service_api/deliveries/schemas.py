"""Deliveries over HTTP."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from pydantic import Field, StrictBool

from service_api.attribution import DoneRead, DoneUpdate
from service_api.fields import AgentId, DealId, DealIdRead, TeamId
from service_kit.fields import Moment, Money, MoneyRead, OccurredAt, StrictModel, examples


class DeliveryCreate(StrictModel):
    """What was delivered, and the customer's rating at its acceptance, the moment of which is `occurred_at`."""

    model_config = examples(
        {
            "deal_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a18",
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
            "delivered_at": "2026-04-10T09:00:00Z",
            "price": {"amount": "1299.00", "currency": "EUR"},
            "quality_as_agreed": True,
            "occurred_at": "2026-04-13T15:00:00Z",
        }
    )

    deal_id: DealId
    agent_id: AgentId | None = None
    team_id: TeamId | None = Field(default=None, description="The agent's team when left out.")
    delivered_at: Moment | None = Field(default=None, description="When it was accepted, unless given.")
    price: Money = Field(description="What the customer had to pay in the end, in the deal's currency.")
    quality_as_agreed: StrictBool
    """Whether the customer got the quality that the deal promises."""
    occurred_at: OccurredAt | None = None


class DeliveryUpdate(DoneUpdate):
    """What was recorded wrongly of a delivery."""

    elsewhere: ClassVar = {"customer_id": "is that of its deal: correct the account of the deal in sales"}
    model_config = examples(
        {
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
            "region": "baltics",
            "segment": "manufacturing",
            "delivered_at": "2026-04-11T09:00:00Z",
            "price": {"amount": "1250.00", "currency": "EUR"},
            "quality_as_agreed": False,
            "occurred_at": "2026-04-14T08:00:00Z",
        }
    )

    delivered_at: Moment = Field(default_factory=lambda: datetime.now(UTC))
    """When it reached the customer."""
    price: Money | None = Field(
        default=None, description="What the customer had to pay in the end, in the deal's currency."
    )
    quality_as_agreed: StrictBool = True
    """Whether the customer got the quality that the deal promises."""


class DeliveryRead(DoneRead):
    """A delivery."""

    deal_id: DealIdRead
    delivered_at: Moment
    """When it reached the customer."""
    accepted_at: Moment
    """When the customer accepted it."""
    price: MoneyRead
    """What the customer had to pay in the end, in the deal's currency."""
    quality_as_agreed: bool
    """Whether the customer got the quality that the deal promises."""

    @classmethod
    def of(cls, delivery: Any) -> "DeliveryRead":
        """Return the view of a delivery, or of a row with its columns."""
        columns = {name: getattr(delivery, name) for name in cls.model_fields if name != "price"}
        # The column has more decimal places than most currencies.
        price = Money(amount=delivery.amount, currency=delivery.currency).to_contract()
        return cls(**columns, price=MoneyRead(amount=price.amount, currency=price.currency))
