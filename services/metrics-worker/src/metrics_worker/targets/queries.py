"""Reads of targets: one by its key, and the goals of several keys."""

from collections.abc import Collection
from dataclasses import astuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.targets.model import Goal, Target, TargetKey
from service_kit.compiled import CompiledStatement, driver_of
from service_kit.unit_of_work import Lock, UnitOfWork

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


async def target_for(work: UnitOfWork, key: TargetKey, *, lock: Lock | None = None) -> Target | None:
    """Return the target of exactly this key, or None."""
    columns = Target.table.c
    found = await work.find(
        Target,
        columns.kpi == key.kpi,
        columns.variant == key.variant,
        columns.dimension.is_not_distinct_from(key.dimension),
        columns.dimension_value.is_not_distinct_from(key.dimension_value),
        lock=lock,
    )
    return found[0] if found else None


async def goals_of(connection: AsyncConnection, keys: Collection[TargetKey]) -> dict[TargetKey, Goal]:
    """Return the goals of those keys for which a target is set."""
    if not keys:
        return {}
    kpis, variants, dimensions, values = zip(*map(astuple, keys), strict=True)
    driver = await driver_of(connection)
    rows = await _GOALS.all(driver, kpis=kpis, variants=variants, dimensions=dimensions, values=values)
    return {TargetKey(*row[:4]): Goal(*row[4:]) for row in rows}
