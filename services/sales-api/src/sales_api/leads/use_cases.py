"""The use cases of leads: one function each, within its route's transaction."""

from datetime import datetime
from uuid import UUID

from sales_api.accounts.model import Account
from sales_api.accounts.use_cases import add_account, require_account, surviving_account
from sales_api.attribution import Attribution
from sales_api.deals.use_cases import add_deal
from sales_api.leads.model import Lead
from sales_api.leads.schemas import (
    ConvertedDealCreate,
    LeadAccountCreate,
    LeadAssignRequest,
    LeadContactRequest,
    LeadConvertRequest,
    LeadCreate,
    LeadDisqualifyRequest,
    LeadQualifyRequest,
    LeadUpdate,
)
from sales_api.leads.suggestions import note_taken_up
from sales_api.products import check_products
from sales_api.referrals.queries import referrer_of
from sales_api.reps import team_of
from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.custom_fields.queries import changed_custom, new_custom
from service_kit.identifiers import new_id
from service_kit.list_values.queries import check_listed
from service_kit.locking import lock
from service_kit.occurrence import happened_at
from service_kit.problems import Unprocessable
from service_kit.references import require, require_new
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion


async def create_lead(work: UnitOfWork, body: LeadCreate, by: Principal) -> Lead:
    """Create a lead; its region and segment are its account's unless given.

    Raise `ExternalRefTaken` and `SuggestionAlreadyTakenUp` (409).
    """
    at = happened_at(body.occurred_at, by)
    await check_listed(work, body)
    await require_new(work, Lead, body.external_ref)
    account = None if body.account_id is None else await require_account(work, body.account_id)
    if body.product is not None:
        await check_products(work, {body.product: "#/product"})
    attribution = Attribution(
        owner_id=body.owner_id,
        team_id=await team_of(work, body.owner_id),
        region=body.region or (account.region if account else None),
        segment=body.segment or (account.segment if account else None),
        channel=body.channel,
    )
    lead_id, suggestion = new_id(), None
    if body.upsell_suggestion_id is not None:
        suggestion = await note_taken_up(work, body.upsell_suggestion_id, lead_id)
    lead, event = Lead.create(
        lead_id=lead_id,
        name=body.name,
        company=body.company,
        email=body.email,
        phone=body.phone,
        product=body.product,
        account_id=body.account_id,
        attribution=attribution,
        external_ref=body.external_ref,
        at=at,
        upsell_suggestion_id=body.upsell_suggestion_id,
        suggestion=suggestion,
        custom=await new_custom(work, Lead, body.custom),
    )
    work.add(lead)
    publish(work, lead, event, at)
    return lead


async def update_lead(
    work: UnitOfWork, lead_id: UUID, body: LeadUpdate, expected: ExpectedVersion, by: Principal
) -> Lead:
    """Correct a lead; the same again changes nothing.

    Raise `UnknownReference` (422) and `SuggestionAlreadyTakenUp` (409).
    """
    lead = await lock(work, Lead, lead_id, expected)
    at = happened_at(body.occurred_at, by, after=lead.changed_at)
    changes = body.changed_from(lead, besides=frozenset({"custom", "occurred_at"}))
    await check_listed(work, body, changes)
    changes |= await changed_custom(work, lead, body.custom)
    if not changes:
        return lead
    if (product := changes.get("product")) is not None:
        await check_products(work, {product: "#/product"})
    if "upsell_suggestion_id" in changes:
        suggestion_id = changes["upsell_suggestion_id"]
        changes["suggestion"] = None if suggestion_id is None else await note_taken_up(work, suggestion_id, lead.id)
    publish(work, lead, lead.amend(changes, at=at), at)
    return lead


async def assign_lead(
    work: UnitOfWork, lead_id: UUID, body: LeadAssignRequest, expected: ExpectedVersion, by: Principal
) -> Lead:
    """Assign a lead to a salesperson, or reassign it."""
    lead = await lock(work, Lead, lead_id, expected)
    at = happened_at(body.occurred_at, by, after=lead.changed_at)
    team_id = await team_of(work, body.owner_id)
    publish(work, lead, lead.assign(body.owner_id, team_id, at=at), at)
    return lead


