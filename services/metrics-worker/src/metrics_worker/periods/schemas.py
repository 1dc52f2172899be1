"""The form of closed periods and restatements over HTTP."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from metrics_worker.periods.model import ClosedPeriod
from metrics_worker.queries.fields import (
    Change,
    Denominator,
    Explain,
    FirstDayRead,
    KpiName,
    LastDayRead,
    MoneyCurrency,
    Numerator,
    Unit,
    Value,
    VariantName,
)
from service_kit.fields import Moment, ReadModel, RecordId, described

PeriodName = Annotated[
    str, described("A day, an ISO week 2026-W11, a month 2026-03, a quarter 2026-Q1 or a year.", "2026-Q1")
]


class ClosedPeriodRead(ReadModel):
    """A closed period. Its figures are those of the ledger `as_of`; any KPI can be read with it."""

    id: RecordId
    period: PeriodName
    start: FirstDayRead = Field(serialization_alias="from")
    end: LastDayRead = Field(serialization_alias="to")
    as_of: Annotated[Moment, described("The moment whose ledger its figures come from.", "2026-04-02T06:00:00Z")]
    closed_at: Moment
    """When it was closed."""

    @classmethod
    def of(cls, closed: ClosedPeriod) -> "ClosedPeriodRead":
        """Return the schema of a closed period."""
        return cls(
            id=closed.id,
            period=closed.name,
            start=closed.first_day,
            end=closed.last_day,
            as_of=closed.as_of,
            closed_at=closed.closed_at,
        )


class RestatementFigureRead(ReadModel):
    """A value with its numerator and denominator."""

    value: Value | None
    numerator: Numerator
    denominator: Denominator


class RestatementEventRead(ReadModel):
    """An event recorded after the closing that changed the KPI."""

    event_id: Annotated[UUID, described("Identifies the event.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a21")]
    subject: Annotated[str, described("What it is about.", "deals/01980c8e-7a33-7d60-8f3c-5b1f3b0c9a18")]
    event_time: Moment
    """When it happened in the business."""
    recorded_time: Moment
    """When the service recorded it."""


class RestatementRead(ReadModel):
    """A figure of a closed period that has changed since."""

    id: RecordId
    kpi: KpiName
    variant: VariantName
    unit: Unit
    currency: MoneyCurrency | None
    as_closed: RestatementFigureRead
    """The figure that was given out when the period was closed."""
    now: RestatementFigureRead
    """The figure as the ledger holds it today."""
    change: Change | None
    """`now` minus `as_closed`, in the KPI's unit; null where either has no value."""
    restated_at: Moment | None
    """When it was last published as `metrics.kpi-restated`; null in the seconds before it is."""
    event_count: Annotated[int, described("How many events are behind the change.", 1)]
    events: list[RestatementEventRead]
    """The newest of the events behind it, 10 at most; `explain` leads to all of them."""
    explain: Explain
