"""Customers' addresses."""

from typing import Annotated

from fastapi import Depends, Request, Response

from service_api.access import Eraser, Expected, Reader, Worker
from service_api.customers import queries, use_cases
from service_api.customers.erasure import erase_customer as erase
from service_api.customers.model import Customer
from service_api.customers.schemas import CustomerFilters, CustomerToRegister, CustomerView
from service_kit.dependencies import async_dependency
from service_kit.fields import Identifier
from service_kit.paging import Paged, PageView
from service_kit.problems import NotFound
from service_kit.routing import Session, router
from service_kit.versions import set_etag, unchanged

customers = router("/customers", "customers")


@customers.post("", status_code=201, summary="Register a customer")
async def register_customer(body: CustomerToRegister, session: Session, response: Response, by: Worker) -> CustomerView:
    """Enters a customer whom service met first; those of sales come by themselves."""
    customer = await use_cases.register_customer(session, body, by)
    response.headers["Location"] = f"/v1/customers/{customer.id}"
    set_etag(response, customer.version)
    return CustomerView.model_validate(customer)


@customers.get("", summary="List customers")
async def list_customers(
    session: Session,
    page: Paged,
    _: Reader,
    filters: Annotated[CustomerFilters, Depends(async_dependency(CustomerFilters))],
) -> PageView[CustomerView]:
    """Newest first."""
    return await queries.list_customers(session, page, filters)


@customers.get("/{customer_id}", summary="Read a customer", response_model=CustomerView)
async def get_customer(
    customer_id: Identifier, session: Session, request: Request, response: Response, _: Reader
) -> CustomerView | Response:
    """One customer."""
    customer = await session.get(Customer, customer_id)
    if customer is None:
        raise NotFound(f"There is no customer {customer_id}.")
    set_etag(response, customer.version)
    return unchanged(request, customer.version) or CustomerView.model_validate(customer)


@customers.post("/{customer_id}/erase", summary="Erase a customer")
async def erase_customer(
    customer_id: Identifier, session: Session, response: Response, expected: Expected, by: Eraser
) -> CustomerView:
    """Erases who a customer of service's own is, and all that was written of them, for good; the numbers stay.

    One of sales is erased there. Once erased, it stays so.
    """
    customer = await erase(session, customer_id, expected, by)
    set_etag(response, customer.version)
    return CustomerView.model_validate(customer)
