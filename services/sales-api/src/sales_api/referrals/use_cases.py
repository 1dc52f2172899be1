"""The use case of referrals, within its route's transaction."""

from sales_api.accounts.use_cases import require_account
from sales_api.leads.model import Lead
from sales_api.referrals.model import Referral, ReferralAlreadyRecorded
from sales_api.referrals.queries import referral_of
from sales_api.referrals.schemas import ReferralCreate
from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.occurrence import happened_at
from service_kit.references import require
from service_kit.unit_of_work import UnitOfWork


async def record_referral(work: UnitOfWork, body: ReferralCreate, by: Principal) -> Referral:
    """Record a recommendation. Raise `ReferralAlreadyRecorded` (409) and `UnknownReference` (422)."""
    at = happened_at(body.occurred_at, by)
    account = await require_account(work, body.account_id)
    if body.lead_id is not None:
        lead = await require(work, Lead, body.lead_id, "#/lead_id")
        if (existing_id := await referral_of(work, lead.id)) is not None:
            raise ReferralAlreadyRecorded("Read the referral that existing_id names.", existing_id=str(existing_id))
    referral, event = Referral.record(account, lead_id=body.lead_id, at=at)
    work.add(referral)
    publish(work, referral, event, at)
    return referral
