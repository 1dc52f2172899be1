"""The use cases of quotas: one function each, within its route's transaction."""

from datetime import date
from uuid import UUID

import sqlalchemy as sa

from sales_api.quotas.model import Quota, QuotaOverlaps
from sales_api.quotas.schemas import QuotaCreate, QuotaUpdate
from sales_api.reps import Rep
from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.compiled import CompiledStatement
from service_kit.locking import lock
from service_kit.occurrence import happened_at
from service_kit.references import UnknownReference, require_new
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion

_columns = Quota.table.c
_OVERLAPPING = CompiledStatement(
    sa.select(_columns.id).where(
        _columns.rep_id == sa.bindparam("rep_id"),
        _columns.period_start <= sa.bindparam("end"),
        _columns.period_end >= sa.bindparam("start"),
    )
)


async def set_quota(work: UnitOfWork, body: QuotaCreate, by: Principal, reporting_currency: str) -> Quota:
    """Set what a salesperson has to sell in a period. Raise `QuotaOverlaps` (409)."""
    at = happened_at(body.occurred_at, by)
    await require_new(work, Quota, body.external_ref)
    # Under the salesperson's lock: two overlapping quotas at the same moment would not see each other.
    rep = await work.get(Rep, body.rep_id, lock="no key update")
    if rep is None:
        raise UnknownReference.at("#/rep_id", "names no rep")
    quota, event = Quota.set(
        rep_id=rep.id,
        team_id=rep.team_id,
        period_start=body.period_start,
        period_end=body.period_end,
        target=body.target,
        currency=reporting_currency,
        external_ref=body.external_ref,
        at=at,
    )
    await _check_overlap(work, rep.id, body.period_start, body.period_end)
    work.add(quota)
    publish(work, quota, event, at)
    return quota


async def change_quota(
    work: UnitOfWork, quota_id: UUID, body: QuotaUpdate, expected: ExpectedVersion, by: Principal
) -> Quota:
    """Set another target for the same period; the same again changes nothing."""
    quota = await lock(work, Quota, quota_id, expected)
    at = happened_at(body.occurred_at, by, after=quota.set_at)
    if body.target != quota.target:
        publish(work, quota, quota.change_target(body.target, at=at), at)
    return quota


async def _check_overlap(work: UnitOfWork, rep_id: UUID, start: date, end: date) -> None:
    overlapping = await _OVERLAPPING.one_or_none(work, rep_id=rep_id, start=start, end=end)
    if overlapping is not None:
        raise QuotaOverlaps("Change that one with PATCH, or choose other days.", existing_id=str(overlapping["id"]))
