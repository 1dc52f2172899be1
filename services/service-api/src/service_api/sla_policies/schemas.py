"""SLA policies over HTTP."""

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, StrictBool, model_validator

from event_contracts.fields import MAX_SECONDS
from service_api.fields import KindOfTicket, Urgency
from service_api.tickets.sla import SurveyCredit
from service_kit.changes import Change
from service_kit.fields import (
    Identifier,
    Name,
    ReadModel,
    RecordId,
    StrictModel,
    UpdatedAt,
    Version,
    described,
    examples,
)

TargetSeconds = Annotated[int, Field(strict=True, ge=1, le=MAX_SECONDS)]
BadScore = Annotated[int, Field(strict=True, ge=0, le=4)]
WindowSeconds = Annotated[int, Field(strict=True, ge=0, le=MAX_SECONDS)]

_NAME = described("What people call the policy.", "Urgent problems")
_FIRST_RESPONSE = described(
    "Seconds within which a person has to reply in public, in the calendar's business time; null for no target.", 900
)
_RESOLUTION = described(
    "Seconds within which it has to be solved, in the calendar's business time; null for no target.", 28_800
)
_REOPEN_WITHIN = described(
    "Seconds after a resolution, around the clock, within which a customer's message reopens the ticket; after that it "
    "opens a follow-up. Null for the service's default (REOPEN_DAYS).",
    1_209_600,
)
_BAD_SCORE = described(
    "The best score of a survey about its tickets that is a bad rating, which waits until an agent has spoken with the "
    "customer: of those sent from now on. 0 for none; null for the default, 2.",
    2,
)
_SURVEY_CREDIT = described(
    "Whom surveys about its tickets are about: who resolved the ticket, who replied first, or who has it when the "
    "survey is sent.",
    "resolver",
    schema="SurveyCredit",
)
_CALENDAR = described(
    "The business calendar whose hours count; null for around the clock.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11"
)
_EXAMPLE: dict[str, Any] = {
    "name": "Urgent problems",
    "kind": "problem",
    "priority": "urgent",
    "first_response_seconds": 900,
    "resolution_seconds": 28_800,
    "reopen_within_seconds": 1_209_600,
    "bad_score": 2,
    "survey_credit": "resolver",
    "calendar_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
    "active": True,
}


class SlaPolicyCreate(StrictModel):
    """A new policy, for tickets that are opened from now on."""

    model_config = examples(_EXAMPLE)

    name: Annotated[Name, _NAME]
    kind: KindOfTicket | None = Field(default=None, description="Every kind when left out.")
    """The kind of tickets that it is for; every kind when left out."""
    priority: Urgency | None = Field(default=None, description="Every priority when left out.")
    first_response_seconds: Annotated[TargetSeconds, _FIRST_RESPONSE] | None = None
    resolution_seconds: Annotated[TargetSeconds, _RESOLUTION] | None = None
    reopen_within_seconds: Annotated[WindowSeconds, _REOPEN_WITHIN] | None = None
    bad_score: Annotated[BadScore, _BAD_SCORE] | None = None
    survey_credit: Annotated[SurveyCredit, _SURVEY_CREDIT] = "resolver"
    calendar_id: Annotated[Identifier, _CALENDAR] | None = Field(
        default=None, description="Around the clock when left out."
    )
    active: StrictBool = True
    """False for a policy that no new ticket gets."""

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if self.first_response_seconds is None and self.resolution_seconds is None:
            raise ValueError("give first_response_seconds, resolution_seconds, or both")
        return self


class SlaPolicyUpdate(Change):
    """What to change; what is left out stays. Another target or calendar is another policy."""

    model_config = examples({"name": "Urgent problems, 2025", "active": False})

    name: Annotated[Name, _NAME] = Field(default_factory=str)
    active: StrictBool = Field(default_factory=bool)
    """False for a policy that no new ticket gets."""


class SlaPolicyRead(ReadModel):
    """A policy."""

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    name: Annotated[str, _NAME]
    kind: KindOfTicket | None
    """The kind of tickets that it is for; null for every kind."""
    priority: Urgency | None
    """The priority of tickets that it is for; null for every priority."""
    first_response_seconds: Annotated[int, _FIRST_RESPONSE] | None
    resolution_seconds: Annotated[int, _RESOLUTION] | None
    reopen_within_seconds: Annotated[int, _REOPEN_WITHIN] | None
    bad_score: Annotated[int, _BAD_SCORE] | None
    survey_credit: Annotated[SurveyCredit, _SURVEY_CREDIT]
    calendar_id: Annotated[UUID, _CALENDAR] | None
    active: bool
    """False for a policy that no new ticket gets."""
