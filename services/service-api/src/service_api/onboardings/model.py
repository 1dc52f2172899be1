"""A step of an onboarding, and the template that the steps of a product come from."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any, ClassVar, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from event_contracts.calendar import LAST_DAY
from event_contracts.catalogue import State
from event_contracts.service import (
    OnboardingStepAmended,
    OnboardingStepCancelled,
    OnboardingStepCompleted,
    OnboardingStepMissed,
    OnboardingStepMoved,
    OnboardingStepPlanned,
    PlannedOnboardingStepAmended,
)
from service_api.attribution import PlannedByAgent
from service_api.tables import Base
from service_kit.entities import Recorded, column
from service_kit.planned_work.model import PlannedWork, WorkEvents, planned_work
from service_kit.problems import Conflict
from service_kit.tables import filtered, searched, sorted_by_name, unassigned

DELIVERY: Final = "delivery"
"""The step that every deal with a promise has, whatever the template."""
DEAL_TAKEN_BACK: Final = "deal-taken-back"
"""Why the open steps of a deal that is no longer won are cancelled."""
MOST_DAYS: Final = 3_660


class StepOfPromise(Conflict):
    """The promised delivery is done by the delivery, and due when sales promised it."""

    slug, title = "step-of-promise", "The step is what the deal promises"


class StepAlreadyPlanned(Conflict):
    """A deal has each step once for a product; `existing_id` is the step's id."""

    slug, title = "step-already-planned", "The onboarding has this step already"


class OnboardingStep(PlannedByAgent, table="onboarding_step"):
    """What is to be done to bring a won deal into use, by when and by whom, or what was done."""

    due_field: ClassVar = "due_on"
    done_field: ClassVar = "completed_at"
    events: ClassVar = WorkEvents(
        planned=OnboardingStepPlanned,
        done=OnboardingStepCompleted,
        moved=OnboardingStepMoved,
        missed=OnboardingStepMissed,
        cancelled=OnboardingStepCancelled,
        amended=OnboardingStepAmended,
        plan_amended=PlannedOnboardingStepAmended,
    )

    __table_args__: ClassVar = (
        *filtered("onboarding_step", ("customer_id", "agent_id", "team_id", "ticket_id", "deal_id", "step", "product")),
        unassigned("onboarding_step", "agent_id", "team_id"),
        *filtered("onboarding_step", ("due_on", "completed_at", "updated_at")),
        *planned_work("onboarding_step", "due_on"),
        # The database decides that no event plans a step twice. What was cancelled may be planned again.
        sa.Index(
            "onboarding_step_once_idx",
            "deal_id",
            "step",
            "product",
            unique=True,
            postgresql_where=sa.text("status <> 'cancelled'"),
            postgresql_nulls_not_distinct=True,
        ),
        {"info": {"noun": "onboarding step"}},
    )

    deal_id: Annotated[UUID, column(references="won_deal.id")]
    ticket_id: Annotated[UUID, column(references="ticket.id", comment="the onboarding")]
    step: Annotated[str, column(comment="a code of what is to be done")]
    promised: Annotated[bool, column(comment="whether it is the delivery that the deal promises")]
    product: str | None = None
    due_on: Annotated[date, column(comment="the last day on which it is on time")]
    completed_at: Annotated[datetime | None, column(comment="null while it is not done")] = None

    def finish(self, changes: Mapping[str, Any], *, at: datetime) -> State:
        """Record that it was done. Raise `StepOfPromise` (409), and as planned work does."""
        self._check_is_no_promise("POST /v1/deliveries records what reached the customer.")
        return super().finish(changes, at=at)

    def miss(self, *, at: datetime) -> State:
        """Record that it did not take place. Raise `StepOfPromise` (409), and as planned work does."""
        self._check_is_no_promise("The customer waits for it until it is delivered: POST /v1/deliveries.")
        return super().miss(at=at)

    def move(self, due: datetime | date, reason: str | None, *, at: datetime) -> State | None:
        """Plan it for another day. Raise `StepOfPromise` (409), and as planned work does."""
        self._check_is_no_promise("Sales reopens the deal and wins it with another promise.")
        return super().move(due, reason, at=at)

    def cancel(self, reason: str | None, *, at: datetime) -> State:
        """Record that it is not to be done any more. Raise `StepOfPromise` (409), and as planned work does."""
        self._check_is_no_promise("It is cancelled with its deal: sales reopens that.")
        return super().cancel(reason, at=at)

    def amend(self, changes: Mapping[str, Any], *, at: datetime) -> State:
        """Correct columns by name. Raise `StepOfPromise` (409) for its due day, and as planned work does."""
        if "due_on" in changes:
            self._check_is_no_promise("Its due day is the promised one: sales reopens the deal, and wins it again.")
        return super().amend(changes, at=at)

    def deliver(self, changes: Mapping[str, Any], *, at: datetime) -> State:
        """Record that what the deal promises was delivered."""
        return PlannedWork.finish(self, changes, at=at)

    def take_back(self, reason: str, *, at: datetime) -> State:
        """Cancel it with its deal, or its customer."""
        return PlannedWork.cancel(self, reason, at=at)

    def _check_is_no_promise(self, instead: str) -> None:
        if self.promised:
            raise StepOfPromise(instead)


class OnboardingTemplate(Recorded, Base, table="onboarding_template"):
    """The steps that bring a product into use. What was planned by it stays when it changes."""

    __table_args__: ClassVar = (
        sa.CheckConstraint(f"promise_days BETWEEN 1 AND {MOST_DAYS}", name="promise_days"),
        *filtered("onboarding_template", ("product", "active", "updated_at")),
        *sorted_by_name("onboarding_template", "name"),
        searched("onboarding_template", "name"),
        {"info": {"noun": "onboarding template"}},
    )

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    name: str
    product: Annotated[str | None, column(comment="null for the products without a template of their own")] = None
    promise_days: Annotated[
        int, column(comment="from the win on, to the day that steps count from where the deal promises none")
    ]
    steps: Annotated[list[dict[str, Any]], column(JSONB, comment="each with its code, days, agent and team")]
    active: bool

    def due_days(self, won_on: date, promised_by: date | None) -> list[tuple[dict[str, Any], date]]:
        """Return each step with its due day, counted from the promised day; none is due before the deal was won."""
        delivered_by = promised_by or won_on + timedelta(days=self.promise_days)
        return [(step, _within(delivered_by, step["days"], won_on)) for step in self.steps]


def _within(day: date, days: int, first: date) -> date:
    return min(max(day + timedelta(days=min(days, (LAST_DAY - day).days)), first), LAST_DAY)
