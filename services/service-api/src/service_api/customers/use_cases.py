"""What can be done with customers: one function a use case, each within its route's transaction."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from event_contracts.service import CustomerRegistered
from service_api.customers.model import Customer
from service_api.customers.schemas import CustomerToRegister
from service_api.directory import announce
from service_kit import outbox
from service_kit.auth import Principal
from service_kit.identifiers import new_id
from service_kit.occurrence import happened_at
from service_kit.references import UnknownReference, require_free


async def register_customer(session: AsyncSession, body: CustomerToRegister, by: Principal) -> Customer:
    """Enters a customer of our own, and its name in the directory. Raises `ExternalRefTaken` (409)."""
    at = happened_at(body.occurred_at, by)
    await require_free(session, body.external_ref, among=Customer.external_ref, ids=Customer.id)
    customer = Customer(
        id=new_id(),
        version=1,
        origin="service",
        name=body.name,
        name_sequence=0,
        account_sequence=0,
        region=body.region,
        segment=body.segment,
        external_ref=body.external_ref,
        registered_at=at,
        erased_at=None,
        merged_into=None,
    )
    session.add(customer)
    event = CustomerRegistered(**customer.state_fields())
    await outbox.write(session, event, sequence=customer.version, time=at, partition_key=customer.id)
    await announce(session, "customer", customer)
    return customer


async def require_customer(session: AsyncSession, customer_id: UUID) -> Customer:
    """The customer that a body names, kept from being erased until the transaction ends.

    Raises `UnknownReference` (422), and `CustomerAlreadyMerged` and `CustomerAlreadyErased` (409).
    Of one whose name came before the account's event nothing is known yet that a ticket could take over.
    """
    return _standing(await _kept(session, customer_id))


async def surviving_customer(session: AsyncSession, customer_id: UUID) -> Customer | None:
    """The customer, or the one that it was merged into, as far as service knows yet; kept from being erased."""
    customer = await _kept(session, customer_id)
    while customer is not None and customer.merged_into is not None:
        into = await _kept(session, customer.merged_into)
        if into is None or into.registered_at is None:
            break
        customer = into
    return customer


async def is_now(session: AsyncSession, customer_id: UUID, other_id: UUID) -> bool:
    """Whether a customer is another one, or was merged into it."""
    survivor = await surviving_customer(session, customer_id)
    return survivor is not None and survivor.id == other_id


async def require_survivor(session: AsyncSession, customer_id: UUID) -> Customer:
    """The customer that stands for the one named, whom sales may have merged. Raises as `require_customer` does."""
    return _standing(await surviving_customer(session, customer_id))


async def _kept(session: AsyncSession, customer_id: UUID) -> Customer | None:
    return await session.get(Customer, customer_id, with_for_update={"read": True, "key_share": True})


def _standing(customer: Customer | None) -> Customer:
    if customer is None or customer.registered_at is None:
        raise UnknownReference.at("#/customer_id", "names no customer that service knows yet")
    customer.check_stands()
    return customer
