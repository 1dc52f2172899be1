"""Maintenance: plans by which a customer's equipment is looked after, and what was done under them."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import Request, Response
from pydantic import ConfigDict, Field
from sqlalchemy.orm import Mapped, mapped_column

from event_contracts.service import MaintenancePerformed
from service_api.access import Expected, Manager, Reader, Worker
from service_api.care import ByAgent, DoneView, ForCustomer, attribution_of, done_by, listed, shown, tell
from service_api.customers.use_cases import require_customer
from service_api.tables import Base
from service_kit.fields import Code, Day, Identifier, Moment, StrictModel, View
from service_kit.identifiers import new_id
from service_kit.locking import locked
from service_kit.occurrence import happened_at
from service_kit.paging import Paged, PageView
from service_kit.problems import NotFound
from service_kit.routing import Session, router
from service_kit.tables import filtered
from service_kit.versions import set_etag

IntervalDays = Annotated[int, Field(strict=True, ge=1, le=3_660)]


class MaintenancePlan(ForCustomer, Base):
    """What is to be looked after again and again. `next_due_on` moves on with each time that it was."""

    __tablename__ = "maintenance_plan"
    __table_args__ = (
        sa.CheckConstraint("interval_days > 0", name="interval_days"),
        *filtered("maintenance_plan", ("customer_id",)),
    )

    product: Mapped[str | None]
    interval_days: Mapped[int]
    next_due_on: Mapped[date] = mapped_column(comment="the last day on which the next time is in time")

    def perform(self) -> date:
        """Moves on to the next time, and returns by when this one was due."""
        due_on = self.next_due_on
        self.next_due_on = due_on + timedelta(days=self.interval_days)
        self.version += 1
        return due_on


class Maintenance(ByAgent, Base):
    """One visit or update under a plan. Never changed."""

    __tablename__ = "maintenance"
    __table_args__ = filtered("maintenance", ("customer_id", "agent_id", "team_id", "plan_id"))

    plan_id: Mapped[UUID] = mapped_column(sa.ForeignKey("maintenance_plan.id"))
    product: Mapped[str | None]
    due_on: Mapped[date]
    performed_at: Mapped[datetime]


class MaintenancePlanIn(StrictModel):
    """A new plan."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
                    "product": "heat-pump-9",
                    "interval_days": 182,
                    "next_due_on": "2026-06-30",
                }
            ]
        }
    )

    customer_id: Identifier
    product: Code | None = None
    interval_days: IntervalDays
    next_due_on: Day


class MaintenanceIn(StrictModel):
    """That the plan's next maintenance was done, and by whom."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
                    "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
                    "occurred_at": "2026-06-24T07:30:00Z",
                }
            ]
        }
    )

    agent_id: Identifier | None = None
    team_id: Identifier | None = Field(default=None, description="The agent's team when left out.")
    occurred_at: Moment | None = None


class MaintenancePlanView(View):
    """A plan."""

    id: UUID
    version: int
    customer_id: UUID
    region: str | None
    segment: str | None
    product: str | None
    interval_days: int
    next_due_on: date


class MaintenanceView(DoneView):
    """What was done under a plan."""

    plan_id: UUID
    product: str | None
    due_on: date
    performed_at: Moment


maintenance_plans = router("/maintenance-plans", "maintenance")
maintenance = router("/maintenance", "maintenance")


@maintenance_plans.post("", status_code=201, summary="Create a maintenance plan")
async def create_maintenance_plan(
    body: MaintenancePlanIn, session: Session, response: Response, _: Manager
) -> MaintenancePlanView:
    """Says what is to be looked after, how often, and by when first."""
    customer = await require_customer(session, body.customer_id)
    plan = MaintenancePlan(
        id=new_id(),
        version=1,
        **attribution_of(customer),
        product=body.product,
        interval_days=body.interval_days,
        next_due_on=body.next_due_on,
    )
    session.add(plan)
    await session.flush()
    response.headers["Location"] = f"/v1/maintenance-plans/{plan.id}"
    set_etag(response, plan.version)
    return MaintenancePlanView.model_validate(plan)


@maintenance_plans.post("/{plan_id}/perform", status_code=201, summary="Enter maintenance that was done")
async def perform_maintenance(
    plan_id: Identifier, body: MaintenanceIn, session: Session, response: Response, expected: Expected, by: Worker
) -> MaintenanceView:
    """Enters that what the plan asks for next was done. If-Match is about the plan, which moves on to its next day."""
    plan = await locked(session, MaintenancePlan, plan_id)
    if plan is None:
        raise NotFound(f"There is no maintenance plan {plan_id}.")
    expected.check(plan.version)
    at = happened_at(body.occurred_at, by)
    state: dict[str, Any] = {
        "id": new_id(),
        "plan_id": plan.id,
        "customer_id": plan.customer_id,
        "region": plan.region,
        "segment": plan.segment,
        "product": plan.product,
        "due_on": plan.perform(),
        "performed_at": at,
        **await done_by(session, body.agent_id, body.team_id),
    }
    done = Maintenance(version=1, **state)
    await tell(session, done, MaintenancePerformed(**state), at, response, "maintenance")
    return MaintenanceView.model_validate(done)


@maintenance_plans.get("", summary="List maintenance plans")
async def list_maintenance_plans(
    session: Session,
    page: Paged,
    _: Reader,
    customer_id: Identifier | None = None,
) -> PageView[MaintenancePlanView]:
    """Newest first."""
    filters = {"customer_id": customer_id}
    return await listed(session, page, MaintenancePlan, filters, MaintenancePlanView.model_validate)


@maintenance_plans.get("/{plan_id}", summary="Read a maintenance plan", response_model=MaintenancePlanView)
async def get_maintenance_plan(
    plan_id: Identifier, session: Session, request: Request, response: Response, _: Reader
) -> MaintenancePlanView | Response:
    """One maintenance plan."""
    return await shown(
        session, request, response, MaintenancePlan, plan_id, MaintenancePlanView, noun="maintenance plan"
    )


@maintenance.get("", summary="List maintenance that was done")
async def list_maintenance(
    session: Session,
    page: Paged,
    _: Reader,
    customer_id: Identifier | None = None,
    agent_id: Identifier | None = None,
    team_id: Identifier | None = None,
    plan_id: Identifier | None = None,
) -> PageView[MaintenanceView]:
    """Newest first."""
    filters = {"customer_id": customer_id, "agent_id": agent_id, "team_id": team_id, "plan_id": plan_id}
    return await listed(session, page, Maintenance, filters, MaintenanceView.model_validate)


@maintenance.get("/{maintenance_id}", summary="Read maintenance that was done", response_model=MaintenanceView)
async def get_maintenance(
    maintenance_id: Identifier, session: Session, request: Request, response: Response, _: Reader
) -> MaintenanceView | Response:
    """What was done at one time."""
    return await shown(session, request, response, Maintenance, maintenance_id, MaintenanceView, noun="maintenance")
