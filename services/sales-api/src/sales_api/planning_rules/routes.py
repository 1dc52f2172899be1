"""Planning rules over HTTP."""

from fastapi import Response

from sales_api.planning_rules import use_cases
from sales_api.planning_rules.model import PlanningRule
from sales_api.planning_rules.schemas import PlanningRuleCreate, PlanningRuleRead, PlanningRuleUpdate, TriggerField
from service_kit.fields import Flag, Identifier
from service_kit.resources import Resource
from service_kit.routing import Work
from service_kit.versions import Expected

planning_rules = Resource(
    "/planning-rules/{rule_id}",
    PlanningRule.table,
    PlanningRuleRead,
    filters={"trigger": TriggerField, "active": Flag},
    sorts=("name",),
)
planning_rules.read_routes(list_as="list_planning_rules", get_as="get_planning_rule")


@planning_rules.routes.post("", status_code=201, summary="Declare a planning rule")
async def create_planning_rule(body: PlanningRuleCreate, work: Work, response: Response) -> PlanningRuleRead:
    """Let activities plan themselves some days after a deal is won or lost, or at intervals for each account.

    A deal that is won again is not followed twice; what is still open is cancelled when its deal is reopened.
    """
    return planning_rules.show_created(response, await use_cases.create_rule(work, body))


@planning_rules.routes.patch("/{rule_id}", summary="Change a planning rule")
async def change_planning_rule(
    rule_id: Identifier, body: PlanningRuleUpdate, work: Work, response: Response, expected: Expected
) -> PlanningRuleRead:
    """Change what the rule plans from now on, or take it out of use. What it planned before stays."""
    return planning_rules.show(response, await use_cases.change_rule(work, rule_id, body, expected))
