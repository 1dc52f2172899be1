"""The steps of planned work within a route's transaction, for every noun alike."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, TypeVar
from uuid import UUID

from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.locking import lock
from service_kit.occurrence import happened_at
from service_kit.planned_work.model import PlannedWork
from service_kit.planned_work.schemas import WorkCancelRequest, WorkMissRequest, WorkMoveDayRequest, WorkMoveRequest
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion

W = TypeVar("W", bound=PlannedWork)


def planned_or_done(entity: type[PlannedWork], at: datetime, *, planned: bool) -> dict[str, Any]:
    """Return the columns of new work that was planned at a time, or done at it."""
    return {"status": "planned", "planned_at": at} if planned else {"status": "done", entity.done_field: at}


def add_work(work: UnitOfWork, record: PlannedWork, at: datetime, *, by_caller: bool = True) -> None:
    """Add new work to the unit of work, and publish that it was planned or done at that time."""
    work.add(record, by_caller=by_caller)
    publish(work, record, record.done_event() if record.status == "done" else record.planned_event(), at)


async def finish_work(
    work: UnitOfWork, record: W, changes: Mapping[str, Any], occurred_at: datetime | None, by: Principal
) -> W:
    """Record that locked work was done. Raise `WorkNotPlanned` (409)."""
    at = happened_at(occurred_at, by, after=record.changed_at)
    publish(work, record, record.finish(changes, at=at), at)
    return record


async def miss_work(
    work: UnitOfWork, entity: type[W], record_id: UUID, body: WorkMissRequest, expected: ExpectedVersion, by: Principal
) -> W:
    """Record that work did not take place. Raise `WorkNotPlanned` (409)."""
    record = await lock(work, entity, record_id, expected)
    at = happened_at(body.occurred_at, by, after=record.changed_at)
    publish(work, record, record.miss(at=at), at)
    return record


async def move_work(
    work: UnitOfWork,
    entity: type[W],
    record_id: UUID,
    body: WorkMoveRequest | WorkMoveDayRequest,
    expected: ExpectedVersion,
    by: Principal,
) -> W:
    """Move work to another due time; the same again changes nothing. Raise `WorkNotPlanned` (409)."""
    record = await lock(work, entity, record_id, expected)
    at = happened_at(body.occurred_at, by, after=record.changed_at)
    due: datetime | date = body.due_at if isinstance(body, WorkMoveRequest) else body.due_on
    event = record.move(due, body.reason, at=at)
    if event is not None:
        publish(work, record, event, at)
    return record


async def cancel_work(
    work: UnitOfWork,
    entity: type[W],
    record_id: UUID,
    body: WorkCancelRequest,
    expected: ExpectedVersion,
    by: Principal,
) -> W:
    """Cancel work. Raise `WorkNotPlanned` (409)."""
    record = await lock(work, entity, record_id, expected)
    at = happened_at(body.occurred_at, by, after=record.changed_at)
    publish(work, record, record.cancel(body.reason, at=at), at)
    return record