async def contact_lead(
    work: UnitOfWork, lead_id: UUID, body: LeadContactRequest, expected: ExpectedVersion, by: Principal
) -> Lead:
    """Record the first contact by the lead's owner."""
    lead = await lock(work, Lead, lead_id, expected)
    at = happened_at(body.occurred_at, by, after=lead.changed_at)
    publish(work, lead, lead.contact(at=at), at)
    return lead


async def qualify_lead(
    work: UnitOfWork, lead_id: UUID, body: LeadQualifyRequest, expected: ExpectedVersion, by: Principal
) -> Lead:
    """Qualify a lead."""
    lead = await lock(work, Lead, lead_id, expected)
    at = happened_at(body.occurred_at, by, after=lead.changed_at)
    publish(work, lead, lead.qualify(at=at), at)
    return lead


async def disqualify_lead(
    work: UnitOfWork, lead_id: UUID, body: LeadDisqualifyRequest, expected: ExpectedVersion, by: Principal
) -> Lead:
    """Disqualify a lead."""
    lead = await lock(work, Lead, lead_id, expected)
    at = happened_at(body.occurred_at, by, after=lead.changed_at)
    await check_listed(work, body)
    publish(work, lead, lead.disqualify(body.reason, at=at), at)
    return lead


async def convert_lead(
    work: UnitOfWork,
    lead_id: UUID,
    body: LeadConvertRequest,
    expected: ExpectedVersion,
    by: Principal,
    reporting_currency: str,
) -> Lead:
    """Convert a lead to a customer, known or new, and open the deal that comes with it: all or nothing."""
    lead = await lock(work, Lead, lead_id, expected)
    at = happened_at(body.occurred_at, by, after=lead.changed_at)
    await check_listed(work, body)
    lead.check_convertible(body.account_id, makes_account=body.account is not None)
    if body.account_id is not None:
        await require(work, Account, body.account_id, "#/account_id")
    known_id = body.account_id or lead.account_id
    account = None if known_id is None else await surviving_account(work, known_id)
    registers = account is None
    if account is None:
        account = await _register_account(work, lead, body.account or LeadAccountCreate(), at)
    deal_id = None
    if body.deal is not None:
        defaults = Attribution(
            owner_id=lead.owner_id,
            team_id=lead.team_id,
            region=lead.region or account.region,
            segment=lead.segment or account.segment,
            channel=lead.channel or account.channel,
        )
        deal = await add_deal(
            work,
            body.deal,
            account_id=account.id,
            lead_id=lead.id,
            defaults=defaults,
            at=_deal_opened_at(lead, body.deal, by, at),
            reporting_currency=reporting_currency,
            upsell_suggestion_id=lead.upsell_suggestion_id,
            pointer="#/deal",
        )
        deal_id = deal.id
    event = lead.convert(account_id=account.id, account_registered=registers, deal_id=deal_id, at=at)
    publish(work, lead, event, at)
    return lead


def _deal_opened_at(lead: Lead, deal: ConvertedDealCreate, by: Principal, converted_at: datetime) -> datetime:
    if deal.opened_at is None:
        return converted_at
    if deal.opened_at > converted_at:
        raise Unprocessable.at("#/deal/opened_at", "is after the conversion")
    if deal.opened_at < lead.created_at:
        raise Unprocessable.at("#/deal/opened_at", "is before the lead was created")
    return happened_at(deal.opened_at, by)


async def _register_account(work: UnitOfWork, lead: Lead, given: LeadAccountCreate, at: datetime) -> Account:
    name = given.name or lead.company or lead.name
    if name is None:
        raise Unprocessable.at("#/account/name", "is needed, since the lead has neither company nor name")
    owner_id, team_id = lead.owner_id, lead.team_id
    if given.owner_id is not None:
        owner_id, team_id = given.owner_id, await team_of(work, given.owner_id, "#/account/owner_id")
    attribution = Attribution(
        owner_id=owner_id,
        team_id=team_id,
        region=given.region or lead.region,
        segment=given.segment or lead.segment,
        channel=given.channel or lead.channel,
    )
    referred_by = given.referred_by
    if referred_by is not None:
        await require(work, Account, referred_by, "#/account/referred_by")
    return await add_account(
        work,
        name=name,
        attribution=attribution,
        external_ref=given.external_ref,
        at=at,
        custom=await new_custom(work, Account, given.custom, "#/account/custom"),
        referred_by=referred_by or await referrer_of(work, lead.id),
    )
