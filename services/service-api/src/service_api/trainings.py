"""Trainings: what service teaches customers' people, planned or delivered."""

from datetime import UTC, datetime
from typing import Annotated, ClassVar, Self
from uuid import UUID

from fastapi import Response
from pydantic import Field, model_validator

from event_contracts.catalogue import SERVICE_TOPIC
from event_contracts.service import (
    PlannedTrainingAmended,
    TrainingAmended,
    TrainingCancelled,
    TrainingDelivered,
    TrainingMissed,
    TrainingMoved,
    TrainingPlanned,
)
from service_api.agents import Agent, AgentRead
from service_api.attribution import (
    DoneRead,
    OfCustomerUpdate,
    PlannedByAgent,
    PlannedCreate,
    PlannedUpdate,
    WorkDoneRequest,
    amend_work,
    attributed,
    finish_by_agent,
)
from service_api.customers.model import Customer
from service_api.customers.schemas import CustomerRead
from service_api.fields import Attendees, AttendeesRead, ProductOf, ProductOfRead
from service_api.teams import Team, TeamRead
from service_kit.auth import Principal
from service_kit.entities import column
from service_kit.fields import Code, Identifier, Moment, examples
from service_kit.history.own_events import OwnEvents
from service_kit.lists.includes import included
from service_kit.locking import lock
from service_kit.occurrence import happened_at
from service_kit.planned_work.model import WorkEvents, planned_work
from service_kit.planned_work.overdue import overdue
from service_kit.planned_work.routes import planned_work_routes
from service_kit.planned_work.schemas import (
    PlannedWorkRead,
    WorkStatusField,
    is_planned,
)
from service_kit.planned_work.use_cases import add_work, planned_or_done
from service_kit.resources import Resource
from service_kit.routing import By, Work
from service_kit.tables import filtered, unassigned
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import Expected, ExpectedVersion


class Training(PlannedByAgent, table="training"):
    """A training of a customer's people, planned or delivered."""

    due_field: ClassVar = "due_at"
    done_field: ClassVar = "delivered_at"
    events: ClassVar = WorkEvents(
        planned=TrainingPlanned,
        done=TrainingDelivered,
        moved=TrainingMoved,
        missed=TrainingMissed,
        cancelled=TrainingCancelled,
        amended=TrainingAmended,
        plan_amended=PlannedTrainingAmended,
    )

    __table_args__: ClassVar = (
        *filtered("training", ("customer_id", "agent_id", "team_id")),
        unassigned("training", "agent_id", "team_id"),
        *filtered("training", ("product", "due_at", "delivered_at", "updated_at")),
        *planned_work("training", "due_at"),
    )

    product: str | None = None
    attendees: int
    due_at: Annotated[datetime | None, column(comment="null for an unplanned training")] = None
    delivered_at: Annotated[datetime | None, column(comment="null while it is not done")] = None


class TrainingCreate(PlannedCreate):
    """A training that is planned or was delivered."""

    model_config = examples(
        {
            "customer_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
            "product": "heat-pump-9",
            "occurred_at": "2026-03-31T21:00:00Z",
            "attendees": 6,
            "purpose": "renewal",
        },
        {
            "customer_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "status": "planned",
            "due_at": "2026-04-15T09:00:00Z",
            "attendees": 6,
        },
    )

    attendees: Attendees
    due_at: Moment | None = Field(default=None, description="By when it is to be delivered; planned, it has one.")

    @model_validator(mode="after")
    def _planned_has_due_time(self) -> Self:
        if self.status == "planned" and self.due_at is None:
            raise ValueError("give due_at of what is planned")
        return self


class TrainingUpdate(PlannedUpdate, OfCustomerUpdate):
    """What was recorded wrongly of a training."""

    model_config = examples(
        {
            "customer_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
            "region": "baltics",
            "segment": "manufacturing",
            "product": "heat-pump-9",
            "attendees": 7,
            "due_at": "2026-04-01T12:00:00Z",
            "purpose": "renewal",
            "occurred_at": "2026-04-01T08:00:00Z",
        }
    )

    product: ProductOf | None = None
    attendees: Attendees = 0
    due_at: Moment | None = Field(default=None, description="By when it was to be delivered; to plan anew, move it.")


class TrainingDoneRequest(WorkDoneRequest):
    """Who delivered a planned training, when, and to how many."""

    model_config = examples(
        {
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
            "attendees": 5,
            "occurred_at": "2026-03-16T10:00:00Z",
        }
    )

    attendees: Attendees | None = Field(default=None, description="How many came; as many as planned when left out.")


class TrainingRead(DoneRead, PlannedWorkRead):
    """A training."""

    product: ProductOfRead | None
    attendees: AttendeesRead
    due_at: Moment | None
    """By when it is to be delivered, or was; null if there was no such time."""
    delivered_at: Moment | None
    """When it took place; null while it has not."""


trainings = Resource(
    "/trainings/{training_id}",
    Training.table,
    TrainingRead,
    filters={
        "customer_id": Identifier,
        "agent_id": Identifier,
        "team_id": Identifier,
        "product": Code,
        "status": WorkStatusField,
        "purpose": Code,
        "due_at": Moment,
        "delivered_at": Moment,
    },
    more_filters=[overdue(Training.table, "due_at")],
    sorts=("due_at", "delivered_at"),
    includes={
        "agent": included("agent_id", Agent.table, AgentRead),
        "team": included("team_id", Team.table, TeamRead),
        "customer": included("customer_id", Customer.table, CustomerRead),
    },
    own_events=OwnEvents(SERVICE_TOPIC, "trainings", key=("keyed_by", "customer_id")),
)
trainings.read_routes(list_as="list_trainings", get_as="get_training")


@trainings.routes.post("", status_code=201, summary="Plan or record a training")
async def deliver_training(body: TrainingCreate, work: Work, response: Response, by: By) -> TrainingRead:
    """Plan by when a customer's people are to be trained, or record that they were."""
    at = happened_at(body.occurred_at, by)
    planned = is_planned(body.status, body.due_at, body.occurred_at, datetime.now(UTC))
    training = Training(
        version=1,
        **await attributed(work, body),
        product=body.product,
        attendees=body.attendees,
        due_at=body.due_at,
        purpose=body.purpose,
        **planned_or_done(Training, at, planned=planned),
    )
    add_work(work, training, at)
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
    """Correct what was recorded wrongly: it counts as if it had been recorded so, in the same days."""
    training = await lock(work, Training, training_id, expected)
    return trainings.show(response, await amend_work(work, training, body, by))


@trainings.routes.post("/{training_id}/done", summary="Record that a planned training was done")
async def finish_training(
    training_id: Identifier, body: TrainingDoneRequest, work: Work, response: Response, expected: Expected, by: By
) -> TrainingRead:
    """Record that what was planned was done; by its due time it is on time."""
    return trainings.show(response, await _finished(work, training_id, body, by, expected))


planned_work_routes(trainings, Training)


async def _finished(
    work: UnitOfWork, training_id: UUID, body: TrainingDoneRequest, by: Principal, expected: ExpectedVersion
) -> Training:
    came = {} if body.attendees is None else {"attendees": body.attendees}
    return await finish_by_agent(work, Training, training_id, body, by, expected, **came)
