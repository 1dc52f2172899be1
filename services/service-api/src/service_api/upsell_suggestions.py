"""Upsell suggestions: what agents think a customer could use; sales makes leads of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, get_args
from uuid import UUID

from fastapi import Response

from event_contracts.catalogue import SERVICE_TOPIC
from event_contracts.service import SuggestionOutcome, UpsellAmended, UpsellOutcomeChanged, UpsellSuggested
from event_contracts.service import UpsellSuggestion as ContractSuggestion
from service_api.agents import Agent, AgentRead
from service_api.attribution import ByAgent, DoneCreate, DoneRead, DoneUpdate, amend, attributed
from service_api.customers.model import Customer
from service_api.customers.schemas import CustomerRead
from service_api.customers.use_cases import is_now
from service_api.fields import (
    ProductOf,
    ProductOfRead,
    SuggestedDealIdRead,
    SuggestedLeadIdRead,
    SuggestionOutcomeAt,
    SuggestionOutcomeRead,
    SuggestionReasonRead,
    TicketId,
    TicketIdRead,
)
from service_api.teams import Team, TeamRead
from service_api.tickets.model import Ticket
from service_api.tickets.schemas import TicketRead
from service_kit.aggregates import publish
from service_kit.entities import column, state_of
from service_kit.fields import Code, Identifier, Moment, examples
from service_kit.history.own_events import OwnEvents
from service_kit.lists.includes import included
from service_kit.locking import lock
from service_kit.occurrence import happened_at
from service_kit.references import UnknownReference, require
from service_kit.resources import Resource
from service_kit.routing import By, Work
from service_kit.tables import filtered, one_of, unassigned
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import Expected


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What has become of a suggestion in sales: how far its lead or deal is, why, since when, and which they are."""

    outcome: SuggestionOutcome | None = None
    outcome_reason: str | None = None
    outcome_at: datetime | None = None
    lead_id: UUID | None = None
    deal_id: UUID | None = None


class UpsellSuggestion(ByAgent, table="upsell_suggestion"):
    """A suggestion. Agents change only what was recorded wrongly; what became of it in sales comes from there."""

    __table_args__: ClassVar = (
        *filtered("upsell_suggestion", ("customer_id", "agent_id", "team_id", "ticket_id")),
        unassigned("upsell_suggestion", "agent_id", "team_id"),
        *filtered("upsell_suggestion", ("product", "suggested_at", "updated_at", "outcome")),
        one_of("outcome", get_args(SuggestionOutcome)),
    )

    ticket_id: Annotated[UUID | None, column(references="ticket.id")] = None
    product: str | None = None
    suggested_at: datetime
    outcome: Annotated[SuggestionOutcome | None, column(comment="of it in sales, as its events say")] = None
    outcome_reason: str | None = None
    outcome_at: datetime | None = None
    lead_id: Annotated[UUID | None, column(comment="of sales")] = None
    deal_id: Annotated[UUID | None, column(comment="of sales")] = None

    def follow(self, outcome: Outcome) -> UpsellOutcomeChanged | None:
        """Take over what has become of it in sales; None when that is known."""
        changes = {name: value for name, value in vars(outcome).items() if value != getattr(self, name)}
        if not changes:
            return None
        for name, value in changes.items():
            setattr(self, name, value)
        self.version += 1
        return UpsellOutcomeChanged(**state_of(self, ContractSuggestion))


class UpsellSuggestionCreate(DoneCreate):
    """What a customer could use, and the ticket that showed it."""

    model_config = examples(
        {
            "customer_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
            "product": "heat-pump-9",
            "occurred_at": "2026-03-31T21:00:00Z",
            "ticket_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13",
        }
    )

    ticket_id: TicketId | None = None
    """The ticket that showed the need."""


