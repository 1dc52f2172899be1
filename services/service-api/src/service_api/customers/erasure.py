"""Erasure: who a customer is, with every word that was written on their tickets, in one transaction."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from event_contracts.catalogue import SERVICE_DIRECTORY_TOPIC
from service_api.check_ins import CheckIn
from service_api.customers.model import Customer, CustomerAlreadyMerged
from service_api.onboardings.model import OnboardingStep
from service_api.onboardings.planning import cancel_steps
from service_api.surveys.model import Survey
from service_api.tickets.model import Interaction, Ticket
from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.erasure import erase_dead_letters, erase_name, erase_traces
from service_kit.locking import lock
from service_kit.occurrence import happened_at
from service_kit.planned_work.rule_use_cases import CUSTOMER_ERASED, cancel_ruled
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion


async def erase_customer(work: UnitOfWork, customer_id: UUID, expected: ExpectedVersion, by: Principal) -> Customer:
    """Erase a customer of service's own, and those that are linked to it; again changes nothing.

    Raise `CustomerOfSales` (409) for a copy, and `CustomerAlreadyMerged` (409) for one that is linked itself.
    """
    # With its key: a ticket that is being opened for it is waited for, and erased too.
    customer = await lock(work, Customer, customer_id, expected, with_key=True)
    if customer.erased_at is None:
        customer.check_is_own()
        if customer.merged_into is not None:
            raise CustomerAlreadyMerged(
                "Erase the customer that merged_into names, and this one goes with it.",
                merged_into=str(customer.merged_into),
            )
        for each in [customer, *await _linked_to(work, customer.id)]:
            await _erase(work, each, happened_at(None, by, after=each.registered_at), by=by.subject)
    return customer


async def erase_copy(work: UnitOfWork, customer_id: UUID, at: datetime) -> None:
    """Erase the copy of a customer that sales erased, and those that are linked to it; again changes nothing."""
    customer = await work.get(Customer, customer_id, lock="update")
    if customer is not None and customer.origin == "sales" and customer.erased_at is None:
        for each in [customer, *await _linked_to(work, customer.id)]:
            await _erase(work, each, max(at, each.registered_at or at), by="sales")


async def _linked_to(work: UnitOfWork, customer_id: UUID) -> list[Customer]:
    """Return the customers of service's own that are linked to one, also by way of others, and not erased yet.

    Those that sales merged into it sales erases itself.
    """
    found: list[Customer] = []
    into = [customer_id]
    of_customer = Customer.table.c
    while into:
        is_linked = of_customer.merged_into == sa.any_(sa.literal(into, sa.ARRAY(sa.Uuid)))
        linked = await work.find(
            Customer, is_linked, of_customer.origin == "service", order_by=[of_customer.id], lock="update"
        )
        found += linked
        into = [each.id for each in linked]
    return [each for each in found if each.erased_at is None]


async def _erase(work: UnitOfWork, customer: Customer, at: datetime, *, by: str) -> None:
    of_ticket, of_survey, ticket_id = Ticket.table.c, Survey.table.c, Interaction.table.c.ticket_id
    is_theirs = of_ticket.customer_id == customer.id
    tickets = await work.find(Ticket, is_theirs, order_by=[of_ticket.id], lock="update")
    of_theirs = ticket_id.in_(sa.select(of_ticket.id).where(is_theirs))
    interactions = await work.find(Interaction, of_theirs, lock="update")
    by_them = of_survey.customer_id == customer.id
    surveys = await work.find(Survey, by_them, order_by=[of_survey.id], lock="update")
    for ticket in tickets:
        publish(work, ticket, ticket.erase(at=at), at)
    for interaction in interactions:
        interaction.erase(at=at)
    for survey in surveys:
        publish(work, survey, survey.erase(at=at), at)
    # There is no customer any more for what rules planned.
    await cancel_ruled(work, CheckIn, CUSTOMER_ERASED, at, CheckIn.table.c.customer_id == customer.id)
    await cancel_steps(work, OnboardingStep.table.c.customer_id == customer.id, CUSTOMER_ERASED, at)
    if (event := customer.erase(at=at)) is not None:
        publish(work, customer, event, at)
        await erase_name(work, SERVICE_DIRECTORY_TOPIC, customer.id)
    await erase_dead_letters(work, customer.id, by=by)
    await erase_traces(work, [customer, *tickets, *interactions, *surveys])
