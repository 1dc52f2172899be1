"""The use cases of customers: one function each, within its route's transaction."""

from datetime import UTC, datetime
from uuid import UUID

from service_api.customers.model import Customer
from service_api.customers.schemas import (
    CustomerCreate,
    CustomerLinkRequest,
    CustomerUnlinkRequest,
    CustomerUpdate,
)
from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.custom_fields.queries import changed_custom, new_custom
from service_kit.locking import lock, lock_both
from service_kit.occurrence import happened_at
from service_kit.problems import Unprocessable
from service_kit.references import UnknownReference, is_covered, require_new, unknown
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion


async def register_customer(work: UnitOfWork, body: CustomerCreate, by: Principal) -> Customer:
    """Register a customer of service's own, with its name in the directory. Raise `ExternalRefTaken` (409)."""
    at = happened_at(body.occurred_at, by)
    await require_new(work, Customer, body.external_ref)
    customer, event = Customer.register(
        name=body.name,
        region=body.region,
        segment=body.segment,
        external_ref=body.external_ref,
        at=at,
        custom=await new_custom(work, Customer, body.custom),
    )
    work.add(customer)
    publish(work, customer, event, at)
    publish(work, customer, customer.directory_entry(), datetime.now(UTC))
    return customer


async def update_customer(
    work: UnitOfWork, customer_id: UUID, body: CustomerUpdate, by: Principal, expected: ExpectedVersion
) -> Customer:
    """Change a customer of service's own; the same again changes nothing. Raise `CustomerOfSales` (409) for a copy."""
    customer = await lock(work, Customer, customer_id, expected)
    customer.check_is_own()
    at = happened_at(body.occurred_at, by, after=customer.registered_at)
    changes = body.changed_from(customer, besides=frozenset({"custom", "occurred_at"}))
    changes |= await changed_custom(work, customer, body.custom)
    if not changes:
        return customer
    publish(work, customer, customer.update(changes, at=at), at)
    if "name" in changes:
        publish(work, customer, customer.directory_entry(), datetime.now(UTC))
    return customer


async def link_customer(
    work: UnitOfWork, customer_id: UUID, body: CustomerLinkRequest, expected: ExpectedVersion, by: Principal
) -> Customer:
    """Link a customer of service's own to the one that it is.

    Raise `CustomerOfSales`, `CustomerAlreadyMerged` and `CustomerAlreadyErased` (409), and `UnknownReference` (422).
    """
    if body.into == customer_id:
        raise Unprocessable.at("#/into", "is the customer itself")
    customer, into = await lock_both(work, Customer, customer_id, body.into, expected, pointer="#/into")
    customer.check_is_own()
    if into.registered_at is None:
        # A name may arrive before its account.
        raise UnknownReference.at("#/into", "names no customer that service knows yet")
    at = happened_at(body.occurred_at, by, after=max(customer.registered_at or into.registered_at, into.registered_at))
    publish(work, customer, customer.link(into, at=at), at)
    return customer


async def unlink_customer(
    work: UnitOfWork, customer_id: UUID, body: CustomerUnlinkRequest, expected: ExpectedVersion, by: Principal
) -> Customer:
    """Take a customer's link back.

    Raise `CustomerOfSales`, `CustomerNotLinked` and `CustomerAlreadyErased` (409).
    """
    customer = await lock(work, Customer, customer_id, expected)
    customer.check_is_own()
    at = happened_at(body.occurred_at, by, after=customer.registered_at)
    publish(work, customer, customer.unlink(at=at), at)
    return customer


async def require_customer(work: UnitOfWork, customer_id: UUID) -> Customer:
    """Return the customer that a body names, protected from erasure until the transaction ends.

    Raise `UnknownReference` (422), and `CustomerAlreadyMerged` and `CustomerAlreadyErased` (409).
    """
    customer = await _protected(work, customer_id)
    if customer is not None and not await is_covered(work, customer):
        raise unknown(Customer, "#/customer_id", is_hidden=True)
    return _current(customer)


async def surviving_customer(work: UnitOfWork, customer_id: UUID) -> Customer | None:
    """Return the customer, or the one that it was merged into as far as service knows, protected from erasure."""
    customer = await _protected(work, customer_id)
    while customer is not None and customer.merged_into is not None:
        into = await _protected(work, customer.merged_into)
        if into is None or into.registered_at is None:
            break
        customer = into
    return customer


async def is_now(work: UnitOfWork, customer_id: UUID, other_id: UUID) -> bool:
    """Return whether a customer is another one, or was merged into it."""
    survivor = await surviving_customer(work, customer_id)
    return survivor is not None and survivor.id == other_id


async def require_survivor(work: UnitOfWork, customer_id: UUID) -> Customer:
    """Return the customer, or the one that it was merged into. Raise as `require_customer` does."""
    return _current(await surviving_customer(work, customer_id))


async def _protected(work: UnitOfWork, customer_id: UUID) -> Customer | None:
    return await work.protect(Customer, customer_id)


def _current(customer: Customer | None) -> Customer:
    # A name may arrive before the account: nothing is known then that a ticket could take over.
    if customer is None or customer.registered_at is None:
        raise UnknownReference.at("#/customer_id", "names no customer that service knows yet")
    customer.check_is_current()
    return customer
