"""What the books publish on `metrics.events`: crossed targets, customers at risk, closed periods, restatements."""

from datetime import date
from decimal import Decimal
from uuid import UUID

import msgspec

from event_contracts.catalogue import METRICS_TOPIC, State, event
from event_contracts.fields import Code, Moment, Money


class Target(State, frozen=True, kw_only=True):
    """What a KPI is to reach, and what it was when last looked at."""

    kpi: Code
    variant: Code
    dimension: Code | None = None
    """Set, with `value`, when the target is for one region, owner or the like only."""
    value: Code | None = None
    period_start: date
    period_end: date
    target: Decimal
    """In the KPI's unit."""
    reached: Decimal | None
    """The KPI's value; null while there is nothing to divide by."""
    judged_at: Moment


@event("metrics.kpi-target-missed", topic=METRICS_TOPIC, subject_kind="targets")
class KpiTargetMissed(Target, frozen=True, kw_only=True):
    """A KPI fell to the wrong side of its target."""


@event("metrics.kpi-target-recovered", topic=METRICS_TOPIC, subject_kind="targets")
class KpiTargetRecovered(Target, frozen=True, kw_only=True):
    """A KPI came back to the right side of its target."""


class Risk(State, frozen=True, kw_only=True):
    """Why a customer may be lost, and what is at stake. Its id is the customer's."""

    reasons: list[Code]
    """`sla-breached`, `reopened`, `badly-rated`; empty once recovered."""
    revenue_at_risk: Money
    """The customer's revenue of the last 365 days and its open deals, in the reporting currency."""
    at_risk_since: Moment | None
    judged_at: Moment


@event("metrics.customer-at-risk", topic=METRICS_TOPIC, subject_kind="risks")
class CustomerAtRisk(Risk, frozen=True, kw_only=True):
    """A customer has a ticket that was breached, reopened or badly rated."""


@event("metrics.customer-recovered", topic=METRICS_TOPIC, subject_kind="risks")
class CustomerRecovered(Risk, frozen=True, kw_only=True):
    """Nothing puts the customer at risk any more."""


class Period(State, frozen=True, kw_only=True):
    """A period whose KPIs were given out."""

    period: Code
    """A day 2026-03-10, an ISO week 2026-W11, a month 2026-03, a quarter 2026-Q1 or a year 2026."""
    period_start: date
    period_end: date
    as_of: Moment
    """The KPIs count as the books stood then."""
    closed_at: Moment


@event("metrics.period-closed", topic=METRICS_TOPIC, subject_kind="periods")
class PeriodClosed(Period, frozen=True, kw_only=True):
    """A period's KPIs were given out: every later change of one is told of as a restatement."""


class KpiFigure(msgspec.Struct, frozen=True, kw_only=True):
    """A KPI's value with the sums that it is made of, money in the reporting currency."""

    value: Decimal | None
    """In the KPI's unit; null while there is nothing to divide by."""
    numerator: Decimal
    denominator: Decimal | None
    """Null for a plain sum."""


class Restatement(State, frozen=True, kw_only=True):
    """What a variant of a KPI is now in a closed period. Its id is that of the variant in this period."""

    period_id: UUID
    period: Code
    period_start: date
    period_end: date
    kpi: Code
    variant: Code
    as_closed: KpiFigure
    now: KpiFigure
    """Equal to `as_closed` when a change was taken back."""
    as_of: Moment
    """Events recorded after this are behind the change."""
    restated_at: Moment


@event("metrics.kpi-restated", topic=METRICS_TOPIC, subject_kind="restatements")
class KpiRestated(Restatement, frozen=True, kw_only=True):
    """A KPI of a closed period changed."""
