"""A maintenance plan and the rules by which it goes on from visit to visit; the visits under it."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any, ClassVar
from uuid import UUID

import sqlalchemy as sa

from event_contracts.service import (
    MaintenanceAmended,
    MaintenanceCancelled,
    MaintenanceMissed,
    MaintenanceMoved,
    MaintenancePerformed,
    MaintenancePlanned,
    PlannedMaintenanceAmended,
)
from service_api.attribution import ByAgent, PlannedByAgent
from service_kit.entities import column
from service_kit.identifiers import new_id
from service_kit.planned_work.model import WorkEvents, planned_work
from service_kit.problems import Conflict
from service_kit.tables import filtered, unassigned


class MaintenancePlanEnded(Conflict):
    """Nothing more is to be maintained under the plan."""

    slug, title = "maintenance-plan-ended", "The maintenance plan has ended"


class MaintenancePlan(ByAgent, table="maintenance_plan"):
    """What is to be maintained again and again, and by whom. While it has not ended, one of its visits is planned."""

    __table_args__: ClassVar = (
        sa.CheckConstraint("interval_days > 0", name="interval_days"),
        *filtered("maintenance_plan", ("customer_id", "agent_id", "team_id")),
        *filtered("maintenance_plan", ("product", "next_due_on", "updated_at")),
    )

    product: str | None = None
    interval_days: int
    next_due_on: Annotated[date, column(comment="the last day on which the next maintenance is on time")]
    ended_at: Annotated[datetime | None, column(comment="null while it goes on")] = None

    def require_going_on(self) -> None:
        """Raise `MaintenancePlanEnded` (409) once it has ended."""
        if self.ended_at is not None:
            raise MaintenancePlanEnded("Create another plan for what is to be maintained again.")

    def go_on(self) -> None:
        """Set the next day, one interval on."""
        self.next_due_on += timedelta(days=self.interval_days)
        self.changed()

    def follow(self, was_due_on: date, due_on: date) -> None:
        """Take over the new day of the visit that is next; of another one, nothing changes."""
        if self.next_due_on == was_due_on != due_on:
            self.next_due_on = due_on
            self.changed()

    def end(self, *, at: datetime) -> None:
        """End it. Raise `MaintenancePlanEnded` (409)."""
        self.require_going_on()
        self.ended_at = at
        self.changed()

    def changed(self) -> None:
        """Count a change."""
        self.version += 1
        self.touch()

    def planned_visit(self, *, at: datetime) -> "Maintenance":
        """Return the visit that is next, planned at a time."""
        return self._visit(status="planned", planned_at=at, agent_id=self.agent_id, team_id=self.team_id)

    def done_visit(self, done_by: Mapping[str, Any], *, at: datetime) -> "Maintenance":
        """Return the visit that is next, done at a time by an agent and team."""
        return self._visit(status="done", performed_at=at, **done_by)

    def _visit(self, **columns: Any) -> "Maintenance":
        return Maintenance(
            id=new_id(),
            version=1,
            plan_id=self.id,
            customer_id=self.customer_id,
            region=self.region,
            segment=self.segment,
            product=self.product,
            due_on=self.next_due_on,
            **columns,
        )


class Maintenance(PlannedByAgent, table="maintenance"):
    """One visit or update under a plan, planned or performed."""

    due_field: ClassVar = "due_on"
    done_field: ClassVar = "performed_at"
    events: ClassVar = WorkEvents(
        planned=MaintenancePlanned,
        done=MaintenancePerformed,
        moved=MaintenanceMoved,
        missed=MaintenanceMissed,
        cancelled=MaintenanceCancelled,
        amended=MaintenanceAmended,
        plan_amended=PlannedMaintenanceAmended,
    )

    __table_args__: ClassVar = (
        *filtered("maintenance", ("customer_id", "agent_id", "team_id", "plan_id")),
        unassigned("maintenance", "agent_id", "team_id"),
        *filtered("maintenance", ("product", "due_on", "performed_at", "updated_at")),
        *planned_work("maintenance", "due_on"),
    )

    plan_id: Annotated[UUID, column(references="maintenance_plan.id")]
    product: str | None = None
    due_on: date
    performed_at: Annotated[datetime | None, column(comment="null while it is not done")] = None
