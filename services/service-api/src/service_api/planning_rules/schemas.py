"""Planning rules over HTTP."""

from typing import Annotated, Any

from pydantic import Field

from service_api.fields import (
    AgentId,
    AgentIdRead,
    AnswerScore,
    AnswerScoreRead,
    ProductOf,
    ProductOfRead,
    Region,
    RegionRead,
    Segment,
    SegmentRead,
    TeamId,
    TeamIdRead,
    Urgency,
)
from service_api.planning_rules.model import Trigger
from service_kit.fields import described, examples
from service_kit.planned_work.rule_schemas import WorkRuleCreate, WorkRuleRead, WorkRuleUpdate

_EXAMPLE: dict[str, Any] = {
    "name": "Call who is not content",
    "days": 2,
    "purpose": "bad-rating",
    "since": "2026-03-01T00:00:00Z",
    "active": True,
    "max_score": 2,
    "region": "baltics",
    "segment": "manufacturing",
    "product": "heat-pump-9",
    "priority": "high",
    "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
    "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
}

TriggerField = Annotated[
    Trigger,
    described(
        "What it plans after: an onboarding that was resolved, or a bad score in a survey or review; or at"
        " intervals for each customer.",
        "bad_rating",
        schema="PlanningTrigger",
    ),
]


class PlanningRuleCreate(WorkRuleCreate):
    """A new rule, for what happens from now on."""

    model_config = examples(_EXAMPLE | {"trigger": "bad_rating"})

    trigger: TriggerField
    max_score: AnswerScore | None = Field(
        default=None, description="The best score that is a bad rating; 2 when left out. For bad ratings only."
    )
    region: Region | None = Field(default=None, description="Only in this region; in every one when left out.")
    segment: Segment | None = Field(default=None, description="Only in this segment; in every one when left out.")
    product: ProductOf | None = Field(
        default=None, description="Only of tickets about this product; of every one when left out. Not at intervals."
    )
    priority: Urgency | None = Field(
        default=None, description="Only of tickets with this priority; of every one when left out. Not at intervals."
    )
    agent_id: AgentId | None = Field(
        default=None,
        description="Who has the check-in; when left out with the team, who resolved the ticket or is rated. After"
        " reviews and at intervals it then waits for an agent who takes it.",
    )
    team_id: TeamId | None = Field(default=None, description="The agent's team when left out.")


class PlanningRuleUpdate(WorkRuleUpdate):
    """What to change; what is left out stays, null removes a filter. Another trigger is another rule."""

    model_config = examples(_EXAMPLE)

    max_score: AnswerScore = Field(default_factory=int)
    """The best score that is a bad rating."""
    region: Region | None = None
    segment: Segment | None = None
    product: ProductOf | None = None
    priority: Urgency | None = None
    agent_id: AgentId | None = None
    team_id: TeamId | None = Field(default=None, description="The team of the given agent when left out.")


class PlanningRuleRead(WorkRuleRead):
    """A rule."""

    trigger: TriggerField
    max_score: AnswerScoreRead | None
    """The best score that is a bad rating; null for rules about something else."""
    region: RegionRead | None
    """Only in this region; null for every one."""
    segment: SegmentRead | None
    """Only in this segment; null for every one."""
    product: ProductOfRead | None
    """Only of tickets about this product; null for every one."""
    priority: Urgency | None
    """Only of tickets with this priority; null for every one."""
    agent_id: AgentIdRead | None
    """Who has the check-in; null, with the team, for who resolved the ticket or is rated."""
    team_id: TeamIdRead | None
