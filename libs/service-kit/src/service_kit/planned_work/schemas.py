"""Planned work over HTTP: what is asked for, and what is shown."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from event_contracts.planned_work import WorkStatus
from service_kit.fields import Code, Day, Moment, OccurredAt, ReadModel, StrictModel, described, examples

_STATUS = described("What has become of it.", "planned", schema="WorkStatus")
_PURPOSE = described("The code of what it is for, from the company's own list.", "renewal")
_MOVE_REASON = described("The code of why it was moved, from the company's own list.", "customer-asked")
_CANCEL_REASON = described("The code of why it is not to be done, from the company's own list.", "not-needed")
_GIVEN = "2026-03-16T10:00:00Z"

Purpose = Annotated[Code, _PURPOSE]
PurposeRead = Annotated[str, _PURPOSE]
WorkStatusField = Annotated[WorkStatus, _STATUS]
StatusGiven = Annotated[
    Literal["planned", "done"],
    described(
        "Whether it is planned or was done. Left out, it is planned when its due time is still to come and no"
        " occurred_at is given, and done otherwise.",
        "planned",
        schema="GivenWorkStatus",
    ),
]


class WorkMissRequest(StrictModel):
    """When it turned out that it did not take place."""

    model_config = examples({"occurred_at": _GIVEN})

    occurred_at: OccurredAt | None = None


class WorkCancelRequest(StrictModel):
    """Why it is not to be done any more."""

    model_config = examples({"reason": "not-needed", "occurred_at": _GIVEN})

    reason: Annotated[Code, _CANCEL_REASON] | None = None
    occurred_at: OccurredAt | None = None


class WorkMoveRequest(StrictModel):
    """The new due time."""

    model_config = examples({"due_at": "2026-03-18T16:00:00Z", "reason": "customer-asked", "occurred_at": _GIVEN})

    due_at: Annotated[Moment, described("By when it is to be done now.", "2026-03-18T16:00:00Z")]
    reason: Annotated[Code, _MOVE_REASON] | None = None
    occurred_at: OccurredAt | None = None


class WorkMoveDayRequest(StrictModel):
    """The new due day."""

    model_config = examples({"due_on": "2026-03-18", "reason": "customer-asked", "occurred_at": _GIVEN})

    due_on: Annotated[Day, described("The last day on which it is on time now.", "2026-03-18")]
    reason: Annotated[Code, _MOVE_REASON] | None = None
    occurred_at: OccurredAt | None = None


class WorkMoveRead(ReadModel):
    """One change of the due time, with what was so before."""

    moved_at: Moment
    """When it was moved."""
    due_at: Annotated[Moment | None, described("The due time before; null for work that is due on a day.", _GIVEN)]
    due_on: Annotated[
        date | None, described("The due day before; null for work that is due at a time.", "2026-03-16", rarely=True)
    ]
    missed_at: Annotated[
        Moment | None, described("When it had been recorded as missed; null if it had not.", _GIVEN, rarely=True)
    ]
    reason: Annotated[str | None, _MOVE_REASON]


class PlannedWorkRead(ReadModel):
    """What all records have of work that may be planned."""

    status: WorkStatusField
    purpose: PurposeRead | None
    planned_at: Moment | None
    """When it was planned; null for what was recorded when it was done."""
    missed_at: Moment | None = Field(examples=[None])
    """When it turned out that it did not take place; null if it did not."""
    cancelled_at: Moment | None = Field(examples=[None])
    """When it was cancelled; null if it was not."""
    cancel_reason: Annotated[str, _CANCEL_REASON] | None = Field(examples=[None])
    moves: list[WorkMoveRead]
    """Each time that it was moved, the first one first."""


def is_planned(status: Literal["planned", "done"] | None, due: datetime | date | None, at: Any, now: datetime) -> bool:
    """Return whether a record is to be planned: as given, else by whether it is due later. `at` is its occurred_at."""
    if status is not None:
        return status == "planned"
    if due is None or at is not None:
        return False
    return due > (now if isinstance(due, datetime) else now.date())
