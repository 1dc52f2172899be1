"""The form over HTTP of who waits for us, and of the policies."""

from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import AfterValidator, Field, StrictBool, field_serializer

from metrics_worker.domain.waiting import WaitFunction, WaitReason
from metrics_worker.queries.fields import FreshAsOf, NamesRead
from metrics_worker.waiting.model import EscalationAction, WaitAction, WaitState
from service_kit.business_hours import BusinessHoursCreate, BusinessHoursRead
from service_kit.changes import Change
from service_kit.fields import (
    Identifier,
    Moment,
    Name,
    ReadModel,
    RecordId,
    StrictModel,
    Version,
    described,
    examples,
)

MOST_MINUTES: Final = 525_600
"""A year."""

_REASON = described(
    "What the customer waits for: the first contact with a lead, the answer to a message, the answer after a ticket "
    "was reopened, an agent who speaks with them about their bad rating, what was agreed with them for a time, or a "
    "delivery whose promised day is over.",
    "message",
    schema="WaitReason",
)
_STATE = described(
    "Whether the limit is reached, will be soon, or neither, by the policy's clock.", "over", schema="WaitState"
)
_FUNCTION = described("Which of the two has to act.", "service", schema="WaitFunction")
_RECORD = described("The subject whose events began the wait.", "tickets/01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12")
_LINK = described("Where its record is.", "https://service.example.com/v1/tickets/01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12")
_CUSTOMER = described(
    "Who waits; after a merge the one that survives. Null for a lead that is no customer yet.",
    "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13",
)
_OWNER = described("The salesperson or agent who has it now; null without one.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14")
_TEAM = described("The team that has it now; null for none.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a15")
_CODE = "As the record has it; null where it has none."
_ELAPSED = described("Whole minutes since then, around the clock.", 84)
_COUNTED = described("Whole minutes of these that count: within the policy's hours, all of them without hours.", 84)
_LIMIT = described("The whole minutes, as they count, after which the wait is too long.", 60)
_LEFT = described("What is left of the limit, in whole minutes; below zero when it is passed.", -24)
_LIMIT_AT = described("When the limit is or was reached; null where the policy's hours have none in ten years.", None)


class EscalationRead(ReadModel):
    """How far a wait was escalated."""

    step: Annotated[int, described("How many steps were taken: the warning is the first, the alert the second.", 3)]
    steps: Annotated[int, described("How many there are by the policy.", 4)]
    action: Annotated[WaitAction, described("The last one that was taken.", "tell_manager", schema="WaitAction")]
    told_id: Annotated[UUID, described("Whom it named; null for no one.", None)] | None
    at: Moment
    """When it was taken."""


class WaitRead(ReadModel):
    """A customer who waits for us."""

    id: RecordId
    """Stays the same while the wait lasts."""
    reason: Annotated[WaitReason, _REASON]
    function: Annotated[WaitFunction, _FUNCTION]
    record: Annotated[str, _RECORD]
    link: Annotated[str, _LINK]
    customer_id: Annotated[UUID, _CUSTOMER] | None
    owner_id: Annotated[UUID, _OWNER] | None
    team_id: Annotated[UUID, _TEAM] | None
    names: NamesRead = Field(default_factory=dict)
    channel: Annotated[str, described(_CODE, "email")] | None
    region: Annotated[str, described(_CODE, "EMEA")] | None
    segment: Annotated[str, described(_CODE, "smb")] | None
    product: Annotated[str, described(_CODE, "scheduling")] | None
    since: Moment
    """When the wait began."""
    state: Annotated[WaitState, _STATE]
    elapsed_minutes: Annotated[int, _ELAPSED]
    business_minutes: Annotated[int, _COUNTED]
    limit_minutes: Annotated[int, _LIMIT]
    minutes_left: Annotated[int, _LEFT]
    limit_at: Moment | None
    """When the limit is reached; null where the policy's hours do not last so long within ten years."""
    escalation: EscalationRead | None
    """How far it was escalated; null before the first step."""
    policy_id: Annotated[UUID, described("The policy that it is under; null for the default.", None)] | None


class WaitsByFunctionRead(ReadModel):
    """How many wait, by who has to act."""

    sales: Annotated[int, described("Waits that sales has to end.", 7)]
    service: Annotated[int, described("Waits that service has to end.", 10)]


class WaitingSummaryRead(ReadModel):
    """How many customers wait for us now, and for how long."""

    at: Moment
    """The moment that it is of."""
    fresh_as_of: FreshAsOf | None
    waiting: Annotated[int, described("Waits that are not over.", 17)]
    over: Annotated[int, described("Of these, those whose limit is reached.", 3)]
    warning: Annotated[int, described("Of these, those whose limit will be reached soon.", 4)]
    fine: Annotated[int, described("Of these, the others.", 10)]
    by_function: WaitsByFunctionRead
    """Those who wait, by who has to act."""
    longest_minutes: Annotated[int, described("Whole minutes of the longest wait; null without a wait.", 84)] | None
    median_minutes: Annotated[int, described("Whole minutes of the median wait; null without a wait.", 38)] | None


