"""Steps of onboardings, and their templates, over HTTP."""

from datetime import date
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import AfterValidator, Field, StrictBool, field_serializer

from service_api.attribution import DoneRead, PlannedUpdate
from service_api.fields import AgentId, DealIdRead, ProductOf, ProductOfRead, TeamId, TeamIdRead
from service_api.onboardings.model import DELIVERY, MOST_DAYS
from service_kit.changes import Change
from service_kit.fields import (
    Code,
    Day,
    Identifier,
    Moment,
    Name,
    OccurredAt,
    ReadModel,
    RecordId,
    StrictModel,
    UpdatedAt,
    Version,
    described,
    examples,
)
from service_kit.planned_work.schemas import PlannedWorkRead, Purpose

_STEP = described("The code of what is to be done, from the company's own list.", "installation")
_ONBOARDING = described("The ticket that brings the deal into use.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13")
_DUE_ON = described("The last day on which it is on time.", "2026-04-15")
_NAME = described("What people call the template.", "Heat pumps")
_DAYS = described("Days from the promised day until it is due; below zero for what is due before.", -3)
_PROMISE_DAYS = described(
    "Days from the win to the day from which steps are counted, where the deal promises no day.", 14
)
_FOR_PRODUCT = described(
    "The product that it is for, by its code in sales; null for every product without a template of its own.",
    "heat-pump-9",
)
_WHOSE = described(
    "Whose the step is; null, with the team, for whose the onboarding is.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11"
)


class OnboardingStepCreate(StrictModel):
    """One more step of an onboarding."""

    model_config = examples(
        {
            "ticket_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13",
            "step": "data-transfer",
            "due_on": "2026-04-15",
            "product": "heat-pump-9",
            "purpose": "upgrade",
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
            "occurred_at": "2026-03-31T21:00:00Z",
        }
    )

    ticket_id: Annotated[Identifier, _ONBOARDING]
    step: Annotated[Code, _STEP]
    due_on: Annotated[Day, _DUE_ON]
    product: ProductOf | None = None
    purpose: Purpose | None = None
    agent_id: AgentId | None = Field(
        default=None, description="Who is to do it; when left out with the team, whose the onboarding is."
    )
    team_id: TeamId | None = Field(default=None, description="The agent's team when left out.")
    occurred_at: OccurredAt | None = None


class OnboardingStepUpdate(PlannedUpdate):
    """What was recorded wrongly of a step."""

    elsewhere: ClassVar = {
        "customer_id": "is that of its deal: correct the account of the deal in sales",
        "step": "is what is to be done: cancel it, and plan another",
    }
    model_config = examples(
        {
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
            "region": "baltics",
            "segment": "manufacturing",
            "due_on": "2026-04-20",
            "purpose": "upgrade",
            "occurred_at": "2026-04-01T08:00:00Z",
        }
    )

    due_on: Annotated[Day, _DUE_ON] = Field(default_factory=date.today)
    """The last day that it was planned for; to plan anew, move it."""


class OnboardingStepRead(DoneRead, PlannedWorkRead):
    """A step of an onboarding."""

    ticket_id: Annotated[UUID, _ONBOARDING]
    deal_id: DealIdRead
    step: Annotated[str, _STEP]
    promised: bool
    """Whether it is the delivery that the deal promises: from the end of its due day on, the customer waits for it."""
    product: ProductOfRead | None
    due_on: Annotated[date, _DUE_ON]
    completed_at: Moment | None
    """When it was done; null while it is not."""


class TemplateStepCreate(StrictModel):
    """A step that a template plans."""

    model_config = examples(
        {
            "step": "installation",
            "days": -3,
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
        }
    )

    step: Annotated[Code, _STEP]
    days: Annotated[int, Field(strict=True, ge=-MOST_DAYS, le=MOST_DAYS), _DAYS]
    agent_id: Annotated[Identifier, _WHOSE] | None = None
    team_id: TeamId | None = Field(default=None, description="The agent's team when left out.")

    @field_serializer("agent_id", "team_id")
    def _as_text(self, value: UUID | None) -> str | None:
        # As JSON holds it: so it is stored, and compared with what is stored.
        return None if value is None else str(value)


def _once_each(steps: list[TemplateStepCreate]) -> list[TemplateStepCreate]:
    codes = [each.step for each in steps]
    if DELIVERY in codes:
        raise ValueError(f"{DELIVERY} is the step of what a deal promises, which has it without a template")
    if len(set(codes)) < len(codes):
        raise ValueError("must name each step once")
    return steps


TemplateSteps = Annotated[list[TemplateStepCreate], Field(min_length=1, max_length=50), AfterValidator(_once_each)]


class TemplateStepRead(ReadModel):
    """A step that a template plans."""

    step: Annotated[str, _STEP]
    days: Annotated[int, _DAYS]
    agent_id: Annotated[UUID, _WHOSE] | None
    team_id: TeamIdRead | None


_EXAMPLE: dict[str, Any] = {
    "name": "Heat pumps",
    "product": "heat-pump-9",
    "promise_days": 14,
    "steps": [
        {"step": "installation", "days": -3, "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14"},
        {"step": "set-up", "days": 0},
        {"step": "training", "days": 7, "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11"},
    ],
    "active": True,
}
_PromiseDays = Annotated[int, Field(strict=True, ge=1, le=MOST_DAYS), _PROMISE_DAYS]


class OnboardingTemplateCreate(StrictModel):
    """A new template, for deals that are won from now on."""

    model_config = examples(_EXAMPLE)

    name: Annotated[Name, _NAME]
    product: Annotated[ProductOf, _FOR_PRODUCT] | None = Field(
        default=None, description="Every product without a template of its own when left out."
    )
    promise_days: _PromiseDays = 14
    steps: TemplateSteps
    """What is to be done, each once."""
    active: StrictBool = True
    """False for a template that plans nothing."""


class OnboardingTemplateUpdate(Change):
    """What to change; what is left out stays. What was planned before stays as it is."""

    model_config = examples(_EXAMPLE)

    name: Annotated[Name, _NAME] = Field(default_factory=str)
    product: Annotated[ProductOf, _FOR_PRODUCT] | None = None
    promise_days: _PromiseDays = Field(default_factory=int)
    steps: TemplateSteps = Field(default_factory=list)
    """What is to be done, each once."""
    active: StrictBool = Field(default_factory=bool)
    """False for a template that plans nothing."""


class OnboardingTemplateRead(ReadModel):
    """A template."""

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    name: Annotated[str, _NAME]
    product: Annotated[str, _FOR_PRODUCT] | None
    promise_days: Annotated[int, _PROMISE_DAYS]
    steps: list[TemplateStepRead]
    """What is to be done, each once."""
    active: bool
    """False for a template that plans nothing."""
