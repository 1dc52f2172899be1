"""Customers over HTTP."""

from fastapi import Response

from event_contracts.catalogue import SERVICE_TOPIC
from service_api.customers import erasure, use_cases
from service_api.customers.model import Customer, Origin
from service_api.customers.schemas import (
    CustomerCreate,
    CustomerLinkRequest,
    CustomerRead,
    CustomerUnlinkRequest,
    CustomerUpdate,
)
from service_api.tickets.model import Ticket
from service_api.tickets.schemas import TicketRead
from service_api.timeline import TIMELINE
from service_kit.fields import Code, ExternalReference, Identifier, Moment
from service_kit.history.own_events import OwnEvents
from service_kit.lists.includes import newest_included
from service_kit.resources import Resource
from service_kit.routing import By, Work
from service_kit.versions import Expected

customers = Resource(
    "/customers/{customer_id}",
    Customer.table,
    CustomerRead,
    filters={
        "origin": Origin,
        "region": Code,
        "segment": Code,
        "external_ref": ExternalReference,
        "merged_into": Identifier,
        "registered_at": Moment,
    },
    sorts=(
        "name",
        "registered_at",
    ),
    includes={
        "last_ticket": newest_included(Ticket.table, "customer_id", TicketRead),
    },
    own_events=OwnEvents(SERVICE_TOPIC, "customers", named="customer"),
)
customers.read_routes(list_as="list_customers", get_as="get_customer")
customers.timeline_route(TIMELINE, "get_customer_timeline")


@customers.routes.post("", status_code=201, summary="Register a customer")
async def register_customer(body: CustomerCreate, work: Work, response: Response, by: By) -> CustomerRead:
    """Register a customer that service met first; customers of sales arrive by themselves."""
    return customers.show_created(response, await use_cases.register_customer(work, body, by))


@customers.routes.patch("/{customer_id}", summary="Change a customer")
async def update_customer(
    customer_id: Identifier, body: CustomerUpdate, work: Work, response: Response, expected: Expected, by: By
) -> CustomerRead:
    """Change the name, region or segment of a customer of service's own. A customer of sales is changed there.

    What was recorded of them before keeps the region and segment that they had then.
    """
    return customers.show(response, await use_cases.update_customer(work, customer_id, body, by, expected))


@customers.routes.post("/{customer_id}/link", summary="Link a customer to another")
async def link_customer(
    customer_id: Identifier, body: CustomerLinkRequest, work: Work, response: Response, expected: Expected, by: By
) -> CustomerRead:
    """Make a customer of service's own one with a customer of sales or service; every number counts them as one.

    What names this customer stays as it is, and counts for that one; what is new is entered for that one.
    """
    return customers.show(response, await use_cases.link_customer(work, customer_id, body, expected, by))


@customers.routes.post("/{customer_id}/unlink", summary="Take a customer's link back")
async def unlink_customer(
    customer_id: Identifier, body: CustomerUnlinkRequest, work: Work, response: Response, expected: Expected, by: By
) -> CustomerRead:
    """Make a linked customer one of its own again: every number is as if it had never been linked.

    What names this customer comes back with it. What was recorded under the other one meanwhile stays there.
    """
    return customers.show(response, await use_cases.unlink_customer(work, customer_id, body, expected, by))


@customers.routes.post("/{customer_id}/erase", summary="Erase a customer")
async def erase_customer(
    customer_id: Identifier, work: Work, response: Response, expected: Expected, by: By
) -> CustomerRead:
    """Erase who a customer of service's own is, and all that was written about them, for good; the numbers stay.

    The customers linked to it are erased with it. A customer of sales is erased there. Erasing again changes nothing.
    """
    return customers.show(response, await erasure.erase_customer(work, customer_id, expected, by))
