"""Referrals over HTTP."""

from uuid import UUID

from pydantic import Field

from service_kit.fields import Identifier, Moment, ReadModel, StrictModel, examples


class ReferralCreate(StrictModel):
    """The recommending customer, and the lead that came of it."""

    model_config = examples(
        {
            "account_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
            "lead_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13",
            "occurred_at": "2026-04-20T09:00:00Z",
        }
    )

    account_id: Identifier = Field(description="The customer who recommends.")
    lead_id: Identifier | None = None
    occurred_at: Moment | None = None


class ReferralRead(ReadModel):
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
