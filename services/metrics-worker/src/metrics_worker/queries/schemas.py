"""The form of answers about KPIs."""

from datetime import date
from typing import Literal

from pydantic import ConfigDict, Field

from service_kit.fields import Moment, ReadModel

Amount = int | str | None
"""A whole number, or money as a decimal string; null where there is no denominator."""


class VariantRead(ReadModel):
    """One definition of a KPI."""

    name: str
    unit: str
    formula: str
    numerator: list[str]
    denominator: list[str]


class KpiRead(ReadModel):
    """A KPI's declaration. The first variant is the default."""

    name: str
    title: str
    function: Literal["sales", "service", "both"]
    indicator: Literal["leading", "lagging"]
    direction: Literal["up", "down"]
    chart: Literal["line", "bar", "area"]
    dimensions: list[str]
    variants: list[VariantRead]
    description: str


class CatalogueRead(ReadModel):
    """Every KPI."""

    timezone: str
    currency: str
    items: list[KpiRead]


class PointRead(ReadModel):
    """One bucket of a series. `start` is its first day."""

    start: date
    value: str | None
    numerator: Amount
    denominator: Amount


class GroupRead(ReadModel):
    """One value of the grouping dimension; `key` is null for subjects without one."""

    key: str | None
    value: str | None
    numerator: Amount
    denominator: Amount
    series: list[PointRead] | None


class PreviousRead(ReadModel):
    """The same number of days, directly before."""

    model_config = ConfigDict(populate_by_name=True)

    start: date = Field(serialization_alias="from")
    end: date = Field(serialization_alias="to")
    value: str | None
    change: str | None
    numerator: Amount
    denominator: Amount


class TargetFigureRead(ReadModel):
    """The target's due value over the queried days, by today; `met` is null without a value to compare."""

    value: str
    met: bool | None


class WarningRead(ReadModel):
    """Why a value needs care, in words."""

    code: Literal["thin", "one-sided", "incomplete"]
    says: str


class NowRead(ReadModel):
    """The same value now, and its difference from the requested one."""

    value: str | None
    change: str | None
    numerator: Amount
    denominator: Amount


class AnswerRead(ReadModel):
    """A KPI over a period. `series`, `groups` and `previous` are null unless requested.

    `target` is null where none is set for this variant and filter, or where it does not cover these days.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kpi": "win_rate",
                    "variant": "count",
                    "unit": "ratio",
                    "currency": None,
                    "from": "2026-01-01",
                    "to": "2026-03-31",
                    "timezone": "Europe/Vilnius",
                    "filters": {"segment": "smb"},
                    "as_of": None,
                    "now": None,
                    "value": "0.631501",
                    "numerator": 4238,
                    "denominator": 6711,
                    "previous": None,
                    "series": None,
                    "groups": [
                        {"key": "EMEA", "value": "0.7", "numerator": 7, "denominator": 10, "series": None},
                        {"key": None, "value": None, "numerator": 0, "denominator": 0, "series": None},
                    ],
                    "fresh_as_of": "2026-03-31T21:00:00.120000Z",
                    "target": {"value": "0.6", "met": True},
                    "coverage": {"region": "0.98", "segment": "1", "owner": "1"},
                    "warnings": [],
                }
            ]
        }
    )

    kpi: str
    variant: str
    unit: str
    currency: str | None
    """Set when the unit is money."""
    start: date = Field(serialization_alias="from")
    end: date = Field(serialization_alias="to")
    timezone: str
    filters: dict[str, str | None]
    """What the numbers are of, by dimension: as requested, and as the caller's role forces."""
    as_of: Moment | None
    now: NowRead | None
    """Only with `as_of`."""
    value: str | None
    numerator: Amount
    denominator: Amount
    previous: PreviousRead | None
    series: list[PointRead] | None
    groups: list[GroupRead] | None
    fresh_as_of: Moment | None
    target: TargetFigureRead | None = None
    coverage: dict[str, str] | None = None
    """By dimension, what share of all that the KPI counts on these days, whatever the filter, carries a value of it.

    Null with `as_of`, and where nothing is counted.
    """
    warnings: list[WarningRead] = Field(default_factory=list)
