"""The form of closed periods and restatements over HTTP."""

from datetime import date
from uuid import UUID

from pydantic import Field

from metrics_worker.periods.model import ClosedPeriod
from metrics_worker.queries.schemas import Amount
from service_kit.fields import Moment, ReadModel


class ClosedPeriodRead(ReadModel):
    """A closed period. Its figures are those of the ledger `as_of`; any KPI can be read with it."""

    id: UUID
    period: str
    start: date = Field(serialization_alias="from")
    end: date = Field(serialization_alias="to")
    as_of: Moment
    closed_at: Moment

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

    value: str | None
    numerator: Amount
    denominator: Amount


class RestatementEventRead(ReadModel):
    """An event recorded after the closing that changed the KPI."""

    event_id: UUID
    subject: str
    event_time: Moment
    recorded_time: Moment


class RestatementRead(ReadModel):
    """A figure of a closed period that has changed since."""

    id: UUID
    kpi: str
    variant: str
    unit: str
    currency: str | None
    as_closed: RestatementFigureRead
    now: RestatementFigureRead
    change: str | None
    """`now` minus `as_closed`; null where either has no value."""
    restated_at: Moment | None
    """When it was last published as `metrics.kpi-restated`; null in the seconds before it is."""
    event_count: int
    events: list[RestatementEventRead]
    """The newest of the events behind it, 10 at most; `explain` leads to all of them."""
    explain: str
