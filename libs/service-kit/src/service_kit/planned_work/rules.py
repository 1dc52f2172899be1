"""Declared rules by which work plans itself: once for whatever it follows from, and no more once that is taken back."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Final
from uuid import UUID

import sqlalchemy as sa

from event_contracts.catalogue import State
from service_kit.entities import Recorded, column
from service_kit.planned_work.model import PlannedWork
from service_kit.problems import Unprocessable
from service_kit.tables import filtered, searched, sorted_by_name

MOST_DAYS: Final = 3_660
INTERVAL: Final = "interval"
"""The trigger that every service has: a customer is due again, so many days after the work before."""


class WorkRule(Recorded):
    """The base of a service's rules: what plans work, how many days later, and for what.

    What is planned keeps what the rule said then; a change counts for what is planned from then on.
    """

    filters: ClassVar[tuple[str, ...]]
    """The columns that name what a rule is for alone; null is for all."""
    only_for: ClassVar[Mapping[str, frozenset[str]]]
    """The columns that only rules with some triggers have."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    name: str
    trigger: str
    days: Annotated[int, column(comment="from what it follows until it is due; of intervals, from one to the next")]
    purpose: Annotated[str, column(comment="a code of what it is for")]
    since: Annotated[datetime, column(comment="what happened before plans nothing")]
    active: bool
    region: Annotated[str | None, column(comment="null for every region")] = None
    segment: Annotated[str | None, column(comment="null for every segment")] = None

    def check(self) -> None:
        """Raise `Unprocessable` (422) for a column that rules with its trigger do not have."""
        wrong = [
            (f"#/{name}", f"is only of rules with the trigger {' or '.join(sorted(triggers))}")
            for name, triggers in self.only_for.items()
            if getattr(self, name) is not None and self.trigger not in triggers
        ]
        if wrong:
            raise Unprocessable.several(wrong)

    def is_for(self, **values: Collection[str | None]) -> bool:
        """Return whether it is for something with these values of its filters; it may have several of one."""
        wanted = ((getattr(self, name), values.get(name, ())) for name in self.filters)
        return all(one is None or one in found for one, found in wanted)

    def due(self, at: datetime) -> datetime:
        """Return when work is due that follows from what happened at a time."""
        return at + timedelta(days=self.days)

    def next_due(self, before: datetime, now: datetime) -> datetime:
        """Return when the next is due of work at intervals that were counted from `before`: the first after now."""
        intervals = max((now - before) // timedelta(days=self.days), 0) + 1
        return before + timedelta(days=self.days * intervals)


class RuledWork(PlannedWork):
    """The base of planned work that a rule may plan."""

    planning_rule_id: Annotated[
        UUID | None, column(references="planning_rule.id", comment="the rule that planned it; null for people")
    ] = None
    trigger_id: Annotated[
        UUID | None, column(comment="the record that it follows from; of intervals, the work before or the customer")
    ] = None
    trigger_undone: Annotated[
        bool, column(server_default=sa.text("false"), comment="whether that was taken back before it was done")
    ] = False

    def undo_trigger(self, reason: str, *, at: datetime) -> State:
        """Cancel it, since what it followed from was taken back. Raise `WorkNotPlanned` (409)."""
        self.trigger_undone = True
        return self.cancel(reason, at=at)


def planning_rule(*more: str) -> tuple[sa.schema.SchemaItem, ...]:
    """Return what the table of a service's rules needs besides its columns; lists filter by `more` of them."""
    return (
        sa.CheckConstraint(f"days BETWEEN 1 AND {MOST_DAYS}", name="days"),
        *filtered("planning_rule", ("trigger", "active", "updated_at", *more)),
        *sorted_by_name("planning_rule", "name"),
        searched("planning_rule", "name"),
    )


def ruled_work(table: str) -> tuple[sa.schema.SchemaItem, ...]:
    """Return what a table of work that rules plan needs besides its columns.

    The database decides that a rule plans once for what it follows from: again only after that was taken back.
    """
    once = sa.text("NOT trigger_undone")
    return (
        *filtered(table, ("planning_rule_id",)),
        sa.Index(f"{table}_trigger_idx", "trigger_id", "planning_rule_id", unique=True, postgresql_where=once),
    )
