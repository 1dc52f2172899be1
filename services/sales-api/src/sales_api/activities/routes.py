"""Activities over HTTP."""

from fastapi import Response

from event_contracts.sales import ActivityKind
from sales_api.activities import use_cases
from sales_api.activities.model import Activity
from sales_api.activities.schemas import ActivityCreate, ActivityRead
from service_kit.fields import Identifier
from service_kit.resources import Resource
from service_kit.routing import By, Work

activities = Resource(
    "/activities/{activity_id}",
    Activity.table,
    ActivityRead,
    filters={
        "kind": ActivityKind,
        "account_id": Identifier,
        "lead_id": Identifier,
        "deal_id": Identifier,
        "owner_id": Identifier,
        "team_id": Identifier,
    },
)
activities.read_routes(list_as="list_activities", get_as="get_activity")


@activities.routes.post("", status_code=201, summary="Record an activity")
async def complete_activity(body: ActivityCreate, work: Work, response: Response, by: By) -> ActivityRead:
    """Record what a salesperson did for a deal, a lead or an account. With `due_at` it counts as on time or late."""
    return activities.show_created(response, await use_cases.complete_activity(work, body, by))
