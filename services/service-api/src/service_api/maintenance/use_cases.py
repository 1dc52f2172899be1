"""The use cases of maintenance: one function each, within its route's transaction."""

from uuid import UUID

from service_api.attribution import attribution_of, done_by
from service_api.customers.use_cases import require_customer
from service_api.maintenance.model import Maintenance, MaintenancePlan
from service_api.maintenance.schemas import (
    MaintenancePlanCreate,
    MaintenancePlanPerformRequest,
    MaintenancePlanUpdate,
)
from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.identifiers import new_id
from service_kit.locking import lock
from service_kit.occurrence import happened_at
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion


async def create_plan(work: UnitOfWork, body: MaintenancePlanCreate) -> MaintenancePlan:
    """Create a plan. Raise `UnknownReference` (422), and 409 for an erased or merged customer."""
    customer = await require_customer(work, body.customer_id)
    plan = MaintenancePlan(
        id=new_id(),
        version=1,
        **attribution_of(customer),
        product=body.product,
        interval_days=body.interval_days,
        next_due_on=body.next_due_on,
    )
    work.add(plan)
    return plan


async def update_plan(
    work: UnitOfWork, plan_id: UUID, body: MaintenancePlanUpdate, expected: ExpectedVersion
) -> MaintenancePlan:
    """Change a plan; the same again changes nothing."""
    plan = await lock(work, MaintenancePlan, plan_id, expected)
    body.apply_to(plan)
    return plan


async def perform_maintenance(
    work: UnitOfWork,
    plan_id: UUID,
    body: MaintenancePlanPerformRequest,
    by: Principal,
    expected: ExpectedVersion,
) -> Maintenance:
    """Record the maintenance that a plan asks for next. Raise `UnknownReference` (422)."""
    plan = await lock(work, MaintenancePlan, plan_id, expected)
    at = happened_at(body.occurred_at, by)
    maintenance, event = plan.perform(at=at, done_by=await done_by(work, body.agent_id, body.team_id))
    work.add(maintenance)
    publish(work, maintenance, event, at)
    return maintenance
