"""The use cases of tickets: one function each, within its route's transaction."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from event_contracts.fields import Credit
from event_contracts.service import Interaction as ContractInteraction
from event_contracts.service import TicketChannel
from service_api.agents import Agent
from service_api.attribution import attribution_of, doer_of
from service_api.customers.use_cases import is_now, require_customer, require_survivor
from service_api.onboardings.planning import hand_over_steps, plan_steps
from service_api.planning_rules.use_cases import ONBOARDING_REOPENED, plan_after_onboarding, undo_onboarding
from service_api.sla_policies.queries import terms_for, terms_of
from service_api.surveys.use_cases import follow_up_by_contact
from service_api.teams import Team
from service_api.tickets.corrections import correct_ticket, publish_breaches
from service_api.tickets.model import MOMENTS, Interaction, OnboardingAlreadyOpened, Ticket
from service_api.tickets.schemas import (
    InteractionCreate,
    InteractionUpdate,
    TicketAssignRequest,
    TicketCloseRequest,
    TicketCreate,
    TicketEscalateRequest,
    TicketMergeRequest,
    TicketReopenRequest,
    TicketResolveRequest,
    TicketUpdate,
)
from service_api.tickets.waits import is_reply
from service_api.won_deals import WonDeal, onboarding_of, require_won_deal
from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.compiled import CompiledStatement
from service_kit.custom_fields.queries import changed_custom, new_custom
from service_kit.identifiers import new_id
from service_kit.locking import lock, lock_both
from service_kit.occurrence import check_recordable, happened_at
from service_kit.problems import NotFound, Unprocessable
from service_kit.references import UnknownReference, require, require_new
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion

_columns: Any = Ticket.table.c
_FOLLOW_UP: Final = CompiledStatement(
    sa.select(_columns.id)
    .where(_columns.follow_up_to == sa.bindparam("ticket_id"), _columns.cancelled_at.is_(None))
    .order_by(_columns.id.desc())
    .limit(sa.literal_column("1"))
)


async def open_ticket(work: UnitOfWork, body: TicketCreate, by: Principal) -> Ticket:
    """Open a ticket. Raise `ExternalRefTaken`, `OnboardingAlreadyOpened` (409) and `UnknownReference` (422)."""
    at = happened_at(body.occurred_at, by)
    await require_new(work, Ticket, body.external_ref)
    customer = await require_customer(work, body.customer_id)
    team_id = await _team_of(work, body.agent_id, body.team_id, otherwise=None)
    deal = None
    if body.onboarding_deal_id is not None:
        deal = await _deal_to_onboard(work, body.onboarding_deal_id, customer.id)
    ticket, event = Ticket.open(
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
        team_id=team_id,
        external_ref=body.external_ref,
        terms=await terms_for(work, body.kind, body.priority),
        onboarding_deal_id=body.onboarding_deal_id,
        onboarding_since=None if deal is None else deal.won_at,
        custom=await new_custom(work, Ticket, body.custom),
    )
    work.add(ticket)
    publish(work, ticket, event, at)
    if deal is not None:
        await plan_steps(work, ticket, deal, [ticket.product], at)
    return ticket


async def update_ticket(
    work: UnitOfWork, ticket_id: UUID, body: TicketUpdate, by: Principal, expected: ExpectedVersion
) -> Ticket:
    """Correct a ticket, and what its contacts and surveys have from it; the same again changes nothing."""
    # With its key: a survey that is being sent is waited for, and takes over what is correct.
    ticket = await lock(work, Ticket, ticket_id, expected, with_key=True)
    at = happened_at(body.occurred_at, by, after=ticket.changed_at)
    changes = body.changed_from(ticket, besides=frozenset({"custom", "occurred_at"}))
    changes |= await changed_custom(work, ticket, body.custom)
    if "customer_id" in changes:
        ticket.check_has_no_deal()
        theirs = attribution_of(await require_customer(work, changes["customer_id"]))
        changes = {name: value for name, value in theirs.items() if getattr(ticket, name) != value} | changes
    check_recordable({name: changes[name] for name in MOMENTS & changes.keys()}, by)
    if changes:
        await correct_ticket(work, ticket, changes, at)
    return ticket


async def assign_ticket(
    work: UnitOfWork, ticket_id: UUID, body: TicketAssignRequest, by: Principal, expected: ExpectedVersion
) -> Ticket:
    """Assign a ticket to an agent or a team. Raise `UnknownReference` (422)."""
    ticket = await lock(work, Ticket, ticket_id, expected)
    at = happened_at(body.occurred_at, by, after=ticket.changed_at)
    team_id = await _team_of(work, body.agent_id, body.team_id, otherwise=ticket.team_id)
    before = {"agent_id": ticket.agent_id, "team_id": ticket.team_id}
    publish(work, ticket, ticket.assign(agent_id=body.agent_id, team_id=team_id, at=at), at)
    await hand_over_steps(work, ticket, before, at)
    return ticket


async def escalate_ticket(
    work: UnitOfWork, ticket_id: UUID, body: TicketEscalateRequest, by: Principal, expected: ExpectedVersion
) -> Ticket:
    """Pass a ticket on to an agent or a team with more knowledge or authority. Raise `UnknownReference` (422)."""
    ticket = await lock(work, Ticket, ticket_id, expected)
    at = happened_at(body.occurred_at, by, after=ticket.changed_at)
    team_id = await _team_of(work, body.agent_id, body.team_id, otherwise=ticket.team_id)
    before = {"agent_id": ticket.agent_id, "team_id": ticket.team_id}
    publish(work, ticket, ticket.escalate(agent_id=body.agent_id, team_id=team_id, at=at), at)
    await hand_over_steps(work, ticket, before, at)
    return ticket


async def merge_ticket(
    work: UnitOfWork, ticket_id: UUID, body: TicketMergeRequest, by: Principal, expected: ExpectedVersion
) -> Ticket:
    """Merge a ticket into another one about the same."""
    if body.into == ticket_id:
        raise Unprocessable.at("#/into", "is the ticket itself")
    ticket, into = await lock_both(work, Ticket, ticket_id, body.into, expected, pointer="#/into")
    at = happened_at(body.occurred_at, by, after=max(ticket.changed_at, into.opened_at))
    waiting_since = ticket.waiting_since
    publish(work, ticket, ticket.merge(into, at=at), at)
    known = [] if waiting_since is None else await _contacts_for(work, into, waiting_since)
    publish(work, into, into.absorb(ticket, waiting_since, known), at)
    return ticket


async def log_interaction(
    work: UnitOfWork,
    ticket_id: UUID,
    body: InteractionCreate,
    by: Principal,
    expected: ExpectedVersion,
    reopen_within: timedelta,
) -> Interaction:
    """Log a contact about a ticket; a person's first public reply is an event of its own.

    A customer's message to a ticket that is done with reopens it, `reopen_within` of its resolution where its policy
    does not say, or goes to its follow-up.
    """
    is_message = body.direction == "inbound" and body.visibility == "public"
    # With its key: of two messages at once, only one opens the follow-up.
    ticket = await lock(work, Ticket, ticket_id, expected, with_key=is_message)
    if body.note is not None:
        ticket.check_may_be_written_on()
    at = happened_at(body.occurred_at, by, after=ticket.opened_at)
    await require_new(work, Interaction, body.external_ref)
    contact_id = new_id()
    if is_message:
        ticket = await _open_for_message(work, ticket, contact_id, body.channel, at, reopen_within)
    contact = ContractInteraction(
        id=contact_id,
        ticket_id=ticket.id,
        customer_id=ticket.customer_id,
        agent_id=body.agent_id,
        team_id=await _team_of(work, body.agent_id, None, otherwise=ticket.team_id),
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
    known = await _contacts_for(work, ticket, at)
    publish(work, ticket, ticket.log_interaction(contact, known), at)
    if ticket.is_first_responded_by(contact):
        terms = await terms_of(work, ticket.sla_policy_id)
        credit = Credit(person_id=contact.agent_id, team_id=contact.team_id)
        publish(work, ticket, ticket.respond(at, terms, by=credit), at)
        publish_breaches(work, ticket, at)
    interaction = Interaction.of(contact, ticket_version=ticket.version, note=body.note, external_ref=body.external_ref)
    work.add(interaction)
    if is_reply(contact):
        await follow_up_by_contact(work, ticket, contact)
    return interaction


async def update_interaction(
    work: UnitOfWork,
    ticket_id: UUID,
    interaction_id: UUID,
    body: InteractionUpdate,
    by: Principal,
    expected: ExpectedVersion,
) -> Interaction:
    """Correct a contact; the same again changes nothing. Raise `UnknownReference` (422)."""
    ticket = await lock(work, Ticket, ticket_id, None)
    of_contact = Interaction.table.c
    found = await work.find(Interaction, of_contact.ticket_id == ticket.id, order_by=[of_contact.id])
    interaction = next((each for each in found if each.id == interaction_id), None)
    if interaction is None:
        raise NotFound(f"There is no interaction {interaction_id} of ticket {ticket_id}.")
    expected.check(interaction.version)
    changes = body.changed_from(interaction)
    check_recordable({name: changes[name] for name in ("occurred_at",) if name in changes}, by)
    if "agent_id" in changes:
        changes["team_id"] = await _team_of(work, changes["agent_id"], None, otherwise=ticket.team_id)
    if not changes:
        return interaction
    at = happened_at(None, by, after=ticket.changed_at)
    previous = interaction.contact(ticket)
    interaction.correct(changes)
    now = interaction.contact(ticket)
    if now != previous:
        contacts = [each.contact(ticket) for each in found]
        terms = await terms_of(work, ticket.sla_policy_id)
        publish(work, ticket, ticket.correct_contact(contacts, previous, now, terms), at)
        interaction.ticket_version = ticket.version
        publish_breaches(work, ticket, ticket.opened_at)
    return interaction


async def _open_for_message(
    work: UnitOfWork,
    ticket: Ticket,
    contact_id: UUID,
    channel: TicketChannel | None,
    at: datetime,
    reopen_within: timedelta,
) -> Ticket:
    """Return the ticket that takes a customer's message: the ticket, which it may reopen, or its follow-up."""
    seen = set()
    while ticket.is_done_before(at):
        terms = await terms_of(work, ticket.sla_policy_id)
        within = terms.reopen_within_seconds if terms is not None else None
        if ticket.is_reopened_by_message(at, reopen_within if within is None else timedelta(seconds=within)):
            reopened_at = max(at, ticket.changed_at)
            known = await _contacts_for(work, ticket, reopened_at)
            event = ticket.reopen(at=reopened_at, terms=terms, interaction_id=contact_id, known=known)
            publish(work, ticket, event, reopened_at)
            return ticket
        seen.add(ticket.id)
        follow_up = await _follow_up_of(work, ticket)
        # One that was merged into a ticket before it leads round in a circle.
        if follow_up is None or follow_up.id in seen:
            return await _open_follow_up(work, ticket, channel, at)
        ticket = follow_up
    return ticket


