"""A delivery and the rules of its acceptance."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from uuid import UUID

import sqlalchemy as sa

from event_contracts.fields import Money
from event_contracts.service import DeliveryAccepted, DeliveryAmended
from service_api.attribution import ByAgent
from service_kit.entities import amended, column
from service_kit.fields import Money as HttpMoney
from service_kit.identifiers import new_id
from service_kit.problems import Conflict, Unprocessable
from service_kit.tables import filtered, unassigned

if TYPE_CHECKING:
    # Which plans the steps of onboardings, and so knows deliveries.
    from service_api.won_deals import WonDeal


class DeliveryAlreadyAccepted(Conflict):
    """A deal is delivered once; `existing_id` is the delivery's id."""

    slug, title = "delivery-already-accepted", "The deal's delivery was accepted"


class Delivery(ByAgent, table="delivery"):
    """What was delivered for a won deal, as the customer accepted it. It changes only where it was recorded wrongly."""

    __table_args__: ClassVar = (
        *filtered("delivery", ("customer_id", "agent_id", "team_id")),
        unassigned("delivery", "agent_id", "team_id"),
        *filtered("delivery", ("delivered_at", "accepted_at", "updated_at")),
    )

    deal_id: Annotated[UUID, column(references="won_deal.id", unique=True)]
    delivered_at: datetime
    accepted_at: datetime
    amount: Annotated[Decimal, column(sa.Numeric(16, 4), comment="what the customer had to pay in the end")]
    currency: str
    quality_as_agreed: bool

    @classmethod
    def accept(
        cls,
        deal: "WonDeal",
        *,
        delivered_at: datetime | None,
        price: Money,
        quality_as_agreed: bool,
        attribution: dict[str, Any],
        at: datetime,
    ) -> tuple["Delivery", DeliveryAccepted]:
        """Return a new delivery for the deal, with the deal's promise in its event.

        Raise `Unprocessable` for a delivery after its acceptance, and for another currency than the deal's.
        """
        _check(deal, delivered_at, price, at)
        state: dict[str, Any] = {
            "id": new_id(),
            "deal_id": deal.id,
            "delivered_at": delivered_at or at,
            "accepted_at": at,
            "quality_as_agreed": quality_as_agreed,
            **attribution,
        }
        delivery = cls(version=1, amount=price.amount, currency=price.currency, **state)
        return delivery, DeliveryAccepted(**state, price=price, promise=deal.promise)

    def amend(self, changes: Mapping[str, Any], deal: "WonDeal") -> DeliveryAmended:
        """Correct columns by name. Raise as `accept` does."""
        # The column has more decimal places than most currencies.
        price = HttpMoney(
            amount=changes.get("amount", self.amount), currency=changes.get("currency", self.currency)
        ).to_contract()
        _check(deal, changes.get("delivered_at", self.delivered_at), price, self.accepted_at)
        return amended(self, changes, DeliveryAmended, price=price, promise=deal.promise)


def _check(deal: "WonDeal", delivered_at: datetime | None, price: Money, accepted_at: datetime) -> None:
    if delivered_at is not None and delivered_at > accepted_at:
        raise Unprocessable.at("#/delivered_at", "is after it was accepted")
    if deal.promised_currency not in (None, price.currency):
        raise Unprocessable.at("#/price/currency", f"is not the deal's, {deal.promised_currency}")
