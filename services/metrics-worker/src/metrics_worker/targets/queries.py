"""Reads targets: the list, and one by its key."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from metrics_worker.targets.model import Target, TargetKey
from metrics_worker.targets.schemas import TargetView
from service_kit.filters import Filter, equal
from service_kit.paging import Page, PageView

_columns = Target.__table__.c


async def list_targets(session: AsyncSession, page: Page, filters: Filter) -> PageView[TargetView]:
    """Return targets whose columns have the given values, newest first."""
    query = sa.select(*_columns).where(*equal(_columns, filters))
    return await page.of(session, query, _columns.id, TargetView.of)


async def target_for(session: AsyncSession, key: TargetKey, *, lock: bool = False) -> Target | None:
    """Return the target of exactly this key, or None."""
    query = sa.select(Target).where(
        Target.kpi == key.kpi,
        Target.variant == key.variant,
        Target.dimension.is_not_distinct_from(key.dimension),
        Target.dimension_value.is_not_distinct_from(key.dimension_value),
    )
    # Past the session's memory: another transaction may have changed it since.
    query = query.execution_options(populate_existing=True)
    return (await session.execute(query.with_for_update() if lock else query)).scalar_one_or_none()
