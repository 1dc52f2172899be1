"""SLA policies over HTTP."""

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, StrictBool, model_validator

from event_contracts.fields import MAX_SECONDS
from event_contracts.service import Priority, TicketKind
from service_kit.changes import Change
from service_kit.fields import Identifier, Name, ReadModel, StrictModel, examples

TargetSeconds = Annotated[int, Field(strict=True, ge=1, le=MAX_SECONDS)]

_EXAMPLE: dict[str, Any] = {
    "name": "Urgent problems",
    "kind": "problem",
    "priority": "urgent",
    "first_response_seconds": 900,
    "resolution_seconds": 28_800,
    "calendar_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
    "active": True,
}


class SlaPolicyCreate(StrictModel):
    """A new policy, for tickets that are opened from now on."""

    model_config = examples(_EXAMPLE)

    name: Name
    kind: TicketKind | None = Field(default=None, description="Every kind when left out.")
    priority: Priority | None = Field(default=None, description="Every priority when left out.")
    first_response_seconds: TargetSeconds | None = None
    resolution_seconds: TargetSeconds | None = None
    calendar_id: Identifier | None = Field(default=None, description="Around the clock when left out.")
    active: StrictBool = True

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if self.first_response_seconds is None and self.resolution_seconds is None:
            raise ValueError("give first_response_seconds, resolution_seconds, or both")
        return self


class SlaPolicyUpdate(Change):
    """What to change; what is left out stays. Another target or calendar is another policy."""

    model_config = examples({"name": "Urgent problems, 2025", "active": False})

    name: Name = Field(default_factory=str)
    active: StrictBool = Field(default_factory=bool)


class SlaPolicyRead(ReadModel):
    """A policy."""

    id: UUID
    version: int
    name: str
    kind: TicketKind | None
    priority: Priority | None
    first_response_seconds: int | None
    resolution_seconds: int | None
    calendar_id: UUID | None
    active: bool
