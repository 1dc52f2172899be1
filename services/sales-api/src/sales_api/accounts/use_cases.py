"""What can be done with accounts: one function, one transaction each."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sales_api.accounts.model import Account
from sales_api.accounts.schemas import AccountChange, AccountIn, AccountMerge
from sales_api.attribution import Attribution
from sales_api.reps import team_of
from service_kit import outbox
from service_kit.auth import Principal
from service_kit.locking import locked
from service_kit.occurrence import happened_at
from service_kit.problems import NotFound, Unprocessable
from service_kit.references import UnknownReference, require_free
from service_kit.versions import ExpectedVersion


async def register_account(session: AsyncSession, body: AccountIn, by: Principal) -> Account:
    """Enters a new customer."""
    at = happened_at(body.occurred_at, by)
    attribution = Attribution(
        owner_id=body.owner_id,
        team_id=await team_of(session, body.owner_id),
        region=body.region,
        segment=body.segment,
        channel=body.channel,
    )
    if body.referred_by is not None:
        await check_referrer(session, body.referred_by)
    return await add_account(
        session,
        name=body.name,
        attribution=attribution,
        external_ref=body.external_ref,
        at=at,
        referred_by=body.referred_by,
    )


async def check_referrer(session: AsyncSession, account_id: UUID, pointer: str = "#/referred_by") -> None:
    """Raises `UnknownReference` (422) when there is no such account."""
    if await session.get(Account, account_id) is None:
        raise UnknownReference.at(pointer, "no account has this id")


async def add_account(
    session: AsyncSession,
    *,
    name: str,
    attribution: Attribution,
    external_ref: str | None,
    at: datetime,
    referred_by: UUID | None = None,
) -> Account:
    """The account with its events, inside whichever use case makes it."""
    await require_free(session, external_ref, among=Account.external_ref, ids=Account.id)
    account, event = Account.register(
        name=name, attribution=attribution, external_ref=external_ref, at=at, referred_by=referred_by
    )
    session.add(account)
    # The lead that it came of will name it, and so will the lead's deal.
    await session.flush()
    await outbox.write(session, event, sequence=account.version, time=at, partition_key=account.id)
    await _publish_name(session, account)
    return account


async def update_account(
    session: AsyncSession, account_id: UUID, body: AccountChange, expected: ExpectedVersion, by: Principal
) -> Account:
    """Changes a customer's name, owner, region, segment or channel; giving the same again changes nothing."""
    account = await locked(session, Account, account_id)
    if account is None:
        raise NotFound(f"There is no account {account_id}.")
    expected.check(account.version)
    at = happened_at(body.occurred_at, by, after=account.changed_at)
    changes = body.changed_from(account, besides=frozenset({"occurred_at"}))
    if "owner_id" in changes:
        changes["team_id"] = await team_of(session, body.owner_id)
    if not changes:
        return account
    event = account.update(changes, at=at)
    await outbox.write(session, event, sequence=account.version, time=at, partition_key=account.id)
    if "name" in changes:
        await _publish_name(session, account)
    return account


async def merge_account(
    session: AsyncSession, account_id: UUID, body: AccountMerge, expected: ExpectedVersion, by: Principal
) -> Account:
    """Says that an account is the same customer as another, which both sides must still be able to be."""
    if body.into == account_id:
        raise Unprocessable.at("#/into", "is the account itself")
    # In the order of their ids: two that are merged into each other at the same moment must not wait in a circle.
    found = {each: await session.get(Account, each, with_for_update=True) for each in sorted((account_id, body.into))}
    account, into = found[account_id], found[body.into]
    if account is None:
        raise NotFound(f"There is no account {account_id}.")
    if into is None:
        raise UnknownReference.at("#/into", "no account has this id")
    expected.check(account.version)
    at = happened_at(body.occurred_at, by, after=max(account.changed_at, into.registered_at))
    event = account.merge(into, at=at)
    await outbox.write(session, event, sequence=account.version, time=at, partition_key=account.id)
    return account


async def standing_account(session: AsyncSession, account_id: UUID) -> Account:
    """The account that a body names, kept from being erased until the transaction ends.

    Raises `UnknownReference` (422) at `#/account_id`, and 409 for one that was merged or erased.
    """
    return _standing(await _kept(session, account_id))


async def surviving_account(session: AsyncSession, account_id: UUID) -> Account:
    """The account, or the one that it was merged into. Raises as `standing_account` does."""
    account = await _kept(session, account_id)
    while account is not None and account.merged_into is not None:
        account = await _kept(session, account.merged_into)
    return _standing(account)


def _standing(account: Account | None) -> Account:
    if account is None:
        raise UnknownReference.at("#/account_id", "no account has this id")
    account.check_stands()
    return account


async def _kept(session: AsyncSession, account_id: UUID) -> Account | None:
    return await session.get(Account, account_id, with_for_update={"read": True, "key_share": True})


async def _publish_name(session: AsyncSession, account: Account) -> None:
    await outbox.write(
        session,
        account.directory_entry(),
        sequence=account.version,
        time=account.changed_at,
        partition_key=account.id,
    )
