"""Evaluates targets and customers' risk whenever the ledger changes, and publishes each crossing."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from metrics_worker.domain.posting import Reporting
from metrics_worker.jobs.risks import RiskEvaluator
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.ledger.status import (
    LedgerRevision,
    can_be_evaluated,
    fresh_as_of,
    ledger_revision,
    reporting_of_ledger,
)
from metrics_worker.periods.use_cases import UNDER_WAY
from metrics_worker.queries.answer import answer
from metrics_worker.queries.query import KpiQuery
from metrics_worker.targets.lookup import is_sum_of_days, period_evaluated
from metrics_worker.targets.model import Evaluation, Target, is_met
from metrics_worker.webhooks.publisher import publish
from service_kit.compiled import CompiledStatement, driver_of
from service_kit.periodic import PeriodicJob
from service_kit.unit_of_work import units_of_work

log = structlog.get_logger()

CROSSINGS = Counter("tandem_target_crossings_total", "Targets that became missed, or met again.", ["kpi", "outcome"])

PAUSE_SECONDS: Final = 0.25
AT_LEAST_EVERY_SECONDS: Final = 60
"""Targets are evaluated this often even if the ledger does not change: what is due grows with the days."""
LOCK: Final = 0x7461_6E64_656D_0003
"""The advisory lock of the one process that evaluates: an older evaluation must not replace a newer one."""

_TARGETS: Final = CompiledStatement(sa.select(*Target.table.c["id", "version"]).order_by(Target.table.c.id))


class TargetEvaluator:
    """The evaluator of one process."""

    def __init__(
        self, engine: AsyncEngine, reporting: Reporting, *, on_commit: Callable[[], None] | None = None
    ) -> None:
        self._engine = engine
        self._begin = units_of_work(engine, process="target-evaluator", on_commit=on_commit)
        self._reporting = reporting
        self._evaluated: LedgerRevision | None = None
        self._risks = RiskEvaluator(self._begin)
        self.job = PeriodicJob("targets", self.run_once, pause=PAUSE_SECONDS)

    async def run_once(self) -> None:
        """Evaluate every target if the ledger, the targets or the time have moved since the last run.

        It waits while the ledger catches up, and while a history is loaded: what half of either adds up to was never
        true.
        """
        async with self._engine.connect() as connection:
            now = datetime.now(UTC)
            targets = await _TARGETS.all(await driver_of(connection))
            revision = (*await ledger_revision(connection), *targets, int(now.timestamp()) // AT_LEAST_EVERY_SECONDS)
        if revision == self._evaluated:
            return
        async with self._engine.begin() as guard:
            if not (await guard.execute(sa.select(sa.func.pg_try_advisory_xact_lock(LOCK)))).scalar_one():
                # Another process evaluates; should it end, this one does not know what that one has evaluated.
                self._evaluated = None
                return
            # Settings that differ from the ledger change nothing, and a rebuild may change the ledger.
            self._reporting = await reporting_of_ledger(guard) or self._reporting
            if not await can_be_evaluated(guard):
                return
            for target in targets:
                await self._evaluate(target["id"], now)
            await self._risks.run_once(self._reporting, now)
            self._evaluated = revision

    async def _evaluate(self, target_id: UUID, now: datetime) -> None:
        async with self._begin(only_reads=True) as work:
            target = await work.get(Target, target_id)
        evaluation = None if target is None else await self._evaluation(target, now)
        if target is None or evaluation is None:
            return
        async with self._begin() as work:
            locked = await work.get(Target, target_id, lock="no key update")
            if locked is None or locked.version != target.version:
                # It was set again meanwhile: the next run reads that.
                return
            event = locked.evaluate(evaluation)
            if event is not None:
                await publish(work, event, sequence=locked.sequence, time=evaluation.at, partition_key=locked.id)
            await work.commit()
        if event is not None:
            outcome = "missed" if not evaluation.met else "recovered"
            CROSSINGS.labels(target.kpi, outcome).inc()
            log.info("target_crossed", target_id=str(target_id), kpi=target.kpi, outcome=outcome)

    async def _evaluation(self, target: Target, now: datetime) -> Evaluation | None:
        """Return an evaluation; None before the period begins or is complete, or with nothing to divide by."""
        today = self._reporting.day_of(now)
        period = period_evaluated(target, today)
        if period is None:
            return None
        kpi = KPIS[target.kpi]
        query = KpiQuery(
            kpi=kpi,
            variant=target.variant,
            period=period,
            interval=None,
            group_by=(),
            filters={} if target.dimension is None else {target.dimension: target.dimension_value},
            with_previous=False,
        )
        due = target.due_over(period, today, direction=kpi.direction, adds_up=is_sum_of_days(query.formula))
        async with self._begin(only_reads=True) as work:
            connection = await work.connection()
            if period.end < today and not await self._is_complete_before(today, connection):
                return None
            found = await answer(connection, query, self._reporting)
        if found.value is None or due is None:
            return None
        reached = Decimal(found.value)
        return Evaluation(period=period, due=due, reached=reached, met=is_met(reached, due, kpi.direction), at=now)

    async def _is_complete_before(self, day: date, connection: AsyncConnection) -> bool:
        """Return whether the ledger is complete up to the beginning of a day: its last minute must not be missing."""
        complete_until = await fresh_as_of(connection)
        over_at = datetime.combine(day, time.min, self._reporting.zone)
        return complete_until is not None and complete_until - UNDER_WAY >= over_at
