"""Compares closed periods with the ledger whenever it changes, and publishes each change of a figure."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.domain.posting import Reporting
from metrics_worker.ledger.status import LedgerMark, is_caught_up, ledger_mark, reporting_of_ledger
from metrics_worker.periods.model import ClosedFigure, ClosedPeriod
from metrics_worker.periods.use_cases import shown_of
from metrics_worker.queries.sql import snapshot
from metrics_worker.webhooks.publisher import publish
from service_kit.database import create_sessions
from service_kit.periodic import PeriodicJob

log = structlog.get_logger()

RESTATEMENTS = Counter("tandem_restatements_total", "Changes of KPIs of closed periods that were published.", ["kpi"])

SHORTEST_PAUSE_SECONDS: Final = 2.0
PAUSE_FACTOR: Final = 20
"""A run pauses for this many times as long as it took: it computes all KPIs of every closed period."""
LONGEST_PAUSE_SECONDS: Final = 60.0
LOCK: Final = 0x7461_6E64_656D_0004
"""The advisory lock of the one process that compares: an older figure must not be published after a newer one."""


class RestatementJob:
    """The job of one process."""

    def __init__(self, engine: AsyncEngine, reporting: Reporting) -> None:
        self._engine = engine
        self._sessions = create_sessions(engine)
        self._reporting = reporting
        self._seen: LedgerMark | None = None
        self.job = PeriodicJob(
            "restatements",
            self.run_once,
            pause=lambda took: max(SHORTEST_PAUSE_SECONDS, min(PAUSE_FACTOR * took, LONGEST_PAUSE_SECONDS)),
            limit_seconds=180,
        )

    async def run_once(self) -> None:
        """Compare every closed period with the ledger, if it or the periods have changed since the last run.

        It waits while the ledger catches up: what half of the log adds up to restates nothing.
        """
        async with self._engine.begin() as guard:
            if not (await guard.execute(sa.select(sa.func.pg_try_advisory_xact_lock(LOCK)))).scalar_one():
                self._seen = None
                return
            self._reporting = await reporting_of_ledger(guard) or self._reporting
            closed = list((await guard.execute(sa.select(ClosedPeriod.id).order_by(ClosedPeriod.first_day))).scalars())
            mark = (*await ledger_mark(guard), *closed)
            if mark == self._seen or not await is_caught_up(guard):
                return
            for period_id in closed:
                await self._restate(period_id)
            self._seen = mark

    async def _restate(self, period_id: UUID) -> None:
        async with self._sessions() as session:
            # One snapshot: half of a correction would be a restatement that never was.
            await snapshot(session)
            closed = await session.get_one(ClosedPeriod, period_id)
            now = await shown_of(session, closed.period, self._reporting)
        async with self._sessions() as session, session.begin():
            of_period = sa.select(ClosedFigure).where(ClosedFigure.period_id == period_id).order_by(ClosedFigure.id)
            restated_at = datetime.now(UTC)
            for figure in (await session.execute(of_period)).scalars():
                shown = now.get((figure.kpi, figure.variant))
                event = None if shown is None else figure.restate(closed, shown, at=restated_at)
                if event is not None:
                    await publish(session, event, sequence=figure.sequence, time=restated_at, partition_key=closed.id)
                    RESTATEMENTS.labels(figure.kpi).inc()
                    log.info("kpi_restated", period=closed.name, kpi=figure.kpi, variant=figure.variant)
