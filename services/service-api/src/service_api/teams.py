"""Teams: what agents and tickets are grouped by."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Response

from event_contracts.directory import ServiceDirectoryEntrySet
from service_api.access import READING, Expected, Manager
from service_api.tables import Base
from service_kit.aggregates import publish
from service_kit.entities import column
from service_kit.fields import ExternalReference, Identifier, Name, ReadModel, StrictModel, examples
from service_kit.identifiers import new_id
from service_kit.locking import lock
from service_kit.references import require_new
from service_kit.resources import Resource
from service_kit.routing import Work


class Team(Base, table="team"):
    """A group of agents."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    name: str
    external_ref: Annotated[str | None, column(unique=True)] = None

    @property
    def partition_key(self) -> UUID:
        """The team's own id."""
        return self.id

    def directory_entry(self) -> ServiceDirectoryEntrySet:
        """Return the name behind the id, for the directory topic."""
        return ServiceDirectoryEntrySet(id=self.id, kind="team", name=self.name)


class TeamCreate(StrictModel):
    """A new team."""

    model_config = examples({"name": "Installation, north", "external_ref": "group-12"})

    name: Name
    external_ref: ExternalReference | None = None


class TeamUpdate(StrictModel):
    """What to change of a team."""

    model_config = examples({"name": "Installation, north and east"})

    name: Name


class TeamRead(ReadModel):
    """A team."""

    id: UUID
    version: int
    name: str
    external_ref: str | None


teams = Resource("/teams/{team_id}", Team.table, TeamRead, filters={"external_ref": ExternalReference})
teams.read_routes(READING, list_as="list_teams", get_as="get_team")


@teams.routes.post("", status_code=201, summary="Create a team")
async def create_team(body: TeamCreate, work: Work, response: Response, _: Manager) -> TeamRead:
    """Create a team, which agents can then belong to."""
    await require_new(work, Team, body.external_ref)
    team = Team(id=new_id(), version=1, **dict(body))
    work.add(team)
    publish(work, team, team.directory_entry(), datetime.now(UTC))
    return teams.show_created(response, team)


@teams.routes.patch("/{team_id}", summary="Rename a team")
async def rename_team(
    team_id: Identifier, body: TeamUpdate, work: Work, response: Response, expected: Expected, _: Manager
) -> TeamRead:
    """Give the team another name."""
    team = await lock(work, Team, team_id, expected)
    if body.name != team.name:
        team.name = body.name
        team.version += 1
        publish(work, team, team.directory_entry(), datetime.now(UTC))
    return teams.show(response, team)
