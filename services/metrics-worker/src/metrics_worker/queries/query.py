"""What is asked of a KPI, checked against what the KPI can answer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Query

from event_contracts.fields import CODE_PATTERN
from metrics_worker.domain.kinds import IDENTITY_DIMENSIONS
from metrics_worker.domain.period import DEFAULT_DAYS, MAX_DAYS, Interval, Period
from metrics_worker.domain.posting import Reporting
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.kpis.formula import Formula, Kpi
from service_kit.fields import Day
from service_kit.problems import NotFound, Unprocessable

FirstDay = Annotated[Day | None, Query(alias="from", description="First day; 30 days by default.")]
LastDay = Annotated[Day | None, Query(alias="to", description="Last day; today by default.")]

_CODE = re.compile(CODE_PATTERN.removesuffix("$"), re.ASCII)


class UnknownKpi(NotFound):
    """No KPI has that name."""

    slug, title = "unknown-kpi", "There is no such KPI"


@dataclass(frozen=True)
class Question:
    """One request for a KPI, found answerable."""

    kpi: Kpi
    variant: str
    period: Period
    interval: Interval | None
    group_by: str | None
    filters: Mapping[str, str | None]
    """By dimension; None asks for what has no value."""
    with_previous: bool
    as_of: datetime | None = None
    """As the books stood then; None for now."""

    @property
    def formula(self) -> Formula:
        """The asked variant's."""
        return self.kpi.variants[self.variant]


def kpi_named(name: str) -> Kpi:
    """Raises `UnknownKpi`."""
    kpi = KPIS.get(name)
    if kpi is None:
        raise UnknownKpi("GET /v1/kpis lists the names of all KPIs.")
    return kpi


def variant_of(kpi: Kpi, name: str | None) -> str:
    """The named variant, or the default one. Raises `Unprocessable`."""
    if name is None:
        return kpi.default_variant
    if name not in kpi.variants:
        raise Unprocessable.at("?variant", f"{kpi.name} has the variants: {', '.join(kpi.variants)}")
    return name


def period_of(start: date | None, end: date | None, reporting: Reporting) -> Period:
    """The asked days; the last 30 in the reporting time zone when not told. Raises `Unprocessable`."""
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
    """The moment asked for. Raises `Unprocessable` when it is yet to come."""
    if moment is not None and moment > datetime.now(UTC):
        raise Unprocessable.at("?as_of", "is in the future")
    return moment


def group_by_of(kpi: Kpi, name: str | None) -> str | None:
    """A dimension of the KPI. Raises `Unprocessable`."""
    if name is not None and name not in kpi.dimensions:
        raise Unprocessable.at("?group_by", f"{kpi.name} can be grouped by: {', '.join(kpi.dimensions)}")
    return name


def filters_of(kpi: Kpi, given: Mapping[str, str | None]) -> dict[str, str | None]:
    """The filters that were given, by dimension; an empty one asks for what has no value. Raises `Unprocessable`."""
    filters: dict[str, str | None] = {}
    for name, text in given.items():
        if text is None:
            continue
        if name not in kpi.dimensions:
            raise Unprocessable.at(f"?{name}", f"{kpi.name} can be filtered by: {', '.join(kpi.dimensions)}")
        filters[name] = _value_of(name, text) if text else None
    return filters


def _value_of(dimension: str, text: str) -> str:
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
