"""Quotas over HTTP."""

from datetime import date
from typing import Any
from uuid import UUID

from sales_api.amounts import Price, at_places
from service_kit.fields import Day, DecimalText, ExternalReference, Identifier, Moment, ReadModel, StrictModel, examples


class QuotaCreate(StrictModel):
    """What a salesperson has to sell; both days belong to the period. The target is in the reporting currency."""

    model_config = examples(
        {
            "rep_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "period_start": "2026-01-01",
            "period_end": "2026-03-31",
            "target": "250000.00",
            "external_ref": "plan-2026-q1-ana",
            "occurred_at": "2025-12-20T10:00:00Z",
        }
    )

    rep_id: Identifier
    period_start: Day
    period_end: Day
    target: Price
    external_ref: ExternalReference | None = None
    occurred_at: Moment | None = None


class QuotaUpdate(StrictModel):
    """Another target for the same salesperson and period."""

    model_config = examples({"target": "275000.00", "occurred_at": "2026-02-01T10:00:00Z"})

    target: Price
    occurred_at: Moment | None = None


class QuotaRead(ReadModel):
    """A quota. `team_id` is the salesperson's team when the quota was made; `set_at` is when it was last set."""

    id: UUID
    version: int
    rep_id: UUID
    team_id: UUID | None
    period_start: date
    period_end: date
    target: DecimalText
    currency: str
    external_ref: str | None
    set_at: Moment

    @classmethod
    def of(cls, quota: Any) -> "QuotaRead":
        """Return the view of a quota, or of a row with its columns."""
        plain = {name: getattr(quota, name) for name in cls.model_fields if name != "target"}
        return cls(**plain, target=at_places(quota.target, quota.currency))
