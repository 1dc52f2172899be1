"""Referrals: customers who recommended us to somebody else."""

from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import Request, Response
from pydantic import ConfigDict, Field

from event_contracts.sales import ReferralRecorded
from sales_api.access import Reader, Seller
from sales_api.accounts.use_cases import standing_account
from sales_api.leads.model import Lead
from sales_api.tables import Base
from service_kit import outbox
from service_kit.compiled import CompiledStatement
from service_kit.entities import column
from service_kit.fields import Identifier, Moment, StrictModel, View
from service_kit.filters import equal
from service_kit.identifiers import new_id
from service_kit.occurrence import happened_at
from service_kit.paging import Paged, PageView
from service_kit.problems import Conflict, NotFound
from service_kit.references import UnknownReference
from service_kit.routing import Work, router
from service_kit.tables import filtered
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import set_etag, unchanged


class ReferralAlreadyRecorded(Conflict):
    """The lead came from one recommendation at most; `existing_id` is its id."""

    slug, title = "referral-already-recorded", "The lead's referral is recorded"


class Referral(Base, table="referral"):
    """A recommendation, with the recommending customer's attribution when it was made. Never changed."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    account_id: Annotated[UUID, column(references="account.id")]
    lead_id: Annotated[UUID | None, column(references="lead.id", unique=True)] = None
    owner_id: Annotated[UUID | None, column(references="rep.id")] = None
    team_id: Annotated[UUID | None, column(references="team.id")] = None
    region: str | None = None
    segment: str | None = None
    channel: str | None = None
    recorded_at: datetime

    __table_args__: ClassVar = filtered("referral", ("account_id", "owner_id", "team_id"))


class ReferralIn(StrictModel):
    """Who recommended us, and the lead that came of it if one did."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "account_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
                    "lead_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13",
                    "occurred_at": "2026-04-20T09:00:00Z",
                }
            ]
        }
    )

    account_id: Identifier = Field(description="The customer who recommends.")
    lead_id: Identifier | None = None
    occurred_at: Moment | None = None


class ReferralView(View):
    """A recommendation."""

    id: UUID
    version: int
    account_id: UUID
    lead_id: UUID | None
    owner_id: UUID | None
    team_id: UUID | None
    region: str | None
    segment: str | None
    channel: str | None
    recorded_at: Moment


referrals = router("/referrals", "referrals")
_columns = Referral.table.c
_OF_LEAD = CompiledStatement(
    sa.select(_columns.id, _columns.account_id).where(_columns.lead_id == sa.bindparam("lead_id"))
)


@referrals.post("", status_code=201)
async def record_referral(body: ReferralIn, work: Work, response: Response, by: Seller) -> ReferralView:
    """Records that a customer recommended us. When its lead becomes a customer, that one was referred by them."""
    at = happened_at(body.occurred_at, by)
    account = await standing_account(work, body.account_id)
    if body.lead_id is not None:
        await _check_lead(work, body.lead_id)
    state: dict[str, Any] = {
        "id": new_id(),
        "account_id": account.id,
        "lead_id": body.lead_id,
        "owner_id": account.owner_id,
        "team_id": account.team_id,
        "region": account.region,
        "segment": account.segment,
        "channel": account.channel,
        "recorded_at": at,
    }
    referral = Referral(version=1, **state)
    work.add(referral)
    await outbox.write(work, ReferralRecorded(**state), sequence=1, time=at, partition_key=account.id)
    response.headers["Location"] = f"/v1/referrals/{referral.id}"
    set_etag(response, referral.version)
    return ReferralView.model_validate(referral)


@referrals.get("")
async def list_referrals(
    work: Work,
    page: Paged,
    _: Reader,
    account_id: Identifier | None = None,
    lead_id: Identifier | None = None,
    owner_id: Identifier | None = None,
    team_id: Identifier | None = None,
) -> PageView[ReferralView]:
    """Recommendations, newest first."""
    filters = {"account_id": account_id, "lead_id": lead_id, "owner_id": owner_id, "team_id": team_id}
    query = sa.select(*_columns).where(*equal(_columns, filters))
    return await page.of(work, query, _columns.id, ReferralView.model_validate)


@referrals.get("/{referral_id}", response_model=ReferralView)
async def get_referral(
    referral_id: Identifier, work: Work, request: Request, response: Response, _: Reader
) -> ReferralView | Response:
    """One recommendation."""
    referral = await work.get(Referral, referral_id)
    if referral is None:
        raise NotFound(f"There is no referral {referral_id}.")
    set_etag(response, referral.version)
    return unchanged(request, referral.version) or ReferralView.model_validate(referral)


async def referrer_of(work: UnitOfWork, lead_id: UUID) -> UUID | None:
    """The customer whose recommendation brought a lead, if one did."""
    found = await _OF_LEAD.one_or_none(work, lead_id=lead_id)
    return None if found is None else found["account_id"]


async def _check_lead(work: UnitOfWork, lead_id: UUID) -> None:
    if await work.get(Lead, lead_id) is None:
        raise UnknownReference.at("#/lead_id", "no lead has this id")
    if (existing := await _OF_LEAD.one_or_none(work, lead_id=lead_id)) is not None:
        raise ReferralAlreadyRecorded("existing_id names the one that stands.", existing_id=str(existing["id"]))
