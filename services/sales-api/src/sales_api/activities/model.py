"""An activity and the attribution that it takes over."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, get_args
from uuid import UUID

from event_contracts.sales import ActivityAmended, ActivityCompleted, ActivityKind
from sales_api.attribution import Attribution
from sales_api.tables import Base
from service_kit.custom_fields.model import Customized, customized
from service_kit.entities import Recorded, amended, column, state_of
from service_kit.identifiers import new_id
from service_kit.occurrence import check_follows
from service_kit.tables import filtered, one_of, unassigned


class Activity(Customized, Recorded, Base, table="activity"):
    """An activity, with its attribution at that time. It changes only where it was recorded wrongly."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
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
    completed_at: datetime

    __table_args__: ClassVar = (
        *filtered("activity", ("kind", "account_id", "lead_id", "deal_id", "owner_id", "team_id")),
        unassigned("activity", "owner_id", "team_id"),
        one_of("kind", get_args(ActivityKind)),
        *filtered("activity", ("due_at", "completed_at", "updated_at")),
        customized("activities"),
    )

    @classmethod
    def complete(
        cls,
        kind: ActivityKind,
        *,
        account_id: UUID | None,
        lead_id: UUID | None,
        deal_id: UUID | None,
        attribution: Attribution,
        due_at: datetime | None,
        at: datetime,
        custom: Mapping[str, Any] | None = None,
    ) -> tuple["Activity", ActivityCompleted]:
        """Return a new activity, completed `at` a time."""
        activity = cls(
            id=new_id(),
            version=1,
            kind=kind,
            account_id=account_id,
            lead_id=lead_id,
            deal_id=deal_id,
            due_at=due_at,
            completed_at=at,
            **attribution.columns(),
            **(custom or {}),
        )
        return activity, ActivityCompleted(**state_of(activity, ActivityCompleted))

    def amend(self, changes: Mapping[str, Any], *, at: datetime) -> ActivityAmended:
        """Correct columns by name."""
        check_follows(at, self.completed_at)
        return amended(self, changes, ActivityAmended)

    @property
    def partition_key(self) -> UUID:
        """The account's id, or its own without an account."""
        return self.account_id or self.id
