"""Trainings: what service taught customers' people."""

from datetime import datetime
from typing import ClassVar

from fastapi import Response

from event_contracts.catalogue import SERVICE_TOPIC
from event_contracts.service import TrainingAmended, TrainingDelivered
from service_api.agents import Agent, AgentRead
from service_api.attribution import ByAgent, DoneCreate, DoneRead, DoneUpdate, amend, attributed
from service_api.customers.model import Customer
from service_api.customers.schemas import CustomerRead
from service_api.fields import Attendees, AttendeesRead, ProductOf, ProductOfRead
from service_api.teams import Team, TeamRead
from service_kit.aggregates import publish
from service_kit.fields import Code, Identifier, Moment, examples
from service_kit.history.own_events import OwnEvents
from service_kit.lists.includes import included
from service_kit.occurrence import happened_at
from service_kit.resources import Resource
from service_kit.routing import By, Work
from service_kit.tables import filtered, unassigned
from service_kit.versions import Expected


class Training(ByAgent, table="training"):
    """A training of a customer's people. It changes only where it was recorded wrongly."""

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


class TrainingUpdate(DoneUpdate):
    """What was recorded wrongly of a training."""

    model_config = examples(
        {
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
            "region": "baltics",
            "segment": "manufacturing",
            "product": "heat-pump-9",
            "attendees": 7,
            "occurred_at": "2026-04-01T08:00:00Z",
        }
    )

    product: ProductOf | None = None
    attendees: Attendees = 0


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


@trainings.routes.patch("/{training_id}", summary="Correct a training")
async def update_training(
    training_id: Identifier,
    body: TrainingUpdate,
    work: Work,
    response: Response,
    by: By,
    expected: Expected,
) -> TrainingRead:
    """Correct what was recorded wrongly: it counts as if it had been recorded so, on the same day."""
    return trainings.show(
        response,
        await amend(work, Training, training_id, body, by, expected, event=TrainingAmended, since="delivered_at"),
    )
