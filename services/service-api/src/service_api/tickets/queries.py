"""Reads of the contacts about a ticket."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from service_api.tickets.model import Interaction, Ticket
from service_api.tickets.schemas import InteractionRead
from service_kit.filters import Filter, equal
from service_kit.paging import Page, PageView
from service_kit.problems import NotFound

_interaction = Interaction.__table__


async def list_interactions(
    session: AsyncSession, page: Page, ticket_id: UUID, given: Filter
) -> PageView[InteractionRead]:
    """Return one page of a ticket's contacts, the last one logged first. Raise `NotFound`."""
    if (await session.execute(sa.select(Ticket.id).where(Ticket.id == ticket_id))).scalar_one_or_none() is None:
        raise NotFound(f"There is no ticket {ticket_id}.")
    query = sa.select(_interaction).where(*equal(_interaction.c, {"ticket_id": ticket_id, **given}))
    return await page.of(session, query, _interaction.c.id, InteractionRead.of)


async def get_interaction(session: AsyncSession, ticket_id: UUID, interaction_id: UUID) -> InteractionRead:
    """Return one contact about a ticket. Raise `NotFound`."""
    found = await session.execute(
        sa.select(_interaction).where(_interaction.c.id == interaction_id, _interaction.c.ticket_id == ticket_id)
    )
    if (row := found.one_or_none()) is None:
        raise NotFound(f"There is no interaction {interaction_id} of ticket {ticket_id}.")
    return InteractionRead.of(row)
