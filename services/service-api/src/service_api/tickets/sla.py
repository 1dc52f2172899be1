"""What a service-level agreement grants a ticket: its targets, and the clock that counts them. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from service_kit.business_time import BusinessHours, NeverReached

SurveyCredit = Literal["resolver", "first_responder", "assignee"]


@dataclass(frozen=True, kw_only=True)
class SlaTerms:
    """A policy's targets in seconds, either of which may be missing; without `hours` they pass around the clock."""

    policy_id: UUID
    first_response_seconds: int | None = None
    resolution_seconds: int | None = None
    reopen_within_seconds: int | None = None
    """For how long after a resolution a customer's message reopens a ticket, by every clock; None for the default."""
    bad_score: int | None = None
    """The best score of a survey about the ticket that is a bad rating; None for the default, 0 for none."""
    survey_credit: SurveyCredit = "resolver"
    """Whom the answer to a survey about the ticket is about."""
    hours: BusinessHours | None = None

    def due(self, start: datetime, seconds: int | None) -> datetime | None:
        """Return by when it must be done; None without a target, or without business time for ten years."""
        if seconds is None:
            return None
        if self.hours is None:
            return start + timedelta(seconds=seconds)
        try:
            return self.hours.after(start, seconds)
        except NeverReached:
            return None

    def seconds_between(self, start: datetime, end: datetime) -> int:
        """Return the seconds that passed by the agreement's clock; 0 when the second instant is not later."""
        if self.hours is not None:
            return self.hours.between(start, end)
        return max(end - start, timedelta(0)) // timedelta(seconds=1)

    def business_seconds(self, start: datetime, end: datetime) -> int | None:
        """Return the business time that passed; None without business hours."""
        return None if self.hours is None else self.hours.between(start, end)
