"""Maintenance over HTTP."""

from datetime import date
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from service_api.attribution import DoneRead, PlannedUpdate
from service_api.fields import (
    AgentId,
    AgentIdRead,
    CustomerId,
    CustomerIdRead,
    ProductOf,
    ProductOfRead,
    Region,
    RegionRead,
    Segment,
    SegmentRead,
    TeamId,
    TeamIdRead,
)
from service_kit.changes import Change
from service_kit.fields import (
    Day,
    Moment,
    OccurredAt,
    ReadModel,
    RecordId,
    StrictModel,
    UpdatedAt,
    Version,
    described,
    examples,
)
from service_kit.planned_work.schemas import PlannedWorkRead

_INTERVAL = described("Days from one maintenance to the next.", 182)
_NEXT_DUE = described("The last day for the next maintenance.", "2026-06-30")
IntervalDays = Annotated[int, Field(strict=True, ge=1, le=3_660), _INTERVAL]


class MaintenancePlanCreate(StrictModel):
    """A new plan."""

    model_config = examples(
        {
            "customer_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
            "product": "heat-pump-9",
            "interval_days": 182,
            "next_due_on": "2026-06-30",
        }
    )

    customer_id: CustomerId
    agent_id: AgentId | None = Field(default=None, description="Whose visits they are.")
    team_id: TeamId | None = Field(default=None, description="The agent's team when left out.")
    product: ProductOf | None = None
    interval_days: IntervalDays
    next_due_on: Annotated[Day, _NEXT_DUE]


class MaintenancePlanPerformRequest(StrictModel):
    """Who did the plan's next maintenance, and when."""

    model_config = examples(
        {
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
            "occurred_at": "2026-06-24T07:30:00Z",
        }
    )

    agent_id: AgentId | None = None
    team_id: TeamId | None = Field(default=None, description="The agent's team when left out.")
    occurred_at: OccurredAt | None = None


class MaintenancePlanEndRequest(StrictModel):
    """Since when nothing more is to be maintained under the plan."""

    model_config = examples({"occurred_at": "2026-06-24T07:30:00Z"})

    occurred_at: OccurredAt | None = None


class MaintenancePlanUpdate(Change):
    """What to change of a plan; what is left out stays, null removes a value."""

    elsewhere: ClassVar = {"customer_id": "stays as it is: end the plan, and make one for the right customer"}
    model_config = examples(
        {
            "region": "baltics",
            "segment": "manufacturing",
            "product": "heat-pump-9",
            "interval_days": 365,
            "next_due_on": "2026-07-15",
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
        }
    )

    region: Region | None = None
    """The customer's region, by its code."""
    segment: Segment | None = None
    """The customer's segment, by its code."""
    product: ProductOf | None = None
    interval_days: IntervalDays = 1
    next_due_on: Annotated[Day, _NEXT_DUE] = Field(default_factory=date.today)
    agent_id: AgentId | None = Field(default=None, description="Whose visits they are.")
    team_id: TeamId | None = Field(default=None, description="The team of the given agent when left out.")


class MaintenanceUpdate(PlannedUpdate):
    """What was recorded wrongly of maintenance."""

    elsewhere: ClassVar = {"customer_id": "is that of its plan: end it, and make a plan for the right customer"}
    model_config = examples(
        {
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
            "region": "baltics",
            "segment": "manufacturing",
            "product": "heat-pump-9",
            "due_on": "2026-06-30",
            "purpose": "renewal",
            "occurred_at": "2026-06-25T08:00:00Z",
        }
    )

    product: ProductOf | None = None
    due_on: Annotated[Day, described("The last day that the plan had set for it.", "2026-06-30")] = Field(
        default_factory=date.today
    )


class MaintenancePlanRead(ReadModel):
    """A plan."""

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    customer_id: CustomerIdRead
    region: RegionRead | None
    """The customer's region, by its code."""
    segment: SegmentRead | None
    """The customer's segment, by its code."""
    product: ProductOfRead | None
    interval_days: Annotated[int, _INTERVAL]
    next_due_on: Annotated[date, _NEXT_DUE]
    agent_id: AgentIdRead | None
    team_id: TeamIdRead | None
    ended_at: Moment | None = Field(examples=[None])
    """Since when nothing more is maintained under it; null while it goes on."""


class MaintenanceRead(DoneRead, PlannedWorkRead):
    """One visit or update under a plan."""

    plan_id: Annotated[UUID, described("The plan that asked for it.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a19")]
    product: ProductOfRead | None
    due_on: Annotated[date, described("The last day that the plan had set for it.", "2026-06-30")]
    performed_at: Moment | None
    """When it was done; null while it is not."""
