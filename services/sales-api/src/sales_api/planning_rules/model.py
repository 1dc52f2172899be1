"""A rule by which activities plan themselves."""

from typing import Annotated, ClassVar, Literal, get_args

import sqlalchemy as sa

from event_contracts.sales import ActivityKind
from sales_api.tables import Base
from service_kit.entities import column
from service_kit.planned_work.rules import WorkRule, planning_rule
from service_kit.tables import one_of

Trigger = Literal["deal_won", "deal_lost", "interval"]
AssignTo = Literal["deal_owner", "account_owner"]


class PlanningRule(WorkRule, Base, table="planning_rule"):
    """A rule of sales. What it plans is an activity for a deal, or for an account at intervals."""

    filters: ClassVar = ("region", "segment", "channel", "product")
    only_for: ClassVar = {"product": frozenset({"deal_won", "deal_lost"})}

    trigger: Trigger
    kind: ActivityKind
    assign_to: Annotated[AssignTo, column(sa.Text, comment="at intervals it is the account's owner")]
    channel: Annotated[str | None, column(comment="null for every channel")] = None
    product: Annotated[str | None, column(comment="one of the deal's; null for every product")] = None

    __table_args__: ClassVar = (
        one_of("trigger", get_args(Trigger)),
        one_of("kind", get_args(ActivityKind)),
        one_of("assign_to", get_args(AssignTo)),
        *planning_rule(),
    )
