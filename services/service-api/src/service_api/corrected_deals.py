"""A deal that sales corrected to another account: its onboarding and its delivery are that customer's, too."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from event_contracts.codec import CloudEvent
from event_contracts.sales import Account, Deal
from service_api.attribution import attribution_of
from service_api.customers.model import Customer
from service_api.customers.use_cases import surviving_customer
from service_api.deliveries.model import Delivery
from service_api.tickets.corrections import correct_ticket
from service_api.tickets.model import Ticket
from service_api.won_deals import WonDeal
from service_kit.aggregates import publish
from service_kit.consumer.records import Record
from service_kit.unit_of_work import UnitOfWork, written_durably

_deal: Any = WonDeal.table.c
_ticket: Any = Ticket.table.c
_delivery: Any = Delivery.table.c


def _any_of(name: str) -> Any:
    return sa.any_(sa.bindparam(name, type_=sa.ARRAY(sa.Uuid)))


# A deal may be read before the account that it is with now, which is in another partition: so accounts look, too.
_APART: Final = (
    sa.select(
        _deal.customer_id,
        _deal.id.label("deal_id"),
        _ticket.id.label("ticket_id"),
        _ticket.customer_id.label("of_ticket"),
        _delivery.id.label("delivery_id"),
        _delivery.customer_id.label("of_delivery"),
    )
    .outerjoin(Ticket.table, sa.and_(_ticket.onboarding_deal_id == _deal.id, _ticket.merged_into.is_(None)))
    .outerjoin(Delivery.table, _delivery.deal_id == _deal.id)
    .where(
        _deal.won_at.is_not(None),
        sa.or_(_deal.id == _any_of("deal_ids"), _deal.customer_id == _any_of("customer_ids")),
        sa.or_(_ticket.customer_id != _deal.customer_id, _delivery.customer_id != _deal.customer_id),
    )
    .order_by(_deal.id)
)
_KNOW: Final = insert(Customer.table).on_conflict_do_nothing(index_elements=[Customer.table.c.id])


async def follow_deals(connection: AsyncConnection, records: Sequence[Record[CloudEvent]], process: str) -> None:
    """Correct the onboardings and deliveries of won deals that are with another customer now.

    After `copy_accounts` and `copy_deals` of the same batch.
    """
    events = [record.value for record in records]
    deals = {each.data.id: each for each in events if isinstance(each.data, Deal)}
    customers = {each.data.id for each in events if isinstance(each.data, Account)}
    if not deals and not customers:
        return
    ids = {"deal_ids": sorted(deals), "customer_ids": sorted(customers)}
    apart = (await connection.execute(_APART, ids)).all()
    if not apart:
        return
    # What copies the account waits for this transaction, or this one has waited for it.
    rows = [{"id": id_, "version": 1, "origin": "sales"} for id_ in sorted({row.customer_id for row in apart})]
    await connection.execute(_KNOW, rows)
    for row in apart:
        at = deals[row.deal_id].time if row.deal_id in deals else datetime.now(UTC)
        async with written_durably(connection, process) as work:
            await _follow(work, row, at)


async def _follow(work: UnitOfWork, row: Any, at: datetime) -> None:
    customer = await surviving_customer(work, row.customer_id)
    if customer is None or customer.registered_at is None:
        return
    if row.ticket_id is not None and not await _is_same(work, row.of_ticket, customer):
        ticket = await work.get(Ticket, row.ticket_id, lock="update")
        if ticket is not None and ticket.merged_into is None and ticket.cancelled_at is None:
            await correct_ticket(work, ticket, _changes(ticket, customer), max(at, ticket.changed_at))
    if row.delivery_id is not None and not await _is_same(work, row.of_delivery, customer):
        delivery = await work.get(Delivery, row.delivery_id, lock="no key update")
        deal = await work.get(WonDeal, row.deal_id)
        if delivery is not None and deal is not None:
            delivery.keep_key()
            event = delivery.amend(_changes(delivery, customer), deal)
            publish(work, delivery, event, max(at, delivery.accepted_at))


async def _is_same(work: UnitOfWork, customer_id: UUID, customer: Customer) -> bool:
    now = await surviving_customer(work, customer_id)
    return now is not None and now.id == customer.id


def _changes(record: Ticket | Delivery, customer: Customer) -> dict[str, Any]:
    return {name: value for name, value in attribution_of(customer).items() if getattr(record, name) != value}
