"""Maintenance plans and maintenance over HTTP."""

from fastapi import Response

from event_contracts.catalogue import SERVICE_TOPIC
from service_api.agents import Agent, AgentRead
from service_api.attribution import WorkDoneRequest
from service_api.customers.model import Customer
from service_api.customers.schemas import CustomerRead
from service_api.maintenance import use_cases
from service_api.maintenance.model import Maintenance, MaintenancePlan
from service_api.maintenance.schemas import (
    MaintenancePlanCreate,
    MaintenancePlanEndRequest,
    MaintenancePlanPerformRequest,
    MaintenancePlanRead,
    MaintenancePlanUpdate,
    MaintenanceRead,
    MaintenanceUpdate,
)
from service_api.teams import Team, TeamRead
from service_kit.fields import Code, Day, Identifier, Moment
from service_kit.history.own_events import OwnEvents
from service_kit.lists.includes import included
from service_kit.planned_work.overdue import overdue
from service_kit.planned_work.schemas import WorkCancelRequest, WorkMissRequest, WorkMoveDayRequest, WorkStatusField
from service_kit.resources import Resource
from service_kit.routing import By, Work
from service_kit.versions import Expected

plans = Resource(
    "/maintenance-plans/{plan_id}",
    MaintenancePlan.table,
    MaintenancePlanRead,
    filters={
        "customer_id": Identifier,
        "agent_id": Identifier,
        "team_id": Identifier,
        "product": Code,
        "next_due_on": Day,
    },
    tag="maintenance",
    sorts=("next_due_on",),
    includes={
        "agent": included("agent_id", Agent.table, AgentRead),
        "team": included("team_id", Team.table, TeamRead),
        "customer": included("customer_id", Customer.table, CustomerRead),
    },
)
plans.read_routes(list_as="list_maintenance_plans", get_as="get_maintenance_plan")

maintenance = Resource(
    "/maintenance/{maintenance_id}",
    Maintenance.table,
    MaintenanceRead,
    filters={
        "customer_id": Identifier,
        "agent_id": Identifier,
        "team_id": Identifier,
        "plan_id": Identifier,
        "product": Code,
        "status": WorkStatusField,
        "purpose": Code,
        "due_on": Day,
        "performed_at": Moment,
    },
    more_filters=[overdue(Maintenance.table, "due_on")],
    sorts=(
        "due_on",
        "performed_at",
    ),
    includes={
        "agent": included("agent_id", Agent.table, AgentRead),
        "team": included("team_id", Team.table, TeamRead),
        "customer": included("customer_id", Customer.table, CustomerRead),
        "plan": included("plan_id", MaintenancePlan.table, MaintenancePlanRead),
    },
    own_events=OwnEvents(SERVICE_TOPIC, "maintenance", key=("keyed_by", "customer_id")),
)
maintenance.read_routes(list_as="list_maintenance", get_as="get_maintenance")


@plans.routes.post("", status_code=201, summary="Create a maintenance plan")
async def create_maintenance_plan(body: MaintenancePlanCreate, work: Work, response: Response) -> MaintenancePlanRead:
    """Plan what is to be maintained, how often, and by when first: that visit is planned with it."""
    return plans.show_created(response, await use_cases.create_plan(work, body))


@plans.routes.post("/{plan_id}/perform", status_code=201, summary="Record maintenance")
async def perform_maintenance(
    plan_id: Identifier,
    body: MaintenancePlanPerformRequest,
    work: Work,
    response: Response,
    expected: Expected,
    by: By,
) -> MaintenanceRead:
    """Record that the plan's next visit was done, and plan the one after. If-Match is about the plan."""
    done = await use_cases.perform_maintenance(work, plan_id, body, by, expected)
    return maintenance.show_created(response, done)


@plans.routes.patch("/{plan_id}", summary="Change a maintenance plan")
async def update_maintenance_plan(
    plan_id: Identifier, body: MaintenancePlanUpdate, work: Work, response: Response, expected: Expected
) -> MaintenancePlanRead:
    """Change what is planned, its next visit with it. What was done under the plan stays as it was recorded."""
    return plans.show(response, await use_cases.update_plan(work, plan_id, body, expected))


@plans.routes.post("/{plan_id}/end", summary="End a maintenance plan")
async def end_maintenance_plan(
    plan_id: Identifier, body: MaintenancePlanEndRequest, work: Work, response: Response, expected: Expected, by: By
) -> MaintenancePlanRead:
    """Record that nothing more is to be maintained under the plan: what is planned of it is cancelled."""
    return plans.show(response, await use_cases.end_plan(work, plan_id, body, by, expected))


@maintenance.routes.patch("/{maintenance_id}", summary="Correct maintenance")
async def update_maintenance(
    maintenance_id: Identifier,
    body: MaintenanceUpdate,
    work: Work,
    response: Response,
    by: By,
    expected: Expected,
) -> MaintenanceRead:
    """Correct what was recorded wrongly: it counts as if it had been recorded so, in the same days."""
    done = await use_cases.update_maintenance(work, maintenance_id, body, expected, by)
    return maintenance.show(response, done)


@maintenance.routes.post("/{maintenance_id}/done", summary="Record that planned maintenance was done")
async def finish_maintenance(
    maintenance_id: Identifier, body: WorkDoneRequest, work: Work, response: Response, expected: Expected, by: By
) -> MaintenanceRead:
    """Record that what was planned was done, and plan the next visit; by its due day it is on time."""
    done = await use_cases.finish_maintenance(work, maintenance_id, body, expected, by)
    return maintenance.show(response, done)


@maintenance.routes.post("/{maintenance_id}/missed", summary="Record that planned maintenance was missed")
async def miss_maintenance(
    maintenance_id: Identifier, body: WorkMissRequest, work: Work, response: Response, expected: Expected, by: By
) -> MaintenanceRead:
    """Record that it did not take place, and plan the next visit. It counts as not on time."""
    missed = await use_cases.miss_maintenance(work, maintenance_id, body, expected, by)
    return maintenance.show(response, missed)


@maintenance.routes.post("/{maintenance_id}/move", summary="Move planned maintenance")
async def move_maintenance(
    maintenance_id: Identifier, body: WorkMoveDayRequest, work: Work, response: Response, expected: Expected, by: By
) -> MaintenanceRead:
    """Give what is planned, or was missed, another due day. One that was over by then stays not kept.

    The plan goes on from the new day, if it is that of its next visit.
    """
    moved = await use_cases.move_maintenance(work, maintenance_id, body, expected, by)
    return maintenance.show(response, moved)


@maintenance.routes.post("/{maintenance_id}/cancel", summary="Cancel planned maintenance")
async def cancel_maintenance(
    maintenance_id: Identifier, body: WorkCancelRequest, work: Work, response: Response, expected: Expected, by: By
) -> MaintenanceRead:
    """Record that one visit is not to be done any more, and plan the next: it counts nowhere."""
    cancelled = await use_cases.cancel_maintenance(work, maintenance_id, body, expected, by)
    return maintenance.show(response, cancelled)
