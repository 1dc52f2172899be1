"""What all work has in common that is planned with a due time: its status, and each time that it was moved."""

from datetime import date
from typing import Literal

import msgspec

from event_contracts.catalogue import State
from event_contracts.fields import Code, Moment

WorkStatus = Literal["planned", "done", "missed", "cancelled"]


class WorkMove(msgspec.Struct, frozen=True, kw_only=True):
    """One change of the due time, with what was so before."""

    moved_at: Moment
    due_at: Moment | None = None
    """The due time before; null for work that is due on a day."""
    due_on: date | None = None
    """The due day before; null for work that is due at a time."""
    missed_at: Moment | None = None
    """When it had been recorded as missed; null where it had not."""
    reason: Code | None = None


class PlannedWork(State, frozen=True, kw_only=True):
    """The state of work that may be planned. Events of before there were plans are of work that was done."""

    status: WorkStatus = "done"
    purpose: Code | None = None
    """What it is for; null where nothing was given."""
    planned_at: Moment | None = None
    """When it was planned; null for what was recorded when it was done."""
    missed_at: Moment | None = None
    cancelled_at: Moment | None = None
    cancel_reason: Code | None = None
    moves: list[WorkMove] = msgspec.field(default_factory=list)
    """Each time that it was moved to another due time, the first one first."""


class WorkMoving(msgspec.Struct, frozen=True, kw_only=True):
    """What was so before the move."""

    previous: WorkMove
