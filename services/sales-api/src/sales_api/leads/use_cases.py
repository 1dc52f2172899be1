"""What can be done with leads: one function, one transaction each."""

from datetime import datetime
from uuid import UUID

from event_contracts.sales import Lead as LeadState
from sales_api.accounts.model import Account
from sales_api.accounts.use_cases import add_account, check_referrer, standing_account, surviving_account
from sales_api.attribution import Attribution
from sales_api.deals.use_cases import add_deal
from sales_api.leads.model import Lead
from sales_api.leads.schemas import (
    ConvertedAccount,
    LeadAssign,
    LeadContact,
    LeadConvert,
    LeadDisqualify,
    LeadIn,
    LeadQualify,
)
from sales_api.products import check_products
from sales_api.referrals import referrer_of
from sales_api.reps import team_of
from service_kit import outbox
from service_kit.auth import Principal
from service_kit.occurrence import happened_at
from service_kit.problems import NotFound, Unprocessable
from service_kit.references import require_free
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion


async def create_lead(work: UnitOfWork, body: LeadIn, by: Principal) -> Lead:
    """Enters a lead. One of a known customer has that customer's region and segment unless it brings its own."""
    at = happened_at(body.occurred_at, by)
    await require_free(work, body.external_ref, among=Lead.table.c.external_ref, ids=Lead.table.c.id)
    account = None if body.account_id is None else await standing_account(work, body.account_id)
    if body.product is not None:
        await check_products(work, {body.product: "#/product"})
    attribution = Attribution(
        owner_id=body.owner_id,
        team_id=await team_of(work, body.owner_id),
        region=body.region or (account.region if account else None),
        segment=body.segment or (account.segment if account else None),
        channel=body.channel,
    )
    lead, event = Lead.create(
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
    )
    work.add(lead)
    await _publish(work, lead, event)
    return lead


async def assign_lead(
    work: UnitOfWork, lead_id: UUID, body: LeadAssign, expected: ExpectedVersion, by: Principal
) -> Lead:
    """Gives a lead to a salesperson, or passes it on."""
    lead = await _locked(work, lead_id, expected)
    at = happened_at(body.occurred_at, by, after=lead.changed_at)
    team_id = await team_of(work, body.owner_id)
    await _publish(work, lead, lead.assign(body.owner_id, team_id, at=at))
    return lead


async def contact_lead(
    work: UnitOfWork, lead_id: UUID, body: LeadContact, expected: ExpectedVersion, by: Principal
) -> Lead:
    """Records the first contact by the lead's owner."""
    lead = await _locked(work, lead_id, expected)
    at = happened_at(body.occurred_at, by, after=lead.changed_at)
    await _publish(work, lead, lead.contact(at=at))
    return lead


async def qualify_lead(
    work: UnitOfWork, lead_id: UUID, body: LeadQualify, expected: ExpectedVersion, by: Principal
) -> Lead:
    """Finds a lead worth pursuing."""
    lead = await _locked(work, lead_id, expected)
    at = happened_at(body.occurred_at, by, after=lead.changed_at)
    await _publish(work, lead, lead.qualify(at=at))
    return lead


async def disqualify_lead(
    work: UnitOfWork, lead_id: UUID, body: LeadDisqualify, expected: ExpectedVersion, by: Principal
) -> Lead:
    """Gives a lead up."""
    lead = await _locked(work, lead_id, expected)
    at = happened_at(body.occurred_at, by, after=lead.changed_at)
    await _publish(work, lead, lead.disqualify(body.reason, at=at))
    return lead


async def convert_lead(
    work: UnitOfWork,
    lead_id: UUID,
    body: LeadConvert,
    expected: ExpectedVersion,
    by: Principal,
    reporting_currency: str,
) -> Lead:
    """Makes a lead a customer, known or new, and opens the deal that comes with it: all or nothing."""
    lead = await _locked(work, lead_id, expected)
    at = happened_at(body.occurred_at, by, after=lead.changed_at)
    lead.check_convertible(body.account_id, makes_account=body.account is not None)
    known_id = body.account_id or lead.account_id
    account = None if known_id is None else await surviving_account(work, known_id)
    registers = account is None
    if account is None:
        account = await _register_account(work, lead, body.account or ConvertedAccount(), at)
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
            at=at,
            reporting_currency=reporting_currency,
            upsell_suggestion_id=lead.upsell_suggestion_id,
            pointer="#/deal",
        )
        deal_id = deal.id
    event = lead.convert(account_id=account.id, account_registered=registers, deal_id=deal_id, at=at)
    await _publish(work, lead, event)
    return lead


async def _register_account(work: UnitOfWork, lead: Lead, given: ConvertedAccount, at: datetime) -> Account:
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
        await check_referrer(work, referred_by, "#/account/referred_by")
    return await add_account(
        work,
        name=name,
        attribution=attribution,
        external_ref=given.external_ref,
        at=at,
        referred_by=referred_by or await referrer_of(work, lead.id),
    )


async def _locked(work: UnitOfWork, lead_id: UUID, expected: ExpectedVersion) -> Lead:
    lead = await work.edit(Lead, lead_id)
    if lead is None:
        raise NotFound(f"There is no lead {lead_id}.")
    expected.check(lead.version)
    return lead


async def _publish(work: UnitOfWork, lead: Lead, event: LeadState) -> None:
    await outbox.write(work, event, sequence=lead.version, time=lead.changed_at, partition_key=lead.partition_key)
