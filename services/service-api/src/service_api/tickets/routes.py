"""Tickets' addresses; actions are sub-resources."""

from typing import Annotated

from fastapi import Depends, Request, Response

from service_api.access import Expected, Reader, Worker
from service_api.tickets import queries, use_cases
from service_api.tickets.model import Interaction, Ticket
from service_api.tickets.schemas import (
    InteractionToLog,
    InteractionView,
    TicketAssignment,
    TicketEscalation,
    TicketFilters,
    TicketMerge,
    TicketResolution,
    TicketStep,
    TicketToOpen,
    TicketView,
)
from service_kit.dependencies import async_dependency
from service_kit.fields import ExternalReference, Identifier
from service_kit.paging import Paged, PageView
from service_kit.problems import NotFound
from service_kit.routing import Session, router
from service_kit.versions import set_etag, unchanged

tickets = router("/tickets", "tickets")


def _shown(ticket: Ticket, response: Response) -> TicketView:
    set_etag(response, ticket.version)
    return TicketView.model_validate(ticket)


@tickets.post("", status_code=201, summary="Open a ticket")
async def open_ticket(body: TicketToOpen, session: Session, response: Response, by: Worker) -> TicketView:
    """Takes in a customer's question, request or problem."""
    ticket = await use_cases.open_ticket(session, body, by)
    response.headers["Location"] = f"/v1/tickets/{ticket.id}"
    return _shown(ticket, response)


@tickets.get("", summary="List tickets")
async def list_tickets(
    session: Session,
    page: Paged,
    _: Reader,
    filters: Annotated[TicketFilters, Depends(async_dependency(TicketFilters))],
) -> PageView[TicketView]:
    """Newest first."""
    return await queries.list_tickets(session, page, filters)


@tickets.get("/{ticket_id}", summary="Read a ticket", response_model=TicketView)
async def get_ticket(
    ticket_id: Identifier, session: Session, request: Request, response: Response, _: Reader
) -> TicketView | Response:
    """One ticket."""
    ticket = await session.get(Ticket, ticket_id)
    if ticket is None:
        raise NotFound(f"There is no ticket {ticket_id}.")
    return unchanged(request, ticket.version) or _shown(ticket, response)


@tickets.post("/{ticket_id}/assign", summary="Assign a ticket")
async def assign_ticket(
    ticket_id: Identifier,
    body: TicketAssignment,
    session: Session,
    response: Response,
    by: Worker,
    expected: Expected,
) -> TicketView:
    """Gives it to an agent, or to a team of which nobody has taken it yet."""
    return _shown(await use_cases.assign_ticket(session, ticket_id, body, by, expected), response)


@tickets.post("/{ticket_id}/escalate", summary="Escalate a ticket")
async def escalate_ticket(
    ticket_id: Identifier,
    body: TicketEscalation,
    session: Session,
    response: Response,
    by: Worker,
    expected: Expected,
) -> TicketView:
    """Passes it on to somebody with more knowledge or say. What counts is the first time."""
    return _shown(await use_cases.escalate_ticket(session, ticket_id, body, by, expected), response)


@tickets.post("/{ticket_id}/merge", summary="Merge a ticket into another")
async def merge_ticket(
    ticket_id: Identifier, body: TicketMerge, session: Session, response: Response, by: Worker, expected: Expected
) -> TicketView:
    """Says that it tells of the same as another ticket of the customer: it is closed and counts no more."""
    return _shown(await use_cases.merge_ticket(session, ticket_id, body, by, expected), response)


@tickets.post(
    "/{ticket_id}/interactions",
    status_code=201,
    summary="Log a contact about a ticket",
)
async def log_interaction(
    ticket_id: Identifier,
    body: InteractionToLog,
    session: Session,
    response: Response,
    by: Worker,
    expected: Expected,
) -> InteractionView:
    """Enters a call, a message or a meeting, with the time that it took. If-Match is about the ticket.

    The first public reply by a person is the ticket's first response: a message or call to the customer, or a
    customer's live contact (phone, chat, in person) that an agent takes.
    """
    interaction = await use_cases.log_interaction(session, ticket_id, body, by, expected)
    response.headers["Location"] = f"/v1/tickets/{ticket_id}/interactions/{interaction.id}"
    shown = InteractionView.of(interaction)
    set_etag(response, shown.version)
    return shown


@tickets.get("/{ticket_id}/interactions", summary="List the contacts about a ticket")
async def list_interactions(
    ticket_id: Identifier, session: Session, page: Paged, _: Reader, external_ref: ExternalReference | None = None
) -> PageView[InteractionView]:
    """The last one logged first."""
    return await queries.list_interactions(session, page, ticket_id, external_ref)


@tickets.get(
    "/{ticket_id}/interactions/{interaction_id}",
    summary="Read a contact about a ticket",
    response_model=InteractionView,
)
async def get_interaction(
    ticket_id: Identifier, interaction_id: Identifier, session: Session, request: Request, response: Response, _: Reader
) -> InteractionView | Response:
    """One contact."""
    interaction = await session.get(Interaction, interaction_id)
    if interaction is None or interaction.ticket_id != ticket_id:
        raise NotFound(f"There is no interaction {interaction_id} of ticket {ticket_id}.")
    shown = InteractionView.of(interaction)
    set_etag(response, shown.version)
    return unchanged(request, shown.version) or shown


@tickets.post("/{ticket_id}/resolve", summary="Resolve a ticket")
async def resolve_ticket(
    ticket_id: Identifier,
    body: TicketResolution,
    session: Session,
    response: Response,
    by: Worker,
    expected: Expected,
) -> TicketView:
    """Says that it is solved, and how."""
    return _shown(await use_cases.resolve_ticket(session, ticket_id, body, by, expected), response)


@tickets.post("/{ticket_id}/reopen", summary="Reopen a ticket")
async def reopen_ticket(
    ticket_id: Identifier, body: TicketStep, session: Session, response: Response, by: Worker, expected: Expected
) -> TicketView:
    """Takes the resolution back, also of a closed ticket; the first response stays."""
    return _shown(await use_cases.reopen_ticket(session, ticket_id, body, by, expected), response)


@tickets.post("/{ticket_id}/close", summary="Close a ticket")
async def close_ticket(
    ticket_id: Identifier, body: TicketStep, session: Session, response: Response, by: Worker, expected: Expected
) -> TicketView:
    """Puts a resolved ticket away."""
    return _shown(await use_cases.close_ticket(session, ticket_id, body, by, expected), response)
