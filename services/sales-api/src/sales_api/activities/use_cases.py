"""The use cases of activities, within their route's transaction."""

from uuid import UUID

from sales_api.accounts.model import Account
from sales_api.accounts.use_cases import require_account
from sales_api.activities.model import Activity
from sales_api.activities.schemas import ActivityCreate, ActivityUpdate
from sales_api.attribution import Attribution
from sales_api.deals.model import Deal
from sales_api.leads.model import Lead
from sales_api.reps import team_of
from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.custom_fields.queries import changed_custom, new_custom
from service_kit.list_values.queries import check_listed
from service_kit.locking import lock
from service_kit.occurrence import happened_at
from service_kit.references import require
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion


async def complete_activity(work: UnitOfWork, body: ActivityCreate, by: Principal) -> Activity:
    """Record an activity, with the attribution of its deal, lead or account. Raise `UnknownReference` (422)."""
    at = happened_at(body.occurred_at, by)
    subject = await _subject(work, body)
    owner_id, team_id = subject.owner_id, subject.team_id
    if body.owner_id is not None:
        owner_id, team_id = body.owner_id, await team_of(work, body.owner_id)
    activity, event = Activity.complete(
        body.kind,
        account_id=subject.id if isinstance(subject, Account) else subject.account_id,
        lead_id=body.lead_id,
        deal_id=body.deal_id,
        attribution=Attribution(
            owner_id=owner_id,
            team_id=team_id,
            region=subject.region,
            segment=subject.segment,
            channel=subject.channel,
        ),
        due_at=body.due_at,
        at=at,
        custom=await new_custom(work, Activity, body.custom),
    )
    work.add(activity)
    publish(work, activity, event, at)
    return activity


async def update_activity(
    work: UnitOfWork, activity_id: UUID, body: ActivityUpdate, expected: ExpectedVersion, by: Principal
) -> Activity:
    """Correct an activity; the same again changes nothing. Raise `UnknownReference` (422)."""
    activity = await lock(work, Activity, activity_id, expected)
    at = happened_at(body.occurred_at, by, after=activity.completed_at)
    changes = body.changed_from(activity, besides=frozenset({"custom", "occurred_at"}))
    await check_listed(work, body, changes)
    changes |= await changed_custom(work, activity, body.custom)
    if "owner_id" in changes:
        changes["team_id"] = await team_of(work, body.owner_id)
    if changes:
        publish(work, activity, activity.amend(changes, at=at), at)
    return activity


async def _subject(work: UnitOfWork, body: ActivityCreate) -> Account | Lead | Deal:
    if body.account_id is not None:
        return await require_account(work, body.account_id)
    if body.lead_id is not None:
        return await require(work, Lead, body.lead_id, "#/lead_id")
    return await require(work, Deal, body.deal_id, "#/deal_id")
