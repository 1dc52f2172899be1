"""Teams of salespeople: a name, and the salespeople that belong to it."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Response

from event_contracts.directory import SalesDirectoryEntrySet
from sales_api.access import READING, Manager
from sales_api.tables import Base
from service_kit.aggregates import publish
from service_kit.entities import column
from service_kit.fields import ExternalReference, Name, ReadModel, StrictModel, examples
from service_kit.identifiers import new_id
from service_kit.references import require_new
from service_kit.resources import Resource
from service_kit.routing import Work


class Team(Base, table="team"):
    """A team; its name is in the directory, events carry its id."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    name: str
    external_ref: Annotated[str | None, column(unique=True)] = None

    @property
    def partition_key(self) -> UUID:
        """The team's own id."""
        return self.id

    def directory_entry(self) -> SalesDirectoryEntrySet:
        """Return the name behind the id, for the directory topic."""
        return SalesDirectoryEntrySet(id=self.id, kind="team", name=self.name)


class TeamCreate(StrictModel):
    """A new team."""

    model_config = examples({"name": "Iberia", "external_ref": "crm-team-7"})

    name: Name
    external_ref: ExternalReference | None = None


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
    """Create a team, which salespeople can then belong to."""
    await require_new(work, Team, body.external_ref)
    team = Team(id=new_id(), version=1, **dict(body))
    work.add(team)
    publish(work, team, team.directory_entry(), datetime.now(UTC))
    return teams.show_created(response, team)
