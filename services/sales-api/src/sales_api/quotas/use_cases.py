"""What can be done with quotas: one function, one transaction each."""

from datetime import date
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from sales_api.quotas.model import Quota, QuotaOverlaps
from sales_api.quotas.schemas import QuotaChange, QuotaIn
from sales_api.reps import Rep
from service_kit import outbox
from service_kit.auth import Principal
from service_kit.locking import locked
from service_kit.occurrence import happened_at
from service_kit.problems import NotFound
from service_kit.references import UnknownReference, require_free
from service_kit.versions import ExpectedVersion


async def set_quota(session: AsyncSession, body: QuotaIn, by: Principal, reporting_currency: str) -> Quota:
    """Sets what a salesperson is to sell in a period. Raises `QuotaOverlaps` (409)."""
    at = happened_at(body.occurred_at, by)
    await require_free(session, body.external_ref, among=Quota.external_ref, ids=Quota.id)
    # Under the salesperson's lock: two overlapping quotas at the same moment would not see each other.
    rep = await locked(session, Rep, body.rep_id)
    if rep is None:
        raise UnknownReference.at("#/rep_id", "no rep has this id")
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
    await _check_overlap(session, rep.id, body.period_start, body.period_end)
    session.add(quota)
    await outbox.write(session, event, sequence=quota.version, time=at, partition_key=quota.id)
    return quota


async def change_quota(
    session: AsyncSession, quota_id: UUID, body: QuotaChange, expected: ExpectedVersion, by: Principal
) -> Quota:
    """Sets another target for the same period; giving the same again changes nothing."""
    quota = await locked(session, Quota, quota_id)
    if quota is None:
        raise NotFound(f"There is no quota {quota_id}.")
    expected.check(quota.version)
    at = happened_at(body.occurred_at, by, after=quota.set_at)
    if body.target == quota.target:
        return quota
    event = quota.set_anew(body.target, at=at)
    await outbox.write(session, event, sequence=quota.version, time=at, partition_key=quota.id)
    return quota


async def _check_overlap(session: AsyncSession, rep_id: UUID, start: date, end: date) -> None:
    overlapping = sa.select(Quota.id).where(
        Quota.rep_id == rep_id, Quota.period_start <= end, Quota.period_end >= start
    )
    existing_id = (await session.execute(overlapping.limit(1))).scalar_one_or_none()
    if existing_id is not None:
        raise QuotaOverlaps("Change that one with PATCH, or choose other days.", existing_id=str(existing_id))
