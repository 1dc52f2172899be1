"""What a service-level agreement grants a ticket: how long it may wait, and by which clock. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from service_api.business_time import BusinessHours, NeverReached


@dataclass(frozen=True, kw_only=True)
class SlaTerms:
    """A policy's targets in seconds, either of which may be missing; without `hours` they pass around the clock."""

    policy_id: UUID
    first_response_seconds: int | None = None
    resolution_seconds: int | None = None
    hours: BusinessHours | None = None

    def due(self, start: datetime, seconds: int | None) -> datetime | None:
        """By when it must be done; None where nothing is asked, or nobody works for ten years."""
        if seconds is None:
            return None
        if self.hours is None:
            return start + timedelta(seconds=seconds)
        try:
            return self.hours.after(start, seconds)
        except NeverReached:
            return None

    def seconds_between(self, start: datetime, end: datetime) -> int:
        """What passed by the agreement's clock, 0 when the second is not later."""
        if self.hours is not None:
            return self.hours.between(start, end)
        return max(end - start, timedelta(0)) // timedelta(seconds=1)

    def business_seconds(self, start: datetime, end: datetime) -> int | None:
        """The business time that passed; None where there are no business hours."""
        return None if self.hours is None else self.hours.between(start, end)
