"""The SLA clock: publishes tickets that were not answered or resolved in time; once each, however many clocks run."""

from collections.abc import Callable
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from service_api.tickets.corrections import publish_breaches
from service_api.tickets.model import Ticket
from service_kit.compiled import CompiledStatement
from service_kit.database import database_now
from service_kit.periodic import PeriodicJob
from service_kit.unit_of_work import units_of_work

TICK_SECONDS: Final = 1.0
BATCH: Final = 100

# Asked each second: without a transaction, which most ticks do not need.
_ANY_DUE: Final = CompiledStatement(
    sa.select(Ticket.table.c.id).where(Ticket.table.c.sla_check_at < sa.func.now()).limit(1)
)


class SlaClock:
    """Checks each second for tickets that are due.

    A breach is recorded on its ticket in the transaction of its event: a clock that is killed repeats nothing and
    leaves nothing out, and two clocks skip each other's tickets.
    """

    def __init__(self, engine: AsyncEngine, *, on_commit: Callable[[], None] | None = None) -> None:
        self._begin = units_of_work(engine, process="sla-clock", on_commit=on_commit)
        self.job = PeriodicJob("sla clock", self._is_behind, pause=TICK_SECONDS)

    async def _is_behind(self) -> bool:
        return await self.tick() == BATCH

    async def tick(self) -> int:
        """Publish the breaches of `BATCH` tickets at most in one transaction; return the number that were checked."""
        async with self._begin() as work:
            if not await _ANY_DUE.all(work):
                return 0
            # The database's time: a process whose clock is wrong must not publish breaches that are still to come.
            now = await database_now(work)
            check_at = Ticket.table.c.sla_check_at
            tickets = await work.find(
                Ticket, check_at < now, order_by=[check_at], lock="update", limit=BATCH, skips_locked=True
            )
            for ticket in tickets:
                publish_breaches(work, ticket, now)
            await work.commit()
            return len(tickets)
