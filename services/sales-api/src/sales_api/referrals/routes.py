"""Referrals over HTTP."""

from fastapi import Response

from event_contracts.catalogue import SALES_TOPIC
from sales_api.accounts.model import Account
from sales_api.accounts.schemas import AccountRead
from sales_api.leads.model import Lead
from sales_api.leads.schemas import LeadRead
from sales_api.referrals import use_cases
from sales_api.referrals.model import Referral
from sales_api.referrals.schemas import ReferralCreate, ReferralRead, ReferralUpdate
from sales_api.reps import Rep, RepRead
from sales_api.teams import Team, TeamRead
from service_kit.fields import Identifier, Moment
from service_kit.history.own_events import OwnEvents
from service_kit.lists.includes import included
from service_kit.resources import Resource
from service_kit.routing import By, Work
from service_kit.versions import Expected

referrals = Resource(
    "/referrals/{referral_id}",
    Referral.table,
    ReferralRead,
    filters={
        "account_id": Identifier,
        "lead_id": Identifier,
        "owner_id": Identifier,
        "team_id": Identifier,
        "recorded_at": Moment,
    },
    sorts=("recorded_at",),
    includes={
        "owner": included("owner_id", Rep.table, RepRead),
        "team": included("team_id", Team.table, TeamRead),
        "account": included("account_id", Account.table, AccountRead),
        "lead": included("lead_id", Lead.table, LeadRead),
    },
    own_events=OwnEvents(SALES_TOPIC, "referrals", key=("account_id",)),
)
referrals.read_routes(list_as="list_referrals", get_as="get_referral")


@referrals.routes.post("", status_code=201, summary="Record a referral")
async def record_referral(body: ReferralCreate, work: Work, response: Response, by: By) -> ReferralRead:
    """Record that a customer recommended us. When its lead becomes a customer, that one was referred by them."""
    return referrals.show_created(response, await use_cases.record_referral(work, body, by))


@referrals.routes.patch("/{referral_id}", summary="Correct a referral")
async def update_referral(
    referral_id: Identifier, body: ReferralUpdate, work: Work, response: Response, expected: Expected, by: By
) -> ReferralRead:
    """Correct what was recorded wrongly: it counts as if it had been recorded so, on the same day."""
    return referrals.show(response, await use_cases.update_referral(work, referral_id, body, expected, by))
