"""The use cases of targets: one function, one transaction each."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from event_contracts.fields import DECIMAL_PLACES
from metrics_worker.domain.posting import Reporting
from metrics_worker.kpis.formula import Formula
from metrics_worker.queries.figure import RATIO_PLACES
from metrics_worker.targets.model import Target, TargetKey
from metrics_worker.targets.queries import target_for
from metrics_worker.targets.schemas import TargetSetRequest, places_of
from service_kit.problems import NotFound, Unprocessable
from service_kit.versions import ExpectedVersion


class NoTarget(NotFound):
    """Nothing is set for this KPI, variant and filter."""

    slug, title = "no-target", "No target is set for this"


async def set_target(
    session: AsyncSession,
    key: TargetKey,
    formula: Formula,
    body: TargetSetRequest,
    expected: ExpectedVersion,
    reporting: Reporting,
) -> tuple[Target, bool]:
    """Set or change a target; return it, and whether it is new. Raise `Unprocessable` and `PreconditionFailed`."""
    places = DECIMAL_PLACES[reporting.currency] if formula.unit == "money" else RATIO_PLACES
    if places_of(body.value) > places:
        raise Unprocessable.at("#/value", f"has more than {places} decimal places")
    now = datetime.now(UTC)
    target = await target_for(session, key, lock=True)
    if target is None:
        expected.check(0)
        target = Target.set(key, body.value, period=body.period, since=body.since, at=now)
        session.add(target)
        # Two first settings at the same moment: the second meets the unique key here and is tried again.
        await session.flush()
        return target, True
    expected.check(target.version)
    target.reset(body.value, period=body.period, since=body.since, at=now)
    return target, False


async def get_target(session: AsyncSession, key: TargetKey) -> Target:
    """Return a target. Raise `NoTarget`."""
    target = await target_for(session, key)
    if target is None:
        raise _absent(key)
    return target


async def delete_target(session: AsyncSession, key: TargetKey, expected: ExpectedVersion) -> None:
    """Delete a target; nothing is published. Raise `NoTarget` and `PreconditionFailed`."""
    target = await target_for(session, key, lock=True)
    if target is None:
        raise _absent(key)
    expected.check(target.version)
    await session.delete(target)


def _absent(key: TargetKey) -> NoTarget:
    return NoTarget(f"PUT /v1/targets/{key.kpi} with the same parameters sets one.")
