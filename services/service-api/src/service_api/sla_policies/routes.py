"""SLA policies over HTTP."""

from fastapi import Response

from service_api.business_calendars import BusinessCalendar, BusinessCalendarRead
from service_api.sla_policies import use_cases
from service_api.sla_policies.model import SlaPolicy
from service_api.sla_policies.schemas import SlaPolicyCreate, SlaPolicyRead, SlaPolicyUpdate
from service_kit.fields import Flag, Identifier
from service_kit.lists.includes import included
from service_kit.locking import lock
from service_kit.resources import Resource
from service_kit.routing import Work
from service_kit.versions import Expected

sla_policies = Resource(
    "/sla-policies/{policy_id}",
    SlaPolicy.table,
    SlaPolicyRead,
    filters={
        "active": Flag,
    },
    sorts=("name",),
    includes={
        "calendar": included("calendar_id", BusinessCalendar.table, BusinessCalendarRead),
    },
)
sla_policies.read_routes(list_as="list_policies", get_as="get_policy")


@sla_policies.routes.post("", status_code=201, summary="Create an SLA policy")
async def create_policy(body: SlaPolicyCreate, work: Work, response: Response) -> SlaPolicyRead:
    """Promise times for tickets that are opened from now on. Of several policies that fit, the most specific holds."""
    return sla_policies.show_created(response, await use_cases.create_policy(work, body))


@sla_policies.routes.patch("/{policy_id}", summary="Change an SLA policy")
async def change_policy(
    policy_id: Identifier, body: SlaPolicyUpdate, work: Work, response: Response, expected: Expected
) -> SlaPolicyRead:
    """Rename the policy, or take it out of use for new tickets; tickets that have it keep what they were promised."""
    policy = await lock(work, SlaPolicy, policy_id, expected)
    body.apply_to(policy)
    return sla_policies.show(response, policy)
