"""Erasure: forgets who a customer is, with every word that was written on their tickets, in one transaction."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from event_contracts.catalogue import SERVICE_DIRECTORY_TOPIC
from service_api.customers.model import Customer
from service_api.surveys.model import Survey
from service_api.tickets.model import Interaction, Ticket
from service_kit import outbox
from service_kit.auth import Principal
from service_kit.erasure import erase_answers, erase_letters, erase_name
from service_kit.occurrence import happened_at
from service_kit.problems import NotFound
from service_kit.versions import ExpectedVersion


async def erase_customer(
    session: AsyncSession, customer_id: UUID, expected: ExpectedVersion, by: Principal
) -> Customer:
    """Erases a customer of our own; a second time changes nothing. Raises `CustomerOfSales` (409) for a copy."""
    # Not only its columns: whoever opens a ticket for it at this moment is waited for, and seen.
    customer = await session.get(Customer, customer_id, with_for_update=True)
    if customer is None:
        raise NotFound(f"There is no customer {customer_id}.")
    expected.check(customer.version)
    if customer.erased_at is None:
        customer.check_own()
        await _erase(session, customer, happened_at(None, by, after=customer.registered_at), by=by.subject)
    return customer


async def erase_copy(session: AsyncSession, customer_id: UUID, at: datetime) -> None:
    """Erases the copy of a customer whom sales erased; a second time changes nothing."""
    customer = await session.get(Customer, customer_id, with_for_update=True)
    if customer is not None and customer.origin == "sales" and customer.erased_at is None:
        await _erase(session, customer, at, by="sales")


async def _erase(session: AsyncSession, customer: Customer, at: datetime, *, by: str) -> None:
    tickets = (
        await session.execute(
            sa.select(Ticket).where(Ticket.customer_id == customer.id).order_by(Ticket.id).with_for_update()
        )
    ).scalars()
    interactions = (
        await session.execute(
            sa.select(Interaction)
            .where(Interaction.ticket_id.in_(sa.select(Ticket.id).where(Ticket.customer_id == customer.id)))
            .with_for_update()
        )
    ).scalars()
    surveys = (
        await session.execute(
            sa.select(Survey).where(Survey.customer_id == customer.id).order_by(Survey.id).with_for_update()
        )
    ).scalars()
    erased = [customer.id]
    for ticket in tickets.all():
        told = ticket.erase(at=at)
        await outbox.write(session, told, sequence=ticket.version, time=at, partition_key=customer.id)
        erased.append(ticket.id)
    for interaction in interactions.all():
        interaction.erase(at=at)
        erased.append(interaction.id)
    for survey in surveys.all():
        said = survey.erase(at=at)
        await outbox.write(session, said, sequence=survey.version, time=at, partition_key=customer.id)
        erased.append(survey.id)
    if (event := customer.erase(at=at)) is not None:
        await outbox.write(session, event, sequence=customer.version, time=at, partition_key=customer.id)
        await erase_name(session, SERVICE_DIRECTORY_TOPIC, customer.id)
    await erase_letters(session, customer.id, by=by)
    await erase_answers(session, erased)
    await session.flush()
