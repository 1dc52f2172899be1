"""The use cases of targets: one function, one transaction each."""

from datetime import UTC, datetime

from event_contracts.fields import DECIMAL_PLACES
from metrics_worker.domain.posting import Reporting
from metrics_worker.kpis.formula import Formula
from metrics_worker.queries.figure import RATIO_PLACES
from metrics_worker.targets.model import Target, TargetKey
from metrics_worker.targets.queries import target_for
from metrics_worker.targets.schemas import TargetSetRequest, places_of
from service_kit.problems import NotFound, Unprocessable
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion


class NoTarget(NotFound):
    """Nothing is set for this KPI, variant and filter."""

    slug, title = "no-target", "No target is set for this"


async def set_target(
    work: UnitOfWork,
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
    target = await target_for(work, key, lock="no key update")
    if target is None:
        expected.check(0)
        target = Target.set(key, body.value, period=body.period, since=body.since, at=now)
        # Two first settings at the same moment: the second meets the unique key when it is written, and is tried again.
        work.add(target)
        return target, True
    expected.check(target.version)
    target.reset(body.value, period=body.period, since=body.since, at=now)
    return target, False


async def get_target(work: UnitOfWork, key: TargetKey) -> Target:
    """Return a target. Raise `NoTarget`."""
    target = await target_for(work, key)
    if target is None:
        raise _absent(key)
    return target


async def delete_target(work: UnitOfWork, key: TargetKey, expected: ExpectedVersion) -> None:
    """Delete a target; nothing is published. Raise `NoTarget` and `PreconditionFailed`."""
    target = await target_for(work, key, lock="update")
    if target is None:
        raise _absent(key)
    expected.check(target.version)
    await work.delete(target)


def _absent(key: TargetKey) -> NoTarget:
    return NoTarget(f"PUT /v1/targets/{key.kpi} with the same parameters sets one.")
