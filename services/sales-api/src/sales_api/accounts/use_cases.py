"""What can be done with accounts: one function, one transaction each."""

from datetime import datetime
from uuid import UUID

from sales_api.accounts.model import Account
from sales_api.accounts.schemas import AccountChange, AccountIn, AccountMerge
from sales_api.attribution import Attribution
from sales_api.reps import team_of
from service_kit import outbox
from service_kit.auth import Principal
from service_kit.occurrence import happened_at
from service_kit.problems import NotFound, Unprocessable
from service_kit.references import UnknownReference, require_free
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion


async def register_account(work: UnitOfWork, body: AccountIn, by: Principal) -> Account:
    """Enters a new customer."""
    at = happened_at(body.occurred_at, by)
    attribution = Attribution(
        owner_id=body.owner_id,
        team_id=await team_of(work, body.owner_id),
        region=body.region,
        segment=body.segment,
        channel=body.channel,
    )
    if body.referred_by is not None:
        await check_referrer(work, body.referred_by)
    return await add_account(
        work,
        name=body.name,
        attribution=attribution,
        external_ref=body.external_ref,
        at=at,
        referred_by=body.referred_by,
    )


async def check_referrer(work: UnitOfWork, account_id: UUID, pointer: str = "#/referred_by") -> None:
    """Raises `UnknownReference` (422) when there is no such account."""
    if await work.get(Account, account_id) is None:
        raise UnknownReference.at(pointer, "no account has this id")


async def add_account(
    work: UnitOfWork,
    *,
    name: str,
    attribution: Attribution,
    external_ref: str | None,
    at: datetime,
    referred_by: UUID | None = None,
) -> Account:
    """The account with its events, inside whichever use case makes it."""
    await require_free(work, external_ref, among=Account.table.c.external_ref, ids=Account.table.c.id)
    account, event = Account.register(
        name=name, attribution=attribution, external_ref=external_ref, at=at, referred_by=referred_by
    )
    work.add(account)
    await outbox.write(work, event, sequence=account.version, time=at, partition_key=account.id)
    await _publish_name(work, account)
    return account


async def update_account(
    work: UnitOfWork, account_id: UUID, body: AccountChange, expected: ExpectedVersion, by: Principal
) -> Account:
    """Changes a customer's name, owner, region, segment or channel; giving the same again changes nothing."""
    account = await work.edit(Account, account_id)
    if account is None:
        raise NotFound(f"There is no account {account_id}.")
    expected.check(account.version)
    at = happened_at(body.occurred_at, by, after=account.changed_at)
    changes = body.changed_from(account, besides=frozenset({"occurred_at"}))
    if "owner_id" in changes:
        changes["team_id"] = await team_of(work, body.owner_id)
    if not changes:
        return account
    event = account.update(changes, at=at)
    await outbox.write(work, event, sequence=account.version, time=at, partition_key=account.id)
    if "name" in changes:
        await _publish_name(work, account)
    return account


async def merge_account(
    work: UnitOfWork, account_id: UUID, body: AccountMerge, expected: ExpectedVersion, by: Principal
) -> Account:
    """Says that an account is the same customer as another, which both sides must still be able to be."""
    if body.into == account_id:
        raise Unprocessable.at("#/into", "is the account itself")
    # In the order of their ids: two that are merged into each other at the same moment must not wait in a circle.
    found = {each: await work.get(Account, each, lock="update") for each in sorted((account_id, body.into))}
    account, into = found[account_id], found[body.into]
    if account is None:
        raise NotFound(f"There is no account {account_id}.")
    if into is None:
        raise UnknownReference.at("#/into", "no account has this id")
    expected.check(account.version)
    at = happened_at(body.occurred_at, by, after=max(account.changed_at, into.registered_at))
    event = account.merge(into, at=at)
    await outbox.write(work, event, sequence=account.version, time=at, partition_key=account.id)
    return account


async def standing_account(work: UnitOfWork, account_id: UUID) -> Account:
    """The account that a body names, kept from being erased until the transaction ends.

    Raises `UnknownReference` (422) at `#/account_id`, and 409 for one that was merged or erased.
    """
    return _standing(await _kept(work, account_id))


async def surviving_account(work: UnitOfWork, account_id: UUID) -> Account:
    """The account, or the one that it was merged into. Raises as `standing_account` does."""
    account = await _kept(work, account_id)
    while account is not None and account.merged_into is not None:
        account = await _kept(work, account.merged_into)
    return _standing(account)


def _standing(account: Account | None) -> Account:
    if account is None:
        raise UnknownReference.at("#/account_id", "no account has this id")
    account.check_stands()
    return account


async def _kept(work: UnitOfWork, account_id: UUID) -> Account | None:
    return await work.get(Account, account_id, lock="key share")


async def _publish_name(work: UnitOfWork, account: Account) -> None:
    await outbox.write(
        work,
        account.directory_entry(),
        sequence=account.version,
        time=account.changed_at,
        partition_key=account.id,
    )
