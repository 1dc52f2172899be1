"""The closed period and its figures: their columns, and when a figure is restated."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from event_contracts.metrics import KpiFigure, KpiRestated, PeriodClosed
from metrics_worker.database import Base
from metrics_worker.domain.period import Period
from service_kit.entities import column
from service_kit.identifiers import new_id

Shown = dict[str, Any]
"""A figure as answers show it: `value`, `numerator` and `denominator`."""


class ClosedPeriod(Base, table="closed_period"):
    """A period whose figures are final: a later change of one is published as a restatement."""

    id: Annotated[UUID, column(primary_key=True)]
    name: Annotated[str, column(unique=True, comment="such as 2026-03 or 2026-Q1")]
    first_day: date
    last_day: date
    as_of: Annotated[
        datetime,
        column(comment="the ledger held all that was recorded up to then; the period's figures are as of this moment"),
    ]
    closed_at: datetime

    @classmethod
    def close(cls, name: str, period: Period, *, as_of: datetime, at: datetime) -> "ClosedPeriod":
        """Return a period, closed now."""
        return cls(id=new_id(), name=name, first_day=period.start, last_day=period.end, as_of=as_of, closed_at=at)

    @property
    def period(self) -> Period:
        """Return its days."""
        return Period(self.first_day, self.last_day)

    def event(self) -> PeriodClosed:
        """Return the event of its closing."""
        return PeriodClosed(
            id=self.id,
            period=self.name,
            period_start=self.first_day,
            period_end=self.last_day,
            as_of=self.as_of,
            closed_at=self.closed_at,
        )


class ClosedFigure(Base, table="closed_figure", audited=False):
    """One variant of one KPI in a closed period: as it was closed, and as it was last published."""

    id: Annotated[UUID, column(primary_key=True)]
    period_id: Annotated[UUID, column(references="closed_period.id")]
    kpi: str
    variant: str
    as_closed: Annotated[Shown, column(JSONB)]
    published: Annotated[Shown, column(JSONB, comment="as closed, or as last restated")]
    restated_at: datetime | None
    sequence: Annotated[int, column(comment="the number of restatements published of it")]

    __table_args__ = (sa.UniqueConstraint("period_id", "kpi", "variant"),)

    @classmethod
    def close(cls, closed: ClosedPeriod, kpi: str, variant: str, shown: Shown) -> "ClosedFigure":
        """Return a figure as it is when its period is closed."""
        return cls(
            id=new_id(),
            period_id=closed.id,
            kpi=kpi,
            variant=variant,
            as_closed=shown,
            published=shown,
            restated_at=None,
            sequence=0,
        )

    def restate(self, closed: ClosedPeriod, now: Shown, *, at: datetime) -> KpiRestated | None:
        """Take over the figure of now, and return the event to publish when it differs from the one published last."""
        if now == self.published:
            return None
        self.published = now
        self.restated_at = at
        self.sequence += 1
        return KpiRestated(
            id=self.id,
            period_id=closed.id,
            period=closed.name,
            period_start=closed.first_day,
            period_end=closed.last_day,
            kpi=self.kpi,
            variant=self.variant,
            as_closed=_figure(self.as_closed),
            now=_figure(now),
            as_of=closed.as_of,
            restated_at=at,
        )


def _figure(shown: Shown) -> KpiFigure:
    def exact(amount: Any) -> Decimal | None:
        return None if amount is None else Decimal(amount)

    return KpiFigure(
        value=exact(shown["value"]), numerator=Decimal(shown["numerator"]), denominator=exact(shown["denominator"])
    )
