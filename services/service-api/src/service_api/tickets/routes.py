"""Tickets over HTTP; actions are sub-resources."""

from datetime import timedelta
from typing import Annotated, get_args

from fastapi import Depends, Request, Response
from pydantic import BaseModel

from event_contracts.catalogue import SERVICE_TOPIC
from event_contracts.service import Priority, TicketChannel, TicketKind, TicketStatus
from service_api.agents import Agent, AgentRead
from service_api.customers.model import Customer
from service_api.customers.schemas import CustomerRead
from service_api.settings import ServiceApiSettings
from service_api.teams import Team, TeamRead
from service_api.tickets import queries, use_cases
from service_api.tickets.model import Interaction, Ticket
from service_api.tickets.schemas import (
    InteractionCreate,
    InteractionRead,
    InteractionUpdate,
    TicketAssignRequest,
    TicketCloseRequest,
    TicketCreate,
    TicketEscalateRequest,
    TicketMergeRequest,
    TicketRead,
    TicketReopenRequest,
    TicketResolveRequest,
    TicketUpdate,
)
from service_kit.audit.queries import OF_ONE_RECORD, audit_of
from service_kit.audit.schemas import AuditEntryRead
from service_kit.fields import Code, ExternalReference, Identifier, Moment
from service_kit.history.own_events import OwnEvents
from service_kit.lists.boards import Board
from service_kit.lists.exports import FORMAT
from service_kit.lists.files import file_route
from service_kit.lists.includes import included, newest_included
from service_kit.lists.listing import ListQuery
from service_kit.paging import Paged, PageRead, page_of
from service_kit.resources import Resource
from service_kit.routing import By, CallersAccess, Work
from service_kit.versions import Expected, set_etag, unchanged

tickets = Resource(
    "/tickets/{ticket_id}",
    Ticket.table,
    TicketRead,
    filters={
        "customer_id": Identifier,
        "kind": TicketKind,
        "channel": TicketChannel,
        "priority": Priority,
        "status": TicketStatus,
        "region": Code,
        "segment": Code,
        "product": Code,
        "agent_id": Identifier,
        "team_id": Identifier,
        "merged_into": Identifier,
        "follow_up_to": Identifier,
        "onboarding_deal_id": Identifier,
        "external_ref": ExternalReference,
        "opened_at": Moment,
        "resolved_at": Moment,
        "closed_at": Moment,
        "first_response_due_at": Moment,
        "resolution_due_at": Moment,
        "waiting_since": Moment,
    },
    sorts=(
        "subject",
        "opened_at",
        "resolved_at",
        "closed_at",
        "first_response_due_at",
        "resolution_due_at",
        "waiting_since",
    ),
    board=Board(
        values={"status": get_args(TicketStatus), "priority": get_args(Priority)[::-1]},
        people={"agent_id": Agent.table},
    ),
    includes={
        "agent": included("agent_id", Agent.table, AgentRead),
        "team": included("team_id", Team.table, TeamRead),
        "customer": included("customer_id", Customer.table, CustomerRead),
        "last_interaction": newest_included(Interaction.table, "ticket_id", InteractionRead, view=InteractionRead.of),
    },
    own_events=OwnEvents(SERVICE_TOPIC, "tickets", key=("keyed_by", "customer_id")),
)
_ASKS_INTERACTIONS = queries.INTERACTIONS.query_of()
_EXPORTS_INTERACTIONS = queries.INTERACTIONS.query_of(pages=False, more=[FORMAT])
tickets.read_routes(list_as="list_tickets", get_as="get_ticket")


@tickets.routes.post("", status_code=201, summary="Open a ticket")
async def open_ticket(body: TicketCreate, work: Work, response: Response, by: By) -> TicketRead:
    """Open a ticket for a customer's question, request or problem."""
    return tickets.show_created(response, await use_cases.open_ticket(work, body, by))


@tickets.routes.patch("/{ticket_id}", summary="Correct a ticket")
async def update_ticket(
    ticket_id: Identifier,
    body: TicketUpdate,
    work: Work,
    response: Response,
    by: By,
    expected: Expected,
) -> TicketRead:
    """Correct what was recorded wrongly: it counts as if it had been opened so, its contacts and surveys too.

    Another kind or priority puts it under the SLA policy for that, from its opening on. With another customer, the
    tickets that were merged into it are theirs too. Another time is taken where its story stays in
    order, and counts on its own day. Who works on it, and whether it is solved, have actions of their own.
    """
    return tickets.show(response, await use_cases.update_ticket(work, ticket_id, body, by, expected))


@tickets.routes.post("/{ticket_id}/assign", summary="Assign a ticket")
async def assign_ticket(
    ticket_id: Identifier,
    body: TicketAssignRequest,
    work: Work,
    response: Response,
    by: By,
    expected: Expected,
) -> TicketRead:
    """Assign it to an agent, or to a team alone until one of its agents takes it."""
    return tickets.show(response, await use_cases.assign_ticket(work, ticket_id, body, by, expected))


@tickets.routes.post("/{ticket_id}/escalate", summary="Escalate a ticket")
async def escalate_ticket(
    ticket_id: Identifier,
    body: TicketEscalateRequest,
    work: Work,
    response: Response,
    by: By,
    expected: Expected,
) -> TicketRead:
    """Pass it on to a colleague with more knowledge or authority. The first escalation is what counts."""
    return tickets.show(response, await use_cases.escalate_ticket(work, ticket_id, body, by, expected))


@tickets.routes.post("/{ticket_id}/merge", summary="Merge a ticket into another")
async def merge_ticket(
    ticket_id: Identifier,
    body: TicketMergeRequest,
    work: Work,
    response: Response,
    by: By,
    expected: Expected,
) -> TicketRead:
    """Merge it into another ticket of the customer about the same: it is closed and no longer counts.

    Its contacts count with the other's, and a customer who waits for an answer on it waits on there.
    """
    return tickets.show(response, await use_cases.merge_ticket(work, ticket_id, body, by, expected))


