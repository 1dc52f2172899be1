"""For whom something was done and by whom: the customer, with region and segment then; the agent and the team."""

from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import Field

from event_contracts.catalogue import State
from event_contracts.fields import Credit
from service_api.agents import Agent
from service_api.customers.model import Customer
from service_api.customers.use_cases import require_customer
from service_api.fields import (
    AgentId,
    AgentIdRead,
    CustomerId,
    CustomerIdRead,
    ProductOf,
    Region,
    RegionRead,
    Segment,
    SegmentRead,
    TeamId,
    TeamIdRead,
)
from service_api.tables import Base
from service_api.teams import Team
from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.changes import Change, NotNull, left_out
from service_kit.entities import OfCustomer, Recorded, amended, column
from service_kit.fields import (
    OccurredAt,
    ReadModel,
    RecordId,
    StrictModel,
    UpdatedAt,
    Version,
    examples,
)
from service_kit.identifiers import new_id
from service_kit.locking import lock
from service_kit.occurrence import check_follows, happened_at
from service_kit.planned_work.model import PlannedWork
from service_kit.planned_work.schemas import Purpose, StatusGiven
from service_kit.planned_work.use_cases import finish_work
from service_kit.references import require
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion

R = TypeVar("R", bound="ForCustomer")
W = TypeVar("W", bound="PlannedByAgent")


class ForCustomer(OfCustomer, Recorded, Base):
    """The columns of what is recorded of a customer."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    customer_id: Annotated[UUID, column(references="customer.id")]
    region: str | None = None
    segment: str | None = None

    @property
    def partition_key(self) -> UUID:
        """The id of the customer, or of the one that it was recorded under."""
        return self.keyed_by or self.customer_id


class ByAgent(ForCustomer):
    """The columns of what an agent did for a customer."""

    agent_id: Annotated[UUID | None, column(references="agent.id")] = None
    team_id: Annotated[UUID | None, column(references="team.id")] = None


class PlannedByAgent(ByAgent, PlannedWork):
    """The columns of what an agent did for a customer, or is to do."""


class DoneCreate(StrictModel):
    """Something that an agent did for a customer."""

    customer_id: CustomerId
    agent_id: AgentId | None = None
    team_id: TeamId | None = Field(default=None, description="The agent's team when left out.")
    product: ProductOf | None = None
    occurred_at: OccurredAt | None = None


class RecordUpdate(Change):
    """What was recorded wrongly of something about a customer; what is left out stays, null removes a value."""

    region: Region | None = None
    """The customer's region at that time, by its code."""
    segment: Segment | None = None
    """The customer's segment at that time, by its code."""
    occurred_at: OccurredAt | None = None


class OfCustomerUpdate(RecordUpdate):
    """What was recorded wrongly of something that may be another customer's."""

    customer_id: Annotated[CustomerId | None, NotNull()] = Field(
        default_factory=left_out,
        description="The customer whom it is of, if it was recorded under another one; region and segment are theirs"
        " now, unless given.",
    )


class DoneUpdate(RecordUpdate):
    """What was recorded wrongly of what an agent did for a customer."""

    agent_id: AgentId | None = None
    team_id: TeamId | None = Field(default=None, description="The team of the given agent when left out.")


class PlannedCreate(DoneCreate):
    """Something that an agent did for a customer, or is to do."""

    status: StatusGiven | None = None
    purpose: Purpose | None = None


class PlannedUpdate(DoneUpdate):
    """What was recorded wrongly of what an agent did for a customer, or is to do."""

    purpose: Purpose | None = None


class WorkDoneRequest(StrictModel):
    """Who did what was planned, and when."""

    model_config = examples(
        {
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
            "occurred_at": "2026-03-16T10:00:00Z",
        }
    )

    agent_id: AgentId | None = Field(default=None, description="Who did it; whose it is when left out.")
    team_id: TeamId | None = Field(default=None, description="The agent's team when left out.")
    occurred_at: OccurredAt | None = None


class DoneRead(ReadModel):
    """Something that an agent did for a customer; region and segment are the customer's at that time."""

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    customer_id: CustomerIdRead
    region: RegionRead | None
    """The customer's region at that time, by its code."""
    segment: SegmentRead | None
    """The customer's segment at that time, by its code."""
    agent_id: AgentIdRead | None
    team_id: TeamIdRead | None


