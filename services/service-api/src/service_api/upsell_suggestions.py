"""Upsell suggestions: what agents think a customer would gain from buying; sales makes leads of them."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from fastapi import Request, Response
from pydantic import ConfigDict
from sqlalchemy.orm import Mapped, mapped_column

from event_contracts.service import UpsellSuggested
from service_api.access import Reader, Worker
from service_api.care import ByAgent, DoneIn, DoneView, attributed, listed, shown, tell
from service_api.customers.use_cases import is_now
from service_api.tables import Base
from service_api.tickets.model import Ticket
from service_kit.fields import Identifier, Moment
from service_kit.occurrence import happened_at
from service_kit.paging import Paged, PageView
from service_kit.references import UnknownReference
from service_kit.routing import Session, router
from service_kit.tables import filtered


class UpsellSuggestion(ByAgent, Base):
    """A suggestion. Never changed; what came of it is told by the lead and the deal that name it."""

    __tablename__ = "upsell_suggestion"
    __table_args__ = filtered("upsell_suggestion", ("customer_id", "agent_id", "team_id", "ticket_id"))

    ticket_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("ticket.id"))
    product: Mapped[str | None]
    suggested_at: Mapped[datetime]


class UpsellSuggestionIn(DoneIn):
    """What a customer could use, and on which ticket that was seen."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
                    "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
                    "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
                    "product": "heat-pump-9",
                    "occurred_at": "2026-03-31T21:00:00Z",
                    "ticket_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13",
                }
            ]
        }
    )

    ticket_id: Identifier | None = None


class UpsellSuggestionView(DoneView):
    """A suggestion; a lead or deal of sales that came of it names its id."""

    ticket_id: UUID | None
    product: str | None
    suggested_at: Moment


upsell_suggestions = router("/upsell-suggestions", "upsell-suggestions")


@upsell_suggestions.post("", status_code=201, summary="Suggest what a customer could use")
async def suggest_upsell(
    body: UpsellSuggestionIn, session: Session, response: Response, by: Worker
) -> UpsellSuggestionView:
    """Tells sales what else a customer could use."""
    at = happened_at(body.occurred_at, by)
    if body.ticket_id is not None:
        ticket = await session.get(Ticket, body.ticket_id)
        if ticket is None or not await is_now(session, ticket.customer_id, body.customer_id):
            raise UnknownReference.at("#/ticket_id", "names no ticket of this customer")
    state = await attributed(session, body) | {
        "ticket_id": body.ticket_id,
        "product": body.product,
        "suggested_at": at,
    }
    suggestion = UpsellSuggestion(version=1, **state)
    await tell(session, suggestion, UpsellSuggested(**state), at, response, "upsell-suggestions")
    return UpsellSuggestionView.model_validate(suggestion)


@upsell_suggestions.get("", summary="List upsell suggestions")
async def list_suggestions(
    session: Session,
    page: Paged,
    _: Reader,
    customer_id: Identifier | None = None,
    agent_id: Identifier | None = None,
    team_id: Identifier | None = None,
    ticket_id: Identifier | None = None,
) -> PageView[UpsellSuggestionView]:
    """Newest first."""
    filters = {"customer_id": customer_id, "agent_id": agent_id, "team_id": team_id, "ticket_id": ticket_id}
    return await listed(session, page, UpsellSuggestion, filters, UpsellSuggestionView.model_validate)


@upsell_suggestions.get("/{suggestion_id}", summary="Read an upsell suggestion", response_model=UpsellSuggestionView)
async def get_suggestion(
    suggestion_id: Identifier, session: Session, request: Request, response: Response, _: Reader
) -> UpsellSuggestionView | Response:
    """One upsell suggestion."""
    return await shown(
        session, request, response, UpsellSuggestion, suggestion_id, UpsellSuggestionView, noun="upsell suggestion"
    )
