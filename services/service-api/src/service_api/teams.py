"""Teams: what agents and tickets are grouped by."""

from datetime import UTC, datetime
from typing import Annotated, ClassVar
from uuid import UUID

from fastapi import Response
from pydantic import Field

from event_contracts.catalogue import SERVICE_DIRECTORY_TOPIC
from event_contracts.directory import ServiceDirectoryEntrySet
from service_api.fields import TeamName, TeamNameRead
from service_api.tables import Base
from service_kit.aggregates import publish
from service_kit.changes import Change
from service_kit.entities import Recorded, column
from service_kit.fields import (
    ExternalReference,
    ExternalReferenceRead,
    Identifier,
    ReadModel,
    RecordId,
    StrictModel,
    UpdatedAt,
    Version,
    described,
    examples,
)
from service_kit.history.own_events import DIRECTORY, OwnEvents
from service_kit.identifiers import new_id
from service_kit.lists.includes import included
from service_kit.locking import lock
from service_kit.people import require_above
from service_kit.references import require, require_new
from service_kit.resources import Resource
from service_kit.routing import Work
from service_kit.tables import filtered, searched, sorted_by_name
from service_kit.versions import Expected


class Team(Recorded, Base, table="team"):
    """A group of agents."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    name: str
    parent_id: Annotated[UUID | None, column(references="team.id", comment="the team above")] = None
    external_ref: Annotated[str | None, column(unique=True)] = None

    __table_args__: ClassVar = (
        *filtered(
            "team",
            (
                "parent_id",
                "updated_at",
            ),
        ),
        *sorted_by_name("team", "name"),
        searched("team", "name", "external_ref"),
    )

    @property
    def partition_key(self) -> UUID:
        """The team's own id."""
        return self.id

    def directory_entry(self) -> ServiceDirectoryEntrySet:
        """Return the name behind the id and the team above, for the directory topic."""
        return ServiceDirectoryEntrySet(id=self.id, kind="team", name=self.name, parent_id=self.parent_id)


_PARENT = described(
    "The team above, whose people see the records of this one; null for none.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a15"
)


class TeamCreate(StrictModel):
    """A new team."""

    model_config = examples(
        {
            "name": "Installation, north",
            "parent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "external_ref": "group-12",
        }
    )

    name: TeamName
    parent_id: Annotated[Identifier, _PARENT] | None = None
    external_ref: ExternalReference | None = None


class TeamUpdate(Change):
    """What to change of a team; what is left out stays."""

    model_config = examples(
        {"name": "Installation, north and east", "parent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11"}
    )

    name: TeamName = Field(default_factory=str)
    parent_id: Annotated[Identifier, _PARENT] | None = None


class TeamRead(ReadModel):
    """A team."""

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    name: TeamNameRead
    parent_id: Annotated[UUID, _PARENT] | None
    external_ref: ExternalReferenceRead | None


teams = Resource(
    "/teams/{team_id}",
    Team.table,
    TeamRead,
    filters={
        "parent_id": Identifier,
        "external_ref": ExternalReference,
    },
    sorts=("name",),
    includes={
        "parent": included("parent_id", Team.table, TeamRead),
    },
    own_events=OwnEvents(SERVICE_DIRECTORY_TOPIC, DIRECTORY, named="team"),
)
teams.read_routes(list_as="list_teams", get_as="get_team")


@teams.routes.post("", status_code=201, summary="Create a team")
async def create_team(body: TeamCreate, work: Work, response: Response) -> TeamRead:
    """Create a team, which agents can then belong to."""
    await require_new(work, Team, body.external_ref)
    if body.parent_id is not None:
        await require(work, Team, body.parent_id, "#/parent_id")
    team = Team(id=new_id(), version=1, **dict(body))
    work.add(team)
    publish(work, team, team.directory_entry(), datetime.now(UTC))
    return teams.show_created(response, team)


@teams.routes.patch("/{team_id}", summary="Change a team")
async def change_team(
    team_id: Identifier, body: TeamUpdate, work: Work, response: Response, expected: Expected
) -> TeamRead:
    """Rename a team, or put it below another."""
    team = await lock(work, Team, team_id, expected)
    if body.parent_id is not None:
        await require_above(work, Team, team, body.parent_id)
    if body.apply_to(team):
        publish(work, team, team.directory_entry(), datetime.now(UTC))
    return teams.show(response, team)
