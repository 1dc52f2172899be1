"""The use cases of maintenance: one function each, within its route's transaction."""

from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID

from service_api.attribution import WorkDoneRequest, amend_work, attribution_of, done_by, finish_by_agent
from service_api.customers.use_cases import require_customer
from service_api.maintenance.model import Maintenance, MaintenancePlan
from service_api.maintenance.schemas import (
    MaintenancePlanCreate,
    MaintenancePlanEndRequest,
    MaintenancePlanPerformRequest,
    MaintenancePlanUpdate,
    MaintenanceUpdate,
)
from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.identifiers import new_id
from service_kit.locking import lock
from service_kit.occurrence import happened_at
from service_kit.planned_work.schemas import WorkCancelRequest, WorkMissRequest, WorkMoveDayRequest
from service_kit.planned_work.use_cases import add_work, cancel_work, finish_work, miss_work, move_work
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion

PLAN_ENDED: Final = "plan-ended"
"""The reason why the visits of a plan that ended are cancelled."""
_OF_VISITS: Final[tuple[str, ...]] = ("region", "segment", "product", "agent_id", "team_id")
"""What a planned visit has from its plan."""


async def create_plan(work: UnitOfWork, body: MaintenancePlanCreate) -> MaintenancePlan:
    """Create a plan, and plan its first visit.

    Raise `UnknownReference` (422), and 409 for an erased or merged customer.
    """
    customer = await require_customer(work, body.customer_id)
    plan = MaintenancePlan(
        id=new_id(),
        version=1,
        **attribution_of(customer),
        **await done_by(work, body.agent_id, body.team_id),
        product=body.product,
        interval_days=body.interval_days,
        next_due_on=body.next_due_on,
    )
    work.add(plan)
    at = datetime.now(UTC)
    add_work(work, plan.planned_visit(at=at), at)
    return plan


async def update_plan(
    work: UnitOfWork, plan_id: UUID, body: MaintenancePlanUpdate, expected: ExpectedVersion
) -> MaintenancePlan:
    """Change a plan, and its planned visits with it; the same again changes nothing. Raise `UnknownReference` (422)."""
    plan = await lock(work, MaintenancePlan, plan_id, expected)
    was_due_on = plan.next_due_on
    changes = body.changed_from(plan)
    if changes.keys() & {"agent_id", "team_id"}:
        by_whom = await done_by(work, changes.get("agent_id"), changes.get("team_id"))
        if "agent_id" in changes and "team_id" not in body.model_fields_set:
            changes["team_id"] = by_whom["team_id"]
    if not changes:
        return plan
    for name, value in changes.items():
        setattr(plan, name, value)
    plan.changed()
    for visit in await _open_visits(work, plan.id):
        for_visit = {name: changes[name] for name in _OF_VISITS if name in changes}
        if visit.due_on == was_due_on:
            for_visit["due_on"] = plan.next_due_on
        for_visit = {name: value for name, value in for_visit.items() if getattr(visit, name) != value}
        if for_visit:
            at = max(datetime.now(UTC), visit.changed_at)
            publish(work, visit, visit.amend(for_visit, at=at), at)
    return plan


async def end_plan(
    work: UnitOfWork, plan_id: UUID, body: MaintenancePlanEndRequest, by: Principal, expected: ExpectedVersion
) -> MaintenancePlan:
    """End a plan, and cancel what is planned under it. Raise `MaintenancePlanEnded` (409)."""
    plan = await lock(work, MaintenancePlan, plan_id, expected)
    at = happened_at(body.occurred_at, by)
    plan.end(at=at)
    for visit in await _open_visits(work, plan.id):
        cancelled_at = max(at, visit.changed_at)
        publish(work, visit, visit.cancel(PLAN_ENDED, at=cancelled_at), cancelled_at)
    return plan


async def perform_maintenance(
    work: UnitOfWork,
    plan_id: UUID,
    body: MaintenancePlanPerformRequest,
    by: Principal,
    expected: ExpectedVersion,
) -> Maintenance:
    """Record the maintenance that a plan asks for next, and plan the one after.

    Raise `UnknownReference` (422), and `MaintenancePlanEnded` (409).
    """
    plan = await lock(work, MaintenancePlan, plan_id, expected)
    plan.require_going_on()
    by_whom = await done_by(work, body.agent_id, body.team_id)
    planned = await _open_visits(work, plan.id)
    if planned:
        named = body.agent_id is not None or body.team_id is not None
        visit = await finish_work(work, planned[0], by_whom if named else {}, body.occurred_at, by)
    else:
        # Of a plan of before there were planned visits.
        at = happened_at(body.occurred_at, by)
        visit = plan.done_visit(by_whom, at=at)
        add_work(work, visit, at)
    await _go_on(work, plan, besides=visit)
    return visit


