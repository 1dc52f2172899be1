"""The policies of waiting: for how long a customer may wait, by which hours, and what happens then."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final, Literal, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from event_contracts.metrics import WaitDue, WaitEnded, WaitEscalated, WaitOverLimit
from metrics_worker.database import Base
from metrics_worker.domain.posting import LOST_AFTER_SECONDS
from metrics_worker.domain.waiting import WAIT_REASONS
from service_kit.business_hours import business_hours
from service_kit.business_time import BusinessHours, NeverReached
from service_kit.entities import column
from service_kit.problems import Unprocessable
from service_kit.tables import one_of

EscalationAction = Literal["reassign", "tell_account_owner", "tell_manager"]
WaitAction = Literal["warn", "alert", "reassign", "tell_account_owner", "tell_manager"]
WaitState = Literal["over", "warning", "fine"]
WAIT_STATES: Final[tuple[WaitState, ...]] = ("over", "warning", "fine")
WARN_SECONDS: Final = 900
"""How long before the limit a wait is due, unless a policy says otherwise."""
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The beginning of the calendar: no wait is as long."""


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
    escalation: Annotated[
        list[dict[str, Any]], column(JSONB, comment="the steps after the limit, in the order of their times")
    ]
    active: bool

    __table_args__ = (
        one_of("reason", WAIT_REASONS),
        sa.CheckConstraint("limit_minutes > 0", name="limit_minutes"),
        sa.CheckConstraint("warn_minutes >= 0 AND warn_minutes < limit_minutes", name="warn_minutes"),
        {"info": {"noun": "waiting policy"}},
    )

    def check(self) -> None:
        """Raise `Unprocessable` for a warning that would come after the limit."""
        if self.warn_minutes >= self.limit_minutes:
            raise Unprocessable.at("#/warn_minutes", "must be less than limit_minutes")

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
            escalation=tuple(
                Step(each["action"], 60 * (self.limit_minutes + each["after_minutes"]), _id_in(each["told_id"]))
                for each in self.escalation
            ),
            hours=None
            if calendar is None
            else business_hours(calendar["timezone"], calendar["hours"], map(date.fromisoformat, calendar["holidays"])),
        )


def _id_in(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)


class Step(NamedTuple):
    """What is done once so many seconds of a wait count; `told_id` is the person that it names."""

    action: WaitAction
    seconds: int
    told_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class WaitTerms:
    """For how long a customer may wait; without `hours` all time counts."""

    policy_id: UUID | None = None
    limit_seconds: int = LOST_AFTER_SECONDS
    warn_seconds: int = WARN_SECONDS
    hours: BusinessHours | None = None
    escalation: tuple[Step, ...] = ()
    """The steps after the alert, in the order of their times."""

    @property
    def steps(self) -> list[Step]:
        """Return all steps in their order: the warning, the alert at the limit, and what follows."""
        warn = [Step("warn", self.limit_seconds - self.warn_seconds)] if self.warn_seconds else []
        return [*warn, Step("alert", self.limit_seconds), *self.escalation]

    def steps_taken(self, since: datetime, now: datetime) -> list[Step]:
        """Return the steps that a wait has come to."""
        waited = self.waited(since, now)
        return [step for step in self.steps if step.seconds <= waited]

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


class PublishedWait(Base, table="published_wait", audited=False):
    """How far a wait was escalated, as published last."""

    id: Annotated[UUID, column(primary_key=True)]
    record_kind: str
    record_id: UUID
    reason: str
    customer_id: UUID | None
    owner_id: UUID | None
    team_id: UUID | None
    since: datetime
    limit_at: datetime | None
    step: Annotated[int, column(comment="the number of steps taken")]
    action: str
    told_id: UUID | None
    sequence: Annotated[int, column(comment="the number of events published of it")]
    judged_at: datetime
    ended_at: Annotated[datetime | None, column(comment="when its end was noticed; null while it lasts")]

    __table_args__ = (sa.Index("published_wait_lasting_idx", "id", postgresql_where=sa.text("ended_at IS NULL")),)

    @classmethod
    def of(cls, wait: Any, record_kind: str, at: datetime) -> "PublishedWait":
        """Return an open wait of which nothing was published yet."""
        return cls(
            id=wait.id,
            record_kind=record_kind,
            record_id=wait.subject_id,
            reason=wait.reason,
            customer_id=wait.customer,
            owner_id=wait.owner,
            team_id=wait.team,
            since=wait.since,
            limit_at=None,
            step=0,
            action="warn",
            told_id=None,
            sequence=0,
            judged_at=at,
            ended_at=None,
        )

    def take(
        self, wait: Any, step: Step, number: int, terms: WaitTerms, *, told_id: UUID | None, at: datetime
    ) -> WaitDue | WaitOverLimit | WaitEscalated:
        """Take the step of this number, with the present owner of the wait; return its event."""
        self.customer_id, self.owner_id, self.team_id = wait.customer, wait.owner, wait.team
        self.limit_at = terms.reaches(self.since, terms.limit_seconds)
        self.step, self.action, self.told_id, self.judged_at, self.ended_at = number, step.action, told_id, at, None
        self.sequence += 1
        if step.action == "warn":
            return WaitDue(**self._state())
        return (WaitOverLimit if step.action == "alert" else WaitEscalated)(**self._state())

    def reopen(self) -> None:
        """Begin anew: the wait had ended by what was recorded wrongly."""
        self.step, self.ended_at = 0, None

    def end(self, at: datetime) -> WaitEnded:
        """Note that the wait is over; return the event."""
        self.judged_at = self.ended_at = at
        self.sequence += 1
        return WaitEnded(**self._state())

    def _state(self) -> dict[str, Any]:
        hidden = ("sequence", "ended_at")
        return {column.name: getattr(self, column.name) for column in self.table.c if column.name not in hidden}
