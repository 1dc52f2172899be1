"""The judge: looks at targets and customers whenever the books have moved, and publishes each crossing."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from metrics_worker.books.status import LedgerMark, fresh_as_of, is_caught_up, ledger_mark, reporting_of_ledger
from metrics_worker.domain.posting import Reporting
from metrics_worker.jobs.risks import RiskJudge
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.periods.use_cases import UNDER_WAY
from metrics_worker.queries.answer import answer
from metrics_worker.queries.query import Question
from metrics_worker.targets.lookup import adds_up, period_evaluated, today_in
from metrics_worker.targets.model import Evaluation, Target, is_met
from metrics_worker.webhooks.publisher import publish
from service_kit.database import create_sessions
from service_kit.periodic import PeriodicJob

log = structlog.get_logger()

CROSSINGS = Counter("tandem_target_crossings_total", "Targets that became missed, or met again.", ["kpi", "outcome"])

LOOK_SECONDS: Final = 0.25
AT_LEAST_EVERY_SECONDS: Final = 60
"""Targets are judged this often whatever the books do: what is due grows with the days."""
LOCK: Final = 0x7461_6E64_656D_0003
"""The advisory lock that lets one judge at a time decide: an older look must not be written over a newer one."""


class Judge:
    """One process's judge."""

    def __init__(self, engine: AsyncEngine, reporting: Reporting) -> None:
        self._engine = engine
        self._sessions = create_sessions(engine)
        self._reporting = reporting
        self._judged: LedgerMark | None = None
        self._risks = RiskJudge(self._sessions)
        self.job = PeriodicJob("judge", self.look, pause=LOOK_SECONDS)

    async def look(self) -> None:
        """Judges every target if the books, the targets or the time have moved since the last look.

        Not while the books are read anew: what half of the log says was never so.
        """
        async with self._engine.begin() as guard:
            if not (await guard.execute(sa.select(sa.func.pg_try_advisory_xact_lock(LOCK)))).scalar_one():
                # Another process judges; should it end, what it has seen is not what we have seen.
                self._judged = None
                return
            # Settings that differ from the books change nothing, and a rebuild may change the books.
            self._reporting = await reporting_of_ledger(guard) or self._reporting
            targets = (await guard.execute(sa.select(Target.id, Target.version).order_by(Target.id))).all()
            now = datetime.now(UTC)
            mark = (*await ledger_mark(guard), *map(tuple, targets), int(now.timestamp()) // AT_LEAST_EVERY_SECONDS)
            if mark == self._judged or not await is_caught_up(guard):
                return
            for target_id, _ in targets:
                await self._judge(target_id, now)
            await self._risks.look(self._reporting, now)
            self._judged = mark

    async def _judge(self, target_id: UUID, now: datetime) -> None:
        async with self._sessions() as session:
            target = await session.get(Target, target_id)
        evaluation = None if target is None else await self._judgement(target, now)
        if target is None or evaluation is None:
            return
        async with self._sessions() as session, session.begin():
            locked = await session.get(Target, target_id, with_for_update=True)
            if locked is None or locked.version != target.version:
                # Somebody set it anew meanwhile: the next look sees that.
                return
            event = locked.evaluate(evaluation)
            if event is not None:
                await publish(session, event, sequence=locked.sequence, time=evaluation.at, partition_key=locked.id)
        if event is not None:
            outcome = "missed" if not evaluation.met else "recovered"
            CROSSINGS.labels(target.kpi, outcome).inc()
            log.info("target_crossed", target_id=str(target_id), kpi=target.kpi, outcome=outcome)

    async def _judgement(self, target: Target, now: datetime) -> Evaluation | None:
        """What the books say; None while the period has not begun or is not whole, or there is nothing to divide by."""
        today = today_in(self._reporting, now)
        period = period_evaluated(target, today)
        if period is None:
            return None
        kpi = KPIS[target.kpi]
        question = Question(
            kpi=kpi,
            variant=target.variant,
            period=period,
            interval=None,
            group_by=None,
            filters={} if target.dimension is None else {target.dimension: target.dimension_value},
            with_previous=False,
        )
        due = target.due_over(period, today, direction=kpi.direction, adds_up=adds_up(question.formula))
        async with self._sessions() as session:
            if period.end < today and not await self._holds_all_before(today, session):
                return None
            found = await answer(session, question, self._reporting)
        if found.value is None or due is None:
            return None
        reached = Decimal(found.value)
        return Evaluation(period=period, due=due, reached=reached, met=is_met(reached, due, kpi.direction), at=now)

    async def _holds_all_before(self, day: date, session: AsyncSession) -> bool:
        """Whether the books hold the day before to its end: what its last minute brought must not be missing."""
        complete_until = await fresh_as_of(await session.connection())
        over_at = datetime.combine(day, time.min, self._reporting.zone)
        return complete_until is not None and complete_until - UNDER_WAY >= over_at
