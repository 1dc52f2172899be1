"""Reads of tickets and contacts that no rule depends on."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from service_api.tickets.model import Interaction, Ticket
from service_api.tickets.schemas import InteractionView, TicketFilters, TicketView
from service_kit.filters import equal
from service_kit.paging import Page, PageView
from service_kit.problems import NotFound


async def list_tickets(session: AsyncSession, page: Page, filters: TicketFilters) -> PageView[TicketView]:
    """One page of the tickets that match every filter given, newest first."""
    ticket: Any = Ticket.__table__
    return await page.of(
        session, sa.select(ticket).where(*equal(ticket.c, vars(filters))), ticket.c.id, TicketView.model_validate
    )


async def list_interactions(
    session: AsyncSession, page: Page, ticket_id: UUID, external_ref: str | None
) -> PageView[InteractionView]:
    """One page of a ticket's contacts, the last one logged first. Raises `NotFound`."""
    if (await session.execute(sa.select(Ticket.id).where(Ticket.id == ticket_id))).scalar_one_or_none() is None:
        raise NotFound(f"There is no ticket {ticket_id}.")
    interaction: Any = Interaction.__table__
    query = sa.select(interaction).where(interaction.c.ticket_id == ticket_id)
    if external_ref is not None:
        query = query.where(interaction.c.external_ref == external_ref)
    return await page.of(session, query, interaction.c.id, InteractionView.of)
