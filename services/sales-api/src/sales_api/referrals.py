"""Referrals: customers who recommended us to somebody else."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import Request, Response
from pydantic import ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from event_contracts.sales import ReferralRecorded
from sales_api.access import Reader, Seller
from sales_api.accounts.use_cases import standing_account
from sales_api.leads.model import Lead
from sales_api.tables import Base
from service_kit import outbox
from service_kit.fields import Identifier, Moment, StrictModel, View
from service_kit.filters import equal
from service_kit.identifiers import new_id
from service_kit.occurrence import happened_at
from service_kit.paging import Paged, PageView
from service_kit.problems import Conflict, NotFound
from service_kit.references import UnknownReference
from service_kit.routing import Session, router
from service_kit.tables import filtered
from service_kit.versions import set_etag, unchanged


class ReferralAlreadyRecorded(Conflict):
    """The lead came from one recommendation at most; `existing_id` is its id."""

    slug, title = "referral-already-recorded", "The lead's referral is recorded"


class Referral(Base):
    """A recommendation, with the recommending customer's attribution when it was made. Never changed."""

    __tablename__ = "referral"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    account_id: Mapped[UUID] = mapped_column(sa.ForeignKey("account.id"))
    lead_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("lead.id"), unique=True)
    owner_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("rep.id"))
    team_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("team.id"))
    region: Mapped[str | None]
    segment: Mapped[str | None]
    channel: Mapped[str | None]
    recorded_at: Mapped[datetime]

    __table_args__ = filtered("referral", ("account_id", "owner_id", "team_id"))


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
_columns = Referral.__table__.c


@referrals.post("", status_code=201)
async def record_referral(body: ReferralIn, session: Session, response: Response, by: Seller) -> ReferralView:
    """Records that a customer recommended us. When its lead becomes a customer, that one was referred by them."""
    at = happened_at(body.occurred_at, by)
    account = await standing_account(session, body.account_id)
    if body.lead_id is not None:
        await _check_lead(session, body.lead_id)
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
    session.add(referral)
    await outbox.write(session, ReferralRecorded(**state), sequence=1, time=at, partition_key=account.id)
    response.headers["Location"] = f"/v1/referrals/{referral.id}"
    set_etag(response, referral.version)
    return ReferralView.model_validate(referral)


@referrals.get("")
async def list_referrals(
    session: Session,
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
    return await page.of(session, query, _columns.id, ReferralView.model_validate)


@referrals.get("/{referral_id}", response_model=ReferralView)
async def get_referral(
    referral_id: Identifier, session: Session, request: Request, response: Response, _: Reader
) -> ReferralView | Response:
    """One recommendation."""
    referral = await session.get(Referral, referral_id)
    if referral is None:
        raise NotFound(f"There is no referral {referral_id}.")
    set_etag(response, referral.version)
    return unchanged(request, referral.version) or ReferralView.model_validate(referral)


async def referrer_of(session: AsyncSession, lead_id: UUID) -> UUID | None:
    """The customer whose recommendation brought a lead, if one did."""
    query = sa.select(Referral.account_id).where(Referral.lead_id == lead_id)
    return (await session.execute(query)).scalar_one_or_none()


async def _check_lead(session: AsyncSession, lead_id: UUID) -> None:
    if await session.get(Lead, lead_id) is None:
        raise UnknownReference.at("#/lead_id", "no lead has this id")
    query = sa.select(Referral.id).where(Referral.lead_id == lead_id)
    if (existing_id := (await session.execute(query)).scalar_one_or_none()) is not None:
        raise ReferralAlreadyRecorded("existing_id names the one that stands.", existing_id=str(existing_id))
