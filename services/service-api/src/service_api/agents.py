"""Agents: the people who answer customers."""

from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import Request, Response
from pydantic import ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from service_api.access import Expected, Manager, Reader
from service_api.directory import announce
from service_api.tables import Base
from service_api.teams import require_team
from service_kit.changes import Change
from service_kit.fields import ExternalReference, Identifier, Name, StrictModel, View
from service_kit.identifiers import new_id
from service_kit.paging import Paged, PageView
from service_kit.problems import NotFound
from service_kit.references import UnknownReference, require_free
from service_kit.routing import Session, router
from service_kit.tables import filtered
from service_kit.versions import set_etag, unchanged

Flag = Annotated[bool, Field(strict=True)]


class Agent(Base):
    """A person who works on tickets."""

    __tablename__ = "agent"
    __table_args__ = filtered("agent", ("team_id", "active"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    name: Mapped[str]
    team_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("team.id"))
    active: Mapped[bool]
    external_ref: Mapped[str | None] = mapped_column(unique=True)


class AgentToCreate(StrictModel):
    """A new agent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Rūta Kazlauskienė",
                    "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
                    "active": True,
                    "external_ref": "employee-77",
                }
            ]
        }
    )

    name: Name
    team_id: Identifier | None = None
    active: Flag = True
    external_ref: ExternalReference | None = None


class AgentChange(Change):
    """What to change of an agent; what is left out stays."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "Rūta Kazlauskaitė", "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11", "active": False}
            ],
        }
    )

    name: Name = Field(default_factory=str)
    team_id: Identifier | None = Field(default=None, description="Null takes the agent out of the team.")
    active: Flag = Field(default_factory=bool)


class AgentView(View):
    """An agent."""

    id: UUID
    version: int
    name: str
    team_id: UUID | None
    active: bool
    external_ref: str | None


async def require_agent(session: AsyncSession, agent_id: UUID | None) -> Agent | None:
    """The agent that a body names, if it names one. Raises `UnknownReference` (422)."""
    if agent_id is None:
        return None
    agent = await session.get(Agent, agent_id)
    if agent is None:
        raise UnknownReference.at("#/agent_id", "names no agent")
    return agent


agents = router("/agents", "agents")


@agents.post("", status_code=201, summary="Create an agent")
async def create_agent(body: AgentToCreate, session: Session, response: Response, _: Manager) -> AgentView:
    """Enters a person who works on tickets."""
    await require_free(session, body.external_ref, among=Agent.external_ref, ids=Agent.id)
    await require_team(session, body.team_id)
    agent = Agent(
        id=new_id(),
        version=1,
        name=body.name,
        team_id=body.team_id,
        active=body.active,
        external_ref=body.external_ref,
    )
    session.add(agent)
    await announce(session, "agent", agent)
    response.headers["Location"] = f"/v1/agents/{agent.id}"
    set_etag(response, agent.version)
    return AgentView.model_validate(agent)


@agents.get("", summary="List agents")
async def list_agents(
    session: Session,
    page: Paged,
    _: Reader,
    team_id: Identifier | None = None,
    active: bool | None = None,
    external_ref: ExternalReference | None = None,
) -> PageView[AgentView]:
    """Newest first."""
    agent: Any = Agent.__table__
    query = sa.select(agent)
    if team_id is not None:
        query = query.where(agent.c.team_id == team_id)
    if active is not None:
        query = query.where(agent.c.active == active)
    if external_ref is not None:
        query = query.where(agent.c.external_ref == external_ref)
    return await page.of(session, query, agent.c.id, AgentView.model_validate)


@agents.get("/{agent_id}", summary="Read an agent", response_model=AgentView)
async def get_agent(
    agent_id: Identifier, session: Session, request: Request, response: Response, _: Reader
) -> AgentView | Response:
    """One agent."""
    agent = await session.get(Agent, agent_id)
    if agent is None:
        raise NotFound(f"There is no agent {agent_id}.")
    set_etag(response, agent.version)
    return unchanged(request, agent.version) or AgentView.model_validate(agent)


@agents.patch("/{agent_id}", summary="Change an agent")
async def change_agent(
    agent_id: Identifier,
    body: AgentChange,
    session: Session,
    response: Response,
    expected: Expected,
    _: Manager,
) -> AgentView:
    """Renames the agent, moves them to another team, or says whether they still work here.

    What they did so far stays with the team that they were in at the time.
    """
    agent = await session.get(Agent, agent_id, with_for_update=True)
    if agent is None:
        raise NotFound(f"There is no agent {agent_id}.")
    expected.check(agent.version)
    await require_team(session, body.team_id)
    changed = body.changed_from(agent)
    for name, value in changed.items():
        setattr(agent, name, value)
    if changed:
        agent.version += 1
    if "name" in changed:
        await announce(session, "agent", agent)
    set_etag(response, agent.version)
    return AgentView.model_validate(agent)
