"""Deliveries over HTTP."""

from typing import Any
from uuid import UUID

from pydantic import Field, StrictBool

from service_api.attribution import DoneRead
from service_kit.fields import Identifier, Moment, Money, MoneyRead, StrictModel, examples


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

    deal_id: Identifier
    agent_id: Identifier | None = None
    team_id: Identifier | None = Field(default=None, description="The agent's team when left out.")
    delivered_at: Moment | None = Field(default=None, description="When it was accepted, unless given.")
    price: Money = Field(description="What the customer had to pay in the end, in the deal's currency.")
    quality_as_agreed: StrictBool
    occurred_at: Moment | None = None


class DeliveryRead(DoneRead):
    """A delivery."""

    deal_id: UUID
    delivered_at: Moment
    accepted_at: Moment
    price: MoneyRead
    quality_as_agreed: bool

    @classmethod
    def of(cls, delivery: Any) -> "DeliveryRead":
        """Return the view of a delivery, or of a row with its columns."""
        columns = {name: getattr(delivery, name) for name in cls.model_fields if name != "price"}
        # The column has more decimal places than most currencies.
        price = Money(amount=delivery.amount, currency=delivery.currency).to_contract()
        return cls(**columns, price=MoneyRead(amount=price.amount, currency=price.currency))
