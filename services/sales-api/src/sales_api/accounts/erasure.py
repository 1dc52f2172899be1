"""Erasure: forgets who a customer is, with everything that sales wrote down about them, in one transaction."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from event_contracts.catalogue import SALES_DIRECTORY_TOPIC
from sales_api.accounts.model import Account, AccountAlreadyMerged
from sales_api.deals.model import Deal
from sales_api.leads.model import Lead, LeadHasAccount
from service_kit import outbox
from service_kit.auth import Principal
from service_kit.erasure import erase_answers, erase_name
from service_kit.occurrence import happened_at
from service_kit.problems import NotFound
from service_kit.versions import ExpectedVersion


async def erase_account(session: AsyncSession, account_id: UUID, expected: ExpectedVersion, by: Principal) -> Account:
    """Erases a customer with its leads and deals, and the accounts merged into it; a second time changes nothing.

    Raises `NotFound` (404), and `AccountAlreadyMerged` (409): the account that stands is erased, not a part of it.
    """
    # Not only its columns: whoever refers to it at this moment is waited for, and seen.
    account = await session.get(Account, account_id, with_for_update=True)
    if account is None:
        raise NotFound(f"There is no account {account_id}.")
    expected.check(account.version)
    if account.merged_into is not None:
        raise AccountAlreadyMerged(
            "Erase the account that merged_into names, and this one goes with it.", merged_into=str(account.merged_into)
        )
    if account.erased_at is not None:
        return account
    for each in [account, *await _merged_into(session, account.id)]:
        await _erase(session, each, happened_at(None, by, after=each.changed_at))
    return account


async def erase_lead(session: AsyncSession, lead_id: UUID, expected: ExpectedVersion, by: Principal) -> Lead:
    """Erases somebody who never became a customer; a second time changes nothing.

    Raises `NotFound` (404), and `LeadHasAccount` (409) for one who is erased with the account.
    """
    lead = await session.get(Lead, lead_id, with_for_update=True)
    if lead is None:
        raise NotFound(f"There is no lead {lead_id}.")
    expected.check(lead.version)
    if lead.erased_at is not None:
        return lead
    if lead.account_id is not None:
        raise LeadHasAccount(f"It belongs to the account {lead.account_id}; erase that.")
    await _erase_lead(session, lead, happened_at(None, by, after=lead.changed_at))
    await erase_answers(session, [lead.id])
    return lead


async def _merged_into(session: AsyncSession, account_id: UUID) -> list[Account]:
    """All that is the same customer, also by way of others, and is not erased yet."""
    found: list[Account] = []
    into = [account_id]
    while into:
        query = sa.select(Account).where(Account.merged_into.in_(into)).order_by(Account.id).with_for_update()
        merged = list((await session.execute(query)).scalars())
        found += merged
        into = [each.id for each in merged]
    return [each for each in found if each.erased_at is None]


async def _erase(session: AsyncSession, account: Account, at: datetime) -> None:
    leads = await session.execute(
        sa.select(Lead)
        .where(Lead.account_id == account.id, Lead.erased_at.is_(None))
        .order_by(Lead.id)
        .with_for_update(key_share=True)
    )
    deals = await session.execute(
        sa.select(Deal)
        .where(Deal.account_id == account.id, Deal.erased_at.is_(None))
        .options(selectinload(Deal.lines))
        .order_by(Deal.id)
        .with_for_update(key_share=True)
    )
    erased = [account.id]
    for lead in leads.scalars().all():
        await _erase_lead(session, lead, max(at, lead.changed_at))
        erased.append(lead.id)
    for deal in deals.scalars().all():
        event = deal.erase(at=max(at, deal.changed_at))
        await outbox.write(session, event, sequence=deal.version, time=deal.changed_at, partition_key=deal.account_id)
        erased.append(deal.id)
    told = account.erase(at=at)
    await outbox.write(session, told, sequence=account.version, time=at, partition_key=account.id)
    await erase_name(session, SALES_DIRECTORY_TOPIC, account.id)
    await erase_answers(session, erased)


async def _erase_lead(session: AsyncSession, lead: Lead, at: datetime) -> None:
    event = lead.erase(at=at)
    await outbox.write(session, event, sequence=lead.version, time=at, partition_key=lead.partition_key)
