"""The form of targets over HTTP."""

from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from metrics_worker.domain.period import Interval
from metrics_worker.queries.fields import KpiName, NamesRead, VariantName
from service_kit.fields import Day, DecimalText, Moment, ReadModel, RecordId, StrictModel, Version, described

_VALUE = described("What is to be reached, in the KPI's unit; money in the reporting currency.", "250000.00")
_PERIOD = described(
    "The target is due in each of these calendar periods; null with `since`.", "quarter", schema="Interval"
)
_SINCE = described("The target is due from this day on; null with `period`.", "2026-01-01")
_DIMENSION = described("What it is set for one value of; null when it is for the KPI as a whole.", "region")


class TargetSetRequest(StrictModel):
    """The value to reach, in the KPI's unit: in each calendar `period`, or `since` a day."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"value": "250000.00", "period": "quarter"}, {"value": "0.6", "since": "2026-01-01"}]
        }
    )

    value: Annotated[DecimalText, _VALUE]
    period: Annotated[Interval, _PERIOD] | None = None
    since: Annotated[Day, _SINCE] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "TargetSetRequest":
        if (self.period is None) == (self.since is None):
            raise ValueError("give either period or since")
        return self


class TargetRead(ReadModel):
    """A target. `missed` is the last evaluation; null before the first."""

    id: RecordId
    version: Version
    kpi: KpiName
    variant: VariantName
    dimension: Annotated[str, _DIMENSION] | None
    dimension_value: Annotated[str, described("The value that it is set for; null without a dimension.", "EMEA")] | None
    names: NamesRead = Field(default_factory=dict)
    value: Annotated[DecimalText, _VALUE]
    period: Annotated[Interval, _PERIOD] | None
    since: Annotated[date, _SINCE] | None
    set_at: Moment
    """When it was last changed."""
    missed: bool | None
    """How the last evaluation ended; null before the first."""


def places_of(value: Decimal) -> int:
    """Return the decimal places without zeros at the end."""
    exponent = value.normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0
