"""What the books publish on `metrics.events`: targets missed and met again, customers at risk and recovered."""

from datetime import date
from decimal import Decimal

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
