"""An SLA policy, and the rule of what it can promise."""

from datetime import datetime
from typing import Any, get_args
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from event_contracts.service import Priority, TicketKind
from service_api.business_time import BusinessHours
from service_api.tables import Base
from service_api.tickets.sla import SlaTerms
from service_kit.problems import Unprocessable
from service_kit.tables import filtered, one_of


class SlaPolicy(Base):
    """What is promised of which tickets. A ticket keeps the policy that it was opened under, and what was due then."""

    __tablename__ = "sla_policy"
    __table_args__ = (
        one_of("kind", get_args(TicketKind)),
        one_of("priority", get_args(Priority)),
        sa.CheckConstraint("first_response_seconds > 0", name="first_response_seconds"),
        sa.CheckConstraint("resolution_seconds > 0", name="resolution_seconds"),
        *filtered("sla_policy", ("active",)),
        {"info": {"noun": "SLA policy"}},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    name: Mapped[str]
    kind: Mapped[TicketKind | None] = mapped_column(sa.Text, comment="null for every kind")
    priority: Mapped[Priority | None] = mapped_column(sa.Text, comment="null for every priority")
    first_response_seconds: Mapped[int | None]
    resolution_seconds: Mapped[int | None]
    calendar_id: Mapped[UUID | None] = mapped_column(
        sa.ForeignKey("business_calendar.id"), comment="null for around the clock"
    )
    active: Mapped[bool]

    def check_is_reachable(self, hours: BusinessHours | None, *, at: datetime) -> None:
        """Raise `Unprocessable` for a target that a ticket opened `at` this time would never reach in these hours."""
        for target in ("first_response_seconds", "resolution_seconds"):
            seconds = getattr(self, target)
            if seconds is not None and terms_under(self, hours).due(at, seconds) is None:
                raise Unprocessable.at(f"#/{target}", "is more business time than the calendar has in ten years")


def terms_under(policy: Any, hours: BusinessHours | None) -> SlaTerms:
    """Return what a policy, or a row with its columns, grants; `hours` are its calendar's, None is around the clock."""
    return SlaTerms(
        policy_id=policy.id,
        first_response_seconds=policy.first_response_seconds,
        resolution_seconds=policy.resolution_seconds,
        hours=hours,
    )