async def _contacts_for(work: UnitOfWork, ticket: Ticket, at: datetime) -> list[ContractInteraction]:
    """Return a ticket's contacts where its waits after a turn of that time follow from them all: else none."""
    if not ticket.needs_contacts_for(at):
        return []
    return [each.contact(ticket) for each in await work.find(Interaction, Interaction.table.c.ticket_id == ticket.id)]


async def _follow_up_of(work: UnitOfWork, ticket: Ticket) -> Ticket | None:
    """Return the newest follow-up of a ticket that is in use, or the ticket that it was merged into, locked."""
    found = await _FOLLOW_UP.one_or_none(work, ticket_id=ticket.id)
    follow_up = None if found is None else await work.get(Ticket, found["id"], lock="update")
    while follow_up is not None and follow_up.merged_into is not None:
        follow_up = await work.get(Ticket, follow_up.merged_into, lock="update")
    return follow_up


async def _open_follow_up(work: UnitOfWork, ticket: Ticket, channel: TicketChannel | None, at: datetime) -> Ticket:
    customer = await require_survivor(work, ticket.customer_id)
    follow_up, event = Ticket.open(
        customer_id=customer.id,
        kind=ticket.kind,
        channel=channel or ticket.channel,
        priority=ticket.priority,
        at=at,
        region=customer.region,
        segment=customer.segment,
        product=ticket.product,
        subject=ticket.subject,
        agent_id=ticket.agent_id,
        team_id=ticket.team_id,
        terms=await terms_for(work, ticket.kind, ticket.priority),
        follow_up_to=ticket.id,
    )
    work.add(follow_up)
    publish(work, follow_up, event, at)
    return follow_up


