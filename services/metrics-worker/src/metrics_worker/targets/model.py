"""The target: its columns, what is due by when, and when it is missed."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa

from event_contracts.metrics import KpiTargetMissed, KpiTargetRecovered
from metrics_worker.database import Base
from metrics_worker.domain.period import Interval, Period, bucket_of, next_bucket
from metrics_worker.kpis.formula import Direction
from service_kit.entities import column
from service_kit.identifiers import new_id
from service_kit.tables import one_of

PERIODS: tuple[Interval, ...] = ("day", "week", "month", "quarter", "year")


@dataclass(frozen=True)
class TargetKey:
    """One variant of a KPI, as a whole or for one value of one dimension.

    With a `dimension`, a `dimension_value` of None means no value.
    """

    kpi: str
    variant: str
    dimension: str | None = None
    dimension_value: str | None = None


@dataclass(frozen=True)
class Evaluation:
    """How a target compares with the ledger at one moment."""

    period: Period
    """The whole period; its end may be in the future."""
    due: Fraction
    """The value that is due by now."""
    reached: Decimal
    met: bool
    at: datetime


@dataclass(frozen=True)
class Goal:
    """A value to reach: in each calendar `period`, or `since` a day; one of the two is set."""

    value: Decimal
    period: Interval | None
    since: date | None

    def due_over(self, asked: Period, today: date, *, direction: Direction, adds_up: bool) -> Fraction | None:
        """Return the value that is due over some days, seen from today; None where the target does not apply to them.

        A value that `adds_up` over days is spread evenly over the days of each calendar period, as quotas are. Today
        counts as done only where less is better: a day that has just begun must not count as a miss.
        """
        if self.since is not None:
            covered = asked.start == self.since if adds_up else asked.end >= self.since
            return Fraction(self.value) if covered else None
        if not adds_up:
            return Fraction(self.value)
        return self._spread(asked.start, min(asked.end, _last_due(today, direction, adds_up=adds_up)))

    def _spread(self, first: date, last: date) -> Fraction:
        due = Fraction(0)
        while self.period is not None and first <= last:
            begin = bucket_of(first, self.period)
            following = next_bucket(begin, self.period)
            days = (min(following - timedelta(days=1), last) - first).days + 1
            due += Fraction(self.value) * days / (following - begin).days
            first = following
        return due


class Target(Base, table="target"):
    """The value that a KPI is to reach: in each calendar `period`, or `since` a day; one of the two is set."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    kpi: str
    variant: str
    dimension: str | None
    dimension_value: str | None
    value: Annotated[Decimal, column(sa.Numeric, comment="in the KPI's unit")]
    period: str | None
    since: date | None
    set_at: datetime
    missed: Annotated[bool | None, column(comment="by the last judgement; null before the first")]
    missed_since: Annotated[datetime | None, column(comment="when the judgement that it is missed was first made")]
    sequence: Annotated[int, column(comment="the number of events published of it")]

    __table_args__ = (
        sa.UniqueConstraint("kpi", "variant", "dimension", "dimension_value", postgresql_nulls_not_distinct=True),
        sa.CheckConstraint("num_nonnulls(period, since) = 1", name="period_or_since"),
        one_of("period", PERIODS),
    )

    @classmethod
    def set(
        cls, key: TargetKey, value: Decimal, *, period: Interval | None, since: date | None, at: datetime
    ) -> "Target":
        """Return a new target, not evaluated yet."""
        return cls(
            id=new_id(),
            version=1,
            kpi=key.kpi,
            variant=key.variant,
            dimension=key.dimension,
            dimension_value=key.dimension_value,
            value=value,
            period=period,
            since=since,
            set_at=at,
            missed=None,
            missed_since=None,
            sequence=0,
        )

    def reset(self, value: Decimal, *, period: Interval | None, since: date | None, at: datetime) -> None:
        """Set another value or period. The next evaluation decides whether it is missed, and publishes a change."""
        if (value, period, since) == (self.value, self.period, self.since):
            return
        self.value, self.period, self.since = value, period, since
        self.set_at = at
        self.version += 1

    @property
    def key(self) -> TargetKey:
        """Return what it is set for."""
        return TargetKey(self.kpi, self.variant, self.dimension, self.dimension_value)

    def period_on(self, today: date, *, direction: Direction, adds_up: bool) -> Period | None:
        """Return the whole period to evaluate on a day; None before it begins.

        Of a sum of which more is better, nothing is due on the first day of a period: that day evaluates the period
        before it a last time. Otherwise its last day would never count, nor any day of a target by the day.
        """
        if self.since is not None:
            return Period(self.since, today) if self.since <= today else None
        interval = self._interval
        start = bucket_of(_last_due(today, direction, adds_up=adds_up), interval)
        return Period(start, next_bucket(start, interval) - timedelta(days=1))

    def due_over(self, asked: Period, today: date, *, direction: Direction, adds_up: bool) -> Fraction | None:
        """Return the value that is due over some days; see `Goal.due_over`."""
        return self.goal.due_over(asked, today, direction=direction, adds_up=adds_up)

    def evaluate(self, evaluation: Evaluation) -> KpiTargetMissed | KpiTargetRecovered | None:
        """Take over an evaluation, and return the event to publish when it crosses the target.

        A target that is met from the beginning publishes nothing: it was never published as missed.
        """
        was_missed, self.missed = bool(self.missed), not evaluation.met
        if was_missed == self.missed:
            return None
        self.missed_since = evaluation.at if self.missed else None
        self.sequence += 1
        event = KpiTargetMissed if self.missed else KpiTargetRecovered
        return event(
            id=self.id,
            kpi=self.kpi,
            variant=self.variant,
            dimension=self.dimension,
            value=self.dimension_value,
            period_start=evaluation.period.start,
            period_end=evaluation.period.end,
            # As it was set: what the driver reads of 200000 would be written as 2.0E+5.
            target=Decimal(f"{self.value:f}"),
            reached=evaluation.reached,
            judged_at=evaluation.at,
        )

    @property
    def goal(self) -> Goal:
        """Return its goal."""
        return Goal(self.value, None if self.period is None else self._interval, self.since)

    @property
    def _interval(self) -> Interval:
        return next(each for each in PERIODS if each == self.period)


def _last_due(today: date, direction: Direction, *, adds_up: bool) -> date:
    """Return the last day of which something is due."""
    return today - timedelta(days=1) if adds_up and direction == "up" else today


def is_met(reached: Decimal, due: Fraction, direction: Direction) -> bool:
    """Return whether a value is at least as good as what is due."""
    return reached >= due if direction == "up" else reached <= due