_NAME = described("What people call the policy.", "First line, office hours")
_FOR_REASON = described("What it is for; null for every reason.", "message", schema="WaitReason")
_FOR_TEAM = described("The team that it is for; null for every team.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a15")
_LIMIT_SET = described("Minutes, as they count, after which a wait is too long.", 60)
_WARN_SET = described("Minutes before the limit at which a wait is due; 0 for no warning.", 15)
_CALENDAR = described("The hours that count; null for around the clock.", None)
Minutes = Annotated[int, Field(strict=True, ge=1, le=MOST_MINUTES)]
WarnMinutes = Annotated[int, Field(strict=True, ge=0, le=MOST_MINUTES)]

_AFTER = described("Minutes after the limit, as they count.", 30)
_ACTION = described(
    "Who is to act: another person is to take it over, the owner of the account is told, or a manager.",
    "tell_manager",
    schema="EscalationAction",
)
_TOLD = described("The person whom the step names.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a16")

_EXAMPLE: dict[str, Any] = {
    "name": "First line, office hours",
    "reason": "message",
    "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a15",
    "limit_minutes": 60,
    "warn_minutes": 15,
    "calendar": {
        "timezone": "Europe/Vilnius",
        "hours": [{"weekday": day, "opens": "08:00", "closes": "18:00"} for day in range(1, 6)],
        "holidays": ["2026-12-25"],
    },
    "escalation": [
        {"after_minutes": 15, "action": "tell_account_owner"},
        {"after_minutes": 30, "action": "tell_manager", "told_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a16"},
    ],
    "active": True,
}


class EscalationStepCreate(StrictModel):
    """What is done when a wait is over its limit for so long."""

    model_config = examples(
        {"after_minutes": 30, "action": "tell_manager", "told_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a16"}
    )

    after_minutes: Annotated[WarnMinutes, _AFTER]
    action: Annotated[EscalationAction, _ACTION]
    told_id: Annotated[Identifier, _TOLD] | None = Field(
        default=None, description="The owner of the account, or no one, when left out."
    )

    @field_serializer("told_id")
    def _as_text(self, told_id: UUID | None) -> str | None:
        # As JSON holds it: so it is stored, and compared with what is stored.
        return None if told_id is None else str(told_id)


def _in_order(steps: list[EscalationStepCreate]) -> list[EscalationStepCreate]:
    return sorted(steps, key=lambda step: step.after_minutes)


Escalation = Annotated[list[EscalationStepCreate], Field(max_length=10), AfterValidator(_in_order)]


class EscalationStepRead(ReadModel):
    """What is done when a wait is over its limit for so long."""

    after_minutes: Annotated[int, _AFTER]
    action: Annotated[EscalationAction, _ACTION]
    told_id: Annotated[UUID, _TOLD] | None


class WaitingPolicyCreate(StrictModel):
    """A new policy; it holds at once, also for those who wait already."""

    model_config = examples(_EXAMPLE)

    name: Annotated[Name, _NAME]
    reason: Annotated[WaitReason, _FOR_REASON] | None = Field(default=None, description="Every reason when left out.")
    team_id: Annotated[Identifier, _FOR_TEAM] | None = Field(default=None, description="Every team when left out.")
    limit_minutes: Annotated[Minutes, _LIMIT_SET] = 60
    warn_minutes: Annotated[WarnMinutes, _WARN_SET] = 15
    calendar: BusinessHoursCreate | None = Field(default=None, description="Around the clock when left out.")
    escalation: Escalation = Field(default_factory=list)
    """What is done after the limit, step by step."""
    active: StrictBool = True
    """False for a policy that holds for no wait."""


class WaitingPolicyUpdate(Change):
    """What to change; what is left out stays. It holds at once."""

    model_config = examples(_EXAMPLE)

    name: Annotated[Name, _NAME] = Field(default_factory=str)
    reason: Annotated[WaitReason, _FOR_REASON] | None = None
    team_id: Annotated[Identifier, _FOR_TEAM] | None = None
    limit_minutes: Annotated[Minutes, _LIMIT_SET] = Field(default_factory=int)
    warn_minutes: Annotated[WarnMinutes, _WARN_SET] = Field(default_factory=int)
    calendar: BusinessHoursCreate | None = None
    """The hours that count; null for around the clock."""
    escalation: Escalation = Field(default_factory=list)
    """What is done after the limit, step by step."""
    active: StrictBool = Field(default_factory=bool)
    """False for a policy that holds for no wait."""


class WaitingPolicyRead(ReadModel):
    """A policy."""

    id: RecordId
    version: Version
    name: Annotated[str, _NAME]
    reason: Annotated[WaitReason, _FOR_REASON] | None
    team_id: Annotated[UUID, _FOR_TEAM] | None
    limit_minutes: Annotated[int, _LIMIT_SET]
    warn_minutes: Annotated[int, _WARN_SET]
    calendar: BusinessHoursRead | None
    """The hours that count; null for around the clock."""
    escalation: list[EscalationStepRead]
    """What is done after the limit, step by step."""
    active: bool
    """False for a policy that holds for no wait."""
