"""The state machine of planned work, which every noun that can be planned takes over.

    planned ──finish──► done
       │ ▲ └──cancel──► cancelled
     miss└─move (also from planned)
       ▼ │
     missed

A move keeps the due time before. What is done, or cancelled, stays so; what was recorded wrongly of it is amended.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Annotated, Any, ClassVar, Final, get_args
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from event_contracts.catalogue import State
from event_contracts.planned_work import WorkMove, WorkMoving, WorkStatus
from service_kit.entities import Recorded, amended, column, state_of
from service_kit.occurrence import check_follows
from service_kit.problems import Conflict
from service_kit.tables import filtered, one_of

MOST_MOVES: Final = 100


class WorkNotPlanned(Conflict):
    """The work is done, missed or cancelled; `work_status` is which."""

    slug, title = "work-not-planned", "The work is not planned"


class WorkMovedTooOften(Conflict):
    """It was moved a hundred times."""

    slug, title = "work-moved-too-often", "The work was moved too often"


class PlannedWorkNeedsDueTime(Conflict):
    """The due time of work that is not done cannot be removed."""

    slug, title = "planned-work-needs-due-time", "Planned work needs a due time"


@dataclass(frozen=True)
class WorkEvents:
    """The events of one noun's work."""

    planned: type[State]
    done: type[State]
    moved: type[State]
    missed: type[State]
    cancelled: type[State]
    amended: type[State]
    """Of work that is done."""
    plan_amended: type[State]
    """Of work that is not done."""


class PlannedWork(Recorded):
    """The base of work that may be planned. Each noun has a due time or day, and a time at which it was done."""

    due_field: ClassVar[str]
    """The column with the due time, `due_at`, or with the last day on which it is on time, `due_on`."""
    done_field: ClassVar[str]
    """The column with when it was done; null while it is not."""
    events: ClassVar[WorkEvents]

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    status: Annotated[WorkStatus, column(sa.Text, server_default="done")] = "done"
    purpose: Annotated[str | None, column(comment="a code of what it is for")] = None
    planned_at: Annotated[datetime | None, column(comment="null for what was recorded when it was done")] = None
    missed_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    moves: Annotated[
        list[dict[str, Any]],
        column(
            JSONB, server_default=sa.text("'[]'::jsonb"), comment="each time that it was moved, with what was before"
        ),
    ] = field(default_factory=list)

    @property
    def partition_key(self) -> UUID:
        """Return the id that puts its events in order."""
        raise NotImplementedError

    @property
    def due(self) -> datetime | date | None:
        """Return the due time or day; None for what was not planned."""
        found: datetime | date | None = getattr(self, self.due_field)
        return found

    @property
    def changed_at(self) -> datetime:
        """Return when the latest step happened."""
        done_at: datetime | None = getattr(self, self.done_field)
        steps = (self.planned_at, done_at, self.missed_at, self.cancelled_at, self._moved_at)
        return max(step for step in steps if step is not None)

    def planned_event(self) -> State:
        """Return the event of work that was just planned."""
        return self._event(self.events.planned)

    def done_event(self) -> State:
        """Return the event of work that was recorded when it was done."""
        return self._event(self.events.done)

    def finish(self, changes: Mapping[str, Any], *, at: datetime) -> State:
        """Record that it was done, and columns by name that are known only then. Raise `WorkNotPlanned` (409)."""
        self._require("planned")
        # Plans are entered late too: what was done before that was done.
        check_follows(at, self._moved_at or at)
        for name, value in changes.items():
            setattr(self, name, value)
        self.status = "done"
        setattr(self, self.done_field, at)
        return self._step(self.events.done)

    def miss(self, *, at: datetime) -> State:
        """Record that it did not take place. Raise `WorkNotPlanned` (409)."""
        self._require("planned")
        check_follows(at, self.changed_at)
        self.status, self.missed_at = "missed", at
        return self._step(self.events.missed)

    def move(self, due: datetime | date, reason: str | None, *, at: datetime) -> State | None:
        """Plan it for another due time; None when it is planned for that already.

        Raise `WorkNotPlanned` (409), or `WorkMovedTooOften` (409).
        """
        self._require("planned", "missed")
        if due == self.due and self.status == "planned":
            return None
        check_follows(at, self.changed_at)
        if len(self.moves) >= MOST_MOVES:
            raise WorkMovedTooOften(f"It was moved {MOST_MOVES} times. Cancel it, and plan it anew.")
        was_due: dict[str, Any] = {self.due_field: self.due}
        before = WorkMove(moved_at=at.astimezone(UTC), missed_at=self.missed_at, reason=reason, **was_due)
        # A new list: a change within the old one would go unnoticed.
        self.moves = [*self.moves, msgspec.to_builtins(before)]
        self.status, self.missed_at = "planned", None
        setattr(self, self.due_field, due)
        return self._step(self.events.moved, change=WorkMoving(previous=before))

    def cancel(self, reason: str | None, *, at: datetime) -> State:
        """Record that it is not to be done any more. Raise `WorkNotPlanned` (409)."""
        self._require("planned")
        check_follows(at, self.changed_at)
        self.status, self.cancelled_at, self.cancel_reason = "cancelled", at, reason
        return self._step(self.events.cancelled)

    def amend(self, changes: Mapping[str, Any], *, at: datetime) -> State:
        """Correct columns by name. Raise `PlannedWorkNeedsDueTime` (409)."""
        check_follows(at, self.changed_at)
        is_done = self.status == "done"
        if not is_done and changes.get(self.due_field, self.due) is None:
            raise PlannedWorkNeedsDueTime(f"Give {self.due_field}, or leave it out; POST …/cancel cancels the work.")
        return amended(self, changes, self.events.amended if is_done else self.events.plan_amended, moves=self._moves())

    @property
    def _moved_at(self) -> datetime | None:
        return self._moves()[-1].moved_at if self.moves else None

    def _require(self, *allowed: WorkStatus) -> None:
        if self.status not in allowed:
            raise WorkNotPlanned(
                f"It is {self.status}; this can be done with what is {' or '.join(allowed)}.", work_status=self.status
            )

    def _step(self, event: type[State], **change: Any) -> State:
        self.version += 1
        return self._event(event, **change)

    def _event(self, event: type[State], **change: Any) -> State:
        return event(**state_of(self, event, moves=self._moves(), **change))

    def _moves(self) -> list[WorkMove]:
        return msgspec.convert(self.moves, list[WorkMove])


def planned_work(table: str, due: str) -> tuple[sa.schema.SchemaItem, ...]:
    """Return what a noun's table needs besides its columns; `due` is the one with the due time or day."""
    return (
        one_of("status", get_args(WorkStatus)),
        sa.CheckConstraint(f"status = 'done' OR {due} IS NOT NULL", name="planned_has_due"),
        *filtered(table, ("status", "purpose")),
        sa.Index(f"{table}_open_idx", due, "id", postgresql_where=sa.text("status = 'planned'")),
    )
