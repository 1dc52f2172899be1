"""Accounts over HTTP."""

from fastapi import Request, Response

from sales_api.access import Eraser, Expected, Manager, Reader, Seller
from sales_api.accounts import queries, use_cases
from sales_api.accounts.erasure import erase_account as erase
from sales_api.accounts.model import Account
from sales_api.accounts.schemas import AccountChange, AccountIn, AccountMerge, AccountView
from service_kit.fields import Code, ExternalReference, Identifier
from service_kit.paging import Paged, PageView
from service_kit.problems import NotFound
from service_kit.routing import Work, router
from service_kit.versions import set_etag, unchanged

accounts = router("/accounts", "accounts")


@accounts.post("", status_code=201)
async def register_account(body: AccountIn, work: Work, response: Response, by: Seller) -> AccountView:
    """Enters a new customer."""
    account = await use_cases.register_account(work, body, by)
    response.headers["Location"] = f"/v1/accounts/{account.id}"
    set_etag(response, account.version)
    return AccountView.model_validate(account)


@accounts.get("")
async def list_accounts(
    work: Work,
    page: Paged,
    _: Reader,
    owner_id: Identifier | None = None,
    team_id: Identifier | None = None,
    region: Code | None = None,
    segment: Code | None = None,
    channel: Code | None = None,
    referred_by: Identifier | None = None,
    merged_into: Identifier | None = None,
    external_ref: ExternalReference | None = None,
) -> PageView[AccountView]:
    """Accounts, newest first."""
    filters = {
        "owner_id": owner_id,
        "team_id": team_id,
        "region": region,
        "segment": segment,
        "channel": channel,
        "referred_by": referred_by,
        "merged_into": merged_into,
        "external_ref": external_ref,
    }
    return await queries.list_accounts(work, page, filters)


@accounts.get("/{account_id}", response_model=AccountView)
async def get_account(
    account_id: Identifier, work: Work, request: Request, response: Response, _: Reader
) -> AccountView | Response:
    """One account."""
    account = await work.get(Account, account_id)
    if account is None:
        raise NotFound(f"There is no account {account_id}.")
    set_etag(response, account.version)
    return unchanged(request, account.version) or AccountView.model_validate(account)


@accounts.patch("/{account_id}")
async def update_account(
    account_id: Identifier, body: AccountChange, work: Work, response: Response, expected: Expected, by: Seller
) -> AccountView:
    """Changes a customer's name, owner, region, segment or channel."""
    account = await use_cases.update_account(work, account_id, body, expected, by)
    set_etag(response, account.version)
    return AccountView.model_validate(account)


@accounts.post("/{account_id}/merge")
async def merge_account(
    account_id: Identifier, body: AccountMerge, work: Work, response: Response, expected: Expected, by: Manager
) -> AccountView:
    """Says that this account is the same customer as another, for which all that it did counts from now on."""
    account = await use_cases.merge_account(work, account_id, body, expected, by)
    set_etag(response, account.version)
    return AccountView.model_validate(account)


@accounts.post("/{account_id}/erase")
async def erase_account(
    account_id: Identifier, work: Work, response: Response, expected: Expected, by: Eraser
) -> AccountView:
    """Erases who the customer is, here and in service, for good. Ids, codes and amounts stay, and so do all sums.

    Accounts that were merged into it, its leads and its deals are erased with it. Once erased, it stays so.
    """
    account = await erase(work, account_id, expected, by)
    set_etag(response, account.version)
    return AccountView.model_validate(account)
