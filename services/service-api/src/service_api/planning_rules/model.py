"""A rule by which check-ins plan themselves."""

from typing import Annotated, ClassVar, Literal, get_args
from uuid import UUID

import sqlalchemy as sa

from event_contracts.service import Priority
from service_api.tables import Base
from service_kit.entities import column
from service_kit.planned_work.rules import WorkRule, planning_rule
from service_kit.tables import one_of

Trigger = Literal["onboarding_ended", "bad_rating", "interval"]


class PlanningRule(WorkRule, Base, table="planning_rule"):
    """A rule of service. What it plans is a check-in with a customer."""

    filters: ClassVar = ("region", "segment", "product", "priority")
    only_for: ClassVar = {
        "product": frozenset({"onboarding_ended", "bad_rating"}),
        "priority": frozenset({"onboarding_ended", "bad_rating"}),
        "max_score": frozenset({"bad_rating"}),
    }

    trigger: Trigger
    max_score: Annotated[int | None, column(sa.SmallInteger, comment="the best score that is a bad rating")] = None
    product: Annotated[str | None, column(comment="the ticket's; null for every product")] = None
    priority: Annotated[Priority | None, column(comment="the ticket's; null for every priority")] = None
    agent_id: Annotated[UUID | None, column(references="agent.id", comment="null for who resolved the ticket")] = None
    team_id: Annotated[UUID | None, column(references="team.id", comment="whose it is; the agent's where null")] = None

    __table_args__: ClassVar = (
        one_of("trigger", get_args(Trigger)),
        one_of("priority", get_args(Priority)),
        sa.CheckConstraint("max_score BETWEEN 1 AND 5", name="max_score"),
        sa.CheckConstraint("(max_score IS NOT NULL) = (trigger = 'bad_rating')", name="bad_rating"),
        *planning_rule("agent_id", "team_id"),
    )
