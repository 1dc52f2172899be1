"""Teams: what agents and tickets are grouped by."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import Request, Response
from pydantic import ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from service_api.access import Expected, Manager, Reader
from service_api.directory import announce
from service_api.tables import Base
from service_kit.fields import ExternalReference, Identifier, Name, StrictModel, View
from service_kit.identifiers import new_id
from service_kit.paging import Paged, PageView
from service_kit.problems import NotFound
from service_kit.references import UnknownReference, require_free
from service_kit.routing import Session, router
from service_kit.versions import set_etag, unchanged


class Team(Base):
    """A group of agents."""

    __tablename__ = "team"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    name: Mapped[str]
    external_ref: Mapped[str | None] = mapped_column(unique=True)


class TeamToCreate(StrictModel):
    """A new team."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Installation, north", "external_ref": "group-12"}]}
    )

    name: Name
    external_ref: ExternalReference | None = None


class TeamChange(StrictModel):
    """What to change of a team."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Installation, north and east"}]})

    name: Name


class TeamView(View):
    """A team."""

    id: UUID
    version: int
    name: str
    external_ref: str | None


async def require_team(session: AsyncSession, team_id: UUID | None) -> Team | None:
    """The team that a body names, if it names one. Raises `UnknownReference` (422)."""
    if team_id is None:
        return None
    team = await session.get(Team, team_id)
    if team is None:
        raise UnknownReference.at("#/team_id", "names no team")
    return team


teams = router("/teams", "teams")


@teams.post("", status_code=201, summary="Create a team")
async def create_team(body: TeamToCreate, session: Session, response: Response, _: Manager) -> TeamView:
    """Names a group of agents."""
    await require_free(session, body.external_ref, among=Team.external_ref, ids=Team.id)
    team = Team(id=new_id(), version=1, name=body.name, external_ref=body.external_ref)
    session.add(team)
    await announce(session, "team", team)
    response.headers["Location"] = f"/v1/teams/{team.id}"
    set_etag(response, team.version)
    return TeamView.model_validate(team)


@teams.get("", summary="List teams")
async def list_teams(
    session: Session, page: Paged, _: Reader, external_ref: ExternalReference | None = None
) -> PageView[TeamView]:
    """Newest first."""
    team: Any = Team.__table__
    query = sa.select(team)
    if external_ref is not None:
        query = query.where(team.c.external_ref == external_ref)
    return await page.of(session, query, team.c.id, TeamView.model_validate)


@teams.get("/{team_id}", summary="Read a team", response_model=TeamView)
async def get_team(
    team_id: Identifier, session: Session, request: Request, response: Response, _: Reader
) -> TeamView | Response:
    """One team."""
    team = await session.get(Team, team_id)
    if team is None:
        raise NotFound(f"There is no team {team_id}.")
    set_etag(response, team.version)
    return unchanged(request, team.version) or TeamView.model_validate(team)


@teams.patch("/{team_id}", summary="Rename a team")
async def rename_team(
    team_id: Identifier,
    body: TeamChange,
    session: Session,
    response: Response,
    expected: Expected,
    _: Manager,
) -> TeamView:
    """Gives the team another name."""
    team = await session.get(Team, team_id, with_for_update=True)
    if team is None:
        raise NotFound(f"There is no team {team_id}.")
    expected.check(team.version)
    if body.name != team.name:
        team.name = body.name
        team.version += 1
        await announce(session, "team", team)
    set_etag(response, team.version)
    return TeamView.model_validate(team)
