"""What can be done with tickets: one function a use case, each within its route's transaction."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from event_contracts.service import Interaction as ContractInteraction
from event_contracts.service import (
    InteractionLogged,
    TicketAssigned,
    TicketClosed,
    TicketEscalated,
    TicketFirstResponded,
    TicketMerged,
    TicketOpened,
    TicketReopened,
    TicketReopening,
    TicketResolved,
)
from event_contracts.service import Ticket as ContractTicket
from event_contracts.service import TicketAssignment as AssignmentChange
from service_api.agents import Agent, require_agent
from service_api.customers.use_cases import is_now, require_customer
from service_api.sla_policies import terms_for, terms_of
from service_api.teams import require_team
from service_api.tickets.model import Interaction, OnboardingAlreadyOpened, Ticket
from service_api.tickets.schemas import (
    InteractionToLog,
    TicketAssignment,
    TicketEscalation,
    TicketMerge,
    TicketResolution,
    TicketStep,
    TicketToOpen,
)
from service_api.won_deals import onboarding_of, require_won_deal
from service_kit import outbox
from service_kit.auth import Principal
from service_kit.identifiers import new_id
from service_kit.locking import locked
from service_kit.occurrence import happened_at
from service_kit.problems import NotFound, Unprocessable
from service_kit.references import UnknownReference, require_free
from service_kit.versions import ExpectedVersion


async def open_ticket(session: AsyncSession, body: TicketToOpen, by: Principal) -> Ticket:
    """Takes in a ticket. Raises `ExternalRefTaken` (409) and `UnknownReference` (422)."""
    at = happened_at(body.occurred_at, by)
    await require_free(session, body.external_ref, among=Ticket.external_ref, ids=Ticket.id)
    customer = await require_customer(session, body.customer_id)
    agent = await require_agent(session, body.agent_id)
    await require_team(session, body.team_id)
    onboarding_since = None
    if body.onboarding_deal_id is not None:
        onboarding_since = await _onboarding_since(session, body.onboarding_deal_id, customer.id)
    ticket = Ticket.open(
        customer_id=customer.id,
        kind=body.kind,
        channel=body.channel,
        priority=body.priority,
        at=at,
        region=customer.region,
        segment=customer.segment,
        product=body.product,
        subject=body.subject,
        description=body.description,
        agent_id=body.agent_id,
        team_id=_team_of(agent, named=body.team_id, otherwise=None),
        external_ref=body.external_ref,
        terms=await terms_for(session, body.kind, body.priority),
        onboarding_deal_id=body.onboarding_deal_id,
        onboarding_since=onboarding_since,
    )
    session.add(ticket)
    await _publish(session, ticket, TicketOpened(**ticket.state_fields()), at)
    return ticket


async def _onboarding_since(session: AsyncSession, deal_id: UUID, customer_id: UUID) -> datetime | None:
    deal = await require_won_deal(session, deal_id, "#/onboarding_deal_id")
    if not await is_now(session, deal.customer_id, customer_id):
        raise UnknownReference.at("#/onboarding_deal_id", "names no won deal of this customer")
    if (existing_id := await onboarding_of(session, deal_id)) is not None:
        raise OnboardingAlreadyOpened("existing_id names the ticket.", existing_id=str(existing_id))
    return deal.won_at


async def assign_ticket(
    session: AsyncSession, ticket_id: UUID, body: TicketAssignment, by: Principal, expected: ExpectedVersion
) -> Ticket:
    """Gives a ticket to an agent or a team."""
    ticket = await _lock(session, ticket_id, expected)
    at = happened_at(body.occurred_at, by, after=ticket.changed_at)
    agent = await require_agent(session, body.agent_id)
    await require_team(session, body.team_id)
    previous_agent_id = ticket.agent_id
    team_id = _team_of(agent, named=body.team_id, otherwise=ticket.team_id)
    ticket.assign(agent_id=body.agent_id, team_id=team_id, at=at)
    change = AssignmentChange(previous_agent_id=previous_agent_id)
    await _publish(session, ticket, TicketAssigned(**ticket.state_fields(), change=change), at)
    return ticket


async def escalate_ticket(
    session: AsyncSession, ticket_id: UUID, body: TicketEscalation, by: Principal, expected: ExpectedVersion
) -> Ticket:
    """Passes a ticket on to an agent or a team with more knowledge or say."""
    ticket = await _lock(session, ticket_id, expected)
    at = happened_at(body.occurred_at, by, after=ticket.changed_at)
    agent = await require_agent(session, body.agent_id)
    await require_team(session, body.team_id)
    team_id = _team_of(agent, named=body.team_id, otherwise=ticket.team_id)
    ticket.escalate(agent_id=body.agent_id, team_id=team_id, at=at)
    await _publish(session, ticket, TicketEscalated(**ticket.state_fields()), at)
    return ticket


async def merge_ticket(
    session: AsyncSession, ticket_id: UUID, body: TicketMerge, by: Principal, expected: ExpectedVersion
) -> Ticket:
    """Says that a ticket tells of the same as another."""
    if body.into == ticket_id:
        raise Unprocessable.at("#/into", "is the ticket itself")
    # In the order of their ids: two that are merged into each other at the same moment must not wait in a circle.
    found = {each: await session.get(Ticket, each, with_for_update=True) for each in sorted((ticket_id, body.into))}
    ticket, into = found[ticket_id], found[body.into]
    if ticket is None:
        raise NotFound(f"There is no ticket {ticket_id}.")
    if into is None:
        raise UnknownReference.at("#/into", "names no ticket")
    expected.check(ticket.version)
    at = happened_at(body.occurred_at, by, after=max(ticket.changed_at, into.opened_at))
    ticket.merge(into, at=at)
    await _publish(session, ticket, TicketMerged(**ticket.state_fields()), at)
    return ticket


async def log_interaction(
    session: AsyncSession, ticket_id: UUID, body: InteractionToLog, by: Principal, expected: ExpectedVersion
) -> Interaction:
    """Enters a contact about a ticket; a person's first public reply is an event of its own."""
    ticket = await _lock(session, ticket_id, expected)
    if body.note is not None:
        ticket.check_may_be_written_on()
    at = happened_at(body.occurred_at, by, after=ticket.opened_at)
    await require_free(session, body.external_ref, among=Interaction.external_ref, ids=Interaction.id)
    agent = await require_agent(session, body.agent_id)
    contact = ContractInteraction(
        id=new_id(),
        ticket_id=ticket.id,
        customer_id=ticket.customer_id,
        agent_id=body.agent_id,
        team_id=_team_of(agent, named=None, otherwise=ticket.team_id),
        direction=body.direction,
        visibility=body.visibility,
        channel=body.channel or ticket.channel,
        ticket_kind=ticket.kind,
        priority=ticket.priority,
        region=ticket.region,
        segment=ticket.segment,
        product=ticket.product,
        talk_seconds=body.talk_seconds,
        hold_seconds=body.hold_seconds,
        wrap_up_seconds=body.wrap_up_seconds,
        occurred_at=at,
    )
    # The interaction will name it.
    await session.flush()
    ticket.log_interaction(contact)
    await _publish(session, ticket, InteractionLogged(**ticket.state_fields(), change=contact), at)
    if ticket.is_first_responded_by(contact):
        ticket.respond(at, await terms_of(session, ticket.sla_policy_id))
        await _publish(session, ticket, TicketFirstResponded(**ticket.state_fields()), at)
        await publish_breaches(session, ticket, at)
    interaction = Interaction(
        id=contact.id,
        ticket_id=ticket.id,
        ticket_version=ticket.version,
        agent_id=contact.agent_id,
        team_id=contact.team_id,
        direction=contact.direction,
        visibility=contact.visibility,
        channel=contact.channel,
        talk_seconds=contact.talk_seconds,
        hold_seconds=contact.hold_seconds,
        wrap_up_seconds=contact.wrap_up_seconds,
        note=body.note,
        external_ref=body.external_ref,
        occurred_at=at,
        erased_at=None,
    )
    session.add(interaction)
    await session.flush()
    return interaction


