"""Trainings: what service taught customers' people."""

from datetime import datetime
from typing import ClassVar

from fastapi import Response

from event_contracts.catalogue import SERVICE_TOPIC
from event_contracts.service import TrainingDelivered
from service_api.agents import Agent, AgentRead
from service_api.attribution import ByAgent, DoneCreate, DoneRead, attributed
from service_api.customers.model import Customer
from service_api.customers.schemas import CustomerRead
from service_api.fields import Attendees, AttendeesRead, ProductOfRead
from service_api.teams import Team, TeamRead
from service_kit.aggregates import publish
from service_kit.fields import Code, Identifier, Moment, examples
from service_kit.history.own_events import OwnEvents
from service_kit.lists.includes import included
from service_kit.occurrence import happened_at
from service_kit.resources import Resource
from service_kit.routing import By, Work
from service_kit.tables import filtered, unassigned


class Training(ByAgent, table="training"):
    """A training of a customer's people. It never changes."""

    __table_args__: ClassVar = (
        *filtered("training", ("customer_id", "agent_id", "team_id")),
        unassigned("training", "agent_id", "team_id"),
        *filtered("training", ("product", "delivered_at", "updated_at")),
    )

    product: str | None = None
    attendees: int
    delivered_at: datetime


class TrainingCreate(DoneCreate):
    """A training that was delivered."""

    model_config = examples(
        {
            "customer_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
            "product": "heat-pump-9",
            "occurred_at": "2026-03-31T21:00:00Z",
            "attendees": 6,
        }
    )

    attendees: Attendees


class TrainingRead(DoneRead):
    """A training."""

    product: ProductOfRead | None
    attendees: AttendeesRead
    delivered_at: Moment
    """When it took place."""


trainings = Resource(
    "/trainings/{training_id}",
    Training.table,
    TrainingRead,
    filters={
        "customer_id": Identifier,
        "agent_id": Identifier,
        "team_id": Identifier,
        "product": Code,
        "delivered_at": Moment,
    },
    sorts=("delivered_at",),
    includes={
        "agent": included("agent_id", Agent.table, AgentRead),
        "team": included("team_id", Team.table, TeamRead),
        "customer": included("customer_id", Customer.table, CustomerRead),
    },
    own_events=OwnEvents(SERVICE_TOPIC, "trainings", key=("customer_id",)),
)
trainings.read_routes(list_as="list_trainings", get_as="get_training")


@trainings.routes.post("", status_code=201, summary="Record a training")
async def deliver_training(body: TrainingCreate, work: Work, response: Response, by: By) -> TrainingRead:
    """Record that a customer's people were trained."""
    at = happened_at(body.occurred_at, by)
    state = await attributed(work, body)
    state |= {"product": body.product, "attendees": body.attendees, "delivered_at": at}
    training = Training(version=1, **state)
    work.add(training)
    publish(work, training, TrainingDelivered(**state), at)
    return trainings.show_created(response, training)
