"""Plans work at intervals by rules: for each customer the next one, once the one before has ended."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncEngine

from service_kit.compiled import CompiledStatement
from service_kit.database import database_now
from service_kit.entities import Entity
from service_kit.periodic import PeriodicJob
from service_kit.planned_work.rule_use_cases import cancel_ruled
from service_kit.planned_work.rules import INTERVAL, RuledWork, WorkRule
from service_kit.unit_of_work import UnitOfWork, units_of_work

PAUSE_SECONDS: Final = 30.0
LONGEST_PAUSE_SECONDS: Final = 300.0
LOAD: Final = 0.05
"""The share of the time at most that the job reads customers, once they are many."""
BATCH: Final = 100
MERGED: Final = "customer-merged"
"""Why what is planned for a customer is cancelled who was merged into another: that one's turns go on."""

# A consumer's engine does not wait for the disk; but an event that was sent must never have been lost.
_DURABLY: Final = sa.text("set local synchronous_commit to on")


@dataclass(frozen=True)
class Planned:
    """What is to be planned for one customer, by a rule."""

    rule: Any
    customer: Any
    due: datetime
    trigger_id: UUID
    """The work before it; the customer for the first."""
    now: datetime


@dataclass(frozen=True)
class Intervals:
    """Whose turns a service keeps: customers with `merged_into`, `erased_at` and `registered_at`, and their work."""

    rule: type[WorkRule]
    customer: type[Entity]
    work: type[RuledWork]
    customer_id: str
    """The column of the work with the customer's id."""
    filters: Sequence[str]
    """Those columns of a rule that customers have too."""
    plan: Callable[[UnitOfWork, Planned], Awaitable[object]]


class IntervalPlanner:
    """Plans in the transaction of the events, and so that several of them do not plan for one customer twice.

    Each rule is one's at a time; of what follows from one piece of work the database takes one.
    """

    def __init__(self, engine: AsyncEngine, intervals: Intervals) -> None:
        # What is due in days is not urgent: the relay finds it when it polls.
        self._begin = units_of_work(engine, process="interval-planner")
        self._of = intervals
        rules = intervals.rule.table.c
        self._rules = CompiledStatement(
            sa.select(rules.id)
            .where(rules.active, rules.trigger == sa.literal_column(f"'{INTERVAL}'"), rules.since <= sa.func.now())
            .order_by(rules.id)
        )
        self.job = PeriodicJob(
            "interval planner",
            self._is_behind,
            pause=lambda took: min(max(PAUSE_SECONDS, took / LOAD), LONGEST_PAUSE_SECONDS),
            limit_seconds=2 * LONGEST_PAUSE_SECONDS,
        )

    async def _is_behind(self) -> bool:
        return await self.tick() > 0

    async def tick(self) -> int:
        """Plan for `BATCH` customers of each rule at most; return how many plans were made or cancelled.

        A rule that fails does not keep the others from their turns; then an exception group is raised.
        """
        async with self._begin(only_reads=True) as work:
            rules = [row["id"] for row in await self._rules.all(work)]
        count, failures = 0, list[Exception]()
        for rule_id in rules:
            try:
                count += await self._follow(rule_id)
            except Exception as failure:
                failures.append(failure)
        if failures:
            raise ExceptionGroup("rules could not be followed", failures)
        return count

    async def _follow(self, rule_id: UUID) -> int:
        of_rule = self._of.rule.table.c
        async with self._begin() as work:
            await work.execute(_DURABLY)
            found = await work.find(
                self._of.rule, of_rule.id == rule_id, of_rule.active, lock="no key update", skips_locked=True
            )
            if not found:
                return 0
            now = await database_now(work)
            count = len(await self._cancel_merged(work, rule_id, now)) + await self._plan(work, found[0], now)
            await work.commit()
            return count

    async def _cancel_merged(self, work: UnitOfWork, rule_id: UUID, now: datetime) -> list[RuledWork]:
        customers, columns = self._of.customer.table.c, self._of.work.table.c
        of_merged = columns[self._of.customer_id].in_(sa.select(customers.id).where(customers.merged_into.is_not(None)))
        return await cancel_ruled(
            work, self._of.work, MERGED, now, columns.planning_rule_id == rule_id, of_merged, limit=BATCH
        )

    async def _plan(self, work: UnitOfWork, rule: WorkRule, now: datetime) -> int:
        customers, columns = self._of.customer.table.c, self._of.work.table.c
        of_customer = columns[self._of.customer_id]
        is_of_rule = columns.planning_rule_id == rule.id
        is_open = sa.exists().where(of_customer == customers.id, is_of_rule, columns.status == "planned")
        wanted = {name: getattr(rule, name) for name in self._of.filters}
        # Their erasure waits until their plans are there, which go with it.
        due = await work.find(
            self._of.customer,
            customers.registered_at.is_not(None),
            customers.merged_into.is_(None),
            customers.erased_at.is_(None),
            *(customers[name] == value for name, value in wanted.items() if value is not None),
            ~is_open.correlate(self._of.customer.table),
            order_by=[customers.id],
            lock="key share",
            limit=BATCH,
            skips_locked=True,
        )
        if not due:
            return 0
        ids = [customer.id for customer in due]  # type: ignore[attr-defined]  # of an entity with a key of its own
        ended_at = sa.func.coalesce(columns[self._of.work.done_field], columns.missed_at, columns.cancelled_at)
        newest = (
            sa.select(of_customer.label("customer_id"), columns.id, ended_at.label("ended_at"))
            .ext(distinct_on(of_customer))
            .where(is_of_rule, of_customer == sa.any_(sa.literal(ids, sa.ARRAY(sa.Uuid))))
            .order_by(of_customer, columns.id.desc())
        )
        before = {row["customer_id"]: row for row in await CompiledStatement(newest).all(work)}
        for customer in due:
            known: Any = customer
            last = before.get(known.id)
            begun, trigger_id = (known.registered_at, known.id) if last is None else (last["ended_at"], last["id"])
            await self._of.plan(work, Planned(rule, known, rule.next_due(begun, now), trigger_id, now))
        return len(due)
