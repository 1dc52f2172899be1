"""Planning rules over HTTP."""

from fastapi import Response

from service_api.agents import Agent, AgentRead
from service_api.planning_rules import use_cases
from service_api.planning_rules.model import PlanningRule
from service_api.planning_rules.schemas import PlanningRuleCreate, PlanningRuleRead, PlanningRuleUpdate, TriggerField
from service_api.teams import Team, TeamRead
from service_kit.fields import Flag, Identifier
from service_kit.lists.includes import included
from service_kit.resources import Resource
from service_kit.routing import Work
from service_kit.versions import Expected

planning_rules = Resource(
    "/planning-rules/{rule_id}",
    PlanningRule.table,
    PlanningRuleRead,
    filters={"trigger": TriggerField, "active": Flag, "agent_id": Identifier, "team_id": Identifier},
    sorts=("name",),
    includes={
        "agent": included("agent_id", Agent.table, AgentRead),
        "team": included("team_id", Team.table, TeamRead),
    },
)
planning_rules.read_routes(list_as="list_planning_rules", get_as="get_planning_rule")


@planning_rules.routes.post("", status_code=201, summary="Declare a planning rule")
async def create_planning_rule(body: PlanningRuleCreate, work: Work, response: Response) -> PlanningRuleRead:
    """Let check-ins plan themselves some days after an onboarding or a bad rating, or at intervals for each customer.

    Nothing is planned twice after the same; what is still open is cancelled when the onboarding is reopened or
    cancelled, or the rating revised.
    """
    return planning_rules.show_created(response, await use_cases.create_rule(work, body))


@planning_rules.routes.patch("/{rule_id}", summary="Change a planning rule")
async def change_planning_rule(
    rule_id: Identifier, body: PlanningRuleUpdate, work: Work, response: Response, expected: Expected
) -> PlanningRuleRead:
    """Change what the rule plans from now on, or take it out of use. What it planned before stays."""
    return planning_rules.show(response, await use_cases.change_rule(work, rule_id, body, expected))
