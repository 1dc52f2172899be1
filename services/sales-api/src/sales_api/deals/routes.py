"""Deals over HTTP."""

from typing import get_args

from fastapi import Response

from event_contracts.catalogue import SALES_TOPIC
from event_contracts.sales import OpenStage, Stage
from sales_api.accounts.model import Account
from sales_api.accounts.schemas import AccountRead
from sales_api.activities.model import Activity
from sales_api.activities.schemas import ActivityRead
from sales_api.deals import queries, use_cases
from sales_api.deals.model import Deal
from sales_api.deals.schemas import (
    DealAmendRequest,
    DealCloseRequest,
    DealCreate,
    DealProposalRequest,
    DealRead,
    DealReopenRequest,
    DealStageRequest,
    DealUpdate,
)
from sales_api.dependencies import ReportingCurrency
from sales_api.leads.model import Lead
from sales_api.leads.schemas import LeadRead
from sales_api.reps import Rep, RepRead
from sales_api.teams import Team, TeamRead
from service_kit.fields import Code, Currency, Day, DecimalText, ExternalReference, Identifier, Moment
from service_kit.history.own_events import OwnEvents
from service_kit.lists.boards import Board
from service_kit.lists.includes import included, newest_included
from service_kit.resources import Resource
from service_kit.routing import By, Work
from service_kit.versions import Expected

deals = Resource(
    "/deals/{deal_id}",
    Deal.table,
    DealRead,
    view=queries.view,
    rows=queries.ROWS,
    filters={
        "account_id": Identifier,
        "lead_id": Identifier,
        "stage": Stage,
        "currency": Currency,
        "owner_id": Identifier,
        "team_id": Identifier,
        "region": Code,
        "segment": Code,
        "channel": Code,
        "close_reason": Code,
        "external_ref": ExternalReference,
        "amount": DecimalText,
        "opened_at": Moment,
        "expected_close_on": Day,
        "closed_at": Moment,
    },
    sorts=(
        "title",
        "amount",
        "opened_at",
        "expected_close_on",
        "closed_at",
    ),
    board=Board(
        values={"stage": get_args(OpenStage)}, people={"owner_id": Rep.table}, amount="amount", currency="currency"
    ),
    includes={
        "owner": included("owner_id", Rep.table, RepRead),
        "team": included("team_id", Team.table, TeamRead),
        "account": included("account_id", Account.table, AccountRead),
        "lead": included("lead_id", Lead.table, LeadRead),
        "last_activity": newest_included(Activity.table, "deal_id", ActivityRead),
    },
    own_events=OwnEvents(SALES_TOPIC, "deals", key=("keyed_by", "account_id")),
)
deals.read_routes(list_as="list_deals", get_as="get_deal")


@deals.routes.post("", status_code=201, summary="Open a deal")
async def open_deal(
    body: DealCreate, work: Work, response: Response, by: By, reporting_currency: ReportingCurrency
) -> DealRead:
    """Open a deal with an account, in the stage prospecting."""
    return deals.show_created(response, await use_cases.open_deal(work, body, by, reporting_currency))


@deals.routes.patch("/{deal_id}", summary="Correct a deal")
async def update_deal(
    deal_id: Identifier,
    body: DealUpdate,
    work: Work,
    response: Response,
    expected: Expected,
    by: By,
    reporting_currency: ReportingCurrency,
) -> DealRead:
    """Correct what was recorded wrongly: it counts as if it had been opened so, in the same days.

    With another account, the lead that became the deal and the activities for it are that account's too, and so are its
    onboarding and delivery in service.

    What a closed deal is worth, and why it was closed, is amended (`amend_deal`); its stage has an action of its own.
    """
    deal = await use_cases.update_deal(work, deal_id, body, expected, by, reporting_currency)
    return deals.show(response, deal)


@deals.routes.post("/{deal_id}/stage", summary="Change a deal's stage")
async def change_deal_stage(
    deal_id: Identifier,
    body: DealStageRequest,
    work: Work,
    response: Response,
    expected: Expected,
    by: By,
    reporting_currency: ReportingCurrency,
) -> DealRead:
    """Move an open deal along the pipeline, forwards or back."""
    deal = await use_cases.change_deal_stage(work, deal_id, body, expected, by, reporting_currency)
    return deals.show(response, deal)


@deals.routes.post("/{deal_id}/proposals", summary="Record a proposal")
async def send_proposal(
    deal_id: Identifier,
    body: DealProposalRequest,
    work: Work,
    response: Response,
    expected: Expected,
    by: By,
    reporting_currency: ReportingCurrency,
) -> DealRead:
    """Record a proposal to the customer of an open deal; the time of the first one is kept."""
    deal = await use_cases.send_proposal(work, deal_id, body, expected, by, reporting_currency)
    return deals.show(response, deal)


@deals.routes.post("/{deal_id}/close", summary="Close a deal")
async def close_deal(
    deal_id: Identifier,
    body: DealCloseRequest,
    work: Work,
    response: Response,
    expected: Expected,
    by: By,
    reporting_currency: ReportingCurrency,
) -> DealRead:
    """Win or lose a deal, and freeze its worth at the closing day's exchange rate."""
    deal = await use_cases.close_deal(work, deal_id, body, expected, by, reporting_currency)
    return deals.show(response, deal)


@deals.routes.post("/{deal_id}/reopen", summary="Reopen a deal")
async def reopen_deal(
    deal_id: Identifier,
    body: DealReopenRequest,
    work: Work,
    response: Response,
    expected: Expected,
    by: By,
    reporting_currency: ReportingCurrency,
) -> DealRead:
    """Reopen a won or lost deal in the stage that it was closed from."""
    deal = await use_cases.reopen_deal(work, deal_id, body, expected, by, reporting_currency)
    return deals.show(response, deal)


@deals.routes.post("/{deal_id}/amend", summary="Amend a deal")
async def amend_deal(
    deal_id: Identifier,
    body: DealAmendRequest,
    work: Work,
    response: Response,
    expected: Expected,
    by: By,
    reporting_currency: ReportingCurrency,
) -> DealRead:
    """Correct lines, attribution or reason. A closed deal keeps its day and its rate."""
    deal = await use_cases.amend_deal(work, deal_id, body, expected, by, reporting_currency)
    return deals.show(response, deal)
