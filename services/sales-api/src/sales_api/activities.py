"""Activities: what salespeople do for leads, deals and customers, planned or not."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Self, get_args
from uuid import UUID

import sqlalchemy as sa
from fastapi import Request, Response
from pydantic import ConfigDict, Field, model_validator

from event_contracts.sales import ActivityCompleted, ActivityKind
from sales_api.access import Reader, Seller
from sales_api.accounts.use_cases import standing_account
from sales_api.deals.model import Deal
from sales_api.leads.model import Lead
from sales_api.reps import team_of
from sales_api.tables import Base
from service_kit import outbox
from service_kit.entities import column
from service_kit.fields import Identifier, Moment, StrictModel, View
from service_kit.filters import equal
from service_kit.identifiers import new_id
from service_kit.occurrence import happened_at
from service_kit.paging import Paged, PageView
from service_kit.problems import NotFound
from service_kit.references import UnknownReference
from service_kit.routing import Work, router
from service_kit.tables import filtered, one_of
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import set_etag, unchanged


class Activity(Base, table="activity"):
    """Something that was done, with the attribution that it had then. Never changed."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    kind: ActivityKind
    account_id: Annotated[UUID | None, column(references="account.id")] = None
    lead_id: Annotated[UUID | None, column(references="lead.id")] = None
    deal_id: Annotated[UUID | None, column(references="deal.id")] = None
    owner_id: Annotated[UUID | None, column(references="rep.id")] = None
    team_id: Annotated[UUID | None, column(references="team.id")] = None
    region: str | None = None
    segment: str | None = None
    channel: str | None = None
    due_at: Annotated[datetime | None, column(comment="null for what was not planned")] = None
    completed_at: datetime

    __table_args__: ClassVar = (
        *filtered("activity", ("kind", "account_id", "lead_id", "deal_id", "owner_id", "team_id")),
        one_of("kind", get_args(ActivityKind)),
    )


class ActivityIn(StrictModel):
    """What was done, and for whom: a deal, a lead or a customer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "follow_up",
                    "deal_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a18",
                    "owner_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
                    "due_at": "2026-03-16T16:00:00Z",
                    "occurred_at": "2026-03-16T10:00:00Z",
                },
                {"kind": "call", "lead_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13"},
                {"kind": "visit", "account_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12"},
            ]
        }
    )

    kind: ActivityKind
    account_id: Identifier | None = None
    lead_id: Identifier | None = None
    deal_id: Identifier | None = None
    owner_id: Identifier | None = Field(
        default=None, description="Who did it; the owner of the deal, lead or account when left out."
    )
    due_at: Moment | None = Field(default=None, description="When it was promised or planned for, if it was.")
    occurred_at: Moment | None = None

    @model_validator(mode="after")
    def _is_for_one(self) -> Self:
        if [self.account_id, self.lead_id, self.deal_id].count(None) != 2:
            raise ValueError("name a deal, a lead or an account: one of them")
        return self


class ActivityView(View):
    """Something that was done. A deal's customer is told with it, and a lead's if it has one."""

    id: UUID
    version: int
    kind: ActivityKind
    account_id: UUID | None
    lead_id: UUID | None
    deal_id: UUID | None
    owner_id: UUID | None
    team_id: UUID | None
    region: str | None
    segment: str | None
    channel: str | None
    due_at: Moment | None
    completed_at: Moment


activities = router("/activities", "activities")
_columns = Activity.table.c


@activities.post("", status_code=201)
async def complete_activity(body: ActivityIn, work: Work, response: Response, by: Seller) -> ActivityView:
    """Enters what a salesperson did, for a deal, a lead or a customer. With `due_at` it counts as in time or late."""
    at = happened_at(body.occurred_at, by)
    subject = await _subject(work, body)
    owner_id, team_id = subject.owner_id, subject.team_id
    if body.owner_id is not None:
        owner_id, team_id = body.owner_id, await team_of(work, body.owner_id)
    account_id = body.account_id or subject.account_id
    state: dict[str, Any] = {
        "id": new_id(),
        "kind": body.kind,
        "account_id": account_id,
        "lead_id": body.lead_id,
        "deal_id": body.deal_id,
        "owner_id": owner_id,
        "team_id": team_id,
        "region": subject.region,
        "segment": subject.segment,
        "channel": subject.channel,
        "due_at": body.due_at,
        "completed_at": at,
    }
    activity = Activity(version=1, **state)
    work.add(activity)
    key = account_id or activity.id
    await outbox.write(work, ActivityCompleted(**state), sequence=1, time=at, partition_key=key)
    response.headers["Location"] = f"/v1/activities/{activity.id}"
    set_etag(response, activity.version)
    return ActivityView.model_validate(activity)


@activities.get("")
async def list_activities(
    work: Work,
    page: Paged,
    _: Reader,
    kind: ActivityKind | None = None,
    account_id: Identifier | None = None,
    lead_id: Identifier | None = None,
    deal_id: Identifier | None = None,
    owner_id: Identifier | None = None,
    team_id: Identifier | None = None,
) -> PageView[ActivityView]:
    """What was done, the latest entered first."""
    filters = {
        "kind": kind,
        "account_id": account_id,
        "lead_id": lead_id,
        "deal_id": deal_id,
        "owner_id": owner_id,
        "team_id": team_id,
    }
    query = sa.select(*_columns).where(*equal(_columns, filters))
    return await page.of(work, query, _columns.id, ActivityView.model_validate)


@activities.get("/{activity_id}", response_model=ActivityView)
async def get_activity(
    activity_id: Identifier, work: Work, request: Request, response: Response, _: Reader
) -> ActivityView | Response:
    """One activity."""
    activity = await work.get(Activity, activity_id)
    if activity is None:
        raise NotFound(f"There is no activity {activity_id}.")
    set_etag(response, activity.version)
    return unchanged(request, activity.version) or ActivityView.model_validate(activity)


async def _subject(work: UnitOfWork, body: ActivityIn) -> Any:
    """What it was done for, whose attribution it takes over. An account has no `account_id` of its own to tell."""
    if body.account_id is not None:
        return await standing_account(work, body.account_id)
    pointer, found = (
        ("#/lead_id", await work.get(Lead, body.lead_id))
        if body.lead_id is not None
        else ("#/deal_id", await work.get(Deal, body.deal_id))
    )
    if found is None:
        raise UnknownReference.at(pointer, f"no {pointer[2:-3]} has this id")
    return found
