"""Planning by rules within the transaction of what they follow, and cancelling once that is taken back."""

from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

import sqlalchemy as sa

from service_kit.aggregates import publish
from service_kit.compiled import CompiledStatement
from service_kit.planned_work.rules import RuledWork, WorkRule
from service_kit.unit_of_work import UnitOfWork

CUSTOMER_ERASED: Final = "customer-erased"
"""Why what rules planned for a customer is cancelled with their erasure."""

R = TypeVar("R", bound=WorkRule)
W = TypeVar("W", bound=RuledWork)


async def rules_for(work: UnitOfWork, rule: type[R], trigger: str, at: datetime) -> list[R]:
    """Return the rules in use for what happened at a time, the first one first."""
    columns = rule.table.c
    return await work.find(rule, columns.trigger == trigger, columns.active, columns.since <= at, order_by=[columns.id])


async def not_planned_yet(work: UnitOfWork, rules: list[R], planned: type[RuledWork], trigger_id: UUID) -> list[R]:
    """Return those of the rules that have not planned anything yet for a record, which must be locked."""
    if not rules:
        return []
    columns = planned.table.c
    known = sa.select(columns.planning_rule_id).where(columns.trigger_id == trigger_id, ~columns.trigger_undone)
    found = {row[0] for row in await CompiledStatement(known).all(work)}
    return [each for each in rules if each.id not in found]


async def undo_trigger(
    work: UnitOfWork,
    planned: type[W],
    trigger_id: UUID,
    reason: str,
    at: datetime,
    *where: sa.ColumnElement[bool],
) -> None:
    """Cancel what rules planned for a record, and is still open, since that was taken back at a time."""
    await cancel_ruled(work, planned, reason, at, planned.table.c.trigger_id == trigger_id, *where)


async def cancel_ruled(
    work: UnitOfWork, planned: type[W], reason: str, at: datetime, *where: sa.ColumnElement[bool], **found: Any
) -> list[W]:
    """Cancel the open work of rules that meets all conditions, and return it."""
    columns = planned.table.c
    of_rules = (columns.status == "planned", columns.planning_rule_id.is_not(None))
    open_work = await work.find(planned, *of_rules, *where, order_by=[columns.id], lock="no key update", **found)
    for each in open_work:
        # It may have been moved meanwhile, by a clock that is ahead.
        happened = max(at, each.changed_at)
        publish(work, each, each.undo_trigger(reason, at=happened), happened)
    return open_work
