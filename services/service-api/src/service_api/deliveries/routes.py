"""Deliveries over HTTP."""

from fastapi import Response

from event_contracts.catalogue import SERVICE_TOPIC
from service_api.agents import Agent, AgentRead
from service_api.customers.model import Customer
from service_api.customers.schemas import CustomerRead
from service_api.deliveries import use_cases
from service_api.deliveries.model import Delivery
from service_api.deliveries.schemas import DeliveryCreate, DeliveryRead, DeliveryUpdate
from service_api.teams import Team, TeamRead
from service_kit.fields import Identifier, Moment
from service_kit.history.own_events import OwnEvents
from service_kit.lists.includes import included
from service_kit.resources import Resource
from service_kit.routing import By, Work
from service_kit.versions import Expected

deliveries = Resource(
    "/deliveries/{delivery_id}",
    Delivery.table,
    DeliveryRead,
    view=DeliveryRead.of,
    filters={
        "customer_id": Identifier,
        "deal_id": Identifier,
        "agent_id": Identifier,
        "team_id": Identifier,
        "delivered_at": Moment,
        "accepted_at": Moment,
    },
    sorts=(
        "delivered_at",
        "accepted_at",
    ),
    includes={
        "agent": included("agent_id", Agent.table, AgentRead),
        "team": included("team_id", Team.table, TeamRead),
        "customer": included("customer_id", Customer.table, CustomerRead),
    },
    own_events=OwnEvents(SERVICE_TOPIC, "deliveries", key=("keyed_by", "customer_id")),
)
deliveries.read_routes(list_as="list_deliveries", get_as="get_delivery")


@deliveries.routes.post("", status_code=201, summary="Record an accepted delivery")
async def accept_delivery(body: DeliveryCreate, work: Work, response: Response, by: By) -> DeliveryRead:
    """Record that a customer accepted what was delivered for a won deal, to be compared with the deal's promise."""
    return deliveries.show_created(response, await use_cases.accept_delivery(work, body, by))


@deliveries.routes.patch("/{delivery_id}", summary="Correct a delivery")
async def update_delivery(
    delivery_id: Identifier,
    body: DeliveryUpdate,
    work: Work,
    response: Response,
    by: By,
    expected: Expected,
) -> DeliveryRead:
    """Correct what was recorded wrongly: it is compared with the deal's promise as if it had been recorded so."""
    return deliveries.show(response, await use_cases.update_delivery(work, delivery_id, body, by, expected))
