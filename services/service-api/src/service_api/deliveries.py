"""Deliveries: what was delivered for won deals, as customers accepted it."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import Request, Response
from pydantic import ConfigDict, Field
from sqlalchemy.orm import Mapped, mapped_column

from event_contracts.fields import Money as ContractMoney
from event_contracts.service import DeliveryAccepted
from service_api.access import Reader, Worker
from service_api.care import ByAgent, DoneView, attribution_of, done_by, listed, shown, tell
from service_api.customers.use_cases import require_survivor
from service_api.tables import Base
from service_api.won_deals import require_won_deal
from service_kit.fields import Identifier, Moment, Money, MoneyView, StrictModel
from service_kit.identifiers import new_id
from service_kit.occurrence import happened_at
from service_kit.paging import Paged, PageView
from service_kit.problems import Conflict, Unprocessable
from service_kit.routing import Session, router
from service_kit.tables import filtered

Flag = Annotated[bool, Field(strict=True)]


class DeliveryAlreadyAccepted(Conflict):
    """A deal is delivered once; `existing_id` is the delivery's id."""

    slug, title = "delivery-already-accepted", "The deal's delivery was accepted"


class Delivery(ByAgent, Base):
    """What was delivered for a won deal, as the customer accepted it. Never changed."""

    __tablename__ = "delivery"
    __table_args__ = filtered("delivery", ("customer_id", "agent_id", "team_id"))

    deal_id: Mapped[UUID] = mapped_column(sa.ForeignKey("won_deal.id"), unique=True)
    delivered_at: Mapped[datetime]
    accepted_at: Mapped[datetime]
    amount: Mapped[Decimal] = mapped_column(sa.Numeric(16, 4), comment="what the customer had to pay in the end")
    currency: Mapped[str]
    quality_as_agreed: Mapped[bool]

    @property
    def price(self) -> MoneyView:
        """What the customer had to pay in the end."""
        return MoneyView(amount=_exact(self.amount, self.currency).amount, currency=self.currency)


def _exact(amount: Decimal, currency: str) -> ContractMoney:
    return Money(amount=amount, currency=currency).to_contract()


class DeliveryIn(StrictModel):
    """What was delivered, and what the customer said when accepting it; that is when it `occurred_at`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "deal_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a18",
                    "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
                    "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
                    "delivered_at": "2026-04-10T09:00:00Z",
                    "price": {"amount": "1299.00", "currency": "EUR"},
                    "quality_as_agreed": True,
                    "occurred_at": "2026-04-13T15:00:00Z",
                }
            ]
        }
    )

    deal_id: Identifier
    agent_id: Identifier | None = None
    team_id: Identifier | None = Field(default=None, description="The agent's team when left out.")
    delivered_at: Moment | None = Field(default=None, description="When it was accepted, unless given.")
    price: Money = Field(description="What the customer had to pay in the end, in the deal's currency.")
    quality_as_agreed: Flag
    occurred_at: Moment | None = None


class DeliveryView(DoneView):
    """A delivery."""

    deal_id: UUID
    delivered_at: Moment
    accepted_at: Moment
    price: MoneyView
    quality_as_agreed: bool


deliveries = router("/deliveries", "deliveries")


@deliveries.post("", status_code=201, summary="Enter a delivery that was accepted")
async def accept_delivery(body: DeliveryIn, session: Session, response: Response, by: Worker) -> DeliveryView:
    """Enters that a customer accepted what was delivered for a won deal, to be held against the deal's promise."""
    at = happened_at(body.occurred_at, by)
    deal = await require_won_deal(session, body.deal_id, "#/deal_id")
    existing_id = (
        await session.execute(sa.select(Delivery.id).where(Delivery.deal_id == deal.id))
    ).scalar_one_or_none()
    if existing_id is not None:
        raise DeliveryAlreadyAccepted("existing_id names the one that stands.", existing_id=str(existing_id))
    if body.delivered_at is not None and body.delivered_at > at:
        raise Unprocessable.at("#/delivered_at", "is after it was accepted")
    if deal.promised_currency not in (None, body.price.currency):
        raise Unprocessable.at("#/price/currency", f"is not the deal's, {deal.promised_currency}")
    customer = await require_survivor(session, deal.customer_id)
    shared: dict[str, Any] = {
        "id": new_id(),
        "deal_id": deal.id,
        "delivered_at": body.delivered_at or at,
        "accepted_at": at,
        "quality_as_agreed": body.quality_as_agreed,
        **attribution_of(customer),
        **await done_by(session, body.agent_id, body.team_id),
    }
    price = body.price.to_contract()
    delivery = Delivery(version=1, amount=price.amount, currency=price.currency, **shared)
    event = DeliveryAccepted(**shared, price=price, promise=deal.promise)
    await tell(session, delivery, event, at, response, "deliveries")
    return DeliveryView.model_validate(delivery)


@deliveries.get("", summary="List deliveries")
async def list_deliveries(
    session: Session,
    page: Paged,
    _: Reader,
    customer_id: Identifier | None = None,
    deal_id: Identifier | None = None,
    agent_id: Identifier | None = None,
    team_id: Identifier | None = None,
) -> PageView[DeliveryView]:
    """Newest first."""
    filters = {"customer_id": customer_id, "deal_id": deal_id, "agent_id": agent_id, "team_id": team_id}
    return await listed(session, page, Delivery, filters, _view)


@deliveries.get("/{delivery_id}", summary="Read a delivery", response_model=DeliveryView)
async def get_delivery(
    delivery_id: Identifier, session: Session, request: Request, response: Response, _: Reader
) -> DeliveryView | Response:
    """One delivery."""
    return await shown(session, request, response, Delivery, delivery_id, DeliveryView, noun="delivery")


def _view(row: Any) -> DeliveryView:
    price = _exact(row.amount, row.currency)
    columns = {name: getattr(row, name) for name in DeliveryView.model_fields if name != "price"}
    return DeliveryView(**columns, price=MoneyView(amount=price.amount, currency=price.currency))
