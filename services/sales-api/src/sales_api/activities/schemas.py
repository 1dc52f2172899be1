"""Activities over HTTP."""

from typing import Self
from uuid import UUID

from pydantic import Field, model_validator

from event_contracts.sales import ActivityKind
from service_kit.fields import Identifier, Moment, ReadModel, StrictModel, examples


class ActivityCreate(StrictModel):
    """What was done, for a deal, a lead or an account."""

    model_config = examples(
        {
            "kind": "follow_up",
            "deal_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a18",
            "owner_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "due_at": "2026-03-16T16:00:00Z",
            "occurred_at": "2026-03-16T10:00:00Z",
        },
        {"kind": "call", "lead_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13"},
        {"kind": "visit", "account_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12"},
    )

    kind: ActivityKind
    account_id: Identifier | None = None
    lead_id: Identifier | None = None
    deal_id: Identifier | None = None
    owner_id: Identifier | None = Field(
        default=None, description="Who did it; the owner of the deal, lead or account when left out."
    )
    due_at: Moment | None = Field(default=None, description="When it was promised or planned for.")
    occurred_at: Moment | None = None

    @model_validator(mode="after")
    def _is_for_one(self) -> Self:
        if [self.account_id, self.lead_id, self.deal_id].count(None) != 2:
            raise ValueError("name a deal, a lead or an account: one of them")
        return self


class ActivityRead(ReadModel):
    """An activity. `account_id` is also the account of its deal, and of its lead if that has one."""

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
