"""The use cases of activities, within their route's transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from event_contracts.sales import ActivityKind
from sales_api.accounts.model import Account
from sales_api.accounts.use_cases import require_account
from sales_api.activities.model import Activity
from sales_api.activities.schemas import ActivityCreate, ActivityDoneRequest, ActivityUpdate
from sales_api.attribution import Attribution
from sales_api.deals.model import Deal
from sales_api.leads.model import Lead
from sales_api.reps import team_of
from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.custom_fields.queries import changed_custom, new_custom
from service_kit.identifiers import new_id
from service_kit.list_values.queries import check_listed
from service_kit.locking import lock
from service_kit.occurrence import happened_at
from service_kit.planned_work.use_cases import add_work, finish_work
from service_kit.problems import Unprocessable
from service_kit.references import require
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion


async def complete_activity(work: UnitOfWork, body: ActivityCreate, by: Principal) -> Activity:
    """Record an activity, planned or done, with the attribution of its deal, lead or account.

    Raise `UnknownReference` (422).
    """
    at = happened_at(body.occurred_at, by)
    subject = await _subject(work, body)
    custom = await new_custom(work, Activity, body.custom)
    if body.is_planned:
        assert body.due_at is not None  # noqa: S101 -- the body is planned by that
        return await plan_activity(
            work,
            body.kind,
            subject,
            due_at=body.due_at,
            purpose=body.purpose,
            owner_id=body.owner_id,
            at=at,
            agreed_with_customer=body.agreed_with_customer,
            custom=custom,
        )
    columns = await _columns(work, subject, body.owner_id) | custom
    activity = Activity(
        id=new_id(),
        version=1,
        kind=body.kind,
        status="done",
        due_at=body.due_at,
        purpose=body.purpose,
        completed_at=at,
        agreed_with_customer=body.agreed_with_customer,
        **columns,
    )
    add_work(work, activity, at)
    return activity


async def plan_activity(
    work: UnitOfWork,
    kind: ActivityKind,
    subject: Account | Lead | Deal,
    *,
    due_at: datetime,
    purpose: str | None,
    owner_id: UUID | None = None,
    at: datetime,
    agreed_with_customer: bool = False,
    reasons: list[str] | None = None,
    custom: Mapping[str, Any] | None = None,
    planning_rule_id: UUID | None = None,
    trigger_id: UUID | None = None,
) -> Activity:
    """Plan an activity for a deal, lead or account, `at` a time; its owner has it, unless another is named.

    For processes too that plan without a request, and for rules. Raise `UnknownReference` (422) for the owner.
    """
    columns = await _columns(work, subject, owner_id) | dict(custom or {})
    activity = Activity(
        id=new_id(),
        version=1,
        kind=kind,
        status="planned",
        planned_at=at,
        due_at=due_at,
        purpose=purpose,
        agreed_with_customer=agreed_with_customer,
        reasons=reasons,
        planning_rule_id=planning_rule_id,
        trigger_id=trigger_id,
        **columns,
    )
    add_work(work, activity, at, by_caller=planning_rule_id is None)
    return activity


async def finish_activity(
    work: UnitOfWork, activity_id: UUID, body: ActivityDoneRequest, expected: ExpectedVersion, by: Principal
) -> Activity:
    """Record that a planned activity was done. Raise `UnknownReference` (422), and `WorkNotPlanned` (409)."""
    activity = await lock(work, Activity, activity_id, expected)
    changes: dict[str, Any] = {}
    if body.owner_id is not None:
        changes = {"owner_id": body.owner_id, "team_id": await team_of(work, body.owner_id)}
    return await finish_work(work, activity, changes, body.occurred_at, by)


async def update_activity(
    work: UnitOfWork, activity_id: UUID, body: ActivityUpdate, expected: ExpectedVersion, by: Principal
) -> Activity:
    """Correct an activity; the same again changes nothing. Raise `UnknownReference` (422)."""
    activity = await lock(work, Activity, activity_id, expected)
    at = happened_at(body.occurred_at, by, after=activity.changed_at)
    changes = body.changed_from(activity, besides=frozenset({"custom", "occurred_at"}))
    await check_listed(work, body, changes)
    changes |= await changed_custom(work, activity, body.custom)
    agreed = changes.get("agreed_with_customer", activity.agreed_with_customer)
    if agreed and changes.get("due_at", activity.due_at) is None:
        raise Unprocessable.at("#/due_at", "give due_at of what is agreed with the customer")
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


async def _columns(work: UnitOfWork, subject: Account | Lead | Deal, owner_id: UUID | None) -> dict[str, Any]:
    """Return what an activity is for, and its attribution: that of its subject, and whose it is."""
    owner, team_id = subject.owner_id, subject.team_id
    if owner_id is not None:
        owner, team_id = owner_id, await team_of(work, owner_id)
    attribution = Attribution(
        owner_id=owner, team_id=team_id, region=subject.region, segment=subject.segment, channel=subject.channel
    )
    return {
        "account_id": subject.id if isinstance(subject, Account) else subject.account_id,
        "lead_id": subject.id if isinstance(subject, Lead) else None,
        "deal_id": subject.id if isinstance(subject, Deal) else None,
        **attribution.columns(),
    }
