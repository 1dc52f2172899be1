"""Check-ins: conversations that service starts before anything is wrong."""

from datetime import date, datetime
from typing import Annotated, ClassVar

from fastapi import Response
from pydantic import Field

from event_contracts.catalogue import SERVICE_TOPIC
from event_contracts.service import CheckInAmended, CheckInCompleted
from service_api.agents import Agent, AgentRead
from service_api.attribution import ByAgent, DoneCreate, DoneRead, DoneUpdate, amend, attributed
from service_api.customers.model import Customer
from service_api.customers.schemas import CustomerRead
from service_api.fields import ProductOf, ProductOfRead
from service_api.teams import Team, TeamRead
from service_kit.aggregates import publish
from service_kit.entities import column
from service_kit.fields import Code, Day, Identifier, Moment, described, examples
from service_kit.history.own_events import OwnEvents
from service_kit.lists.includes import included
from service_kit.occurrence import happened_at
from service_kit.resources import Resource
from service_kit.routing import By, Work
from service_kit.tables import filtered, unassigned
from service_kit.versions import Expected


class CheckIn(ByAgent, table="check_in"):
    """A check-in that took place. It changes only where it was recorded wrongly."""

    __table_args__: ClassVar = (
        *filtered("check_in", ("customer_id", "agent_id", "team_id")),
        unassigned("check_in", "agent_id", "team_id"),
        *filtered("check_in", ("product", "due_on", "completed_at", "updated_at")),
        {"info": {"noun": "check-in"}},
    )

    product: str | None = None
    due_on: Annotated[date | None, column(comment="the last day that it was planned for; null when unplanned")] = None
    completed_at: datetime


class CheckInCreate(DoneCreate):
    """A check-in that took place."""

    model_config = examples(
        {
            "customer_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
            "product": "heat-pump-9",
            "occurred_at": "2026-03-31T21:00:00Z",
            "due_on": "2026-04-15",
        }
    )

    due_on: Day | None = Field(default=None, description="The last day that it was planned for, if it was.")


class CheckInUpdate(DoneUpdate):
    """What was recorded wrongly of a check-in."""

    model_config = examples(
        {
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
            "region": "baltics",
            "segment": "manufacturing",
            "product": "heat-pump-9",
            "due_on": "2026-04-20",
            "occurred_at": "2026-04-01T08:00:00Z",
        }
    )

    product: ProductOf | None = None
    due_on: Day | None = Field(default=None, description="The last day that it was planned for, if it was.")


class CheckInRead(DoneRead):
    """A check-in."""

    product: ProductOfRead | None
    due_on: Annotated[date, described("The last day that it was planned for; null if it was not.", "2026-04-15")] | None
    completed_at: Moment
    """When it took place."""


check_ins = Resource(
    "/check-ins/{check_in_id}",
    CheckIn.table,
    CheckInRead,
    filters={
        "customer_id": Identifier,
        "agent_id": Identifier,
        "team_id": Identifier,
        "product": Code,
        "due_on": Day,
        "completed_at": Moment,
    },
    sorts=(
        "due_on",
        "completed_at",
    ),
    includes={
        "agent": included("agent_id", Agent.table, AgentRead),
        "team": included("team_id", Team.table, TeamRead),
        "customer": included("customer_id", Customer.table, CustomerRead),
    },
    own_events=OwnEvents(SERVICE_TOPIC, "checkins", key=("customer_id",)),
)
check_ins.read_routes(list_as="list_check_ins", get_as="get_check_in")


@check_ins.routes.post("", status_code=201, summary="Record a check-in")
async def complete_check_in(body: CheckInCreate, work: Work, response: Response, by: By) -> CheckInRead:
    """Record that service asked a customer how they are doing."""
    at = happened_at(body.occurred_at, by)
    state = await attributed(work, body) | {"product": body.product, "due_on": body.due_on, "completed_at": at}
    check_in = CheckIn(version=1, **state)
    work.add(check_in)
    publish(work, check_in, CheckInCompleted(**state), at)
    return check_ins.show_created(response, check_in)


@check_ins.routes.patch("/{check_in_id}", summary="Correct a check-in")
async def update_check_in(
    check_in_id: Identifier,
    body: CheckInUpdate,
    work: Work,
    response: Response,
    by: By,
    expected: Expected,
) -> CheckInRead:
    """Correct what was recorded wrongly: it counts as if it had been recorded so, on the same day."""
    return check_ins.show(
        response,
        await amend(work, CheckIn, check_in_id, body, by, expected, event=CheckInAmended, since="completed_at"),
    )
