"""Reads of the contacts about a ticket."""

from uuid import UUID

import sqlalchemy as sa

from service_api.tickets.model import Interaction, Ticket
from service_api.tickets.schemas import InteractionRead
from service_kit.filters import Filter, equal
from service_kit.paging import Page, PageRead
from service_kit.problems import NotFound
from service_kit.unit_of_work import UnitOfWork

_interaction = Interaction.table


async def list_interactions(work: UnitOfWork, page: Page, ticket_id: UUID, given: Filter) -> PageRead[InteractionRead]:
    """Return one page of a ticket's contacts, the last one logged first. Raise `NotFound`."""
    if await work.get(Ticket, ticket_id) is None:
        raise NotFound(f"There is no ticket {ticket_id}.")
    query = sa.select(_interaction).where(*equal(_interaction.c, {"ticket_id": ticket_id, **given}))
    return await page.of(work, query, _interaction.c.id, InteractionRead.of)


async def get_interaction(work: UnitOfWork, ticket_id: UUID, interaction_id: UUID) -> InteractionRead:
    """Return one contact about a ticket. Raise `NotFound`."""
    found = await work.execute(
        sa.select(_interaction).where(_interaction.c.id == interaction_id, _interaction.c.ticket_id == ticket_id)
    )
    if (row := found.one_or_none()) is None:
        raise NotFound(f"There is no interaction {interaction_id} of ticket {ticket_id}.")
    return InteractionRead.of(row)
