"""The form of targets over HTTP."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from pydantic import ConfigDict, model_validator

from metrics_worker.domain.period import Interval
from service_kit.fields import Day, DecimalText, Moment, ReadModel, StrictModel


class TargetSetRequest(StrictModel):
    """The value to reach, in the KPI's unit: in each calendar `period`, or `since` a day."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"value": "250000.00", "period": "quarter"}, {"value": "0.6", "since": "2026-01-01"}]
        }
    )

    value: DecimalText
    period: Interval | None = None
    since: Day | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "TargetSetRequest":
        if (self.period is None) == (self.since is None):
            raise ValueError("give either period or since")
        return self


class TargetRead(ReadModel):
    """A target. `missed` is the last evaluation; null before the first."""

    id: UUID
    version: int
    kpi: str
    variant: str
    dimension: str | None
    """The dimension that it is set for one value of; null when it is for the KPI as a whole."""
    dimension_value: str | None
    value: DecimalText
    period: Interval | None
    since: date | None
    set_at: Moment
    missed: bool | None


def places_of(value: Decimal) -> int:
    """Return the decimal places without zeros at the end."""
    exponent = value.normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0
