"""The use case of deliveries, within its route's transaction."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from service_api.attribution import attribution_of, done_by
from service_api.customers.use_cases import require_survivor
from service_api.deliveries.model import Delivery, DeliveryAlreadyAccepted
from service_api.deliveries.schemas import DeliveryCreate
from service_api.won_deals import require_won_deal
from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.occurrence import happened_at


async def accept_delivery(session: AsyncSession, body: DeliveryCreate, by: Principal) -> Delivery:
    """Record an accepted delivery. Raise `DeliveryAlreadyAccepted` (409) and `UnknownReference` (422)."""
    at = happened_at(body.occurred_at, by)
    deal = await require_won_deal(session, body.deal_id, "#/deal_id")
    existing = await session.execute(sa.select(Delivery.id).where(Delivery.deal_id == deal.id))
    if (existing_id := existing.scalar_one_or_none()) is not None:
        raise DeliveryAlreadyAccepted("Read the delivery that existing_id names.", existing_id=str(existing_id))
    customer = await require_survivor(session, deal.customer_id)
    delivery, event = Delivery.accept(
        deal,
        delivered_at=body.delivered_at,
        price=body.price.to_contract(),
        quality_as_agreed=body.quality_as_agreed,
        attribution=attribution_of(customer) | await done_by(session, body.agent_id, body.team_id),
        at=at,
    )
    session.add(delivery)
    await publish(session, delivery, event, at)
    return delivery
