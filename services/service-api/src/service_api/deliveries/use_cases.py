"""The use cases of deliveries, within their route's transaction."""

from uuid import UUID

import sqlalchemy as sa

from service_api.attribution import amendment_of, attribution_of, done_by
from service_api.customers.use_cases import require_survivor
from service_api.deliveries.model import Delivery, DeliveryAlreadyAccepted
from service_api.deliveries.schemas import DeliveryCreate, DeliveryUpdate
from service_api.onboardings.planning import correct_promise, deliver_promise
from service_api.won_deals import WonDeal, require_won_deal
from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.compiled import CompiledStatement
from service_kit.locking import lock
from service_kit.occurrence import happened_at
from service_kit.references import require
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion

_columns = Delivery.table.c
_OF_DEAL = CompiledStatement(sa.select(_columns.id).where(_columns.deal_id == sa.bindparam("deal_id")))


async def accept_delivery(work: UnitOfWork, body: DeliveryCreate, by: Principal) -> Delivery:
    """Record an accepted delivery. Raise `DeliveryAlreadyAccepted` (409) and `UnknownReference` (422)."""
    at = happened_at(body.occurred_at, by)
    deal = await require_won_deal(work, body.deal_id, "#/deal_id")
    if (existing := await _OF_DEAL.one_or_none(work, deal_id=deal.id)) is not None:
        raise DeliveryAlreadyAccepted("Read the delivery that existing_id names.", existing_id=str(existing["id"]))
    customer = await require_survivor(work, deal.customer_id)
    delivery, event = Delivery.accept(
        deal,
        delivered_at=body.delivered_at,
        price=body.price.to_contract(),
        quality_as_agreed=body.quality_as_agreed,
        attribution=attribution_of(customer) | await done_by(work, body.agent_id, body.team_id),
        at=at,
    )
    work.add(delivery)
    publish(work, delivery, event, at)
    await deliver_promise(work, delivery)
    return delivery


async def update_delivery(
    work: UnitOfWork, delivery_id: UUID, body: DeliveryUpdate, by: Principal, expected: ExpectedVersion
) -> Delivery:
    """Correct a delivery; the same again changes nothing. Raise `UnknownReference` (422)."""
    delivery = await lock(work, Delivery, delivery_id, expected)
    at, changes = await amendment_of(work, delivery, body, by, since=delivery.accepted_at, besides=frozenset({"price"}))
    if body.price is not None:
        price = body.price.to_contract()
        given = {"amount": price.amount, "currency": price.currency}
        changes |= {name: value for name, value in given.items() if getattr(delivery, name) != value}
    if changes:
        deal = await require(work, WonDeal, delivery.deal_id, "#")
        publish(work, delivery, delivery.amend(changes, deal), at)
        if "delivered_at" in changes:
            await correct_promise(work, delivery, at)
    return delivery
