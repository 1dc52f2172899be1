"""Accounts over HTTP."""

from fastapi import Response

from event_contracts.catalogue import SALES_TOPIC
from sales_api.accounts import erasure, use_cases
from sales_api.accounts.model import Account
from sales_api.accounts.schemas import (
    AccountCreate,
    AccountMergeRequest,
    AccountRead,
    AccountUnmergeRequest,
    AccountUpdate,
)
from sales_api.activities.model import Activity
from sales_api.activities.schemas import ActivityRead
from sales_api.reps import Rep, RepRead
from sales_api.teams import Team, TeamRead
from sales_api.timeline import TIMELINE
from service_kit.fields import Code, ExternalReference, Identifier, Moment
from service_kit.history.own_events import OwnEvents
from service_kit.lists.includes import included, newest_included
from service_kit.resources import Resource
from service_kit.routing import By, Work
from service_kit.versions import Expected

accounts = Resource(
    "/accounts/{account_id}",
    Account.table,
    AccountRead,
    filters={
        "owner_id": Identifier,
        "team_id": Identifier,
        "region": Code,
        "segment": Code,
        "channel": Code,
        "referred_by": Identifier,
        "merged_into": Identifier,
        "external_ref": ExternalReference,
        "registered_at": Moment,
    },
    sorts=(
        "name",
        "registered_at",
    ),
    includes={
        "owner": included("owner_id", Rep.table, RepRead),
        "team": included("team_id", Team.table, TeamRead),
        "last_activity": newest_included(Activity.table, "account_id", ActivityRead),
    },
    own_events=OwnEvents(SALES_TOPIC, "accounts", named="account"),
)
accounts.read_routes(list_as="list_accounts", get_as="get_account")
accounts.timeline_route(TIMELINE, "get_account_timeline")


@accounts.routes.post("", status_code=201, summary="Register an account")
async def register_account(body: AccountCreate, work: Work, response: Response, by: By) -> AccountRead:
    """Register a new customer."""
    return accounts.show_created(response, await use_cases.register_account(work, body, by))


@accounts.routes.patch("/{account_id}", summary="Change an account")
async def update_account(
    account_id: Identifier, body: AccountUpdate, work: Work, response: Response, expected: Expected, by: By
) -> AccountRead:
    """Change a customer's name, owner, region, segment or channel."""
    return accounts.show(response, await use_cases.update_account(work, account_id, body, expected, by))


@accounts.routes.post("/{account_id}/merge", summary="Merge an account into another")
async def merge_account(
    account_id: Identifier,
    body: AccountMergeRequest,
    work: Work,
    response: Response,
    expected: Expected,
    by: By,
) -> AccountRead:
    """Merge this account into another of the same customer; all that it did counts for that one from now on."""
    return accounts.show(response, await use_cases.merge_account(work, account_id, body, expected, by))


@accounts.routes.post("/{account_id}/unmerge", summary="Take an account's merge back")
async def unmerge_account(
    account_id: Identifier,
    body: AccountUnmergeRequest,
    work: Work,
    response: Response,
    expected: Expected,
    by: By,
) -> AccountRead:
    """Make a merged account a customer of its own again: every number is as if it had never been merged.

    What names this account comes back with it. What was recorded under the surviving account meanwhile stays there.
    """
    return accounts.show(response, await use_cases.unmerge_account(work, account_id, body, expected, by))


@accounts.routes.post("/{account_id}/erase", summary="Erase an account")
async def erase_account(
    account_id: Identifier, work: Work, response: Response, expected: Expected, by: By
) -> AccountRead:
    """Erase who the customer is, here and in service, for good. Ids, codes and amounts stay, and so do all sums.

    The accounts merged into it, its leads and its deals are erased with it. Erasing again changes nothing.
    """
    return accounts.show(response, await erasure.erase_account(work, account_id, expected, by))
