"""Quotas over HTTP."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from sales_api.amounts import Price, at_places
from sales_api.fields import TeamIdRead
from service_kit.fields import (
    CurrencyRead,
    Day,
    DecimalText,
    ExternalReference,
    ExternalReferenceRead,
    Identifier,
    Moment,
    OccurredAt,
    ReadModel,
    RecordId,
    StrictModel,
    UpdatedAt,
    Version,
    described,
    examples,
)

_REP = described("The salesperson who has to reach it.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11")
_PERIOD_START = described("The first day that counts.", "2026-01-01")
_PERIOD_END = described("The last day that counts.", "2026-03-31")
_TARGET = described("What is to be sold in the period, in the reporting currency: a decimal string.", "250000.00")


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
    """The salesperson who has to reach it."""
    period_start: Annotated[Day, _PERIOD_START]
    period_end: Annotated[Day, _PERIOD_END]
    target: Annotated[Price, _TARGET]
    external_ref: ExternalReference | None = None
    occurred_at: OccurredAt | None = None


class QuotaUpdate(StrictModel):
    """Another target for the same salesperson and period."""

    model_config = examples({"target": "275000.00", "occurred_at": "2026-02-01T10:00:00Z"})

    target: Annotated[Price, _TARGET]
    occurred_at: OccurredAt | None = None


class QuotaRead(ReadModel):
    """A quota. `team_id` is the salesperson's team when the quota was made; `set_at` is when it was last set."""

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    rep_id: Annotated[UUID, _REP]
    team_id: TeamIdRead | None
    """The salesperson's team when the quota was made."""
    period_start: Annotated[date, _PERIOD_START]
    period_end: Annotated[date, _PERIOD_END]
    target: Annotated[DecimalText, _TARGET]
    currency: CurrencyRead
    """The currency of the target: the reporting currency, as ISO 4217 has it."""
    external_ref: ExternalReferenceRead | None
    set_at: Moment
    """When the target was last set."""

    @classmethod
    def of(cls, quota: Any) -> "QuotaRead":
        """Return the view of a quota, or of a row with its columns."""
        plain = {name: getattr(quota, name) for name in cls.model_fields if name != "target"}
        return cls(**plain, target=at_places(quota.target, quota.currency))
