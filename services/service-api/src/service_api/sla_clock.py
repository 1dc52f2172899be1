"""The SLA clock: publishes tickets that were not answered or resolved in time; once each, however many clocks run."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from service_api.tickets.model import Ticket
from service_api.tickets.use_cases import publish_breaches
from service_kit.database import create_sessions, database_now
from service_kit.periodic import PeriodicJob

TICK_SECONDS: Final = 1.0
BATCH: Final = 100


class SlaClock:
    """Checks each second for tickets that are due.

    A breach is recorded on its ticket in the transaction of its event: a clock that is killed repeats nothing and
    leaves nothing out, and two clocks skip each other's tickets.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._sessions = create_sessions(engine)
        self.job = PeriodicJob("sla clock", self._is_behind, pause=TICK_SECONDS)

    async def _is_behind(self) -> bool:
        return await self.tick() == BATCH

    async def tick(self) -> int:
        """Publish the breaches of `BATCH` tickets at most in one transaction; return the number that were checked."""
        async with self._sessions() as session, session.begin():
            # The database's time: a process whose clock is wrong must not publish breaches that are still to come.
            now = await database_now(session)
            due = (
                sa.select(Ticket)
                .where(Ticket.sla_check_at < now)
                .order_by(Ticket.sla_check_at)
                .limit(BATCH)
                .with_for_update(skip_locked=True)
            )
            tickets = (await session.execute(due)).scalars().all()
            for ticket in tickets:
                await publish_breaches(session, ticket, now)
            return len(tickets)
