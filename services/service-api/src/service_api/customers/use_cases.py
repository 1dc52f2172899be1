"""The use cases of customers: one function each, within its route's transaction."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from service_api.customers.model import Customer
from service_api.customers.schemas import CustomerCreate
from service_api.directory import publish_name
from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.occurrence import happened_at
from service_kit.references import UnknownReference, require_free


async def register_customer(session: AsyncSession, body: CustomerCreate, by: Principal) -> Customer:
    """Register a customer of service's own, with its name in the directory. Raise `ExternalRefTaken` (409)."""
    at = happened_at(body.occurred_at, by)
    await require_free(session, body.external_ref, among=Customer.external_ref, ids=Customer.id)
    customer, event = Customer.register(
        name=body.name, region=body.region, segment=body.segment, external_ref=body.external_ref, at=at
    )
    session.add(customer)
    await publish(session, customer, event, at)
    await publish_name(session, "customer", customer)
    return customer


async def require_customer(session: AsyncSession, customer_id: UUID) -> Customer:
    """Return the customer that a body names, protected from erasure until the transaction ends.

    Raise `UnknownReference` (422), and `CustomerAlreadyMerged` and `CustomerAlreadyErased` (409).
    """
    return _current(await _protected(session, customer_id))


async def surviving_customer(session: AsyncSession, customer_id: UUID) -> Customer | None:
    """Return the customer, or the one that it was merged into as far as service knows, protected from erasure."""
    customer = await _protected(session, customer_id)
    while customer is not None and customer.merged_into is not None:
        into = await _protected(session, customer.merged_into)
        if into is None or into.registered_at is None:
            break
        customer = into
    return customer


async def is_now(session: AsyncSession, customer_id: UUID, other_id: UUID) -> bool:
    """Return whether a customer is another one, or was merged into it."""
    survivor = await surviving_customer(session, customer_id)
    return survivor is not None and survivor.id == other_id


async def require_survivor(session: AsyncSession, customer_id: UUID) -> Customer:
    """Return the customer, or the one that sales merged it into. Raise as `require_customer` does."""
    return _current(await surviving_customer(session, customer_id))


async def _protected(session: AsyncSession, customer_id: UUID) -> Customer | None:
    return await session.get(Customer, customer_id, with_for_update={"read": True, "key_share": True})


def _current(customer: Customer | None) -> Customer:
    # A name may arrive before the account: nothing is known then that a ticket could take over.
    if customer is None or customer.registered_at is None:
        raise UnknownReference.at("#/customer_id", "names no customer that service knows yet")
    customer.check_is_current()
    return customer
