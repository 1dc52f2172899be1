"""Escalates waits by their policies, and publishes each step and each end once, however many processes do so."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.customers.queries import account_of, survivors_of
from metrics_worker.domain.kinds import KIND_BY_NAME
from metrics_worker.ledger.status import can_be_evaluated
from metrics_worker.ledger.tables import open_wait
from metrics_worker.waiting.model import PolicyBook, PublishedWait, Step, WaitState
from metrics_worker.waiting.queries import WaitQuery, policies_in_use
from metrics_worker.webhooks.publisher import publish
from service_kit.database import database_now
from service_kit.periodic import PeriodicJob
from service_kit.unit_of_work import UnitOfWork, units_of_work

log = structlog.get_logger()

STEPS = Counter("tandem_wait_steps_total", "Steps of waits that were published, the end included.", ["action"])

PAUSE_SECONDS: Final = 1.0
LOCK: Final = 0x7461_6E64_656D_0006
"""The advisory lock of the one process that escalates: the others would read the same waits in vain."""
BATCH: Final = 200
ESCALATED_WITHIN: Final = timedelta(days=7)
"""A wait whose limit passed longer ago when it was first seen was entered late: its steps are not published."""


class WaitClock:
    """Checks each second which waits have come to their next step, and which are over.

    A step is recorded in the transaction of its event: a clock that is killed repeats nothing and leaves nothing out.
    Steps that came due while no clock ran are published in their order, without a warning that would come too late.
    """

    def __init__(self, engine: AsyncEngine, *, on_commit: Callable[[], None] | None = None) -> None:
        self._engine = engine
        self._begin = units_of_work(engine, process="wait-clock", on_commit=on_commit)
        self.job = PeriodicJob("waits", self.run_once, pause=PAUSE_SECONDS)

    async def run_once(self) -> None:
        """Publish what is due, unless another process does, or the ledger lacks the ends of waits that it will read."""
        async with self._engine.begin() as guard:
            if not (await guard.execute(sa.select(sa.func.pg_try_advisory_xact_lock(LOCK)))).scalar_one():
                return
            if not await can_be_evaluated(guard):
                return
            await self._escalate()
            await self._end()

    async def _escalate(self) -> None:
        states: tuple[WaitState, ...] = ("over", "warning")
        for state in states:
            after: UUID | None = None
            while True:
                async with self._begin(only_reads=True) as work:
                    # The database's time: a process whose clock is wrong must not publish what is still to come.
                    now, book = await database_now(work), await policies_in_use(work)
                    due = WaitQuery(now, book).next_step_due(ESCALATED_WITHIN)
                    query = WaitQuery(now, book, conditions=[due])
                    waits = await query.page(await work.connection(), state=state, after=after, limit=BATCH)
                for wait in waits:
                    taken = book.terms_for(wait.reason, wait.team).steps_taken(wait.since, now)
                    if len(taken) > (wait.step or 0):
                        await self._take(wait, book, now)
                if len(waits) < BATCH:
                    break
                after = waits[-1].id

    async def _take(self, wait: Any, book: PolicyBook, now: datetime) -> None:
        """Publish the steps that a wait has come to and that were not published yet."""
        terms = book.terms_for(wait.reason, wait.team)
        taken = terms.steps_taken(wait.since, now)
        actions = []
        async with self._begin() as work:
            known = await work.get(PublishedWait, wait.id, lock="no key update")
            if known is None:
                known = PublishedWait.of(wait, KIND_BY_NAME[wait.kind].subject_kind, now)
                work.add(known)
            elif known.ended_at is not None:
                known.reopen()
            for number, step in enumerate(taken[known.step :], start=known.step + 1):
                if step.action == "warn" and len(taken) > 1:
                    continue
                told = await _told(work, wait, step)
                event = known.take(wait, step, number, terms, told_id=told, at=now)
                await publish(
                    work, event, sequence=known.sequence, time=now, partition_key=known.customer_id or known.record_id
                )
                actions.append(step.action)
            await work.commit()
        for action in actions:
            STEPS.labels(action).inc()
            log.info("wait_escalated", wait_id=str(wait.id), action=action)

    async def _end(self) -> None:
        """Publish the ends of waits of which a step was published."""
        is_open = sa.exists().where(open_wait.c.id == PublishedWait.table.c.id)
        lasting = (PublishedWait.table.c.ended_at.is_(None), sa.not_(is_open))
        while True:
            async with self._begin() as work:
                now = await database_now(work)
                over = await work.find(PublishedWait, *lasting, order_by=[PublishedWait.table.c.id], limit=BATCH)
                for wait in over:
                    event = wait.end(now)
                    key = wait.customer_id or wait.record_id
                    await publish(work, event, sequence=wait.sequence, time=now, partition_key=key)
                await work.commit()
            STEPS.labels("end").inc(len(over))
            if len(over) < BATCH:
                return


async def _told(work: UnitOfWork, wait: Any, step: Step) -> UUID | None:
    """Return whom a step names; where it names no one, the owner of the account."""
    if step.told_id is not None or step.action != "tell_account_owner" or wait.customer is None:
        return step.told_id
    connection = await work.connection()
    survivor = (await survivors_of(connection, [wait.customer]))[wait.customer]
    return (await account_of(connection, survivor)).owner_id
