"""A maintenance plan and the rule by which it moves on; the maintenance under it."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any, ClassVar
from uuid import UUID

import sqlalchemy as sa

from event_contracts.service import MaintenancePerformed
from service_api.attribution import ByAgent, ForCustomer
from service_kit.entities import column, state_of
from service_kit.identifiers import new_id
from service_kit.tables import filtered, unassigned


class MaintenancePlan(ForCustomer, table="maintenance_plan"):
    """What is to be maintained again and again. `next_due_on` moves on with each maintenance."""

    __table_args__: ClassVar = (
        sa.CheckConstraint("interval_days > 0", name="interval_days"),
        *filtered("maintenance_plan", ("customer_id", "product", "next_due_on", "updated_at")),
    )

    product: str | None = None
    interval_days: int
    next_due_on: Annotated[date, column(comment="the last day on which the next maintenance is on time")]

    def perform(self, *, at: datetime, done_by: dict[str, Any]) -> tuple["Maintenance", MaintenancePerformed]:
        """Record the maintenance that is due next, by the agent and team of `done_by`, and move on to the one after."""
        maintenance = Maintenance(
            id=new_id(),
            version=1,
            plan_id=self.id,
            customer_id=self.customer_id,
            region=self.region,
            segment=self.segment,
            product=self.product,
            due_on=self.next_due_on,
            performed_at=at,
            **done_by,
        )
        self.next_due_on += timedelta(days=self.interval_days)
        self.version += 1
        return maintenance, MaintenancePerformed(**state_of(maintenance, MaintenancePerformed))


class Maintenance(ByAgent, table="maintenance"):
    """One visit or update under a plan. It changes only where it was recorded wrongly."""

    __table_args__: ClassVar = (
        *filtered("maintenance", ("customer_id", "agent_id", "team_id", "plan_id")),
        unassigned("maintenance", "agent_id", "team_id"),
        *filtered("maintenance", ("product", "due_on", "performed_at", "updated_at")),
    )

    plan_id: Annotated[UUID, column(references="maintenance_plan.id")]
    product: str | None = None
    due_on: date
    performed_at: datetime
