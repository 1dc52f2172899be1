"""What trainings, check-ins and the like have in common: for whom, by whom, and for whose numbers they count."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import Request, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from event_contracts.catalogue import State
from service_api.agents import require_agent
from service_api.customers.model import Customer
from service_api.customers.use_cases import require_customer
from service_api.teams import require_team
from service_kit import outbox
from service_kit.fields import Code, Identifier, Moment, StrictModel, View
from service_kit.filters import Filter, equal
from service_kit.identifiers import new_id
from service_kit.paging import Page, PageView
from service_kit.problems import NotFound
from service_kit.versions import set_etag, unchanged

Shown = TypeVar("Shown", bound=View)


class ForCustomer:
    """The columns of everything that is done for a customer once, and never changed."""

    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    customer_id: Mapped[UUID] = mapped_column(sa.ForeignKey("customer.id"))
    region: Mapped[str | None]
    segment: Mapped[str | None]


class ByAgent(ForCustomer):
    """And of what an agent does."""

    agent_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("agent.id"))
    team_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("team.id"))


class DoneIn(StrictModel):
    """Something that an agent did for a customer."""

    customer_id: Identifier
    agent_id: Identifier | None = None
    team_id: Identifier | None = Field(default=None, description="The agent's team when left out.")
    product: Code | None = None
    occurred_at: Moment | None = None


class DoneView(View):
    """Something that an agent did for a customer, whose region and segment were these then."""

    id: UUID
    version: int
    customer_id: UUID
    region: str | None
    segment: str | None
    agent_id: UUID | None
    team_id: UUID | None


def attribution_of(customer: Customer) -> dict[str, Any]:
    """For whom it counts."""
    return {"customer_id": customer.id, "region": customer.region, "segment": customer.segment}


async def done_by(session: AsyncSession, agent_id: UUID | None, team_id: UUID | None) -> dict[str, Any]:
    """By whom it was done. Raises `UnknownReference` (422)."""
    agent = await require_agent(session, agent_id)
    await require_team(session, team_id)
    return {"agent_id": agent_id, "team_id": team_id or (agent.team_id if agent is not None else None)}


async def attributed(session: AsyncSession, body: DoneIn) -> dict[str, Any]:
    """A new id, for whom and by whom. Raises `UnknownReference` (422), and 409 for an erased customer."""
    customer = await require_customer(session, body.customer_id)
    return {"id": new_id()} | attribution_of(customer) | await done_by(session, body.agent_id, body.team_id)


async def tell(session: AsyncSession, row: Any, event: State, at: datetime, response: Response, address: str) -> None:
    """Adds a row that is never changed and its one event to the transaction, and says where it is."""
    session.add(row)
    await outbox.write(session, event, sequence=row.version, time=at, partition_key=row.customer_id)
    response.headers["Location"] = f"/v1/{address}/{row.id}"
    set_etag(response, row.version)


async def listed(
    session: AsyncSession, page: Page, row: type[Any], filters: Filter, view: Callable[[Any], Shown]
) -> PageView[Shown]:
    """A page of the rows that the filters let through, newest first."""
    table = row.__table__
    return await page.of(session, sa.select(table).where(*equal(table.c, filters)), table.c.id, view)


async def shown(
    session: AsyncSession,
    request: Request,
    response: Response,
    row: type[Any],
    row_id: UUID,
    view: type[Shown],
    *,
    noun: str,
) -> Shown | Response:
    """One row with its version, or 304 to whoever has seen it. Raises `NotFound` (404), which calls it `noun`."""
    found = await session.get(row, row_id)
    if found is None:
        raise NotFound(f"There is no {noun} {row_id}.")
    set_etag(response, found.version)
    return unchanged(request, found.version) or view.model_validate(found)
