"""Plans the steps of an onboarding when its deal is won, and follows what becomes of the deal and its delivery."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import sqlalchemy as sa

from service_api.deliveries.model import Delivery
from service_api.onboardings.model import DEAL_TAKEN_BACK, DELIVERY, OnboardingStep, OnboardingTemplate
from service_kit.aggregates import publish
from service_kit.compiled import CompiledStatement
from service_kit.identifiers import new_id
from service_kit.planned_work.use_cases import add_work
from service_kit.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from service_api.tickets.model import Ticket
    from service_api.won_deals import WonDeal

_step: Any = OnboardingStep.table.c
_template: Any = OnboardingTemplate.table.c
_KNOWN: Final = CompiledStatement(
    sa.select(_step.step, _step.product).where(
        _step.deal_id == sa.bindparam("deal_id"),
        # What a person cancelled stays so when the deal is won again.
        sa.or_(_step.status != "cancelled", _step.cancel_reason.is_distinct_from(DEAL_TAKEN_BACK)),
    )
)
_DELIVERED: Final = CompiledStatement(
    sa.select(Delivery.table.c.id).where(Delivery.table.c.deal_id == sa.bindparam("deal_id"))
)
_Step = tuple[str, str | None]
"""What makes a step the same one: its code and its product."""


async def plan_steps(
    work: UnitOfWork, ticket: "Ticket", deal: "WonDeal", products: Sequence[str | None], at: datetime
) -> None:
    """Plan what the deal promises, and what the templates of its products say. What is planned already stays.

    The deal and its onboarding are locked. Without a promise, there is nothing that the customer waits for.
    """
    if deal.won_at is None:
        return
    known: set[_Step] = {(row["step"], row["product"]) for row in await _KNOWN.all(work, deal_id=deal.id)}
    theirs = {
        **{name: getattr(ticket, name) for name in ("customer_id", "region", "segment")},
        "ticket_id": ticket.id,
        "deal_id": deal.id,
    }
    whose = {"agent_id": ticket.agent_id, "team_id": ticket.team_id}

    def plan(step: str, product: str | None, **columns: Any) -> None:
        if (step, product) in known:
            return
        known.add((step, product))
        planned = OnboardingStep(
            id=new_id(),
            version=1,
            status="planned",
            planned_at=at,
            step=step,
            product=product,
            **theirs,
            **(whose | {"promised": False} | columns),
        )
        add_work(work, planned, at, by_caller=False)

    if deal.promised_by is not None and await _DELIVERED.one_or_none(work, deal_id=deal.id) is None:
        plan(DELIVERY, ticket.product, promised=True, due_on=deal.promised_by)
    for template, product in await _templates_for(work, products):
        for step, due_on in template.due_days(deal.won_at.date(), deal.promised_by):
            own = {name: None if step[name] is None else UUID(step[name]) for name in whose}
            plan(step["step"], product, due_on=due_on, **(own if any(own.values()) else {}))


async def _templates_for(
    work: UnitOfWork, products: Sequence[str | None]
) -> list[tuple[OnboardingTemplate, str | None]]:
    """Return the newest template of each product, or the default, and the product that its steps are of.

    A template that several products share is planned once, of none of them.
    """
    wanted = list(dict.fromkeys(products)) or [None]
    for_one = _template.product == sa.any_(
        sa.literal([each for each in wanted if each is not None], sa.ARRAY(sa.Text()))
    )
    found = await work.find(
        OnboardingTemplate,
        _template.active,
        sa.or_(for_one, _template.product.is_(None)),
        order_by=[_template.id],
    )
    newest = {template.product: template for template in found}
    chosen: dict[UUID, tuple[OnboardingTemplate, str | None]] = {}
    for product in wanted:
        template = newest.get(product) or newest.get(None)
        if template is not None:
            chosen[template.id] = (template, None if template.id in chosen else product)
    return list(chosen.values())


async def take_back_steps(work: UnitOfWork, deal_id: UUID, at: datetime) -> None:
    """Cancel what is still to be done of a deal that is no longer won."""
    await cancel_steps(work, _step.deal_id == deal_id, DEAL_TAKEN_BACK, at)


async def cancel_steps(work: UnitOfWork, where: sa.ColumnElement[bool], reason: str, at: datetime) -> None:
    """Cancel the open steps that meet a condition, the promised delivery with them."""
    for step in await _open_steps(work, where):
        happened = max(at, step.changed_at)
        publish(work, step, step.take_back(reason, at=happened), happened)


async def hand_over_steps(work: UnitOfWork, ticket: "Ticket", before: dict[str, UUID | None], at: datetime) -> None:
    """Pass on with an onboarding the open steps of the agent who had it before; others keep theirs."""
    if ticket.onboarding_deal_id is None:
        return
    now = {name: getattr(ticket, name) for name in before}
    is_theirs = sa.and_(
        _step.ticket_id == ticket.id, *(_step[name].is_not_distinct_from(value) for name, value in before.items())
    )
    await _amend(work, await _open_steps(work, is_theirs), now, at)


async def follow_customer(work: UnitOfWork, ticket: "Ticket", at: datetime) -> None:
    """Correct the steps of an onboarding to its customer."""
    if ticket.onboarding_deal_id is None:
        return
    columns = ("customer_id", "region", "segment")
    steps = await work.find(OnboardingStep, _step.ticket_id == ticket.id, order_by=[_step.id], lock="no key update")
    for step in steps:
        step.keep_key()
    await _amend(work, steps, {name: getattr(ticket, name) for name in columns}, at)


async def deliver_promise(work: UnitOfWork, delivery: Delivery) -> None:
    """Record with a delivery that what its deal promises is done: the customer waits no longer. The deal is locked."""
    is_promise = sa.and_(_step.deal_id == delivery.deal_id, _step.promised)
    for step in await _open_steps(work, is_promise):
        whose = {"agent_id": delivery.agent_id, "team_id": delivery.team_id} if delivery.agent_id else {}
        publish(work, step, step.deliver(whose, at=delivery.delivered_at), delivery.delivered_at)


async def correct_promise(work: UnitOfWork, delivery: Delivery, at: datetime) -> None:
    """Correct when what a deal promises was done to when it was delivered."""
    is_promise = (_step.deal_id == delivery.deal_id, _step.promised, _step.status == "done")
    steps = await work.find(OnboardingStep, *is_promise, order_by=[_step.id], lock="no key update")
    await _amend(work, steps, {"completed_at": delivery.delivered_at}, at)


async def _open_steps(work: UnitOfWork, where: sa.ColumnElement[bool]) -> list[OnboardingStep]:
    return await work.find(OnboardingStep, _step.status == "planned", where, order_by=[_step.id], lock="no key update")


async def _amend(work: UnitOfWork, steps: Iterable[OnboardingStep], values: dict[str, Any], at: datetime) -> None:
    for step in steps:
        changes = {name: value for name, value in values.items() if getattr(step, name) != value}
        if changes:
            when = max(at, step.changed_at)
            publish(work, step, step.amend(changes, at=when), when)