@tickets.routes.post(
    "/{ticket_id}/interactions",
    status_code=201,
    summary="Log a contact about a ticket",
)
async def log_interaction(
    ticket_id: Identifier,
    body: InteractionCreate,
    work: Work,
    request: Request,
    response: Response,
    by: By,
    expected: Expected,
) -> InteractionRead:
    """Log a call, a message or a meeting, with the time that it took. If-Match is about the ticket.

    The first public reply by a person is the ticket's first response: a message or call to the customer, or a
    customer's live contact (phone, chat, in person) that an agent takes.

    A public contact from the customer after the resolution reopens the ticket, within the time that its SLA policy sets
    (`reopen_within_seconds`, or else the service's default). Later it goes to the ticket's follow-up, which is opened
    where there is none. `ticket_id` and Location say which ticket took it.
    """
    settings: ServiceApiSettings = request.app.state.settings
    reopen_within = timedelta(days=settings.reopen_days)
    shown = InteractionRead.of(await use_cases.log_interaction(work, ticket_id, body, by, expected, reopen_within))
    response.headers["Location"] = f"/v1/tickets/{shown.ticket_id}/interactions/{shown.id}"
    set_etag(response, shown.version)
    return shown


@tickets.routes.get(
    "/{ticket_id}/interactions",
    summary="List the contacts about a ticket",
    response_model=queries.INTERACTIONS.page_model,
    openapi_extra=_ASKS_INTERACTIONS.document(),
)
async def list_interactions(
    ticket_id: Identifier,
    work: Work,
    access: CallersAccess,
    asked: Annotated[ListQuery, Depends(_ASKS_INTERACTIONS)],
) -> BaseModel:
    """The last one logged first."""
    return await queries.list_interactions(work, asked, ticket_id, access)


@tickets.routes.get(
    "/{ticket_id}/interactions/export",
    openapi_extra=_EXPORTS_INTERACTIONS.document(),
    **file_route(InteractionRead, "the contacts about a ticket"),
)
async def export_interactions(
    ticket_id: Identifier,
    work: Work,
    request: Request,
    access: CallersAccess,
    asked: Annotated[ListQuery, Depends(_EXPORTS_INTERACTIONS)],
) -> Response:
    return await queries.export_interactions(request, work, asked, ticket_id, access)


@tickets.routes.get(
    "/{ticket_id}/interactions/{interaction_id}",
    summary="Read one contact about a ticket",
    response_model=InteractionRead,
)
async def get_interaction(
    ticket_id: Identifier,
    interaction_id: Identifier,
    work: Work,
    request: Request,
    response: Response,
    access: CallersAccess,
) -> InteractionRead | Response:
    """The contact with its version as ETag; 304 when If-None-Match names that version."""
    contact = await queries.get_interaction(work, ticket_id, interaction_id)
    shown = (await access.without_personal(work, Interaction.table, InteractionRead.of))(contact)
    set_etag(response, shown.version)
    return unchanged(request, shown.version) or shown


@tickets.routes.patch("/{ticket_id}/interactions/{interaction_id}", summary="Correct a contact about a ticket")
async def update_interaction(
    ticket_id: Identifier,
    interaction_id: Identifier,
    body: InteractionUpdate,
    work: Work,
    response: Response,
    by: By,
    expected: Expected,
) -> InteractionRead:
    """Correct what was recorded wrongly: it counts as if it had been logged so. If-Match is about the contact.

    The ticket's first response, its waits and what was late follow. `occurred_at` is when the contact began.
    """
    changed = await use_cases.update_interaction(work, ticket_id, interaction_id, body, by, expected)
    shown = InteractionRead.of(changed)
    set_etag(response, shown.version)
    return shown


@tickets.routes.get(
    "/{ticket_id}/interactions/{interaction_id}/audit",
    summary="Read who changed one contact about a ticket",
    description=OF_ONE_RECORD,
    response_model=page_of(AuditEntryRead),
)
async def get_interaction_audit(
    ticket_id: Identifier, interaction_id: Identifier, work: Work, page: Paged, access: CallersAccess
) -> PageRead[AuditEntryRead]:
    """Return who logged a contact, and who erased it."""
    contact = await queries.get_interaction(work, ticket_id, interaction_id)
    return await audit_of(work, page, access, Interaction.table, contact)


@tickets.routes.post("/{ticket_id}/resolve", summary="Resolve a ticket")
async def resolve_ticket(
    ticket_id: Identifier,
    body: TicketResolveRequest,
    work: Work,
    response: Response,
    by: By,
    expected: Expected,
) -> TicketRead:
    """Record that it is solved, and how."""
    return tickets.show(response, await use_cases.resolve_ticket(work, ticket_id, body, by, expected))


@tickets.routes.post("/{ticket_id}/reopen", summary="Reopen a ticket")
async def reopen_ticket(
    ticket_id: Identifier,
    body: TicketReopenRequest,
    work: Work,
    response: Response,
    by: By,
    expected: Expected,
) -> TicketRead:
    """Undo the resolution, also of a closed ticket; the first response stays."""
    return tickets.show(response, await use_cases.reopen_ticket(work, ticket_id, body, by, expected))


@tickets.routes.post("/{ticket_id}/close", summary="Close a ticket")
async def close_ticket(
    ticket_id: Identifier,
    body: TicketCloseRequest,
    work: Work,
    response: Response,
    by: By,
    expected: Expected,
) -> TicketRead:
    """Close a resolved ticket."""
    return tickets.show(response, await use_cases.close_ticket(work, ticket_id, body, by, expected))
