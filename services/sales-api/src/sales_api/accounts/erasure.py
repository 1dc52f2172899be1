"""Erasure: who a customer is, with everything that sales wrote about them, in one transaction."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from event_contracts.catalogue import SALES_DIRECTORY_TOPIC
from sales_api.accounts.model import Account, AccountAlreadyMerged
from sales_api.activities.model import Activity
from sales_api.deals.model import Deal
from sales_api.leads.model import Lead, LeadHasAccount
from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.erasure import erase_name, erase_traces
from service_kit.locking import lock
from service_kit.occurrence import happened_at
from service_kit.planned_work.rule_use_cases import CUSTOMER_ERASED, cancel_ruled
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion


async def erase_account(work: UnitOfWork, account_id: UUID, expected: ExpectedVersion, by: Principal) -> Account:
    """Erase a customer with its leads and deals, and the accounts merged into it; again changes nothing.

    Raise `NotFound` (404), and `AccountAlreadyMerged` (409): the surviving account is erased, not a part of it.
    """
    # With its key: what is being created for it at this moment is waited for, and erased too.
    account = await lock(work, Account, account_id, expected, with_key=True)
    if account.merged_into is not None:
        raise AccountAlreadyMerged(
            "Erase the account that merged_into names, and this one goes with it.", merged_into=str(account.merged_into)
        )
    if account.erased_at is not None:
        return account
    for each in [account, *await _merged_into(work, account.id)]:
        await _erase(work, each, happened_at(None, by, after=each.changed_at))
    return account


async def erase_lead(work: UnitOfWork, lead_id: UUID, expected: ExpectedVersion, by: Principal) -> Lead:
    """Erase a lead that never became a customer; again changes nothing.

    Raise `NotFound` (404), and `LeadHasAccount` (409) for one that is erased with its account.
    """
    lead = await lock(work, Lead, lead_id, expected, with_key=True)
    if lead.erased_at is not None:
        return lead
    if lead.account_id is not None:
        raise LeadHasAccount(f"It belongs to the account {lead.account_id}. Erase that account.")
    at = happened_at(None, by, after=lead.changed_at)
    _erase_lead(work, lead, at)
    activities = await _erase_activities(work, Activity.table.c.lead_id == lead.id, at)
    await erase_traces(work, [lead, *activities])
    return lead


async def _merged_into(work: UnitOfWork, account_id: UUID) -> list[Account]:
    """Return the accounts merged into one, also by way of others, that are not erased yet."""
    found: list[Account] = []
    into = [account_id]
    while into:
        is_merged = Account.table.c.merged_into == sa.any_(sa.literal(into, sa.ARRAY(sa.Uuid)))
        merged = await work.find(Account, is_merged, order_by=[Account.table.c.id], lock="update")
        found += merged
        into = [each.id for each in merged]
    return [each for each in found if each.erased_at is None]


async def _erase(work: UnitOfWork, account: Account, at: datetime) -> None:
    of_leads, of_deals = Lead.table.c, Deal.table.c
    is_lead = (of_leads.account_id == account.id) & of_leads.erased_at.is_(None)
    leads = await work.find(Lead, is_lead, order_by=[of_leads.id], lock="no key update")
    is_deal = (of_deals.account_id == account.id) & of_deals.erased_at.is_(None)
    deals = await work.find(Deal, is_deal, order_by=[of_deals.id], lock="no key update")
    for lead in leads:
        _erase_lead(work, lead, max(at, lead.changed_at))
    for deal in deals:
        publish(work, deal, deal.erase(at=max(at, deal.changed_at)), deal.changed_at)
    activities = await _erase_activities(work, Activity.table.c.account_id == account.id, at)
    publish(work, account, account.erase(at=at), at)
    await erase_name(work, SALES_DIRECTORY_TOPIC, account.id)
    await erase_traces(work, [account, *leads, *deals, *activities])


def _erase_lead(work: UnitOfWork, lead: Lead, at: datetime) -> None:
    publish(work, lead, lead.erase(at=at), at)


async def _erase_activities(work: UnitOfWork, are_theirs: sa.ColumnElement[bool], at: datetime) -> list[Activity]:
    """Erase what is personal of activities: the values of custom fields, where they have any.

    There is no customer any more for what rules planned, nor one who waits for what was agreed with them.
    """
    await cancel_ruled(work, Activity, CUSTOMER_ERASED, at, are_theirs)
    of_activity = Activity.table.c
    is_waited_for = sa.and_(
        of_activity.agreed_with_customer, sa.or_(of_activity.status == "planned", of_activity.status == "missed")
    )
    for activity in await work.find(
        Activity, are_theirs, is_waited_for, order_by=[of_activity.id], lock="no key update"
    ):
        happened = max(at, activity.changed_at)
        event = (
            activity.cancel(CUSTOMER_ERASED, at=happened)
            if activity.status == "planned"
            # What was missed stays so.
            else activity.amend({"agreed_with_customer": False}, at=happened)
        )
        publish(work, activity, event, happened)
    has_any = of_activity.custom_personal != sa.literal_column("'{}'::jsonb")
    found = await work.find(Activity, are_theirs, has_any, order_by=[of_activity.id], lock="no key update")
    for activity in found:
        happened = max(at, activity.changed_at)
        publish(work, activity, activity.amend({"custom_personal": {}}, at=happened), happened)
    return found
