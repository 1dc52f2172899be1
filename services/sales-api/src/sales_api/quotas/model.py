"""A quota and its rules."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from uuid import UUID

import sqlalchemy as sa

from event_contracts.sales import Quota as ContractQuota
from event_contracts.sales import QuotaSet, QuotaSetting
from sales_api.amounts import AMOUNT, has_places_of, money
from sales_api.tables import Base
from service_kit.entities import Recorded, column, state_of
from service_kit.identifiers import new_id
from service_kit.occurrence import check_follows
from service_kit.problems import Conflict, Unprocessable
from service_kit.tables import filtered

MAX_DAYS = 366
"""Both its first and its last day counted."""


class QuotaOverlaps(Conflict):
    """The salesperson has a quota for some of these days, which `existing_id` names."""

    slug, title = "quota-overlaps", "The salesperson has a quota for some of these days"


class Quota(Recorded, Base, table="quota"):
    """What a salesperson has to sell from its first to its last day, in the reporting currency."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    rep_id: Annotated[UUID, column(references="rep.id")]
    team_id: Annotated[UUID | None, column(references="team.id")] = None
    period_start: date
    period_end: date
    target: Annotated[Decimal, column(AMOUNT)]
    currency: Annotated[str, column(comment="the reporting currency when it was set")]
    external_ref: Annotated[str | None, column(unique=True)] = None
    set_at: Annotated[datetime, column(comment="when it was last set")]

    __table_args__: ClassVar = (
        sa.Index("quota_rep_id_period_start_idx", "rep_id", "period_start"),
        *filtered("quota", ("team_id",)),
        sa.CheckConstraint(f"period_end >= period_start and period_end - period_start < {MAX_DAYS}", name="period"),
        sa.CheckConstraint("target >= 0", name="target"),
        *filtered("quota", ("period_start", "period_end", "target", "updated_at")),
    )

    @classmethod
    def set(
        cls,
        *,
        rep_id: UUID,
        team_id: UUID | None,
        period_start: date,
        period_end: date,
        target: Decimal,
        currency: str,
        external_ref: str | None,
        at: datetime,
    ) -> tuple["Quota", QuotaSet]:
        """Return a new quota. Raise `Unprocessable` for an impossible period or target."""
        if period_end < period_start:
            raise Unprocessable.at("#/period_end", "is before period_start")
        if (period_end - period_start).days >= MAX_DAYS:
            raise Unprocessable.at("#/period_end", f"makes the period longer than {MAX_DAYS} days")
        _check_target(target, currency)
        quota = cls(
            id=new_id(),
            version=1,
            rep_id=rep_id,
            team_id=team_id,
            period_start=period_start,
            period_end=period_end,
            target=target,
            currency=currency,
            external_ref=external_ref,
            set_at=at,
        )
        return quota, QuotaSet(**quota.state_fields(), change=QuotaSetting(previous_target=None))

    @property
    def partition_key(self) -> UUID:
        """The quota's own id."""
        return self.id

    def change_target(self, target: Decimal, *, at: datetime) -> QuotaSet:
        """Set another target for the same days. Raise `Unprocessable` for an impossible one, `OccurredTooEarly`."""
        _check_target(target, self.currency)
        check_follows(at, self.set_at)
        previous = money(self.target, self.currency)
        self.target = target
        self.version += 1
        self.set_at = at
        return QuotaSet(**self.state_fields(), change=QuotaSetting(previous_target=previous))

    def state_fields(self) -> dict[str, Any]:
        """Return the state that all of its events carry."""
        return state_of(self, ContractQuota, target=money(self.target, self.currency))


def _check_target(target: Decimal, currency: str) -> None:
    if not has_places_of(target, currency):
        raise Unprocessable.at("#/target", f"has more decimal places than {currency}, the reporting currency")