def attribution_of(customer: Customer) -> dict[str, Any]:
    """Return the columns that a record takes over from its customer."""
    return {"customer_id": customer.id, "region": customer.region, "segment": customer.segment}


async def done_by(work: UnitOfWork, agent_id: UUID | None, team_id: UUID | None) -> dict[str, Any]:
    """Return the columns of agent and team. Raise `UnknownReference` (422)."""
    agent = None if agent_id is None else await require(work, Agent, agent_id, "#/agent_id")
    if team_id is not None:
        await require(work, Team, team_id, "#/team_id")
    return {"agent_id": agent_id, "team_id": team_id or (None if agent is None else agent.team_id)}


async def doer_of(work: UnitOfWork, record: Any, agent_id: UUID | None, by: Principal) -> Credit:
    """Return who did something to a record: the agent who is named, or else is the caller, or else has it.

    Raise `UnknownReference` (422).
    """
    if agent_id is None and work.access is not None and "service-agent" in by.roles:
        person = (await work.access.reach(work)).person
        agent_id = person if person is None or await work.get(Agent, person) is not None else None
    if agent_id is None or agent_id == record.agent_id:
        return Credit(person_id=record.agent_id, team_id=record.team_id)
    agent = await require(work, Agent, agent_id, "#/agent_id")
    return Credit(person_id=agent_id, team_id=agent.team_id or record.team_id)


async def attributed(work: UnitOfWork, body: DoneCreate) -> dict[str, Any]:
    """Return a new id and the attribution. Raise `UnknownReference` (422), and 409 for an erased customer."""
    customer = await require_customer(work, body.customer_id)
    return {"id": new_id()} | attribution_of(customer) | await done_by(work, body.agent_id, body.team_id)


async def amend(
    work: UnitOfWork,
    entity: type[R],
    record_id: UUID,
    body: RecordUpdate,
    by: Principal,
    expected: ExpectedVersion,
    *,
    event: type[State],
    since: str,
) -> R:
    """Correct a record by the given fields, and publish it as that event; the same again changes nothing.

    `since` names the column of when it happened, which its correction is not before. Raise `UnknownReference` (422).
    """
    record = await lock(work, entity, record_id, expected)
    at, changes = await amendment_of(work, record, body, by, since=getattr(record, since))
    if changes:
        publish(work, record, amended(record, changes, event), at)
    return record


async def amend_work(work: UnitOfWork, record: W, body: DoneUpdate, by: Principal) -> W:
    """Correct locked work, planned or done; the same again changes nothing. Raise `UnknownReference` (422)."""
    at, changes = await amendment_of(work, record, body, by, since=record.changed_at)
    if changes:
        publish(work, record, record.amend(changes, at=at), at)
    return record


async def finish_by_agent(
    work: UnitOfWork,
    entity: type[W],
    record_id: UUID,
    body: WorkDoneRequest,
    by: Principal,
    expected: ExpectedVersion,
    **changes: Any,
) -> W:
    """Record that planned work was done, by whose it is unless another is named. Raise `WorkNotPlanned` (409)."""
    record = await lock(work, entity, record_id, expected)
    if body.agent_id is not None or body.team_id is not None:
        changes |= await done_by(work, body.agent_id or record.agent_id, body.team_id)
    return await finish_work(work, record, changes, body.occurred_at, by)


async def amendment_of(
    work: UnitOfWork,
    record: ForCustomer,
    body: RecordUpdate,
    by: Principal,
    *,
    since: datetime,
    besides: frozenset[str] = frozenset(),
) -> tuple[datetime, dict[str, Any]]:
    """Return when a record is corrected, and the columns that differ, those of other fields left out."""
    at = happened_at(body.occurred_at, by, after=since)
    check_follows(at, since)
    changes = body.changed_from(record, besides=besides | {"occurred_at"})
    if "customer_id" in changes:
        theirs = attribution_of(await require_customer(work, changes["customer_id"]))
        changes = {name: value for name, value in theirs.items() if getattr(record, name) != value} | changes
        record.keep_key()
    if isinstance(body, DoneUpdate) and changes.keys() & {"agent_id", "team_id"}:
        by_whom = await done_by(work, changes.get("agent_id"), changes.get("team_id"))
        if "agent_id" in changes and "team_id" not in body.model_fields_set:
            changes["team_id"] = by_whom["team_id"]
    return at, changes
