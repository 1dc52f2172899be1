"""Erasure: who a customer is, with every word that was written on their tickets, in one transaction."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from event_contracts.catalogue import SERVICE_DIRECTORY_TOPIC
from service_api.customers.model import Customer
from service_api.surveys.model import Survey
from service_api.tickets.model import Interaction, Ticket
from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.erasure import erase_answers, erase_letters, erase_name
from service_kit.locking import lock
from service_kit.occurrence import happened_at
from service_kit.versions import ExpectedVersion


async def erase_customer(
    session: AsyncSession, customer_id: UUID, expected: ExpectedVersion, by: Principal
) -> Customer:
    """Erase a customer of service's own; again changes nothing. Raise `CustomerOfSales` (409) for a copy."""
    # With its key: a ticket that is being opened for it is waited for, and erased too.
    customer = await lock(session, Customer, customer_id, expected, with_key=True)
    if customer.erased_at is None:
        customer.check_is_own()
        await _erase(session, customer, happened_at(None, by, after=customer.registered_at), by=by.subject)
    return customer


async def erase_copy(session: AsyncSession, customer_id: UUID, at: datetime) -> None:
    """Erase the copy of a customer that sales erased; again changes nothing."""
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
        await publish(session, ticket, ticket.erase(at=at), at)
        erased.append(ticket.id)
    for interaction in interactions.all():
        interaction.erase(at=at)
        erased.append(interaction.id)
    for survey in surveys.all():
        await publish(session, survey, survey.erase(at=at), at)
        erased.append(survey.id)
    if (event := customer.erase(at=at)) is not None:
        await publish(session, customer, event, at)
        await erase_name(session, SERVICE_DIRECTORY_TOPIC, customer.id)
    await erase_letters(session, customer.id, by=by)
    await erase_answers(session, erased)
    await session.flush()
