"""A query of a KPI, checked against what the KPI can answer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

from event_contracts.fields import CODE_PATTERN
from metrics_worker.domain.kinds import IDENTITY_DIMENSIONS
from metrics_worker.domain.period import DEFAULT_DAYS, MAX_DAYS, Interval, Period
from metrics_worker.domain.posting import Reporting
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.kpis.formula import Formula, Kpi
from service_kit.problems import NotFound, Unprocessable

FilterValue = str | None | tuple[str, ...]
"""Of a dimension: None selects what has no value, a tuple what has one of several."""
TEAM: Final = "team"
MOST_DIMENSIONS: Final = 2
"""Dimensions of one grouping."""
_CODE = re.compile(CODE_PATTERN.removesuffix("$"), re.ASCII)


class UnknownKpi(NotFound):
    """No KPI has that name."""

    slug, title = "unknown-kpi", "There is no such KPI"


@dataclass(frozen=True)
class KpiQuery:
    """One query of a KPI, which the KPI can answer."""

    kpi: Kpi
    variant: str
    period: Period
    interval: Interval | None
    group_by: tuple[str, ...]
    """The dimensions whose values make groups: none, one or two."""
    filters: Mapping[str, FilterValue]
    """By dimension. Of several values there are only teams, which the caller's scope forces."""
    with_previous: bool
    as_of: datetime | None = None
    """Use only what the ledger held then; None for now."""
    top: int | None = None
    """How many groups are shown by themselves, those with the highest values; None for all."""

    @property
    def formula(self) -> Formula:
        """Return the formula of its variant."""
        return self.kpi.variants[self.variant]

    @property
    def single_filters(self) -> dict[str, str | None]:
        """Return the filters by one value each."""
        return {name: value for name, value in self.filters.items() if not isinstance(value, tuple)}

    @property
    def teams(self) -> list[str] | None:
        """Return the teams that it is filtered by; None where it is not by several."""
        teams = self.filters.get(TEAM)
        return list(teams) if isinstance(teams, tuple) else None


def kpi_named(name: str) -> Kpi:
    """Return the KPI of that name. Raise `UnknownKpi`."""
    kpi = KPIS.get(name)
    if kpi is None:
        raise UnknownKpi("GET /v1/kpis lists the names of all KPIs.")
    return kpi


def variant_of(kpi: Kpi, name: str | None) -> str:
    """Return the named variant, or the default one. Raise `Unprocessable`."""
    if name is None:
        return kpi.default_variant
    if name not in kpi.variants:
        raise Unprocessable.at("?variant", f"{kpi.name} has the variants: {', '.join(kpi.variants)}")
    return name


def period_of(start: date | None, end: date | None, reporting: Reporting) -> Period:
    """Return the given days; by default the last 30 in the reporting time zone. Raise `Unprocessable`."""
    if end is None:
        today = datetime.now(reporting.zone).date()
        end = today if start is None or start <= today else start
    if start is None:
        start = end - timedelta(days=DEFAULT_DAYS - 1)
    if start > end:
        raise Unprocessable.at("?from", f"{start} is after {end}, the last day asked for")
    if (end - start).days + 1 > MAX_DAYS:
        raise Unprocessable.at("?from", "at most 20 years may be asked for at once")
    return Period(start, end)


def as_of_of(moment: datetime | None) -> datetime | None:
    """Return the moment. Raise `Unprocessable` when it is in the future."""
    if moment is not None and moment > datetime.now(UTC):
        raise Unprocessable.at("?as_of", "is in the future")
    return moment


def group_by_of(kpi: Kpi, names: str | None) -> tuple[str, ...]:
    """Return the dimensions of the KPI that a comma separates, two at most. Raise `Unprocessable`."""
    if names is None:
        return ()
    dimensions = tuple(names.split(","))
    if any(name not in kpi.dimensions for name in dimensions):
        said = f"{kpi.name} can be grouped by: {', '.join(kpi.dimensions)}"
        raise Unprocessable.at("?group_by", said if len(dimensions) == 1 else f"{said}; one of them, or any two")
    if len(dimensions) > MOST_DIMENSIONS or len(set(dimensions)) < len(dimensions):
        raise Unprocessable.at("?group_by", "takes one dimension, or two different ones with a comma in between")
    return dimensions


def top_of(number: int | None, group_by: tuple[str, ...]) -> int | None:
    """Return the number. Raise `Unprocessable` where there are no groups."""
    if number is not None and not group_by:
        raise Unprocessable.at("?top", "is a number of groups: add group_by")
    return number


def filters_of(kpi: Kpi, given: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the given filters by dimension; an empty one selects what has no value. Raise `Unprocessable`."""
    filters: dict[str, str | None] = {}
    for name, text in given.items():
        if text is None:
            continue
        if name not in kpi.dimensions:
            raise Unprocessable.at(f"?{name}", f"{kpi.name} can be filtered by: {', '.join(kpi.dimensions)}")
        filters[name] = value_of(name, text) if text else None
    return filters


def value_of(dimension: str, text: str) -> str:
    """Return a filter's value, which is not empty. Raise `Unprocessable`."""
    if dimension not in IDENTITY_DIMENSIONS:
        if not _CODE.fullmatch(text):
            raise Unprocessable.at(f"?{dimension}", "must be a code, or empty for what has none")
        return text
    try:
        identifier = UUID(text)
    except ValueError:
        identifier = None
    if identifier is None or str(identifier) != text.lower():
        raise Unprocessable.at(f"?{dimension}", "must be a UUID, or empty for what has none")
    return str(identifier)