async def resolve_ticket(
    session: AsyncSession, ticket_id: UUID, body: TicketResolution, by: Principal, expected: ExpectedVersion
) -> Ticket:
    """Says that a ticket is solved."""
    ticket = await _lock(session, ticket_id, expected)
    at = happened_at(body.occurred_at, by, after=ticket.changed_at)
    ticket.resolve(resolution=body.resolution, at=at, terms=await terms_of(session, ticket.sla_policy_id))
    await _publish(session, ticket, TicketResolved(**ticket.state_fields()), at)
    await publish_breaches(session, ticket, at)
    return ticket


async def reopen_ticket(
    session: AsyncSession, ticket_id: UUID, body: TicketStep, by: Principal, expected: ExpectedVersion
) -> Ticket:
    """Takes a ticket's resolution back."""
    ticket = await _lock(session, ticket_id, expected)
    at = happened_at(body.occurred_at, by, after=ticket.changed_at)
    terms = await terms_of(session, ticket.sla_policy_id)
    change = TicketReopening(previous_resolved_at=ticket.reopen(at=at, terms=terms))
    await _publish(session, ticket, TicketReopened(**ticket.state_fields(), change=change), at)
    return ticket


async def close_ticket(
    session: AsyncSession, ticket_id: UUID, body: TicketStep, by: Principal, expected: ExpectedVersion
) -> Ticket:
    """Puts a resolved ticket away."""
    ticket = await _lock(session, ticket_id, expected)
    at = happened_at(body.occurred_at, by, after=ticket.changed_at)
    ticket.close(at=at)
    await _publish(session, ticket, TicketClosed(**ticket.state_fields()), at)
    return ticket


async def publish_breaches(session: AsyncSession, ticket: Ticket, now: datetime) -> None:
    """Tells of each target that a ticket missed by `now`, once; its row must be locked."""
    for target in ticket.overdue(now):
        event = ticket.breach(target)
        await _publish(session, ticket, event, event.change.due_at)


def _team_of(agent: Agent | None, *, named: UUID | None, otherwise: UUID | None) -> UUID | None:
    """The team that was named, or else the agent's, or else the one there was."""
    if named is not None:
        return named
    return agent.team_id if agent is not None and agent.team_id is not None else otherwise


async def _lock(session: AsyncSession, ticket_id: UUID, expected: ExpectedVersion) -> Ticket:
    """The ticket, its row locked until the transaction ends. Raises `NotFound` and `PreconditionFailed` (412)."""
    ticket = await locked(session, Ticket, ticket_id)
    if ticket is None:
        raise NotFound(f"There is no ticket {ticket_id}.")
    expected.check(ticket.version)
    return ticket


async def _publish(session: AsyncSession, ticket: Ticket, event: ContractTicket, at: datetime) -> None:
    await outbox.write(session, event, sequence=ticket.version, time=at, partition_key=ticket.customer_id)
