"""What was recorded wrongly of a ticket is set right, with all that has been taken over from it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from event_contracts.service import Interaction as ContractInteraction
from service_api.check_ins import CheckIn
from service_api.onboardings.planning import follow_customer
from service_api.sla_policies.queries import terms_for, terms_of
from service_api.surveys.model import Survey
from service_api.tickets.model import GRANTING, HANDED_ON, MOMENTS, Interaction, Ticket
from service_kit.aggregates import publish
from service_kit.unit_of_work import UnitOfWork

_Contacts = list[tuple[Interaction, ContractInteraction]]


async def correct_ticket(work: UnitOfWork, ticket: Ticket, changes: Mapping[str, Any], at: datetime) -> None:
    """Correct columns of a locked ticket, and what its contacts and surveys have from it.

    With another customer, the tickets that were merged into it and what is planned after its surveys are theirs too.
    """
    contacts = await _contacts(work, ticket) if changes.keys() & (HANDED_ON | MOMENTS) else []
    terms = None
    if changes.keys() & GRANTING:
        terms = await terms_for(work, changes.get("kind", ticket.kind), changes.get("priority", ticket.priority))
    elif changes.keys() & MOMENTS:
        terms = await terms_of(work, ticket.sla_policy_id)
    known = [each for _, each in contacts]
    publish(work, ticket, ticket.amend(changes, at=at, terms=terms, known=known), at)
    contacts = contacts if changes.keys() & HANDED_ON else []
    # What is late and still awaited is the SLA clock's.
    publish_breaches(work, ticket, ticket.opened_at)
    surveys = await _hand_on(work, ticket, contacts, at)
    if "customer_id" in changes:
        await _move_along(work, ticket, surveys, at)


async def _contacts(work: UnitOfWork, ticket: Ticket) -> _Contacts:
    of_contact = Interaction.table.c
    found = await work.find(Interaction, of_contact.ticket_id == ticket.id, order_by=[of_contact.id])
    return [(each, each.contact(ticket)) for each in found]


async def _hand_on(work: UnitOfWork, ticket: Ticket, contacts: _Contacts, at: datetime) -> list[Survey]:
    for interaction, previous in contacts:
        publish(work, ticket, ticket.amend_interaction(interaction.contact(ticket), previous), at)
    of_survey = Survey.table.c
    surveys = await work.find(Survey, of_survey.ticket_id == ticket.id, order_by=[of_survey.id])
    for survey in surveys:
        if (event := survey.follow(ticket)) is not None:
            publish(work, survey, event, at)
    return surveys


async def move_planned(work: UnitOfWork, origins: Iterable[UUID], record: Any, at: datetime) -> None:
    """Correct what rules planned after some records, and is still open, to the customer of a corrected one."""
    columns = CheckIn.table.c
    planned = await work.find(
        CheckIn,
        columns.trigger_id == sa.any_(sa.literal(list(origins), sa.ARRAY(sa.Uuid))),
        columns.status == "planned",
        columns.customer_id != record.customer_id,
        order_by=[columns.id],
        lock="no key update",
    )
    for check_in in planned:
        check_in.keep_key()
        when = max(at, check_in.changed_at)
        changes = {name: getattr(record, name) for name in ("customer_id", "region", "segment")}
        publish(work, check_in, check_in.amend(changes, at=when), when)


async def _move_along(work: UnitOfWork, ticket: Ticket, surveys: Iterable[Survey], at: datetime) -> None:
    """Correct to a ticket's customer what is planned after it and its surveys, and the tickets merged into it."""
    await move_planned(work, [ticket.id, *(survey.id for survey in surveys)], ticket, at)
    await follow_customer(work, ticket, at)
    columns = Ticket.table.c
    merged = await work.find(Ticket, columns.merged_into == ticket.id, order_by=[columns.id], lock="no key update")
    for each in merged:
        contacts = await _contacts(work, each)
        when = max(at, each.changed_at)
        publish(work, each, each.follow(ticket), when)
        await _move_along(work, each, await _hand_on(work, each, contacts, when), at)


def publish_breaches(work: UnitOfWork, ticket: Ticket, now: datetime) -> None:
    """Publish each target that a ticket missed by `now`, once. The ticket's row must be locked."""
    for target in ticket.overdue(now):
        event = ticket.breach(target)
        publish(work, ticket, event, event.change.due_at)
