"""What work with a due time contributes on the day it is due: whether it was done on time, or is still to be done."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple

from event_contracts.planned_work import PlannedWork
from metrics_worker.domain.posting import Reporting

Due = datetime | date
"""A time; or a day, to the end of which in the reporting time zone the work is on time."""


class DueDay(NamedTuple):
    """What falls on one day on which work is or was due."""

    day: date
    due: int = 0
    on_time: int = 0
    open: int = 0


def due_days(work: PlannedWork, due: Due | None, done_at: datetime | None, reporting: Reporting) -> Iterator[DueDay]:
    """Yield the days on which work counts as due; none without a due time, or once it was cancelled.

    A due time that had passed before the work was moved, or for which it was missed, stays: it was not kept.
    Raise ValueError when a day is outside the calendar.
    """
    if work.status == "cancelled":
        return
    for move in work.moves:
        former = move.due_on if move.due_at is None else move.due_at
        if former is not None and (move.missed_at is not None or _is_past(former, move.moved_at, reporting)):
            yield DueDay(_day_of(former, reporting), due=1)
    if due is None:
        return
    if done_at is not None:
        yield DueDay(_day_of(due, reporting), due=1, on_time=int(not _is_past(due, done_at, reporting)))
    elif work.status == "missed":
        yield DueDay(_day_of(due, reporting), due=1)
    else:
        yield DueDay(_day_of(due, reporting), open=1)


def _is_past(due: Due, at: datetime, reporting: Reporting) -> bool:
    return at > due if isinstance(due, datetime) else reporting.day_of(at) > due


def _day_of(due: Due, reporting: Reporting) -> date:
    return reporting.day_of(due) if isinstance(due, datetime) else reporting.within_calendar(due)
