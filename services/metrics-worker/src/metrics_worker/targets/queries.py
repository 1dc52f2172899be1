"""Reads of targets: one by its key, and the goals of several keys."""

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from metrics_worker.targets.model import Goal, Target, TargetKey

_columns = Target.__table__.c


async def target_for(session: AsyncSession, key: TargetKey, *, lock: bool = False) -> Target | None:
    """Return the target of exactly this key, or None."""
    query = sa.select(Target).where(_has(key))
    # Past the session's memory: another transaction may have changed it since.
    query = query.execution_options(populate_existing=True)
    return (await session.execute(query.with_for_update() if lock else query)).scalar_one_or_none()


async def goals_of(session: AsyncSession, keys: Collection[TargetKey]) -> dict[TargetKey, Goal]:
    """Return the goals of those keys for which a target is set."""
    if not keys:
        return {}
    rows = await session.execute(sa.select(*_columns).where(sa.or_(*map(_has, keys))))
    return {
        TargetKey(row.kpi, row.variant, row.dimension, row.dimension_value): Goal(row.value, row.period, row.since)
        for row in rows
    }


def _has(key: TargetKey) -> sa.ColumnElement[bool]:
    return sa.and_(
        Target.kpi == key.kpi,
        Target.variant == key.variant,
        Target.dimension.is_not_distinct_from(key.dimension),
        Target.dimension_value.is_not_distinct_from(key.dimension_value),
    )
