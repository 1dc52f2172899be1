"""A customer's health on one day, with the reasons for it and their subjects; by the same rules as the KPIs."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from metrics_worker.domain.relationship import (
    LATELY_DAYS,
    NOT_FOR_LONG,
    NOT_LATELY,
    RISKS,
    WEIGHTS,
    YEAR_DAYS,
    Reason,
    Relationship,
)


@dataclass(frozen=True)
class Cause:
    """A subject that gives a reason."""

    kind: str
    subject_id: UUID


@dataclass(frozen=True)
class HealthReason:
    """A reason that holds on the day; `points` are its deduction, 0 for a customer who has not bought yet."""

    name: str
    points: int
    since: date
    until: date | None
    """The day on which it ends by time alone; None for what a person has to end."""
    behind: list[Cause]


@dataclass(frozen=True)
class Health:
    """Score, risk and worth on the day. Money is in minor units of the reporting currency."""

    score: int | None
    """From 0 to 100; None for a customer who has not bought yet."""
    reasons: list[HealthReason]
    at_risk_since: datetime | None
    """Since when, without a day between, anything puts the customer at risk; None when nothing does."""
    revenue: int
    """Of the last 365 days."""
    pipeline: int
    """Of the open deals."""

    @property
    def risks(self) -> list[str]:
        """Return the reasons that put the customer at risk."""
        return [reason.name for reason in self.reasons if reason.name in RISKS]


def health_of(relationship: Relationship, today: date) -> Health:
    """Return the health at the end of a day, as far as it is known."""
    day = today.toordinal()
    bought = relationship.buyers.on(day) > 0
    reasons = [
        HealthReason(
            name=name,
            points=WEIGHTS[name] if bought else 0,
            since=date.fromordinal(min(each.first_day for each in holding)),
            until=_until(each.end_day for each in holding),
            behind=[Cause(each.kind, each.subject_id) for each in holding],
        )
        for name in RISKS
        if (holding := [each for each in relationship.risks if each.name == name and _holds(day, each)])
    ]
    return Health(
        score=relationship.health.on(day) if bought else None,
        reasons=[*reasons, *_recency(relationship, day)],
        at_risk_since=_at_risk_since(relationship, day),
        revenue=relationship.revenue.on(day),
        pipeline=relationship.pipeline.on(day),
    )


def _holds(day: int, reason: Reason) -> bool:
    return reason.first_day <= day and (reason.end_day is None or day < reason.end_day)


def _until(ends: Iterable[int | None]) -> date | None:
    """Return the last of all ends; None if one has none."""
    found = list(ends)
    known = [end for end in found if end is not None]
    return date.fromordinal(max(known)) if len(known) == len(found) else None


def _recency(relationship: Relationship, day: int) -> list[HealthReason]:
    bought = [deal for deal in relationship.won if (deal.fact.closed_on or 0) <= day]
    if not bought:
        return []
    last = bought[-1]
    return [
        HealthReason(name, WEIGHTS[name], date.fromordinal(since), None, [Cause("deal", last.deal_id)])
        for name, days in ((NOT_LATELY, LATELY_DAYS), (NOT_FOR_LONG, YEAR_DAYS))
        if (since := (last.fact.closed_on or 0) + days) <= day
    ]


def _at_risk_since(relationship: Relationship, day: int) -> datetime | None:
    if not relationship.at_risk.on(day):
        return None
    began = max(each for each, change in relationship.at_risk.changes.items() if change > 0 and each <= day)
    return min(each.since for each in relationship.risks if each.first_day == began and _ends_later(each))


def _ends_later(reason: Reason) -> bool:
    return reason.end_day is None or reason.end_day > reason.first_day
