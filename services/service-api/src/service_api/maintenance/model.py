"""A maintenance plan and the rule by which it moves on; the maintenance under it."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from event_contracts.service import MaintenancePerformed
from service_api.attribution import ByAgent, ForCustomer
from service_api.tables import Base
from service_kit.aggregates import state_of
from service_kit.identifiers import new_id
from service_kit.tables import filtered


class MaintenancePlan(ForCustomer, Base):
    """What is to be maintained again and again. `next_due_on` moves on with each maintenance."""

    __tablename__ = "maintenance_plan"
    __table_args__ = (
        sa.CheckConstraint("interval_days > 0", name="interval_days"),
        *filtered("maintenance_plan", ("customer_id",)),
    )

    product: Mapped[str | None]
    interval_days: Mapped[int]
    next_due_on: Mapped[date] = mapped_column(comment="the last day on which the next maintenance is on time")

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


class Maintenance(ByAgent, Base):
    """One visit or update under a plan. It never changes."""

    __tablename__ = "maintenance"
    __table_args__ = filtered("maintenance", ("customer_id", "agent_id", "team_id", "plan_id"))

    plan_id: Mapped[UUID] = mapped_column(sa.ForeignKey("maintenance_plan.id"))
    product: Mapped[str | None]
    due_on: Mapped[date]
    performed_at: Mapped[datetime]
