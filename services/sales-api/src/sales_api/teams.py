"""Teams of salespeople: a name, and which one a salesperson belongs to."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import Request, Response
from pydantic import ConfigDict

from event_contracts.directory import SalesDirectoryEntrySet
from sales_api.access import Manager, Reader
from sales_api.tables import Base
from service_kit import outbox
from service_kit.entities import column
from service_kit.fields import ExternalReference, Identifier, Name, StrictModel, View
from service_kit.filters import equal
from service_kit.identifiers import new_id
from service_kit.paging import Paged, PageView
from service_kit.problems import NotFound
from service_kit.references import UnknownReference, require_free
from service_kit.routing import Work, router
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import set_etag, unchanged


class Team(Base, table="team"):
    """A team; its name is in the directory, events carry its id."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    name: str
    external_ref: Annotated[str | None, column(unique=True)] = None


class TeamIn(StrictModel):
    """A new team."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Iberia", "external_ref": "crm-team-7"}]})

    name: Name
    external_ref: ExternalReference | None = None


class TeamView(View):
    """A team."""

    id: UUID
    version: int
    name: str
    external_ref: str | None


teams = router("/teams", "teams")
_columns = Team.table.c


@teams.post("", status_code=201)
async def create_team(body: TeamIn, work: Work, response: Response, _: Manager) -> TeamView:
    """Creates a team."""
    await require_free(work, body.external_ref, among=Team.table.c.external_ref, ids=Team.table.c.id)
    team = Team(id=new_id(), version=1, name=body.name, external_ref=body.external_ref)
    work.add(team)
    entry = SalesDirectoryEntrySet(id=team.id, kind="team", name=team.name)
    await outbox.write(work, entry, sequence=team.version, time=datetime.now(UTC), partition_key=team.id)
    response.headers["Location"] = f"/v1/teams/{team.id}"
    set_etag(response, team.version)
    return TeamView.model_validate(team)


@teams.get("")
async def list_teams(
    work: Work, page: Paged, _: Reader, external_ref: ExternalReference | None = None
) -> PageView[TeamView]:
    """Teams, newest first."""
    query = sa.select(*_columns).where(*equal(_columns, {"external_ref": external_ref}))
    return await page.of(work, query, _columns.id, TeamView.model_validate)


@teams.get("/{team_id}", response_model=TeamView)
async def get_team(
    team_id: Identifier, work: Work, request: Request, response: Response, _: Reader
) -> TeamView | Response:
    """One team."""
    team = await work.get(Team, team_id)
    if team is None:
        raise NotFound(f"There is no team {team_id}.")
    set_etag(response, team.version)
    return unchanged(request, team.version) or TeamView.model_validate(team)


async def check_team(work: UnitOfWork, team_id: UUID | None) -> None:
    """Raises `UnknownReference` (422) at `#/team_id` when there is no such team; None is fine."""
    if team_id is not None and await work.get(Team, team_id) is None:
        raise UnknownReference.at("#/team_id", "no team has this id")
