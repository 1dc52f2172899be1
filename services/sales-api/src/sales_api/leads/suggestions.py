"""Upsell suggestions of service agents: each is taken up by one lead, of a person or of sales-consumer."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from sqlalchemy.dialects.postgresql import JSONB, insert

from event_contracts.codec import CloudEvent
from event_contracts.sales import SuggestionOrigin
from event_contracts.service import UpsellSuggestion
from sales_api.accounts.model import Account
from sales_api.accounts.use_cases import survivor_of
from sales_api.attribution import Attribution
from sales_api.leads.model import Lead
from sales_api.products import Product
from sales_api.tables import Base
from service_kit.aggregates import publish
from service_kit.entities import column
from service_kit.problems import Conflict
from service_kit.unit_of_work import UnitOfWork

CHANNEL: Final = "service"
"""Where a lead came from that sales-consumer made of a suggestion."""
_UNTOUCHED: Final = frozenset({"new", "assigned"})
_CLOSED: Final = frozenset({"disqualified", "converted"})


class SuggestionAlreadyTakenUp(Conflict):
    """A suggestion has one open lead at most; `existing_id` is its id."""

    slug, title = "suggestion-already-taken-up", "The suggestion has a lead"


class TakenSuggestion(Base, table="taken_suggestion", audited=False):
    """A suggestion that sales has taken up, or decided to leave. Its id is the suggestion's in service."""

    id: Annotated[UUID, column(primary_key=True)]
    lead_id: Annotated[UUID | None, column(comment="the newest that names it; null where there is none")] = None
    product: Annotated[str | None, column(comment="that the suggestion named when it was last read")] = None
    suggestion: Annotated[
        dict[str, str | None] | None, column(JSONB, comment="what its leads say of it; null until it was read")
    ] = None


_TAKE = insert(TakenSuggestion.table).on_conflict_do_nothing(index_elements=["id"])


async def note_taken_up(work: UnitOfWork, suggestion_id: UUID, lead_id: UUID | None) -> dict[str, str | None] | None:
    """Note that a lead, or a deal without one, comes of a suggestion; return what service says of it, if that is known.

    Raise `SuggestionAlreadyTakenUp` (409) while another lead of it is open.
    """
    taken, _ = await _take(work, suggestion_id)
    if lead_id is None or taken.lead_id == lead_id:
        return taken.suggestion
    known = None if taken.lead_id is None else await work.get(Lead, taken.lead_id)
    # A lead that was corrected may come of another suggestion now, or of none.
    is_of_it = known is not None and known.upsell_suggestion_id == suggestion_id
    if known is not None and is_of_it and known.status not in _CLOSED and known.erased_at is None:
        raise SuggestionAlreadyTakenUp("Work on the lead that existing_id names.", existing_id=str(known.id))
    taken.lead_id = lead_id
    return taken.suggestion


async def _take(work: UnitOfWork, suggestion_id: UUID) -> tuple[TakenSuggestion, bool]:
    """Return the locked row of a suggestion, and whether it is new.

    It waits for a transaction that is taking it up at this moment.
    """
    inserted = await work.execute(_TAKE, {"id": suggestion_id})
    taken = await work.get(TakenSuggestion, suggestion_id, lock="no key update")
    assert taken is not None  # noqa: S101 -- it is there now
    return taken, inserted.rowcount == 1


async def take_up(work: UnitOfWork, event: CloudEvent, suggestion: UpsellSuggestion, *, suggestion_days: int) -> None:
    """Make a lead of a suggestion, once for ever, and keep what the lead says of it as service corrects it.

    An older suggestion than `suggestion_days` becomes none: it comes from an import, or from before sales-consumer.
    """
    if event.event_type.correction == "withdrawn":
        # Service has lost it in a restore. The customer may have been called: the lead stays.
        return
    taken, is_new = await _take(work, suggestion.id)
    former, taken.product, taken.suggestion = taken.product, suggestion.product, _origin(suggestion)
    if not is_new:
        if taken.lead_id is not None:
            await _correct(work, taken.lead_id, event, suggestion, former)
        return
    if suggestion.suggested_at < datetime.now(UTC) - timedelta(days=suggestion_days):
        return
    # None for a customer that only service knows.
    account = await survivor_of(work, suggestion.customer_id)
    if account is not None and account.erased_at is not None:
        return
    lead, created = Lead.create(
        name=None,
        company=None,
        email=None,
        phone=None,
        product=await _known_product(work, suggestion.product),
        account_id=None if account is None else account.id,
        attribution=_attribution(suggestion, account),
        external_ref=None,
        at=suggestion.suggested_at,
        upsell_suggestion_id=suggestion.id,
        suggestion=taken.suggestion,
    )
    work.add(lead)
    publish(work, lead, created, lead.created_at)
    taken.lead_id = lead.id


async def _correct(
    work: UnitOfWork, lead_id: UUID, event: CloudEvent, suggestion: UpsellSuggestion, former: str | None
) -> None:
    """Correct what a lead says of its suggestion; and its product, as long as sales has done nothing with it."""
    lead = await work.get(Lead, lead_id, lock="no key update")
    if lead is None or lead.upsell_suggestion_id != suggestion.id or lead.erased_at is not None:
        return
    changes: dict[str, Any] = {}
    if lead.suggestion != (origin := _origin(suggestion)):
        changes["suggestion"] = origin
    product = await _known_product(work, suggestion.product)
    if lead.status in _UNTOUCHED and former != suggestion.product and lead.product in (former, None):
        changes["product"] = product
    if changes:
        at = max(event.time, lead.changed_at)
        publish(work, lead, lead.amend(changes, at=at), at)


async def _known_product(work: UnitOfWork, code: str | None) -> str | None:
    """Return the product's code if the catalogue has it: service takes any."""
    return None if code is None or await work.get(Product, code) is None else code


def _attribution(suggestion: UpsellSuggestion, account: Account | None) -> Attribution:
    if account is None:
        return Attribution(region=suggestion.region, segment=suggestion.segment, channel=CHANNEL)
    return Attribution(
        owner_id=account.owner_id,
        team_id=account.team_id,
        region=account.region,
        segment=account.segment,
        channel=CHANNEL,
    )


def _origin(suggestion: UpsellSuggestion) -> dict[str, str | None]:
    """Return what a lead says of its suggestion, as its column has it."""
    origin = SuggestionOrigin(
        customer_id=suggestion.customer_id,
        ticket_id=suggestion.ticket_id,
        agent_id=suggestion.agent_id,
        team_id=suggestion.team_id,
        suggested_at=suggestion.suggested_at,
    )
    row: dict[str, str | None] = msgspec.to_builtins(origin)
    return row
