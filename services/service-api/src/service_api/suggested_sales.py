"""Leads and deals of sales that come of upsell suggestions: their agents see on the suggestion how far they are."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal, get_args
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from event_contracts.codec import CloudEvent
from event_contracts.sales import Deal, DealAmended, Lead, LeadAmended
from event_contracts.service import SuggestionOutcome
from service_api.tables import Base
from service_api.upsell_suggestions import Outcome, UpsellSuggestion
from service_kit.aggregates import publish
from service_kit.consumer.records import Record
from service_kit.entities import column
from service_kit.tables import one_of
from service_kit.unit_of_work import UnitOfWork, written_durably

SaleKind = Literal["lead", "deal"]


class SuggestedSale(Base, table="suggested_sale", audited=False):
    """A lead or deal of sales that names a suggestion; only the consumer writes it. Its id is the lead's or deal's."""

    id: Annotated[UUID, column(primary_key=True)]
    suggestion_id: UUID
    kind: SaleKind
    status: SuggestionOutcome
    reason: str | None = None
    changed_at: datetime

    __table_args__: ClassVar = (
        sa.Index("suggested_sale_suggestion_id_idx", "suggestion_id"),
        one_of("kind", get_args(SaleKind)),
        one_of("status", get_args(SuggestionOutcome)),
    )


_table: Any = SuggestedSale.table
_new = insert(_table)
_KEPT: Final = ("suggestion_id", "status", "reason", "changed_at")
_SET = _new.on_conflict_do_update(index_elements=[_table.c.id], set_={name: _new.excluded[name] for name in _KEPT})
_ANY_OF = sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid)))
_FORMER = sa.select(_table.c.suggestion_id).where(_table.c.id == _ANY_OF)
_DELETE = sa.delete(_table).where(_table.c.id == _ANY_OF)
_OF_DEALS: Final[Mapping[str, int]] = {"won": 2, "converted": 1}
"""What counts of several deals of one suggestion: a won one, then one that is still open, then a lost one."""


def may_be_suggested(event: CloudEvent) -> bool:
    """Return whether a lead or deal names a suggestion, or may have named one before."""
    if not isinstance(event.data, Lead | Deal):
        return False
    may_differ = event.may_follow_lost_states or isinstance(event.data, LeadAmended | DealAmended)
    return may_differ or event.data.upsell_suggestion_id is not None


async def follow_sales(connection: AsyncConnection, records: Sequence[Record[CloudEvent]], process: str) -> None:
    """Copy the leads and deals of a batch that name a suggestion, and publish what has become of the suggestions.

    A lead or deal comes once at most, in its newest version. What is known already changes nothing.
    """
    found = {each.value.data.id: each.value for each in records if may_be_suggested(each.value)}
    if not found:
        return
    # In the order of the key: two batches of different partitions must not wait for each other in a circle.
    rows = [row for key in sorted(found) if (row := _row(found[key])) is not None]
    former = (await connection.execute(_FORMER, {"ids": sorted(found)})).scalars().all()
    gone = sorted(found.keys() - {row["id"] for row in rows})
    if gone:
        await connection.execute(_DELETE, {"ids": gone})
    if rows:
        await connection.execute(_SET, rows)
    latest = max(event.time for event in found.values())
    suggestions = {*former, *(row["suggestion_id"] for row in rows)}
    if suggestions:
        async with written_durably(connection, process) as work:
            for suggestion_id in sorted(suggestions):
                await _follow(work, suggestion_id, latest)


def _row(event: CloudEvent) -> dict[str, Any] | None:
    """Return the copy of a lead or deal; None for one that names no suggestion, or that sales has lost."""
    sale: Any = event.data
    if sale.upsell_suggestion_id is None or event.event_type.correction == "withdrawn":
        return None
    row = {"id": sale.id, "suggestion_id": sale.upsell_suggestion_id}
    if isinstance(sale, Lead):
        # An amendment is no step of it.
        since = sale.created_at if sale.status == "new" else getattr(sale, f"{sale.status}_at")
        return row | {"kind": "lead", "status": sale.status, "reason": sale.disqualified_reason, "changed_at": since}
    if sale.closed_at is None:
        return row | {"kind": "deal", "status": "converted", "reason": None, "changed_at": sale.opened_at}
    return row | {"kind": "deal", "status": sale.stage, "reason": sale.close_reason, "changed_at": sale.closed_at}


async def _follow(work: UnitOfWork, suggestion_id: UUID, latest: datetime) -> None:
    suggestion = await work.get(UpsellSuggestion, suggestion_id, lock="no key update")
    if suggestion is None:
        # A lead may name any id; or service has lost the suggestion in a restore.
        return
    # After the lock: a batch with its deal may have come before one with its lead.
    sales = await work.find(SuggestedSale, _table.c.suggestion_id == suggestion_id, order_by=[_table.c.id])
    event = suggestion.follow(outcome_of(sales))
    if event is not None:
        publish(work, suggestion, event, max(event.outcome_at or latest, suggestion.suggested_at))


def outcome_of(sales: Iterable[SuggestedSale]) -> Outcome:
    """Return what has become of a suggestion by its leads and deals, in whatever order they came.

    A deal tells more than a lead, and of leads the newest: the one before was given up.
    """
    ordered = sorted(sales, key=lambda sale: sale.id)
    deals = [sale for sale in ordered if sale.kind == "deal"]
    leads = [sale for sale in ordered if sale.kind == "lead"]
    deal = max(deals, key=lambda sale: (_OF_DEALS.get(sale.status, 0), sale.id), default=None)
    lead = leads[-1] if leads else None
    decisive = deal or lead
    if decisive is None:
        return Outcome()
    return Outcome(
        outcome=decisive.status,
        outcome_reason=decisive.reason,
        outcome_at=decisive.changed_at,
        lead_id=None if lead is None else lead.id,
        deal_id=None if deal is None else deal.id,
    )
