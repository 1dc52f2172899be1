"""Check-ins: conversations that service starts before anything is wrong, planned or done."""

from datetime import UTC, date, datetime
from typing import Annotated, ClassVar, Self

from fastapi import Response
from pydantic import Field, model_validator

from event_contracts.catalogue import SERVICE_TOPIC
from event_contracts.fields import Credit
from event_contracts.service import (
    CheckInAmended,
    CheckInCancelled,
    CheckInCompleted,
    CheckInMissed,
    CheckInMoved,
    CheckInPlanned,
    PlannedCheckInAmended,
)
from service_api.agents import Agent, AgentRead
from service_api.attribution import (
    DoneRead,
    OfCustomerUpdate,
    PlannedByAgent,
    PlannedCreate,
    PlannedUpdate,
    WorkDoneRequest,
    amend_work,
    attributed,
    finish_by_agent,
)
from service_api.customers.model import Customer
from service_api.customers.schemas import CustomerRead
from service_api.fields import ProductOf, ProductOfRead
from service_api.surveys.model import Survey
from service_api.teams import Team, TeamRead
from service_kit.aggregates import publish
from service_kit.entities import column
from service_kit.fields import Code, Day, Identifier, Moment, described, examples
from service_kit.history.own_events import OwnEvents
from service_kit.lists.includes import included
from service_kit.locking import lock
from service_kit.occurrence import happened_at
from service_kit.planned_work.model import WorkEvents, planned_work
from service_kit.planned_work.overdue import overdue
from service_kit.planned_work.routes import planned_work_routes
from service_kit.planned_work.rule_schemas import PlanningRuleId, RuledWorkRead
from service_kit.planned_work.rules import RuledWork, ruled_work
from service_kit.planned_work.schemas import (
    PlannedWorkRead,
    WorkStatusField,
    is_planned,
)
from service_kit.planned_work.use_cases import add_work, planned_or_done
from service_kit.problems import Conflict
from service_kit.resources import Resource
from service_kit.routing import By, Work
from service_kit.tables import filtered, unassigned
from service_kit.versions import Expected


class CheckIn(RuledWork, PlannedByAgent, table="check_in"):
    """A check-in, planned or completed."""

    due_field: ClassVar = "due_on"
    done_field: ClassVar = "completed_at"
    events: ClassVar = WorkEvents(
        planned=CheckInPlanned,
        done=CheckInCompleted,
        moved=CheckInMoved,
        missed=CheckInMissed,
        cancelled=CheckInCancelled,
        amended=CheckInAmended,
        plan_amended=PlannedCheckInAmended,
    )

    __table_args__: ClassVar = (
        *filtered("check_in", ("customer_id", "agent_id", "team_id")),
        unassigned("check_in", "agent_id", "team_id"),
        *filtered("check_in", ("product", "due_on", "completed_at", "updated_at")),
        *planned_work("check_in", "due_on"),
        *ruled_work("check_in"),
        {"info": {"noun": "check-in"}},
    )

    product: str | None = None
    due_on: Annotated[date | None, column(comment="the last day that it was planned for; null when unplanned")] = None
    completed_at: Annotated[datetime | None, column(comment="null while it is not done")] = None


class PlannedByRule(Conflict):
    """What a rule planned for a customer is theirs: the rule would plan for the customer again."""

    slug, title = "planned-by-rule", "A rule planned this for its customer"


class CheckInCreate(PlannedCreate):
    """A check-in that is planned or took place."""

    model_config = examples(
        {
            "customer_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
            "product": "heat-pump-9",
            "occurred_at": "2026-03-31T21:00:00Z",
            "due_on": "2026-04-15",
            "purpose": "renewal",
        },
        {
            "customer_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "status": "planned",
            "due_on": "2026-04-15",
        },
    )

    due_on: Day | None = Field(default=None, description="The last day on which it is on time; planned, it has one.")

    @model_validator(mode="after")
    def _planned_has_due_day(self) -> Self:
        if self.status == "planned" and self.due_on is None:
            raise ValueError("give due_on of what is planned")
        return self


