"""Quotas over HTTP."""

from fastapi import Request, Response

from sales_api.access import Expected, Manager, Reader, ReportingCurrency
from sales_api.quotas import queries, use_cases
from sales_api.quotas.model import Quota
from sales_api.quotas.schemas import QuotaChange, QuotaIn, QuotaView
from service_kit.fields import Day, ExternalReference, Identifier
from service_kit.paging import Paged, PageView
from service_kit.problems import NotFound
from service_kit.routing import Work, router
from service_kit.versions import set_etag, unchanged

quotas = router("/quotas", "quotas")


@quotas.post("", status_code=201)
async def set_quota(
    body: QuotaIn, work: Work, response: Response, by: Manager, reporting_currency: ReportingCurrency
) -> QuotaView:
    """Sets what a salesperson is to sell in a period; periods of one salesperson do not overlap."""
    quota = await use_cases.set_quota(work, body, by, reporting_currency)
    response.headers["Location"] = f"/v1/quotas/{quota.id}"
    return _answer(response, quota)


@quotas.get("")
async def list_quotas(
    work: Work,
    page: Paged,
    _: Reader,
    rep_id: Identifier | None = None,
    team_id: Identifier | None = None,
    period_start: Day | None = None,
    external_ref: ExternalReference | None = None,
) -> PageView[QuotaView]:
    """Quotas, newest first."""
    filters = {"rep_id": rep_id, "team_id": team_id, "period_start": period_start, "external_ref": external_ref}
    return await queries.list_quotas(work, page, filters)


@quotas.get("/{quota_id}", response_model=QuotaView)
async def get_quota(
    quota_id: Identifier, work: Work, request: Request, response: Response, _: Reader
) -> QuotaView | Response:
    """One quota."""
    quota = await work.get(Quota, quota_id)
    if quota is None:
        raise NotFound(f"There is no quota {quota_id}.")
    return unchanged(request, quota.version) or _answer(response, quota)


@quotas.patch("/{quota_id}")
async def change_quota(
    quota_id: Identifier, body: QuotaChange, work: Work, response: Response, expected: Expected, by: Manager
) -> QuotaView:
    """Sets another target for the same salesperson and period."""
    return _answer(response, await use_cases.change_quota(work, quota_id, body, expected, by))


def _answer(response: Response, quota: Quota) -> QuotaView:
    set_etag(response, quota.version)
    return QuotaView.of(quota)
