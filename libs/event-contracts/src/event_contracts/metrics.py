"""The events on `metrics.events`: crossed targets, customers at risk or left waiting, closed periods, restatements."""

from datetime import date
from decimal import Decimal
from uuid import UUID

import msgspec

from event_contracts.catalogue import METRICS_TOPIC, State, corrections, event
from event_contracts.fields import Code, Count, Moment, Money


class Target(State, frozen=True, kw_only=True):
    """A KPI's target and its value at the last evaluation."""

    kpi: Code
    """The KPI, as `GET /v1/kpis` names it."""
    variant: Code
    """The definition of the KPI that is meant."""
    dimension: Code | None = None
    """With `value`: the one region, owner or other value that the target is for; null for the whole."""
    value: Code | None = None
    """The value of that dimension; null for the whole."""
    period_start: date
    """The first day, in the reporting time zone."""
    period_end: date
    """The last day, in the reporting time zone."""
    target: Decimal
    """In the KPI's unit."""
    reached: Decimal | None
    """The KPI's value; null when its denominator is empty."""
    judged_at: Moment
    """When it was evaluated."""


@event("metrics.kpi-target-missed", topic=METRICS_TOPIC, subject_kind="targets")
class KpiTargetMissed(Target, frozen=True, kw_only=True):
    """A KPI missed its target."""


@event("metrics.kpi-target-recovered", topic=METRICS_TOPIC, subject_kind="targets")
class KpiTargetRecovered(Target, frozen=True, kw_only=True):
    """A KPI met its target again."""


class Risk(State, frozen=True, kw_only=True):
    """The reasons why a customer is at risk, and the revenue at stake. Its id is the customer's."""

    reasons: list[Code]
    """`sla-breached`, `reopened`, `badly-rated`, `promise-broken`; empty once recovered."""
    revenue_at_risk: Money
    """The customer's revenue of the last 365 days and its open deals, in the reporting currency."""
    at_risk_since: Moment | None
    """When the first of the reasons began; null once recovered."""
    judged_at: Moment
    """When it was evaluated."""


@event("metrics.customer-at-risk", topic=METRICS_TOPIC, subject_kind="risks")
class CustomerAtRisk(Risk, frozen=True, kw_only=True):
    """A customer became at risk, or is at risk for other reasons than before."""


@event("metrics.customer-recovered", topic=METRICS_TOPIC, subject_kind="risks")
class CustomerRecovered(Risk, frozen=True, kw_only=True):
    """A customer is no longer at risk."""


class CustomerWait(State, frozen=True, kw_only=True):
    """A wait of a customer, as far as it was escalated. Its id is that of `GET /v1/waiting`."""

    reason: Code
    """What they wait for: `lead`, `message`, `reopened`, `rating`, `call_back`, `promise`."""
    record_kind: Code
    """What began the wait, as subjects of events name it: `tickets`, `leads`, `surveys`, `activities`,
    `onboardingsteps`."""
    record_id: UUID
    """The lead, ticket, survey, activity or step of an onboarding, as the API of its service has it."""
    customer_id: UUID | None
    """Who waits; null for a lead that is no customer yet."""
    owner_id: UUID | None
    """Who has it."""
    team_id: UUID | None
    """The team that has it."""
    since: Moment
    """When the wait began."""
    limit_at: Moment | None
    """When it reaches or reached the limit of its policy; null where the policy's hours never get there."""
    step: Count
    """How many steps it has taken: the warning, the alert, and those that its policy adds."""
    action: Code
    """The last of them: `warn`, `alert`, `reassign`, `tell_account_owner` or `tell_manager`."""
    told_id: UUID | None
    """Whom the step names, or the owner of the account; null where neither is known."""
    judged_at: Moment
    """When it was evaluated."""


@event("metrics.wait-due", topic=METRICS_TOPIC, subject_kind="waits")
class WaitDue(CustomerWait, frozen=True, kw_only=True):
    """A wait will soon reach its limit."""


@event("metrics.wait-over-limit", topic=METRICS_TOPIC, subject_kind="waits")
class WaitOverLimit(CustomerWait, frozen=True, kw_only=True):
    """A wait reached its limit."""


@event("metrics.wait-escalated", topic=METRICS_TOPIC, subject_kind="waits")
class WaitEscalated(CustomerWait, frozen=True, kw_only=True):
    """A wait that is over its limit took the next step of its policy."""


@event("metrics.wait-ended", topic=METRICS_TOPIC, subject_kind="waits")
class WaitEnded(CustomerWait, frozen=True, kw_only=True):
    """A wait of which one of the above was published is over, or was recorded wrongly."""


class Period(State, frozen=True, kw_only=True):
    """A closed period."""

    period: Code
    """A day 2026-03-10, an ISO week 2026-W11, a month 2026-03, a quarter 2026-Q1 or a year 2026."""
    period_start: date
    """The first day, in the reporting time zone."""
    period_end: date
    """The last day, in the reporting time zone."""
    as_of: Moment
    """The moment whose ledger the period's figures come from."""
    closed_at: Moment
    """When it was closed."""


@event("metrics.period-closed", topic=METRICS_TOPIC, subject_kind="periods")
class PeriodClosed(Period, frozen=True, kw_only=True):
    """A period was closed: each later change of a figure is published as a restatement."""


class KpiFigure(msgspec.Struct, frozen=True, kw_only=True):
    """A KPI's value with its numerator and denominator, money in the reporting currency."""

    value: Decimal | None
    """In the KPI's unit; null when the denominator is empty."""
    numerator: Decimal
    """What the value counts or sums."""
    denominator: Decimal | None
    """Null for a plain sum."""


class Restatement(State, frozen=True, kw_only=True):
    """The current figure of a KPI's variant in a closed period. Its id identifies the variant in this period."""

    period_id: UUID
    """The closed period."""
    period: Code
    """The closed period's name: 2026-03."""
    period_start: date
    """The first day, in the reporting time zone."""
    period_end: date
    """The last day, in the reporting time zone."""
    kpi: Code
    """The KPI, as `GET /v1/kpis` names it."""
    variant: Code
    """The definition of the KPI that is meant."""
    as_closed: KpiFigure
    """The figure that was given out when the period was closed."""
    now: KpiFigure
    """Equal to `as_closed` when a change was reversed."""
    as_of: Moment
    """Events recorded after this moment caused the change."""
    restated_at: Moment
    """When the change was found."""


@event("metrics.kpi-restated", topic=METRICS_TOPIC, subject_kind="restatements")
class KpiRestated(Restatement, frozen=True, kw_only=True):
    """A KPI's figure in a closed period changed."""


for _noun, _state, _subject_kind in (
    ("target", Target, "targets"),
    ("risk", Risk, "risks"),
    ("wait", CustomerWait, "waits"),
    ("period", Period, "periods"),
    ("restatement", Restatement, "restatements"),
):
    corrections(_noun, _state, topic=METRICS_TOPIC, subject_kind=_subject_kind)