class UpsellSuggestionUpdate(DoneUpdate):
    """What was recorded wrongly of a suggestion."""

    elsewhere: ClassVar = {
        "customer_id": "stays as it is, since sales acts on it: suggest it anew for the right customer"
    }
    model_config = examples(
        {
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
            "region": "baltics",
            "segment": "manufacturing",
            "product": "heat-pump-9",
            "ticket_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13",
            "occurred_at": "2026-04-01T08:00:00Z",
        }
    )

    product: ProductOf | None = None
    ticket_id: TicketId | None = None
    """The ticket that showed the need."""


class UpsellSuggestionRead(DoneRead):
    """A suggestion; a lead or deal of sales that came of it names its id."""

    ticket_id: TicketIdRead | None
    """The ticket that showed the need."""
    product: ProductOfRead | None
    suggested_at: Moment
    """When the agent suggested it."""
    outcome: SuggestionOutcomeRead | None
    outcome_reason: SuggestionReasonRead | None
    outcome_at: SuggestionOutcomeAt | None
    lead_id: SuggestedLeadIdRead | None
    deal_id: SuggestedDealIdRead | None


upsell_suggestions = Resource(
    "/upsell-suggestions/{suggestion_id}",
    UpsellSuggestion.table,
    UpsellSuggestionRead,
    filters={
        "customer_id": Identifier,
        "agent_id": Identifier,
        "team_id": Identifier,
        "ticket_id": Identifier,
        "product": Code,
        "suggested_at": Moment,
        "outcome": SuggestionOutcome,
    },
    sorts=("suggested_at",),
    includes={
        "agent": included("agent_id", Agent.table, AgentRead),
        "team": included("team_id", Team.table, TeamRead),
        "customer": included("customer_id", Customer.table, CustomerRead),
        "ticket": included("ticket_id", Ticket.table, TicketRead),
    },
    own_events=OwnEvents(SERVICE_TOPIC, "upsells", key=("keyed_by", "customer_id")),
)
upsell_suggestions.read_routes(list_as="list_suggestions", get_as="get_suggestion")


@upsell_suggestions.routes.post("", status_code=201, summary="Suggest what a customer could use")
async def suggest_upsell(body: UpsellSuggestionCreate, work: Work, response: Response, by: By) -> UpsellSuggestionRead:
    """Suggest to sales what else a customer could use."""
    at = happened_at(body.occurred_at, by)
    if body.ticket_id is not None:
        await _require_ticket(work, body.ticket_id, body.customer_id)
    state = await attributed(work, body)
    state |= {"ticket_id": body.ticket_id, "product": body.product, "suggested_at": at}
    suggestion = UpsellSuggestion(version=1, **state)
    work.add(suggestion)
    publish(work, suggestion, UpsellSuggested(**state), at)
    return upsell_suggestions.show_created(response, suggestion)


async def _require_ticket(work: UnitOfWork, ticket_id: UUID, customer_id: UUID) -> None:
    ticket = await require(work, Ticket, ticket_id, "#/ticket_id")
    if not await is_now(work, ticket.customer_id, customer_id):
        raise UnknownReference.at("#/ticket_id", "names no ticket of this customer")


@upsell_suggestions.routes.patch("/{suggestion_id}", summary="Correct a suggestion")
async def update_suggestion(
    suggestion_id: Identifier,
    body: UpsellSuggestionUpdate,
    work: Work,
    response: Response,
    by: By,
    expected: Expected,
) -> UpsellSuggestionRead:
    """Correct what was recorded wrongly: it counts as if it had been recorded so, on the same day."""
    suggestion = await lock(work, UpsellSuggestion, suggestion_id, expected)
    if body.ticket_id is not None and body.ticket_id != suggestion.ticket_id:
        await _require_ticket(work, body.ticket_id, suggestion.customer_id)
    await amend(work, UpsellSuggestion, suggestion_id, body, by, expected, event=UpsellAmended, since="suggested_at")
    return upsell_suggestions.show(response, suggestion)
