"""An activity, planned or done, and the attribution that it takes over."""

from datetime import datetime
from typing import Annotated, ClassVar, get_args
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from event_contracts.sales import (
    ActivityAmended,
    ActivityCancelled,
    ActivityCompleted,
    ActivityKind,
    ActivityMissed,
    ActivityMoved,
    ActivityPlanned,
    PlannedActivityAmended,
)
from sales_api.tables import Base
from service_kit.custom_fields.model import Customized, customized
from service_kit.entities import OfCustomer, column
from service_kit.planned_work.model import WorkEvents, planned_work
from service_kit.planned_work.rules import RuledWork, ruled_work
from service_kit.tables import filtered, one_of, unassigned


class Activity(Customized, OfCustomer, RuledWork, Base, table="activity"):
    """What a salesperson does for a lead, a deal or a customer, with its attribution at the time of recording."""

    due_field: ClassVar = "due_at"
    done_field: ClassVar = "completed_at"
    events: ClassVar = WorkEvents(
        planned=ActivityPlanned,
        done=ActivityCompleted,
        moved=ActivityMoved,
        missed=ActivityMissed,
        cancelled=ActivityCancelled,
        amended=ActivityAmended,
        plan_amended=PlannedActivityAmended,
    )

    kind: ActivityKind
    account_id: Annotated[UUID | None, column(references="account.id")] = None
    lead_id: Annotated[UUID | None, column(references="lead.id")] = None
    deal_id: Annotated[UUID | None, column(references="deal.id")] = None
    owner_id: Annotated[UUID | None, column(references="rep.id")] = None
    team_id: Annotated[UUID | None, column(references="team.id")] = None
    region: str | None = None
    segment: str | None = None
    channel: str | None = None
    due_at: Annotated[datetime | None, column(comment="null for an unplanned activity")] = None
    completed_at: Annotated[datetime | None, column(comment="null while it is not done")] = None
    agreed_with_customer: Annotated[
        bool, column(server_default=sa.text("false"), comment="they count on it at its due time")
    ] = False
    reasons: Annotated[
        list[str] | None, column(ARRAY(sa.Text), comment="why the customer is at risk; null for all else")
    ] = None

    __table_args__: ClassVar = (
        *filtered("activity", ("kind", "account_id", "lead_id", "deal_id", "owner_id", "team_id")),
        unassigned("activity", "owner_id", "team_id"),
        one_of("kind", get_args(ActivityKind)),
        *filtered("activity", ("due_at", "completed_at", "updated_at")),
        *planned_work("activity", "due_at"),
        *ruled_work("activity"),
        customized("activities"),
    )

    @property
    def partition_key(self) -> UUID:
        """The id of the account, or of the one that it was recorded under, or its own without an account."""
        return self.keyed_by or self.account_id or self.id
