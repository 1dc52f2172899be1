"""The use cases of onboardings' steps and templates, within their route's transaction."""

from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from service_api.agents import Agent
from service_api.attribution import done_by
from service_api.onboardings.model import DELIVERY, OnboardingStep, OnboardingTemplate, StepAlreadyPlanned
from service_api.onboardings.schemas import (
    OnboardingStepCreate,
    OnboardingTemplateCreate,
    OnboardingTemplateUpdate,
    TemplateStepCreate,
)
from service_api.teams import Team
from service_api.tickets.model import Ticket
from service_kit.auth import Principal
from service_kit.compiled import CompiledStatement
from service_kit.identifiers import new_id
from service_kit.locking import lock
from service_kit.occurrence import check_follows, happened_at
from service_kit.planned_work.use_cases import add_work
from service_kit.problems import Unprocessable
from service_kit.references import UnknownReference, require
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion

_step: Any = OnboardingStep.table.c
_SAME: Final = CompiledStatement(
    sa.select(_step.id).where(
        _step.deal_id == sa.bindparam("deal_id"),
        _step.step == sa.bindparam("code"),
        _step.product.is_not_distinct_from(sa.bindparam("of_product", type_=sa.Text())),
        _step.status != "cancelled",
    )
)


async def plan_step(work: UnitOfWork, body: OnboardingStepCreate, by: Principal) -> OnboardingStep:
    """Plan one more step. Raise `StepAlreadyPlanned` (409), `UnknownReference` (422), and as a ticket does."""
    if body.step == DELIVERY:
        raise Unprocessable.at("#/step", "is the step of what a deal promises, which has it from the win on")
    await require(work, Ticket, body.ticket_id, "#/ticket_id")
    # Locked: its deal may be taken back at this moment.
    ticket = await work.get(Ticket, body.ticket_id, lock="no key update")
    if ticket is None or ticket.onboarding_deal_id is None:
        raise UnknownReference.at("#/ticket_id", "names no onboarding")
    ticket.check_takes_steps()
    at = happened_at(body.occurred_at, by, after=ticket.opened_at)
    check_follows(at, ticket.opened_at)
    same = {"deal_id": ticket.onboarding_deal_id, "code": body.step, "of_product": body.product}
    if (existing := await _SAME.one_or_none(work, **same)) is not None:
        raise StepAlreadyPlanned("Read the step that existing_id names.", existing_id=str(existing["id"]))
    whose: dict[str, Any] = {"agent_id": ticket.agent_id, "team_id": ticket.team_id}
    if body.agent_id is not None or body.team_id is not None:
        whose = await done_by(work, body.agent_id, body.team_id)
    step = OnboardingStep(
        id=new_id(),
        version=1,
        status="planned",
        planned_at=at,
        deal_id=ticket.onboarding_deal_id,
        ticket_id=ticket.id,
        step=body.step,
        promised=False,
        product=body.product,
        due_on=body.due_on,
        purpose=body.purpose,
        **{name: getattr(ticket, name) for name in ("customer_id", "region", "segment")},
        **whose,
    )
    add_work(work, step, at)
    return step


async def create_template(work: UnitOfWork, body: OnboardingTemplateCreate) -> OnboardingTemplate:
    """Declare a template. Raise `UnknownReference` (422)."""
    body = body.model_copy(update={"steps": await _with_teams(work, body.steps)})
    template = OnboardingTemplate(id=new_id(), version=1, **body.model_dump())
    work.add(template)
    return template


async def change_template(
    work: UnitOfWork, template_id: UUID, body: OnboardingTemplateUpdate, expected: ExpectedVersion
) -> OnboardingTemplate:
    """Change a template, for deals that are won from then on. Raise `UnknownReference` (422)."""
    template = await lock(work, OnboardingTemplate, template_id, expected)
    if "steps" in body.model_fields_set:
        body = body.model_copy(update={"steps": await _with_teams(work, body.steps)})
    body.apply_to(template)
    return template


async def _with_teams(work: UnitOfWork, steps: list[TemplateStepCreate]) -> list[TemplateStepCreate]:
    """Return the steps, each with its agent's team where none is given."""
    found = []
    for number, step in enumerate(steps):
        agent = None
        if step.agent_id is not None:
            agent = await require(work, Agent, step.agent_id, f"#/steps/{number}/agent_id")
        if step.team_id is not None:
            await require(work, Team, step.team_id, f"#/steps/{number}/team_id")
        team_id = step.team_id or (None if agent is None else agent.team_id)
        found.append(step.model_copy(update={"team_id": team_id}))
    return found