async def finish_maintenance(
    work: UnitOfWork, maintenance_id: UUID, body: WorkDoneRequest, expected: ExpectedVersion, by: Principal
) -> Maintenance:
    """Record that a planned visit was done, and plan the next. Raise `WorkNotPlanned` (409)."""
    return await _after(work, await finish_by_agent(work, Maintenance, maintenance_id, body, by, expected))


async def miss_maintenance(
    work: UnitOfWork, maintenance_id: UUID, body: WorkMissRequest, expected: ExpectedVersion, by: Principal
) -> Maintenance:
    """Record that a visit did not take place, and plan the next. Raise `WorkNotPlanned` (409)."""
    return await _after(work, await miss_work(work, Maintenance, maintenance_id, body, expected, by))


async def cancel_maintenance(
    work: UnitOfWork, maintenance_id: UUID, body: WorkCancelRequest, expected: ExpectedVersion, by: Principal
) -> Maintenance:
    """Cancel one visit, and plan the next. Raise `WorkNotPlanned` (409)."""
    return await _after(work, await cancel_work(work, Maintenance, maintenance_id, body, expected, by))


async def move_maintenance(
    work: UnitOfWork, maintenance_id: UUID, body: WorkMoveDayRequest, expected: ExpectedVersion, by: Principal
) -> Maintenance:
    """Move a visit to another day; its plan goes on from there. Raise `WorkNotPlanned` (409)."""
    visit = await lock(work, Maintenance, maintenance_id, expected)
    was_due_on = visit.due_on
    moved = await move_work(work, Maintenance, maintenance_id, body, expected, by)
    await _follow(work, moved, was_due_on)
    return moved


async def update_maintenance(
    work: UnitOfWork, maintenance_id: UUID, body: MaintenanceUpdate, expected: ExpectedVersion, by: Principal
) -> Maintenance:
    """Correct a visit, planned or done; the same again changes nothing. Raise `UnknownReference` (422)."""
    visit = await lock(work, Maintenance, maintenance_id, expected)
    was_due_on = visit.due_on
    amended = await amend_work(work, visit, body, by)
    if amended.status == "planned":
        await _follow(work, amended, was_due_on)
    return amended


async def plan_next_visit(work: UnitOfWork, plan: MaintenancePlan, at: datetime) -> None:
    """Plan the visit that a locked plan asks for next, unless one is planned already."""
    if not await _open_visits(work, plan.id):
        # A client that has read the plan before has to read again that there is a visit.
        plan.changed()
        add_work(work, plan.planned_visit(at=at), at)


async def _follow(work: UnitOfWork, visit: Maintenance, was_due_on: date) -> None:
    if visit.due_on != was_due_on:
        plan = await _plan_of(work, visit)
        plan.follow(was_due_on, visit.due_on)


async def _after(work: UnitOfWork, visit: Maintenance) -> Maintenance:
    plan = await _plan_of(work, visit)
    if plan.ended_at is None:
        await _go_on(work, plan, besides=visit)
    return visit


async def _go_on(work: UnitOfWork, plan: MaintenancePlan, *, besides: Maintenance) -> None:
    """Plan the next visit, unless another one is planned: one that was missed, and moved since."""
    if all(each.id == besides.id for each in await _open_visits(work, plan.id)):
        plan.go_on()
        at = datetime.now(UTC)
        add_work(work, plan.planned_visit(at=at), at)


async def _plan_of(work: UnitOfWork, visit: Maintenance) -> MaintenancePlan:
    plan = await work.edit(MaintenancePlan, visit.plan_id)
    assert plan is not None  # noqa: S101 -- a foreign key
    return plan


async def _open_visits(work: UnitOfWork, plan_id: UUID) -> list[Maintenance]:
    """Return a plan's planned visits, the one that is due first in front."""
    columns = Maintenance.table.c
    return await work.find(
        Maintenance,
        columns.plan_id == plan_id,
        columns.status == "planned",
        order_by=[columns.due_on, columns.id],
        lock="no key update",
    )
