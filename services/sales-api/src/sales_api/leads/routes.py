"""Leads over HTTP."""

from fastapi import Request, Response

from event_contracts.sales import LeadStatus
from sales_api.access import Eraser, Expected, Reader, ReportingCurrency, Seller
from sales_api.accounts.erasure import erase_lead as erase
from sales_api.leads import queries, use_cases
from sales_api.leads.model import Lead
from sales_api.leads.schemas import (
    LeadAssign,
    LeadContact,
    LeadConvert,
    LeadDisqualify,
    LeadIn,
    LeadQualify,
    LeadView,
)
from service_kit.fields import Code, ExternalReference, Identifier
from service_kit.paging import Paged, PageView
from service_kit.problems import NotFound
from service_kit.routing import Work, router
from service_kit.versions import set_etag, unchanged

leads = router("/leads", "leads")


@leads.post("", status_code=201)
async def create_lead(body: LeadIn, work: Work, response: Response, by: Seller) -> LeadView:
    """Enters a lead; with an owner it is assigned at once."""
    lead = await use_cases.create_lead(work, body, by)
    response.headers["Location"] = f"/v1/leads/{lead.id}"
    return _answer(response, lead)


@leads.get("")
async def list_leads(
    work: Work,
    page: Paged,
    _: Reader,
    status: LeadStatus | None = None,
    account_id: Identifier | None = None,
    deal_id: Identifier | None = None,
    owner_id: Identifier | None = None,
    team_id: Identifier | None = None,
    channel: Code | None = None,
    region: Code | None = None,
    segment: Code | None = None,
    product: Code | None = None,
    external_ref: ExternalReference | None = None,
) -> PageView[LeadView]:
    """Leads, newest first."""
    filters = {
        "status": status,
        "account_id": account_id,
        "deal_id": deal_id,
        "owner_id": owner_id,
        "team_id": team_id,
        "channel": channel,
        "region": region,
        "segment": segment,
        "product": product,
        "external_ref": external_ref,
    }
    return await queries.list_leads(work, page, filters)


@leads.get("/{lead_id}", response_model=LeadView)
async def get_lead(
    lead_id: Identifier, work: Work, request: Request, response: Response, _: Reader
) -> LeadView | Response:
    """One lead."""
    lead = await work.get(Lead, lead_id)
    if lead is None:
        raise NotFound(f"There is no lead {lead_id}.")
    return unchanged(request, lead.version) or _answer(response, lead)


@leads.post("/{lead_id}/assign")
async def assign_lead(
    lead_id: Identifier, body: LeadAssign, work: Work, response: Response, expected: Expected, by: Seller
) -> LeadView:
    """Gives a lead to a salesperson, or passes it on to another."""
    return _answer(response, await use_cases.assign_lead(work, lead_id, body, expected, by))


@leads.post("/{lead_id}/contact")
async def contact_lead(
    lead_id: Identifier, body: LeadContact, work: Work, response: Response, expected: Expected, by: Seller
) -> LeadView:
    """Records the first contact by the salesperson that the lead was assigned to."""
    return _answer(response, await use_cases.contact_lead(work, lead_id, body, expected, by))


@leads.post("/{lead_id}/qualify")
async def qualify_lead(
    lead_id: Identifier, body: LeadQualify, work: Work, response: Response, expected: Expected, by: Seller
) -> LeadView:
    """Finds a lead worth pursuing."""
    return _answer(response, await use_cases.qualify_lead(work, lead_id, body, expected, by))


@leads.post("/{lead_id}/disqualify")
async def disqualify_lead(
    lead_id: Identifier, body: LeadDisqualify, work: Work, response: Response, expected: Expected, by: Seller
) -> LeadView:
    """Gives a lead up; nothing more can happen to it."""
    return _answer(response, await use_cases.disqualify_lead(work, lead_id, body, expected, by))


@leads.post("/{lead_id}/convert")
async def convert_lead(
    lead_id: Identifier,
    body: LeadConvert,
    work: Work,
    response: Response,
    expected: Expected,
    by: Seller,
    reporting_currency: ReportingCurrency,
) -> LeadView:
    """Makes a lead a customer, known or new, and opens its deal when one is given."""
    return _answer(response, await use_cases.convert_lead(work, lead_id, body, expected, by, reporting_currency))


def _answer(response: Response, lead: Lead) -> LeadView:
    set_etag(response, lead.version)
    return LeadView.model_validate(lead)


@leads.post("/{lead_id}/erase")
async def erase_lead(lead_id: Identifier, work: Work, response: Response, expected: Expected, by: Eraser) -> LeadView:
    """Erases who the lead is and how to reach them, for good. A lead with an account is erased with that."""
    return _answer(response, await erase(work, lead_id, expected, by))
