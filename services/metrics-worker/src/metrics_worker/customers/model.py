"""The published risk of a customer: its columns, and which change is an event."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from event_contracts.fields import Money
from event_contracts.metrics import CustomerAtRisk, CustomerRecovered
from metrics_worker.database import Base
from service_kit.entities import column


class PublishedRisk(Base, table="published_risk", audited=False):
    """Why a customer is at risk, as published last."""

    customer: Annotated[UUID, column(primary_key=True)]
    reasons: Annotated[list[str], column(ARRAY(sa.Text), comment="empty once recovered")]
    sequence: Annotated[int, column(comment="the number of events published of it")]
    judged_at: datetime

    @classmethod
    def of(cls, customer: UUID, at: datetime) -> "PublishedRisk":
        """Return the risk of a customer of whom nothing was published yet."""
        return cls(customer=customer, reasons=[], sequence=0, judged_at=at)

    def update(
        self, reasons: Sequence[str], at_stake: Money, *, since: datetime | None, at: datetime
    ) -> CustomerAtRisk | CustomerRecovered | None:
        """Take over the reasons of now, and return the event to publish when they differ from those before.

        The revenue at stake changes with every deal: that alone is no event.
        """
        if list(reasons) == self.reasons:
            return None
        self.reasons = list(reasons)
        self.sequence += 1
        self.judged_at = at
        event = CustomerAtRisk if reasons else CustomerRecovered
        return event(
            id=self.customer,
            reasons=list(reasons),
            revenue_at_risk=at_stake,
            at_risk_since=since,
            judged_at=at,
        )
