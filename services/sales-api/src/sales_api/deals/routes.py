"""Deals over HTTP."""

from fastapi import Request, Response

from event_contracts.sales import Stage
from sales_api.access import Expected, Reader, ReportingCurrency, Seller
from sales_api.deals import queries, use_cases
from sales_api.deals.model import Deal
from sales_api.deals.schemas import DealAmend, DealClose, DealIn, DealReopen, DealStage, DealView, ProposalIn
from service_kit.fields import Code, Currency, ExternalReference, Identifier
from service_kit.paging import Paged, PageView
from service_kit.routing import Work, router
from service_kit.versions import set_etag, unchanged

deals = router("/deals", "deals")


@deals.post("", status_code=201)
async def open_deal(
    body: DealIn, work: Work, response: Response, by: Seller, reporting_currency: ReportingCurrency
) -> DealView:
    """Opens a deal with an account, in the stage prospecting."""
    deal = await use_cases.open_deal(work, body, by, reporting_currency)
    response.headers["Location"] = f"/v1/deals/{deal.id}"
    return _answer(response, deal)


@deals.get("")
async def list_deals(
    work: Work,
    page: Paged,
    _: Reader,
    account_id: Identifier | None = None,
    lead_id: Identifier | None = None,
    stage: Stage | None = None,
    currency: Currency | None = None,
    owner_id: Identifier | None = None,
    team_id: Identifier | None = None,
    region: Code | None = None,
    segment: Code | None = None,
    channel: Code | None = None,
    close_reason: Code | None = None,
    external_ref: ExternalReference | None = None,
) -> PageView[DealView]:
    """Deals, newest first."""
    filters = {
        "account_id": account_id,
        "lead_id": lead_id,
        "stage": stage,
        "currency": currency,
        "owner_id": owner_id,
        "team_id": team_id,
        "region": region,
        "segment": segment,
        "channel": channel,
        "close_reason": close_reason,
        "external_ref": external_ref,
    }
    return await queries.list_deals(work, page, filters)


@deals.get("/{deal_id}", response_model=DealView)
async def get_deal(
    deal_id: Identifier, work: Work, request: Request, response: Response, _: Reader
) -> DealView | Response:
    """One deal."""
    deal = await use_cases.get_deal(work, deal_id)
    return unchanged(request, deal.version) or _answer(response, deal)


@deals.post("/{deal_id}/stage")
async def change_deal_stage(
    deal_id: Identifier,
    body: DealStage,
    work: Work,
    response: Response,
    expected: Expected,
    by: Seller,
    reporting_currency: ReportingCurrency,
) -> DealView:
    """Moves an open deal along the pipeline, forwards or back."""
    deal = await use_cases.change_deal_stage(work, deal_id, body, expected, by, reporting_currency)
    return _answer(response, deal)


@deals.post("/{deal_id}/proposals")
async def send_proposal(
    deal_id: Identifier,
    body: ProposalIn,
    work: Work,
    response: Response,
    expected: Expected,
    by: Seller,
    reporting_currency: ReportingCurrency,
) -> DealView:
    """Notes that a proposal for an open deal went out to the customer; the first one's time is kept."""
    return _answer(response, await use_cases.send_proposal(work, deal_id, body, expected, by, reporting_currency))


@deals.post("/{deal_id}/close")
async def close_deal(
    deal_id: Identifier,
    body: DealClose,
    work: Work,
    response: Response,
    expected: Expected,
    by: Seller,
    reporting_currency: ReportingCurrency,
) -> DealView:
    """Wins or loses a deal, and freezes its worth at the closing day's exchange rate."""
    deal = await use_cases.close_deal(work, deal_id, body, expected, by, reporting_currency)
    return _answer(response, deal)


@deals.post("/{deal_id}/reopen")
async def reopen_deal(
    deal_id: Identifier,
    body: DealReopen,
    work: Work,
    response: Response,
    expected: Expected,
    by: Seller,
    reporting_currency: ReportingCurrency,
) -> DealView:
    """Takes a won or lost deal back to the stage that it was closed from."""
    deal = await use_cases.reopen_deal(work, deal_id, body, expected, by, reporting_currency)
    return _answer(response, deal)


@deals.post("/{deal_id}/amend")
async def amend_deal(
    deal_id: Identifier,
    body: DealAmend,
    work: Work,
    response: Response,
    expected: Expected,
    by: Seller,
    reporting_currency: ReportingCurrency,
) -> DealView:
    """Corrects lines, attribution or reason. A closed deal keeps its day and its rate."""
    deal = await use_cases.amend_deal(work, deal_id, body, expected, by, reporting_currency)
    return _answer(response, deal)


def _answer(response: Response, deal: Deal) -> DealView:
    set_etag(response, deal.version)
    return DealView.of(deal, deal.lines)
