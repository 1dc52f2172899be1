"""Planning rules over HTTP."""

from typing import Annotated, Any

from pydantic import Field

from sales_api.fields import (
    ActivityKindField,
    Channel,
    ChannelRead,
    ProductOf,
    ProductOfRead,
    Region,
    RegionRead,
    Segment,
    SegmentRead,
)
from sales_api.planning_rules.model import AssignTo, Trigger
from service_kit.fields import described, examples
from service_kit.planned_work.rule_schemas import WorkRuleCreate, WorkRuleRead, WorkRuleUpdate

_EXAMPLE: dict[str, Any] = {
    "name": "Call after a win",
    "days": 14,
    "purpose": "after-win",
    "since": "2026-03-01T00:00:00Z",
    "active": True,
    "kind": "follow_up",
    "assign_to": "deal_owner",
    "region": "south",
    "segment": "home-decor",
    "channel": "trade_show",
    "product": "heat-pump-9",
}

TriggerField = Annotated[
    Trigger,
    described(
        "What it plans after: a deal that was won, or one that was lost; or at intervals for each account.",
        "deal_won",
        schema="PlanningTrigger",
    ),
]
AssignToField = Annotated[
    AssignTo,
    described(
        "Who gets what it plans: the owner of the deal, or of the account where there is no deal or it has no owner; or"
        " always the account's owner.",
        "deal_owner",
        schema="AssignTo",
    ),
]


class PlanningRuleCreate(WorkRuleCreate):
    """A new rule, for what happens from now on."""

    model_config = examples(_EXAMPLE | {"trigger": "deal_won"})

    trigger: TriggerField
    kind: ActivityKindField = "follow_up"
    assign_to: AssignToField = "deal_owner"
    region: Region | None = Field(default=None, description="Only in this region; in every one when left out.")
    segment: Segment | None = Field(default=None, description="Only in this segment; in every one when left out.")
    channel: Channel | None = Field(default=None, description="Only of this channel; of every one when left out.")
    product: ProductOf | None = Field(
        default=None, description="Only of deals with this product; of every deal when left out. Not at intervals."
    )


class PlanningRuleUpdate(WorkRuleUpdate):
    """What to change; what is left out stays, null removes a filter. Another trigger is another rule."""

    model_config = examples(_EXAMPLE)

    kind: ActivityKindField = "follow_up"
    assign_to: AssignToField = "deal_owner"
    region: Region | None = None
    segment: Segment | None = None
    channel: Channel | None = None
    product: ProductOf | None = None


class PlanningRuleRead(WorkRuleRead):
    """A rule."""

    trigger: TriggerField
    kind: ActivityKindField
    assign_to: AssignToField
    region: RegionRead | None
    """Only in this region; null for every one."""
    segment: SegmentRead | None
    """Only in this segment; null for every one."""
    channel: ChannelRead | None
    """Only of this channel; null for every one."""
    product: ProductOfRead | None
    """Only of deals with this product; null for every deal."""
