"""Leads over HTTP."""

from fastapi import Response

from event_contracts.catalogue import SALES_TOPIC
from event_contracts.sales import LeadStatus
from sales_api.accounts import erasure
from sales_api.accounts.model import Account
from sales_api.accounts.schemas import AccountRead
from sales_api.activities.model import Activity
from sales_api.activities.schemas import ActivityRead
from sales_api.deals import queries as deal_queries
from sales_api.deals.model import Deal
from sales_api.deals.schemas import DealRead
from sales_api.dependencies import ReportingCurrency
from sales_api.leads import use_cases
from sales_api.leads.model import Lead
from sales_api.leads.schemas import (
    LeadAssignRequest,
    LeadContactRequest,
    LeadConvertRequest,
    LeadCreate,
    LeadDisqualifyRequest,
    LeadQualifyRequest,
    LeadRead,
    LeadUpdate,
)
from sales_api.reps import Rep, RepRead
from sales_api.teams import Team, TeamRead
from service_kit.fields import Code, ExternalReference, Identifier, Moment
from service_kit.history.own_events import OwnEvents
from service_kit.lists.includes import included, newest_included
from service_kit.resources import Resource
from service_kit.routing import By, Work
from service_kit.versions import Expected

leads = Resource(
    "/leads/{lead_id}",
    Lead.table,
    LeadRead,
    filters={
        "status": LeadStatus,
        "account_id": Identifier,
        "deal_id": Identifier,
        "owner_id": Identifier,
        "team_id": Identifier,
        "channel": Code,
        "region": Code,
        "segment": Code,
        "product": Code,
        "upsell_suggestion_id": Identifier,
        "external_ref": ExternalReference,
        "created_at": Moment,
        "contacted_at": Moment,
        "converted_at": Moment,
    },
    sorts=(
        "name",
        "company",
        "created_at",
        "contacted_at",
        "converted_at",
    ),
    includes={
        "owner": included("owner_id", Rep.table, RepRead),
        "team": included("team_id", Team.table, TeamRead),
        "account": included("account_id", Account.table, AccountRead),
        "deal": included("deal_id", Deal.table, DealRead, rows=deal_queries.ROWS, view=deal_queries.view),
        "last_activity": newest_included(Activity.table, "lead_id", ActivityRead),
    },
    own_events=OwnEvents(SALES_TOPIC, "leads", key=("partition_key",)),
)
leads.read_routes(list_as="list_leads", get_as="get_lead")


@leads.routes.post("", status_code=201, summary="Create a lead")
async def create_lead(body: LeadCreate, work: Work, response: Response, by: By) -> LeadRead:
    """Create a lead; with an owner it is assigned at once."""
    return leads.show_created(response, await use_cases.create_lead(work, body, by))


@leads.routes.patch("/{lead_id}", summary="Correct a lead")
async def update_lead(
    lead_id: Identifier, body: LeadUpdate, work: Work, response: Response, expected: Expected, by: By
) -> LeadRead:
    """Correct what was recorded wrongly, in any status: it counts as if it had come in so, in the same days.

    Its owner and what became of it have actions of their own; its account and deal are corrected by themselves.
    """
    return leads.show(response, await use_cases.update_lead(work, lead_id, body, expected, by))


@leads.routes.post("/{lead_id}/assign", summary="Assign a lead")
async def assign_lead(
    lead_id: Identifier, body: LeadAssignRequest, work: Work, response: Response, expected: Expected, by: By
) -> LeadRead:
    """Assign a lead to a salesperson, or reassign it."""
    return leads.show(response, await use_cases.assign_lead(work, lead_id, body, expected, by))


@leads.routes.post("/{lead_id}/contact", summary="Record the first contact")
async def contact_lead(
    lead_id: Identifier, body: LeadContactRequest, work: Work, response: Response, expected: Expected, by: By
) -> LeadRead:
    """Record the first contact by the salesperson that the lead is assigned to."""
    return leads.show(response, await use_cases.contact_lead(work, lead_id, body, expected, by))


@leads.routes.post("/{lead_id}/qualify", summary="Qualify a lead")
async def qualify_lead(
    lead_id: Identifier, body: LeadQualifyRequest, work: Work, response: Response, expected: Expected, by: By
) -> LeadRead:
    """Qualify a lead as worth pursuing."""
    return leads.show(response, await use_cases.qualify_lead(work, lead_id, body, expected, by))


@leads.routes.post("/{lead_id}/disqualify", summary="Disqualify a lead")
async def disqualify_lead(
    lead_id: Identifier, body: LeadDisqualifyRequest, work: Work, response: Response, expected: Expected, by: By
) -> LeadRead:
    """Disqualify a lead; nothing more can happen to it."""
    return leads.show(response, await use_cases.disqualify_lead(work, lead_id, body, expected, by))


@leads.routes.post("/{lead_id}/convert", summary="Convert a lead")
async def convert_lead(
    lead_id: Identifier,
    body: LeadConvertRequest,
    work: Work,
    response: Response,
    expected: Expected,
    by: By,
    reporting_currency: ReportingCurrency,
) -> LeadRead:
    """Convert a lead to a customer, known or new, and open its deal when one is given."""
    lead = await use_cases.convert_lead(work, lead_id, body, expected, by, reporting_currency)
    return leads.show(response, lead)


@leads.routes.post("/{lead_id}/erase", summary="Erase a lead")
async def erase_lead(lead_id: Identifier, work: Work, response: Response, expected: Expected, by: By) -> LeadRead:
    """Erase who the lead is and how to reach them, for good. A lead with an account is erased with that."""
    return leads.show(response, await erasure.erase_lead(work, lead_id, expected, by))
