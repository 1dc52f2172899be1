"""Reads of targets: one by its key, and the goals of several keys."""

from collections.abc import Collection
from dataclasses import astuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from metrics_worker.targets.model import Goal, Target, TargetKey
from service_kit.compiled import CompiledStatement, noticing_cuts

# Compiled once: every answer reads its targets.
_GOALS = CompiledStatement(
    sa.text("""
        SELECT target.kpi, target.variant, target.dimension, target.dimension_value, value, period, since
        FROM target JOIN unnest(
            CAST(:kpis AS text[]), CAST(:variants AS text[]), CAST(:dimensions AS text[]), CAST(:values AS text[])
        ) AS key (kpi, variant, dimension, dimension_value)
        ON target.kpi = key.kpi AND target.variant = key.variant
        AND target.dimension IS NOT DISTINCT FROM key.dimension
        AND target.dimension_value IS NOT DISTINCT FROM key.dimension_value
    """)
)


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


async def goals_of(session: AsyncSession, keys: Collection[TargetKey]) -> dict[TargetKey, Goal]:
    """Return the goals of those keys for which a target is set."""
    if not keys:
        return {}
    kpis, variants, dimensions, values = zip(*map(astuple, keys), strict=True)
    async with noticing_cuts(await session.connection()):
        rows = await _GOALS.all(session, kpis=kpis, variants=variants, dimensions=dimensions, values=values)
    return {TargetKey(*row[:4]): Goal(*row[4:]) for row in rows}