async def resolve_ticket(
    work: UnitOfWork, ticket_id: UUID, body: TicketResolveRequest, by: Principal, expected: ExpectedVersion
) -> Ticket:
    """Resolve a ticket. Raise `UnknownReference` (422)."""
    ticket = await lock(work, Ticket, ticket_id, expected)
    at = happened_at(body.occurred_at, by, after=ticket.changed_at)
    terms = await terms_of(work, ticket.sla_policy_id)
    credit = await doer_of(work, ticket, body.agent_id, by)
    known = await _contacts_for(work, ticket, at)
    event = ticket.resolve(resolution=body.resolution, at=at, by=credit, terms=terms, known=known)
    publish(work, ticket, event, at)
    publish_breaches(work, ticket, at)
    await plan_after_onboarding(work, ticket, at)
    return ticket


async def reopen_ticket(
    work: UnitOfWork, ticket_id: UUID, body: TicketReopenRequest, by: Principal, expected: ExpectedVersion
) -> Ticket:
    """Undo a ticket's resolution."""
    ticket = await lock(work, Ticket, ticket_id, expected)
    at = happened_at(body.occurred_at, by, after=ticket.changed_at)
    terms, known = await terms_of(work, ticket.sla_policy_id), await _contacts_for(work, ticket, at)
    publish(work, ticket, ticket.reopen(at=at, terms=terms, known=known), at)
    await undo_onboarding(work, ticket, ONBOARDING_REOPENED, at)
    return ticket


