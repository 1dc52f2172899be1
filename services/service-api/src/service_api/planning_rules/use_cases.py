"""The use cases of planning rules: declaring them, and planning by them within what they follow."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from event_contracts.service import Priority
from service_api.attribution import attribution_of, done_by
from service_api.check_ins import CheckIn
from service_api.customers.model import Customer
from service_api.customers.use_cases import surviving_customer
from service_api.planning_rules.model import PlanningRule
from service_api.planning_rules.schemas import PlanningRuleCreate, PlanningRuleUpdate
from service_api.surveys.model import BAD_SCORE, Survey
from service_api.tickets.model import Ticket
from service_kit.credits import credit_in
from service_kit.identifiers import new_id
from service_kit.locking import lock
from service_kit.planned_work.intervals import Intervals, Planned
from service_kit.planned_work.rule_use_cases import not_planned_yet, rules_for, undo_trigger
from service_kit.planned_work.use_cases import add_work
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion

ONBOARDING_REOPENED: Final = "onboarding-reopened"
ONBOARDING_CANCELLED: Final = "onboarding-cancelled"
RATING_REVISED: Final = "rating-revised"
"""Why what followed from them is cancelled."""


class Origin(NamedTuple):
    """What a check-in follows from: a ticket, a survey or a review."""

    id: UUID
    customer_id: UUID
    product: str | None
    priority: Priority | None = None
    by_default: Mapping[str, UUID | None] = MappingProxyType({"agent_id": None, "team_id": None})
    """Who has it where the rule names no one."""


async def create_rule(work: UnitOfWork, body: PlanningRuleCreate) -> PlanningRule:
    """Declare a rule. Raise `UnknownReference` (422), and as `WorkRule.check` does."""
    given = dict(body) | {"since": body.since or datetime.now(UTC)}
    if body.trigger == "bad_rating" and body.max_score is None:
        given["max_score"] = BAD_SCORE
    rule = PlanningRule(id=new_id(), version=1, **given | await done_by(work, body.agent_id, body.team_id))
    rule.check()
    work.add(rule)
    return rule


async def change_rule(
    work: UnitOfWork, rule_id: UUID, body: PlanningRuleUpdate, expected: ExpectedVersion
) -> PlanningRule:
    """Change a rule, for what it plans from then on. Raise as `create_rule` does."""
    rule = await lock(work, PlanningRule, rule_id, expected)
    changed = body.apply_to(rule)
    if changed & {"agent_id", "team_id"}:
        by_whom = await done_by(work, rule.agent_id, body.team_id)
        if "agent_id" in changed and "team_id" not in body.model_fields_set:
            rule.team_id = by_whom["team_id"]
    rule.check()
    return rule


async def plan_after_onboarding(work: UnitOfWork, ticket: Ticket, at: datetime) -> None:
    """Plan what rules say about an onboarding that was resolved at that time, and is not followed by them yet."""
    if ticket.onboarding_deal_id is None or ticket.erased_at is not None:
        return
    rules = await rules_for(work, PlanningRule, "onboarding_ended", at)
    resolver = credit_in(ticket.resolved_by)
    by_resolver = {
        "agent_id": None if resolver is None else resolver.person_id,
        "team_id": None if resolver is None else resolver.team_id,
    }
    origin = Origin(ticket.id, ticket.customer_id, ticket.product, ticket.priority, by_resolver)
    await _plan(work, rules, origin, at)


async def undo_onboarding(work: UnitOfWork, ticket: Ticket, reason: str, at: datetime) -> None:
    """Cancel what rules planned after an onboarding that was reopened or cancelled at that time."""
    if ticket.onboarding_deal_id is not None:
        await undo_trigger(work, CheckIn, ticket.id, reason, at)


async def follow_survey(work: UnitOfWork, survey: Survey, at: datetime, *, was_rated: bool) -> None:
    """Plan what rules say about a survey that was just answered, or cancel it where the rating is bad no longer."""
    if survey.score is not None and survey.erased_at is None:
        by_rated = {"agent_id": survey.agent_id, "team_id": survey.team_id}
        origin = Origin(survey.id, survey.customer_id, survey.product, survey.priority, by_rated)
        await follow_rating(work, origin, survey.score, at, was_rated=was_rated)


async def follow_rating(work: UnitOfWork, origin: Origin, score: int, at: datetime, *, was_rated: bool) -> None:
    """Plan what rules say about a rating, or cancel it where the rating is bad no longer."""
    if was_rated:
        columns = PlanningRule.table.c
        is_good = sa.select(columns.id).where(columns.max_score < score)
        await undo_trigger(work, CheckIn, origin.id, RATING_REVISED, at, CheckIn.table.c.planning_rule_id.in_(is_good))
    rules = [
        rule
        for rule in await rules_for(work, PlanningRule, "bad_rating", at)
        if rule.max_score is not None and score <= rule.max_score
    ]
    await _plan(work, rules, origin, at)


async def _plan(work: UnitOfWork, rules: list[PlanningRule], origin: Origin, at: datetime) -> None:
    """Plan by those rules that are for the customer as they are now, and have not planned for the record yet."""
    if not rules:
        return
    customer = await surviving_customer(work, origin.customer_id)
    if customer is None or customer.erased_at is not None:
        return
    fitting = [
        rule
        for rule in rules
        if rule.is_for(
            region=[customer.region],
            segment=[customer.segment],
            product=[origin.product],
            priority=[origin.priority],
        )
    ]
    for rule in await not_planned_yet(work, fitting, CheckIn, origin.id):
        by_rule = {"agent_id": rule.agent_id, "team_id": rule.team_id}
        by_whom = by_rule if any(by_rule.values()) else origin.by_default
        _add_check_in(work, rule, customer, origin.id, product=origin.product, due=rule.due(at), at=at, **by_whom)


async def _plan_at_interval(work: UnitOfWork, planned: Planned) -> None:
    rule: PlanningRule = planned.rule
    _add_check_in(
        work,
        rule,
        planned.customer,
        planned.trigger_id,
        due=planned.due,
        at=planned.now,
        agent_id=rule.agent_id,
        team_id=rule.team_id,
    )


def _add_check_in(
    work: UnitOfWork,
    rule: PlanningRule,
    customer: Customer,
    trigger_id: UUID,
    *,
    due: datetime,
    at: datetime,
    agent_id: UUID | None,
    team_id: UUID | None,
    product: str | None = None,
) -> None:
    check_in = CheckIn(
        id=new_id(),
        version=1,
        status="planned",
        planned_at=at,
        **attribution_of(customer),
        agent_id=agent_id,
        team_id=team_id,
        product=product,
        due_on=due.astimezone(UTC).date(),
        purpose=rule.purpose,
        planning_rule_id=rule.id,
        trigger_id=trigger_id,
    )
    add_work(work, check_in, at, by_caller=False)


INTERVALS: Final = Intervals(
    rule=PlanningRule,
    customer=Customer,
    work=CheckIn,
    customer_id="customer_id",
    filters=("region", "segment"),
    plan=_plan_at_interval,
)
