"""Activities over HTTP."""

from fastapi import Response

from event_contracts.catalogue import SALES_TOPIC
from event_contracts.sales import ActivityKind
from sales_api.accounts.model import Account
from sales_api.accounts.schemas import AccountRead
from sales_api.activities import use_cases
from sales_api.activities.model import Activity
from sales_api.activities.schemas import ActivityCreate, ActivityDoneRequest, ActivityRead, ActivityUpdate
from sales_api.deals import queries as deal_queries
from sales_api.deals.model import Deal
from sales_api.deals.schemas import DealRead
from sales_api.leads.model import Lead
from sales_api.leads.schemas import LeadRead
from sales_api.reps import Rep, RepRead
from sales_api.teams import Team, TeamRead
from service_kit.fields import Code, Identifier, Moment
from service_kit.history.own_events import OwnEvents
from service_kit.lists.includes import included
from service_kit.planned_work.overdue import overdue
from service_kit.planned_work.routes import planned_work_routes
from service_kit.planned_work.rule_schemas import PlanningRuleId
from service_kit.planned_work.schemas import WorkStatusField
from service_kit.resources import Resource
from service_kit.routing import By, Work
from service_kit.versions import Expected

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
        "status": WorkStatusField,
        "purpose": Code,
        "planning_rule_id": PlanningRuleId,
        "due_at": Moment,
        "completed_at": Moment,
    },
    more_filters=[overdue(Activity.table, "due_at")],
    sorts=(
        "due_at",
        "completed_at",
    ),
    includes={
        "owner": included("owner_id", Rep.table, RepRead),
        "team": included("team_id", Team.table, TeamRead),
        "account": included("account_id", Account.table, AccountRead),
        "lead": included("lead_id", Lead.table, LeadRead),
        "deal": included("deal_id", Deal.table, DealRead, rows=deal_queries.ROWS, view=deal_queries.view),
    },
    own_events=OwnEvents(SALES_TOPIC, "activities", key=("keyed_by", "account_id", "id")),
)
activities.read_routes(list_as="list_activities", get_as="get_activity")


@activities.routes.post("", status_code=201, summary="Plan or record an activity")
async def complete_activity(body: ActivityCreate, work: Work, response: Response, by: By) -> ActivityRead:
    """Plan what a salesperson is to do for a deal, a lead or an account by `due_at`, or record what they did.

    With `due_at` it counts as on time or late, on the day it is due.
    """
    return activities.show_created(response, await use_cases.complete_activity(work, body, by))


@activities.routes.patch("/{activity_id}", summary="Correct an activity")
async def update_activity(
    activity_id: Identifier, body: ActivityUpdate, work: Work, response: Response, expected: Expected, by: By
) -> ActivityRead:
    """Correct what was recorded wrongly: it counts as if it had been recorded so, in the same days."""
    return activities.show(response, await use_cases.update_activity(work, activity_id, body, expected, by))


@activities.routes.post("/{activity_id}/done", summary="Record that a planned activity was done")
async def finish_activity(
    activity_id: Identifier, body: ActivityDoneRequest, work: Work, response: Response, expected: Expected, by: By
) -> ActivityRead:
    """Record that what was planned was done; by its due time it is on time."""
    return activities.show(response, await use_cases.finish_activity(work, activity_id, body, expected, by))


planned_work_routes(activities, Activity)
