"""The use cases of referrals, within their route's transaction."""

from uuid import UUID

from sales_api.accounts.use_cases import require_account
from sales_api.leads.model import Lead
from sales_api.referrals.model import Referral, ReferralAlreadyRecorded
from sales_api.referrals.queries import referral_of
from sales_api.referrals.schemas import ReferralCreate, ReferralUpdate
from sales_api.reps import team_of
from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.list_values.queries import check_listed
from service_kit.locking import lock
from service_kit.occurrence import happened_at
from service_kit.references import require
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion


async def record_referral(work: UnitOfWork, body: ReferralCreate, by: Principal) -> Referral:
    """Record a recommendation. Raise `ReferralAlreadyRecorded` (409) and `UnknownReference` (422)."""
    at = happened_at(body.occurred_at, by)
    account = await require_account(work, body.account_id)
    if body.lead_id is not None:
        await _require_lead(work, body.lead_id)
    referral, event = Referral.record(account, lead_id=body.lead_id, at=at)
    work.add(referral)
    publish(work, referral, event, at)
    return referral


async def update_referral(
    work: UnitOfWork, referral_id: UUID, body: ReferralUpdate, expected: ExpectedVersion, by: Principal
) -> Referral:
    """Correct a referral. Raise as `record_referral` does, and `LeadAlreadyConverted` (409) for another lead."""
    referral = await lock(work, Referral, referral_id, expected)
    at = happened_at(body.occurred_at, by, after=referral.recorded_at)
    changes = body.changed_from(referral, besides=frozenset({"occurred_at"}))
    await check_listed(work, body, changes)
    if "lead_id" in changes:
        lead = None if body.lead_id is None else await _require_lead(work, body.lead_id)
        former = None if referral.lead_id is None else await work.get(Lead, referral.lead_id)
        for each in (lead, former):
            if each is not None:
                each.check_referable()
    if "owner_id" in changes:
        changes["team_id"] = await team_of(work, body.owner_id)
    if changes:
        publish(work, referral, referral.amend(changes, at=at), at)
    return referral


async def _require_lead(work: UnitOfWork, lead_id: UUID) -> Lead:
    lead = await require(work, Lead, lead_id, "#/lead_id")
    if (existing_id := await referral_of(work, lead.id)) is not None:
        raise ReferralAlreadyRecorded("Read the referral that existing_id names.", existing_id=str(existing_id))
    return lead
