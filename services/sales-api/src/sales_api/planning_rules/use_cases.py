"""The use cases of planning rules: declaring them, and planning by them within what they follow."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sales_api.accounts.model import Account
from sales_api.activities.model import Activity
from sales_api.activities.use_cases import plan_activity
from sales_api.deals.model import Deal
from sales_api.planning_rules.model import PlanningRule, Trigger
from sales_api.planning_rules.schemas import PlanningRuleCreate, PlanningRuleUpdate
from sales_api.products import Product
from service_kit.identifiers import new_id
from service_kit.list_values.queries import check_listed
from service_kit.locking import lock
from service_kit.planned_work.intervals import Intervals, Planned
from service_kit.planned_work.rule_use_cases import not_planned_yet, rules_for, undo_trigger
from service_kit.references import require
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion

DEAL_REOPENED: Final = "deal-reopened"
"""Why what followed from a closed deal is cancelled."""


async def create_rule(work: UnitOfWork, body: PlanningRuleCreate) -> PlanningRule:
    """Declare a rule. Raise `UnknownReference` and `UnknownListValue` (422), and as `WorkRule.check` does."""
    await check_listed(work, body)
    given = dict(body) | {"since": body.since or datetime.now(UTC)}
    rule = PlanningRule(id=new_id(), version=1, **given)
    await _check(work, rule)
    work.add(rule)
    return rule


async def change_rule(
    work: UnitOfWork, rule_id: UUID, body: PlanningRuleUpdate, expected: ExpectedVersion
) -> PlanningRule:
    """Change a rule, for what it plans from then on. Raise as `create_rule` does."""
    rule = await lock(work, PlanningRule, rule_id, expected)
    await check_listed(work, body, body.apply_to(rule))
    await _check(work, rule)
    return rule


async def plan_after_closing(work: UnitOfWork, deal: Deal, at: datetime) -> None:
    """Plan what rules say about a deal that was just won or lost, and has not been followed by them yet."""
    if deal.erased_at is not None:
        return
    trigger: Trigger = "deal_won" if deal.stage == "won" else "deal_lost"
    products = {line.product for line in deal.lines}
    fitting = [
        rule
        for rule in await rules_for(work, PlanningRule, trigger, at)
        if rule.is_for(region=[deal.region], segment=[deal.segment], channel=[deal.channel], product=products)
    ]
    for rule in await not_planned_yet(work, fitting, Activity, deal.id):
        owner_id = None
        if rule.assign_to == "account_owner" or deal.owner_id is None:
            account = await work.get(Account, deal.account_id)
            owner_id = None if account is None else account.owner_id
        await plan_activity(
            work,
            rule.kind,
            deal,
            due_at=rule.due(at),
            purpose=rule.purpose,
            owner_id=owner_id,
            at=at,
            planning_rule_id=rule.id,
            trigger_id=deal.id,
        )


async def undo_closing(work: UnitOfWork, deal: Deal, at: datetime) -> None:
    """Cancel what rules planned after the closing of a deal that was just reopened."""
    await undo_trigger(work, Activity, deal.id, DEAL_REOPENED, at)


async def _plan_at_interval(work: UnitOfWork, planned: Planned) -> None:
    rule: PlanningRule = planned.rule
    await plan_activity(
        work,
        rule.kind,
        planned.customer,
        due_at=planned.due,
        purpose=rule.purpose,
        at=planned.now,
        planning_rule_id=rule.id,
        trigger_id=planned.trigger_id,
    )


INTERVALS: Final = Intervals(
    rule=PlanningRule,
    customer=Account,
    work=Activity,
    customer_id="account_id",
    filters=("region", "segment", "channel"),
    plan=_plan_at_interval,
)


async def _check(work: UnitOfWork, rule: PlanningRule) -> None:
    rule.check()
    if rule.product is not None:
        await require(work, Product, rule.product, "#/product")
