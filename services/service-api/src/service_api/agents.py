"""Agents: the people who answer customers."""

from datetime import UTC, datetime
from typing import Annotated, ClassVar
from uuid import UUID

from fastapi import Response
from pydantic import Field, StrictBool

from event_contracts.catalogue import SERVICE_DIRECTORY_TOPIC
from event_contracts.directory import ServiceDirectoryEntrySet
from service_api.fields import AgentName, AgentNameRead, AgentTeamId, AgentTeamIdRead, Region, RegionRead
from service_api.tables import Base
from service_api.teams import Team, TeamRead
from service_kit.aggregates import publish
from service_kit.changes import Change
from service_kit.entities import Recorded, column
from service_kit.fields import (
    Code,
    ExternalReference,
    ExternalReferenceRead,
    Flag,
    Identifier,
    ReadModel,
    RecordId,
    StrictModel,
    UpdatedAt,
    Version,
    examples,
)
from service_kit.history.own_events import DIRECTORY, OwnEvents
from service_kit.identifiers import new_id
from service_kit.lists.includes import included
from service_kit.locking import lock
from service_kit.people import Subject, SubjectRead, require_new_subject
from service_kit.references import require, require_new
from service_kit.resources import Resource
from service_kit.routing import Work
from service_kit.tables import filtered, searched, sorted_by_name
from service_kit.versions import Expected


class Agent(Recorded, Base, table="agent"):
    """A person who works on tickets."""

    __table_args__: ClassVar = (
        *filtered("agent", ("team_id", "active", "region", "updated_at")),
        *sorted_by_name("agent", "name"),
        searched("agent", "name", "external_ref"),
    )

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    name: str
    team_id: Annotated[UUID | None, column(references="team.id")] = None
    region: str | None = None
    active: bool
    subject: Annotated[str | None, column(unique=True, comment="of their tokens")] = None
    external_ref: Annotated[str | None, column(unique=True)] = None

    @property
    def partition_key(self) -> UUID:
        """The agent's own id."""
        return self.id

    def directory_entry(self) -> ServiceDirectoryEntrySet:
        """Return the name behind the id, for the directory topic."""
        return ServiceDirectoryEntrySet(id=self.id, kind="agent", name=self.name)


class AgentCreate(StrictModel):
    """A new agent."""

    model_config = examples(
        {
            "name": "Rūta Kazlauskienė",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "region": "baltics",
            "active": True,
            "subject": "auth0|5f7c8ec7c33c6c004bbafe82",
            "external_ref": "employee-77",
        }
    )

    name: AgentName
    team_id: AgentTeamId | None = None
    region: Region | None = Field(default=None, description="The region whose customers they see where regions count.")
    active: StrictBool = True
    """False for an agent who is out of service."""
    subject: Subject | None = None
    external_ref: ExternalReference | None = None


class AgentUpdate(Change):
    """What to change of an agent; what is left out stays."""

    model_config = examples(
        {
            "name": "Rūta Kazlauskaitė",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "region": "baltics",
            "active": False,
            "subject": "auth0|5f7c8ec7c33c6c004bbafe82",
        }
    )

    name: AgentName = Field(default_factory=str)
    team_id: AgentTeamId | None = Field(default=None, description="Null takes the agent out of the team.")
    region: Region | None = None
    """The region whose customers they see where regions count."""
    active: StrictBool = Field(default_factory=bool)
    """False for an agent who is out of service."""
    subject: Subject | None = None


class AgentRead(ReadModel):
    """An agent."""

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    name: AgentNameRead
    team_id: AgentTeamIdRead | None
    region: RegionRead | None
    """The region whose customers they see where regions count."""
    active: bool
    """False for an agent who is out of service."""
    subject: SubjectRead | None
    external_ref: ExternalReferenceRead | None


agents = Resource(
    "/agents/{agent_id}",
    Agent.table,
    AgentRead,
    filters={
        "team_id": Identifier,
        "active": Flag,
        "external_ref": ExternalReference,
        "region": Code,
    },
    sorts=("name",),
    includes={
        "team": included("team_id", Team.table, TeamRead),
    },
    own_events=OwnEvents(SERVICE_DIRECTORY_TOPIC, DIRECTORY, named="agent"),
)
agents.read_routes(list_as="list_agents", get_as="get_agent")


@agents.routes.post("", status_code=201, summary="Create an agent")
async def create_agent(body: AgentCreate, work: Work, response: Response) -> AgentRead:
    """Create a person who works on tickets."""
    await require_new(work, Agent, body.external_ref)
    await require_new_subject(work, Agent, body.subject)
    if body.team_id is not None:
        await require(work, Team, body.team_id, "#/team_id")
    agent = Agent(id=new_id(), version=1, **dict(body))
    work.add(agent)
    publish(work, agent, agent.directory_entry(), datetime.now(UTC))
    return agents.show_created(response, agent)


@agents.routes.patch("/{agent_id}", summary="Change an agent")
async def change_agent(
    agent_id: Identifier, body: AgentUpdate, work: Work, response: Response, expected: Expected
) -> AgentRead:
    """Rename the agent, move them to another team, or take them out of service.

    What they did so far stays with the team that they were in at the time.
    """
    agent = await lock(work, Agent, agent_id, expected)
    if body.team_id is not None:
        await require(work, Team, body.team_id, "#/team_id")
    if body.subject != agent.subject:
        await require_new_subject(work, Agent, body.subject)
    if "name" in body.apply_to(agent):
        publish(work, agent, agent.directory_entry(), datetime.now(UTC))
    return agents.show(response, agent)
