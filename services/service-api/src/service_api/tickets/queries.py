"""Reads of the contacts about a ticket."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import Request, Response
from pydantic import BaseModel

from event_contracts.service import Direction, TicketChannel, Visibility
from service_api.agents import Agent, AgentRead
from service_api.teams import Team, TeamRead
from service_api.tickets.model import Interaction, Ticket
from service_api.tickets.schemas import InteractionRead
from service_kit.access import Access
from service_kit.fields import ExternalReference, Identifier, Moment
from service_kit.lists.files import file_of_list
from service_kit.lists.includes import included
from service_kit.lists.listing import Listing, ListQuery
from service_kit.locking import absent
from service_kit.problems import NotFound
from service_kit.references import is_covered
from service_kit.unit_of_work import UnitOfWork

_interaction = Interaction.table


INTERACTIONS = Listing(
    _interaction,
    InteractionRead,
    filters={
        "direction": Direction,
        "visibility": Visibility,
        "channel": TicketChannel,
        "agent_id": Identifier,
        "team_id": Identifier,
        "external_ref": ExternalReference,
        "occurred_at": Moment,
    },
    sorts=("occurred_at",),
    includes={
        "agent": included("agent_id", Agent.table, AgentRead),
        "team": included("team_id", Team.table, TeamRead),
    },
    is_small=True,
    viewed_as="interactions",
)


async def list_interactions(work: UnitOfWork, asked: ListQuery, ticket_id: UUID, access: Access) -> BaseModel:
    """Return one page of a ticket's contacts, the last one logged first. Raise `NotFound`."""
    await _check_ticket(work, ticket_id)
    view = await access.without_personal(work, _interaction, InteractionRead.of)
    return await INTERACTIONS.page(work, access, asked, view, _interaction.c.ticket_id == ticket_id)


async def export_interactions(
    request: Request, work: UnitOfWork, asked: ListQuery, ticket_id: UUID, access: Access
) -> Response:
    """Return the file of a ticket's contacts. Raise `NotFound`."""
    await _check_ticket(work, ticket_id)
    view = await access.without_personal(work, _interaction, InteractionRead.of)
    of_ticket = _interaction.c.ticket_id == ticket_id
    return await file_of_list(request, work, access, INTERACTIONS, asked, view, of_ticket, name="interactions")


async def get_interaction(work: UnitOfWork, ticket_id: UUID, interaction_id: UUID) -> Any:
    """Return the row of one contact about a ticket that the caller sees. Raise `NotFound`."""
    await _check_ticket(work, ticket_id)
    found = await work.execute(
        sa.select(_interaction).where(_interaction.c.id == interaction_id, _interaction.c.ticket_id == ticket_id)
    )
    if (row := found.one_or_none()) is None:
        raise NotFound(f"There is no interaction {interaction_id} of ticket {ticket_id}.")
    return row


async def _check_ticket(work: UnitOfWork, ticket_id: UUID) -> None:
    ticket = await work.get(Ticket, ticket_id)
    if ticket is None or not await is_covered(work, ticket):
        raise absent(Ticket, ticket_id, is_hidden=ticket is not None)