async def close_ticket(
    work: UnitOfWork, ticket_id: UUID, body: TicketCloseRequest, by: Principal, expected: ExpectedVersion
) -> Ticket:
    """Close a resolved ticket."""
    ticket = await lock(work, Ticket, ticket_id, expected)
    at = happened_at(body.occurred_at, by, after=ticket.changed_at)
    publish(work, ticket, ticket.close(at=at), at)
    return ticket


async def _deal_to_onboard(work: UnitOfWork, deal_id: UUID, customer_id: UUID) -> WonDeal:
    deal = await require_won_deal(work, deal_id, "#/onboarding_deal_id")
    if not await is_now(work, deal.customer_id, customer_id):
        raise UnknownReference.at("#/onboarding_deal_id", "names no won deal of this customer")
    if (existing_id := await onboarding_of(work, deal_id)) is not None:
        raise OnboardingAlreadyOpened("Use the ticket that existing_id names.", existing_id=str(existing_id))
    return deal


async def _team_of(
    work: UnitOfWork, agent_id: UUID | None, team_id: UUID | None, *, otherwise: UUID | None
) -> UUID | None:
    """Return the team that is named, or else the agent's, or else the other one. Raise `UnknownReference` (422)."""
    agent = None if agent_id is None else await require(work, Agent, agent_id, "#/agent_id")
    if team_id is not None:
        return (await require(work, Team, team_id, "#/team_id")).id
    return agent.team_id if agent is not None and agent.team_id is not None else otherwise
