"""Maintenance over HTTP."""

from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import Field

from service_api.attribution import DoneRead
from service_kit.fields import Code, Day, Identifier, Moment, ReadModel, StrictModel, examples

IntervalDays = Annotated[int, Field(strict=True, ge=1, le=3_660)]


class MaintenancePlanCreate(StrictModel):
    """A new plan."""

    model_config = examples(
        {
            "customer_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
            "product": "heat-pump-9",
            "interval_days": 182,
            "next_due_on": "2026-06-30",
        }
    )

    customer_id: Identifier
    product: Code | None = None
    interval_days: IntervalDays
    next_due_on: Day


class MaintenancePlanPerformRequest(StrictModel):
    """Who did the plan's next maintenance, and when."""

    model_config = examples(
        {
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
            "occurred_at": "2026-06-24T07:30:00Z",
        }
    )

    agent_id: Identifier | None = None
    team_id: Identifier | None = Field(default=None, description="The agent's team when left out.")
    occurred_at: Moment | None = None


class MaintenancePlanRead(ReadModel):
    """A plan."""

    id: UUID
    version: int
    customer_id: UUID
    region: str | None
    segment: str | None
    product: str | None
    interval_days: int
    next_due_on: date


class MaintenanceRead(DoneRead):
    """One visit or update under a plan."""

    plan_id: UUID
    product: str | None
    due_on: date
    performed_at: Moment
