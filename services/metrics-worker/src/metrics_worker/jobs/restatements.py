"""Compares closed periods with the ledger whenever it changes, and publishes each change of a figure."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.domain.posting import Reporting
from metrics_worker.ledger.status import LedgerRevision, can_be_evaluated, ledger_revision, reporting_of_ledger
from metrics_worker.periods.model import ClosedFigure, ClosedPeriod
from metrics_worker.periods.use_cases import shown_of
from metrics_worker.webhooks.publisher import publish
from service_kit.periodic import PeriodicJob
from service_kit.unit_of_work import units_of_work

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

    def __init__(
        self, engine: AsyncEngine, reporting: Reporting, *, on_commit: Callable[[], None] | None = None
    ) -> None:
        self._engine = engine
        self._begin = units_of_work(engine, on_commit=on_commit)
        self._reporting = reporting
        self._seen: LedgerRevision | None = None
        self.job = PeriodicJob(
            "restatements",
            self.run_once,
            pause=lambda took: max(SHORTEST_PAUSE_SECONDS, min(PAUSE_FACTOR * took, LONGEST_PAUSE_SECONDS)),
            limit_seconds=180,
        )

    async def run_once(self) -> None:
        """Compare every closed period with the ledger, if it or the periods have changed since the last run.

        It waits while the ledger catches up, and while a history is loaded: what half of either adds up to restates
        nothing.
        """
        async with self._engine.begin() as guard:
            if not (await guard.execute(sa.select(sa.func.pg_try_advisory_xact_lock(LOCK)))).scalar_one():
                self._seen = None
                return
            self._reporting = await reporting_of_ledger(guard) or self._reporting
            periods = ClosedPeriod.table.c
            closed = list((await guard.execute(sa.select(periods.id).order_by(periods.first_day))).scalars())
            revision = (*await ledger_revision(guard), *closed)
            if revision == self._seen or not await can_be_evaluated(guard):
                return
            for period_id in closed:
                await self._restate(period_id)
            self._seen = revision

    async def _restate(self, period_id: UUID) -> None:
        async with self._begin(only_reads=True) as work:
            closed = await work.get(ClosedPeriod, period_id)
            if closed is None:
                return
            # One snapshot: half of a correction would be a restatement that never was.
            now = await shown_of(await work.connection(), closed.period, self._reporting)
        async with self._begin() as work:
            figures = ClosedFigure.table.c
            restated_at = datetime.now(UTC)
            for figure in await work.find(ClosedFigure, figures.period_id == period_id, order_by=[figures.id]):
                shown = now.get((figure.kpi, figure.variant))
                event = None if shown is None else figure.restate(closed, shown, at=restated_at)
                if event is not None:
                    await publish(work, event, sequence=figure.sequence, time=restated_at, partition_key=closed.id)
                    RESTATEMENTS.labels(figure.kpi).inc()
                    log.info("kpi_restated", period=closed.name, kpi=figure.kpi, variant=figure.variant)
            await work.commit()
