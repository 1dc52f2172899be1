"""Reads of referrals by their lead."""

from uuid import UUID

import sqlalchemy as sa

from sales_api.referrals.model import Referral
from service_kit.compiled import CompiledStatement
from service_kit.unit_of_work import UnitOfWork

_columns = Referral.table.c
_OF_LEAD = CompiledStatement(
    sa.select(_columns.id, _columns.account_id).where(_columns.lead_id == sa.bindparam("lead_id"))
)


async def referral_of(work: UnitOfWork, lead_id: UUID) -> UUID | None:
    """Return the id of the referral that brought a lead, or None."""
    found = await _OF_LEAD.one_or_none(work, lead_id=lead_id)
    return None if found is None else found["id"]


async def referrer_of(work: UnitOfWork, lead_id: UUID) -> UUID | None:
    """Return the account whose referral brought a lead, or None."""
    found = await _OF_LEAD.one_or_none(work, lead_id=lead_id)
    return None if found is None else found["account_id"]
