"""Plans the next visit of maintenance plans that have none planned: those of before there were planned visits."""

from collections.abc import Callable
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from service_api.maintenance.model import Maintenance, MaintenancePlan
from service_api.maintenance.use_cases import plan_next_visit
from service_kit.compiled import CompiledStatement
from service_kit.database import database_now
from service_kit.periodic import PeriodicJob
from service_kit.unit_of_work import units_of_work

TICK_SECONDS: Final = 30.0
BATCH: Final = 100

_plans = MaintenancePlan.table.c
_visits = Maintenance.table.c
_IS_WITHOUT_VISIT: Final = sa.and_(
    _plans.ended_at.is_(None),
    ~sa.exists().where(_visits.plan_id == _plans.id, _visits.status == "planned").correlate(MaintenancePlan.table),
)
_ANY: Final = CompiledStatement(sa.select(_plans.id).where(_IS_WITHOUT_VISIT).limit(1))


class VisitPlanner:
    """Plans in the transaction of the event: killed, it leaves nothing out, and two of them skip each other's plans."""

    def __init__(self, engine: AsyncEngine, *, on_commit: Callable[[], None] | None = None) -> None:
        self._begin = units_of_work(engine, process="visit-planner", on_commit=on_commit)
        self.job = PeriodicJob("visit planner", self._is_behind, pause=TICK_SECONDS)

    async def _is_behind(self) -> bool:
        return await self.tick() == BATCH

    async def tick(self) -> int:
        """Plan the visits of `BATCH` plans at most in one transaction; return the number of plans."""
        async with self._begin() as work:
            if not await _ANY.all(work):
                return 0
            now = await database_now(work)
            plans = await work.find(
                MaintenancePlan, _IS_WITHOUT_VISIT, order_by=[_plans.id], lock="update", limit=BATCH, skips_locked=True
            )
            for plan in plans:
                await plan_next_visit(work, plan, now)
            await work.commit()
            return len(plans)
