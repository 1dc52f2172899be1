"""Referrals over HTTP."""

from fastapi import Response

from sales_api.referrals import use_cases
from sales_api.referrals.model import Referral
from sales_api.referrals.schemas import ReferralCreate, ReferralRead
from service_kit.fields import Identifier
from service_kit.resources import Resource
from service_kit.routing import By, Work

referrals = Resource(
    "/referrals/{referral_id}",
    Referral.table,
    ReferralRead,
    filters={"account_id": Identifier, "lead_id": Identifier, "owner_id": Identifier, "team_id": Identifier},
)
referrals.read_routes(list_as="list_referrals", get_as="get_referral")


@referrals.routes.post("", status_code=201, summary="Record a referral")
async def record_referral(body: ReferralCreate, work: Work, response: Response, by: By) -> ReferralRead:
    """Record that a customer recommended us. When its lead becomes a customer, that one was referred by them."""
    return referrals.show_created(response, await use_cases.record_referral(work, body, by))
