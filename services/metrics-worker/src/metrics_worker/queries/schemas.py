"""The form of answers about KPIs."""

from datetime import date
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from metrics_worker.queries.fields import (
    AppliedFilters,
    AsOf,
    BetterDirection,
    Change,
    Denominator,
    FirstDayRead,
    FreshAsOf,
    KpiName,
    LastDayRead,
    MoneyCurrency,
    NamesRead,
    Numerator,
    ReportingCurrencyRead,
    SeveralTeams,
    TimeZone,
    Unit,
    Value,
    VariantName,
)
from service_kit.fields import ReadModel, described

_TITLE = described("What people call it.", "Win rate")
_FUNCTION = described("Whose work it measures.", "sales", schema="KpiFunction")
_INDICATOR = described("Whether it points ahead of results, or reports them.", "lagging", schema="KpiIndicator")
_CHART = described("How it is best drawn.", "line", schema="KpiChart")
_WARNING = described(
    "`thin`: the value rests on few. `incomplete`: a dimension is missing from many. `one-sided`: a region, segment or "
    "product is left out, or has too much weight.",
    "thin",
    schema="WarningCode",
)
_NOW = described("The value as the ledger holds it today; only with `as_of`.", rarely=True)
_SERIES_OF_GROUP = described("The group's values by interval; null unless an interval was requested.", rarely=True)
_KEY = described(
    "The value of the grouping dimension; null for subjects without one, for two dimensions, and for all others.",
    "EMEA",
)
_KEYS = described("The values by dimension.", {"region": "EMEA"})
_ADDS_UP = described(
    "Whether the groups' values add up to the whole. Ratios, means and percentiles do not; nor do counts by product, "
    "where a deal with several counts under each. Null without groups.",
    True,
)
_COVERAGE = described(
    "By dimension, what share of all that the KPI counts on these days, whatever the filter, carries a value of it. "
    "Null with `as_of`, and where nothing is counted.",
    {"region": "0.98", "segment": "1", "owner": "1"},
)


class VariantRead(ReadModel):
    """One definition of a KPI."""

    name: VariantName
    unit: Unit
    formula: Annotated[str, described("The definition in words.", "won deals ÷ closed deals")]
    numerator: Annotated[list[str], described("The measures that are added up above the line.", ["deal.won"])]
    denominator: Annotated[list[str], described("Those below it; empty for a plain sum.", ["deal.won", "deal.lost"])]


class KpiRead(ReadModel):
    """A KPI's declaration. The first variant is the default."""

    name: KpiName
    title: Annotated[str, _TITLE]
    function: Annotated[Literal["sales", "service", "both"], _FUNCTION]
    indicator: Annotated[Literal["leading", "lagging"], _INDICATOR]
    direction: BetterDirection
    chart: Annotated[Literal["line", "bar", "area"], _CHART]
    dimensions: Annotated[list[str], described("What it can be grouped and filtered by.", ["region", "segment"])]
    variants: list[VariantRead]
    """Its definitions; the first one is the default."""
    description: Annotated[str, described("What it tells, and what to beware of.", "Deals won among those closed.")]


class CatalogueRead(ReadModel):
    """Every KPI."""

    timezone: TimeZone
    currency: ReportingCurrencyRead
    items: list[KpiRead]
    """One entry a KPI that the caller may read."""


class PointRead(ReadModel):
    """One bucket of a series. `start` is its first day."""

    start: Annotated[date, described("The first day of this day, week, month, quarter or year.", "2026-01-01")]
    value: Value | None
    numerator: Numerator
    denominator: Denominator


class GroupRead(ReadModel):
    """One value of the grouping dimension, or one pair of values of two; or with `top` all the others, the last group.

    What all others have is computed of their sums, as that of a single group is.
    """

    key: Annotated[str, _KEY] | None
    keys: Annotated[dict[str, str | None], _KEYS] | None
    """The values by dimension; null of a value: subjects without one. Null: all groups beyond `top`, together."""
    names: NamesRead = Field(default_factory=dict)
    groups: Annotated[int, described("How many groups it holds: 1, or with `top` the number of all others.", 1)]
    value: Value | None
    numerator: Numerator
    denominator: Denominator
    series: Annotated[list[PointRead] | None, _SERIES_OF_GROUP]


class PreviousRead(ReadModel):
    """The same number of days, directly before."""

    model_config = ConfigDict(populate_by_name=True)

    start: FirstDayRead = Field(serialization_alias="from")
    end: LastDayRead = Field(serialization_alias="to")
    value: Value | None
    change: Change | None
    """The requested value minus this one; null where one of the two has no value."""
    numerator: Numerator
    denominator: Denominator


class TargetFigureRead(ReadModel):
    """The target's due value over the queried days, by today; `met` is null without a value to compare."""

    value: Annotated[str, described("The target's due value over the queried days, in the KPI's unit.", "0.6")]
    met: bool | None
    """Whether the value reaches it; null without a value to compare."""


class WarningRead(ReadModel):
    """Why a value needs care, in words."""

    code: Annotated[Literal["thin", "one-sided", "incomplete"], _WARNING]
    says: Annotated[str, described("The same in words, with the numbers.", "The value rests on 12 only.")]


class NowRead(ReadModel):
    """The same value now, and its difference from the requested one."""

    value: Value | None
    change: Change | None
    """This value minus the one as of then; null where one of the two has no value."""
    numerator: Numerator
    denominator: Denominator


class AnswerRead(ReadModel):
    """A KPI over a period. `series`, `groups` and `previous` are null unless requested.

    `target` is null where none is set for this variant and filter, or where it does not cover these days.
    """

    kpi: KpiName
    variant: VariantName
    unit: Unit
    currency: MoneyCurrency | None
    start: FirstDayRead = Field(serialization_alias="from")
    end: LastDayRead = Field(serialization_alias="to")
    timezone: TimeZone
    filters: AppliedFilters
    teams: SeveralTeams | None
    """The teams that the numbers are of, where they are of several: those of the caller and all below."""
    names: NamesRead = Field(default_factory=dict)
    """What the filters' ids and codes are called, by dimension."""
    as_of: AsOf | None
    now: Annotated[NowRead | None, _NOW]
    value: Value | None
    numerator: Numerator
    denominator: Denominator
    previous: PreviousRead | None
    """The same number of days, directly before; only where requested."""
    series: list[PointRead] | None
    """The values by interval, the earliest first; null unless an interval was requested."""
    groups: list[GroupRead] | None
    """The values by the grouping dimensions; null unless one was requested."""
    groups_add_up: Annotated[bool, _ADDS_UP] | None
    fresh_as_of: FreshAsOf | None
    target: TargetFigureRead | None = None
    """What is due over these days; null where no target of this variant and filter covers them."""
    coverage: Annotated[dict[str, str], _COVERAGE] | None = None
    warnings: list[WarningRead] = Field(default_factory=list)
    """Why the value needs care; empty where it does not."""