class CheckInUpdate(PlannedUpdate, OfCustomerUpdate):
    """What was recorded wrongly of a check-in."""

    model_config = examples(
        {
            "customer_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
            "region": "baltics",
            "segment": "manufacturing",
            "product": "heat-pump-9",
            "due_on": "2026-04-20",
            "purpose": "renewal",
            "occurred_at": "2026-04-01T08:00:00Z",
        }
    )

    product: ProductOf | None = None
    due_on: Day | None = Field(default=None, description="The last day that it was planned for, if it was.")


class CheckInRead(DoneRead, PlannedWorkRead, RuledWorkRead):
    """A check-in."""

    product: ProductOfRead | None
    due_on: Annotated[date, described("The last day on which it is on time; null if it has none.", "2026-04-15")] | None
    completed_at: Moment | None
    """When it took place; null while it has not."""


check_ins = Resource(
    "/check-ins/{check_in_id}",
    CheckIn.table,
    CheckInRead,
    filters={
        "customer_id": Identifier,
        "agent_id": Identifier,
        "team_id": Identifier,
        "product": Code,
        "status": WorkStatusField,
        "purpose": Code,
        "planning_rule_id": PlanningRuleId,
        "due_on": Day,
        "completed_at": Moment,
    },
    more_filters=[overdue(CheckIn.table, "due_on")],
    sorts=(
        "due_on",
        "completed_at",
    ),
    includes={
        "agent": included("agent_id", Agent.table, AgentRead),
        "team": included("team_id", Team.table, TeamRead),
        "customer": included("customer_id", Customer.table, CustomerRead),
    },
    own_events=OwnEvents(SERVICE_TOPIC, "checkins", key=("keyed_by", "customer_id")),
)
check_ins.read_routes(list_as="list_check_ins", get_as="get_check_in")


@check_ins.routes.post("", status_code=201, summary="Plan or record a check-in")
async def complete_check_in(body: CheckInCreate, work: Work, response: Response, by: By) -> CheckInRead:
    """Plan by when service is to ask a customer how they are doing, or record that it did."""
    at = happened_at(body.occurred_at, by)
    planned = is_planned(body.status, body.due_on, body.occurred_at, datetime.now(UTC))
    check_in = CheckIn(
        version=1,
        **await attributed(work, body),
        product=body.product,
        due_on=body.due_on,
        purpose=body.purpose,
        **planned_or_done(CheckIn, at, planned=planned),
    )
    add_work(work, check_in, at)
    return check_ins.show_created(response, check_in)


@check_ins.routes.patch("/{check_in_id}", summary="Correct a check-in")
async def update_check_in(
    check_in_id: Identifier,
    body: CheckInUpdate,
    work: Work,
    response: Response,
    by: By,
    expected: Expected,
) -> CheckInRead:
    """Correct what was recorded wrongly: it counts as if it had been recorded so, in the same days.

    What a rule planned stays with its customer: 409.
    """
    check_in = await lock(work, CheckIn, check_in_id, expected)
    if check_in.planning_rule_id is not None and body.customer_id not in (None, check_in.customer_id):
        raise PlannedByRule("Cancel it; or correct the customer of the ticket that it follows, and it follows that.")
    return check_ins.show(response, await amend_work(work, check_in, body, by))


@check_ins.routes.post("/{check_in_id}/done", summary="Record that a planned check-in was done")
async def finish_check_in(
    check_in_id: Identifier, body: WorkDoneRequest, work: Work, response: Response, expected: Expected, by: By
) -> CheckInRead:
    """Record that what was planned was done; by its due time it is on time.

    One that a rule planned after a bad rating follows that rating up.
    """
    planned = await work.get(CheckIn, check_in_id)
    trigger_id = None if planned is None else planned.trigger_id
    # Before the check-in, as a revision of the rating does: two that lock them in turns never wait in a circle.
    rating = None if trigger_id is None else await work.get(Survey, trigger_id, lock="update")
    check_in = await finish_by_agent(work, CheckIn, check_in_id, body, by, expected)
    at = check_in.completed_at
    if rating is not None and rating.waiting_since is not None and at is not None and at >= rating.waiting_since:
        credit = Credit(person_id=check_in.agent_id, team_id=check_in.team_id)
        publish(work, rating, rating.follow_up(at=at, by=credit, channel=None), at)
    return check_ins.show(response, check_in)


planned_work_routes(check_ins, CheckIn)
