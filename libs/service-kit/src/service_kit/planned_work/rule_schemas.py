"""Planning rules over HTTP: what those of every service have."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StrictBool

from service_kit.changes import Change
from service_kit.fields import Identifier, Moment, Name, ReadModel, RecordId, StrictModel, UpdatedAt, Version, described
from service_kit.planned_work.rules import MOST_DAYS
from service_kit.planned_work.schemas import Purpose, PurposeRead

_NAME = described("What people call the rule.", "Call after a win")
_DAYS = described("How many days after it the work is due; of intervals, the days from the end of one to the next.", 14)
_SINCE = described("What happened before plans nothing.", "2026-03-01T00:00:00Z")
_RULE = described("The rule that planned it; null for what people planned.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a2a")
_TRIGGER_ID = described(
    "The record that it follows from by its rule; at intervals, the work before it, or the customer for the first.",
    "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a18",
    rarely=True,
)

RuleName = Annotated[Name, _NAME]
RuleNameRead = Annotated[str, _NAME]
RuleDays = Annotated[int, Field(strict=True, ge=1, le=MOST_DAYS), _DAYS]
RuleDaysRead = Annotated[int, _DAYS]
RuleSince = Annotated[Moment, _SINCE]

PlanningRuleId = Annotated[Identifier, _RULE]
PlanningRuleIdRead = Annotated[UUID, _RULE]
TriggerIdRead = Annotated[UUID, _TRIGGER_ID]


class WorkRuleCreate(StrictModel):
    """What a new rule has in every service."""

    name: RuleName
    days: RuleDays
    purpose: Purpose
    since: RuleSince | None = Field(default=None, description="What happened before plans nothing; now when left out.")
    active: StrictBool = True
    """False for a rule that plans nothing."""


class WorkRuleUpdate(Change):
    """What to change of a rule in every service."""

    name: RuleName = Field(default_factory=str)
    days: RuleDays = Field(default_factory=int)
    purpose: Purpose = Field(default_factory=str)
    since: RuleSince = Field(default_factory=datetime.now)
    active: StrictBool = Field(default_factory=bool)
    """False for a rule that plans nothing."""


class WorkRuleRead(ReadModel):
    """What a rule has in every service."""

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    name: RuleNameRead
    days: RuleDaysRead
    purpose: PurposeRead
    since: RuleSince
    active: bool
    """False for a rule that plans nothing."""


class RuledWorkRead(ReadModel):
    """What work has that a rule may have planned."""

    planning_rule_id: PlanningRuleIdRead | None
    trigger_id: TriggerIdRead | None
