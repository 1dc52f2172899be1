"""The policies of waiting: for how long a customer may wait, by which hours, and what happens then."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from metrics_worker.database import Base
from metrics_worker.domain.ticket import LOST_AFTER_SECONDS
from metrics_worker.domain.waiting import WAIT_REASONS
from service_kit.business_hours import business_hours
from service_kit.business_time import BusinessHours, NeverReached
from service_kit.entities import column
from service_kit.tables import one_of

WaitState = Literal["over", "warning", "fine"]
WAIT_STATES: Final[tuple[WaitState, ...]] = ("over", "warning", "fine")
WARN_SECONDS: Final = 900
"""How long before the limit a wait is due, unless a policy says otherwise."""
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The beginning of the calendar: nobody has waited for so long."""


class WaitingPolicy(Base, table="waiting_policy"):
    """For how long customers may wait for what, and for whom."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    name: str
    reason: Annotated[str | None, column(comment="null for every reason")]
    team_id: Annotated[UUID | None, column(comment="null for every team")]
    limit_minutes: int
    warn_minutes: Annotated[int, column(comment="before the limit; 0 for no warning")]
    calendar: Annotated[dict[str, Any] | None, column(JSONB, comment="the hours that count; null for around the clock")]
    active: bool

    __table_args__ = (
        one_of("reason", WAIT_REASONS),
        sa.CheckConstraint("limit_minutes > 0", name="limit_minutes"),
        sa.CheckConstraint("warn_minutes >= 0 AND warn_minutes < limit_minutes", name="warn_minutes"),
        {"info": {"noun": "waiting policy"}},
    )

    def covers(self, reason: str, team: UUID | None) -> bool:
        """Return whether it is for waits of this reason and team."""
        return self.reason in (None, reason) and self.team_id in (None, team)

    @property
    def terms(self) -> "WaitTerms":
        """Return what it grants."""
        calendar = self.calendar
        return WaitTerms(
            policy_id=self.id,
            limit_seconds=60 * self.limit_minutes,
            warn_seconds=60 * self.warn_minutes,
            hours=None
            if calendar is None
            else business_hours(calendar["timezone"], calendar["hours"], map(date.fromisoformat, calendar["holidays"])),
        )


@dataclass(frozen=True, kw_only=True)
class WaitTerms:
    """For how long a customer may wait; without `hours` all time counts."""

    policy_id: UUID | None = None
    limit_seconds: int = LOST_AFTER_SECONDS
    warn_seconds: int = WARN_SECONDS
    hours: BusinessHours | None = None

    def waited(self, since: datetime, now: datetime) -> int:
        """Return the seconds that count of a wait; 0 for one that has not begun."""
        if self.hours is not None:
            return self.hours.between(since, now)
        return max(now - since, timedelta(0)) // timedelta(seconds=1)

    def state_of(self, since: datetime, now: datetime) -> WaitState:
        """Return whether a wait has reached its limit, or will do so soon."""
        waited = self.waited(since, now)
        if waited >= self.limit_seconds:
            return "over"
        return "warning" if self.warn_seconds and waited >= self.limit_seconds - self.warn_seconds else "fine"

    def reaches(self, since: datetime, seconds: int) -> datetime | None:
        """Return when so much of a wait counts; None where that takes more than ten years."""
        if self.hours is None:
            return since + timedelta(seconds=seconds)
        try:
            return self.hours.after(since, seconds)
        except NeverReached:
            return None

    def begun_before(self, state: WaitState, now: datetime) -> datetime:
        """Return the last moment since which a wait is in this state, or a worse one."""
        if state == "fine" or (state == "warning" and not self.warn_seconds):
            return now if state == "fine" else self.begun_before("over", now)
        seconds = self.limit_seconds - (self.warn_seconds if state == "warning" else 0)
        if self.hours is None:
            return now - timedelta(seconds=seconds)
        try:
            return self.hours.before(now, seconds)
        except NeverReached:
            return BEGINNING


DEFAULT_TERMS: Final = WaitTerms()


class PolicyBook:
    """The policies in use: the one that holds for a wait is that of its team and reason, else of its team, else of its
    reason, else the general one; of several the newest. Without any, the limit is an hour around the clock."""

    def __init__(self, policies: Iterable[WaitingPolicy]) -> None:
        self._ordered = sorted(
            policies, key=lambda each: (each.team_id is not None, each.reason is not None, each.id), reverse=True
        )

    def __iter__(self) -> Iterator[tuple[WaitingPolicy | None, WaitTerms]]:
        """Yield each with its terms, the one that takes precedence first; the default last."""
        for policy in self._ordered:
            yield policy, policy.terms
        yield None, DEFAULT_TERMS

    def terms_for(self, reason: str, team: UUID | None) -> WaitTerms:
        """Return what holds for a wait."""
        return next(terms for policy, terms in self if policy is None or policy.covers(reason, team))
