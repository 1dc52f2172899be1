"""The use cases of accounts: one function each, within its route's transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sales_api.accounts.model import Account
from sales_api.accounts.schemas import AccountCreate, AccountMergeRequest, AccountUnmergeRequest, AccountUpdate
from sales_api.attribution import Attribution
from sales_api.reps import team_of
from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.custom_fields.queries import changed_custom, new_custom
from service_kit.list_values.queries import check_listed
from service_kit.locking import lock, lock_both
from service_kit.occurrence import happened_at
from service_kit.problems import Unprocessable
from service_kit.references import UnknownReference, is_covered, require, require_new, unknown
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion


async def register_account(work: UnitOfWork, body: AccountCreate, by: Principal) -> Account:
    """Register a new customer. Raise `ExternalRefTaken` (409), `UnknownReference` and `UnknownListValue` (422)."""
    at = happened_at(body.occurred_at, by)
    await check_listed(work, body)
    attribution = Attribution(
        owner_id=body.owner_id,
        team_id=await team_of(work, body.owner_id),
        region=body.region,
        segment=body.segment,
        channel=body.channel,
    )
    if body.referred_by is not None:
        await require(work, Account, body.referred_by, "#/referred_by")
    return await add_account(
        work,
        name=body.name,
        attribution=attribution,
        external_ref=body.external_ref,
        at=at,
        referred_by=body.referred_by,
        custom=await new_custom(work, Account, body.custom),
    )


async def add_account(
    work: UnitOfWork,
    *,
    name: str,
    attribution: Attribution,
    external_ref: str | None,
    at: datetime,
    custom: Mapping[str, Any],
    referred_by: UUID | None = None,
) -> Account:
    """Add an account with its events, within the use case that creates it. Raise `ExternalRefTaken` (409)."""
    await require_new(work, Account, external_ref)
    account, event = Account.register(
        name=name, attribution=attribution, external_ref=external_ref, at=at, referred_by=referred_by, custom=custom
    )
    work.add(account)
    publish(work, account, event, at)
    publish(work, account, account.directory_entry(), at)
    return account


async def update_account(
    work: UnitOfWork, account_id: UUID, body: AccountUpdate, expected: ExpectedVersion, by: Principal
) -> Account:
    """Change a customer's name, owner, region, segment or channel; the same again changes nothing."""
    account = await lock(work, Account, account_id, expected)
    at = happened_at(body.occurred_at, by, after=account.changed_at)
    changes = body.changed_from(account, besides=frozenset({"custom", "occurred_at"}))
    await check_listed(work, body, changes)
    changes |= await changed_custom(work, account, body.custom)
    if "owner_id" in changes:
        changes["team_id"] = await team_of(work, body.owner_id)
    if not changes:
        return account
    publish(work, account, account.update(changes, at=at), at)
    if "name" in changes:
        publish(work, account, account.directory_entry(), at)
    return account


async def merge_account(
    work: UnitOfWork, account_id: UUID, body: AccountMergeRequest, expected: ExpectedVersion, by: Principal
) -> Account:
    """Merge an account into another of the same customer. Raise 409 for one that was merged or erased."""
    if body.into == account_id:
        raise Unprocessable.at("#/into", "is the account itself")
    account, into = await lock_both(work, Account, account_id, body.into, expected, pointer="#/into")
    at = happened_at(body.occurred_at, by, after=max(account.changed_at, into.registered_at))
    publish(work, account, account.merge(into, at=at), at)
    return account


async def unmerge_account(
    work: UnitOfWork, account_id: UUID, body: AccountUnmergeRequest, expected: ExpectedVersion, by: Principal
) -> Account:
    """Take an account's merge back. Raise `AccountNotMerged` and `AccountAlreadyErased` (409)."""
    account = await lock(work, Account, account_id, expected)
    at = happened_at(body.occurred_at, by, after=account.changed_at)
    publish(work, account, account.unmerge(at=at), at)
    return account


async def require_account(work: UnitOfWork, account_id: UUID) -> Account:
    """Return the account that a body names, protected from erasure until the transaction ends.

    Raise `UnknownReference` (422) at `#/account_id`, also for one that the caller may not see, and 409 for one that was
    merged or erased.
    """
    account = await _protected(work, account_id)
    if account is not None and not await is_covered(work, account):
        raise unknown(Account, "#/account_id", is_hidden=True)
    return _current(account)


async def surviving_account(work: UnitOfWork, account_id: UUID) -> Account:
    """Return the account, or the one that it was merged into. Raise as `require_account` does."""
    return _current(await survivor_of(work, account_id))


async def survivor_of(work: UnitOfWork, account_id: UUID) -> Account | None:
    """Return the account, or the one that it was merged into, protected; None for an id that sales does not know."""
    account = await _protected(work, account_id)
    while account is not None and account.merged_into is not None:
        account = await _protected(work, account.merged_into)
    return account


def _current(account: Account | None) -> Account:
    if account is None:
        raise UnknownReference.at("#/account_id", "names no account")
    account.check_is_current()
    return account


async def _protected(work: UnitOfWork, account_id: UUID) -> Account | None:
    return await work.protect(Account, account_id)
