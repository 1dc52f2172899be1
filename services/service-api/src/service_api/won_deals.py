"""Won deals, copied from sales: what is to be delivered to which customer, and brought into use."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from event_contracts.codec import CloudEvent
from event_contracts.sales import Deal, Promise
from service_api.customers.use_cases import surviving_customer
from service_api.onboardings.planning import plan_steps, take_back_steps
from service_api.planning_rules.use_cases import ONBOARDING_CANCELLED, plan_after_onboarding, undo_onboarding
from service_api.sla_policies.queries import terms_for
from service_api.tables import Base
from service_api.tickets.model import Ticket
from service_kit.aggregates import publish
from service_kit.compiled import CompiledStatement
from service_kit.consumer.records import Record
from service_kit.entities import column
from service_kit.fields import Money as HttpMoney
from service_kit.references import UnknownReference
from service_kit.unit_of_work import UnitOfWork, written_durably


class WonDeal(Base, table="won_deal", audited=False):
    """A deal that sales won, or had won before it was reopened; only the consumer writes it. Its id is the deal's."""

    __table_args__: ClassVar = (sa.Index("won_deal_customer_id_idx", "customer_id"),)

    id: Annotated[UUID, column(primary_key=True)]
    customer_id: UUID
    won_at: Annotated[datetime | None, column(comment="null once it was reopened")] = None
    promised_by: date | None = None
    promised_price: Annotated[Decimal | None, column(sa.Numeric(16, 4))] = None
    promised_currency: str | None = None
    promised_quality: str | None = None

    @property
    def promise(self) -> Promise | None:
        """What it was won with; None where nothing was promised."""
        if self.promised_by is None or self.promised_price is None or self.promised_currency is None:
            return None
        price = HttpMoney(amount=self.promised_price, currency=self.promised_currency).to_contract()
        return Promise(deliver_by=self.promised_by, price=price, quality=self.promised_quality)


_table: Any = WonDeal.table
_new = insert(_table)
_KEPT = ("customer_id", "won_at", "promised_by", "promised_price", "promised_currency", "promised_quality")
_SET = _new.on_conflict_do_update(index_elements=[_table.c.id], set_={name: _new.excluded[name] for name in _KEPT})
_of_ticket: Any = Ticket.table.c
_ONBOARDINGS = sa.select(
    _of_ticket.id, _of_ticket.onboarding_deal_id, _of_ticket.cancelled_at, _of_ticket.merged_into
).where(_of_ticket.onboarding_deal_id == sa.any_(sa.bindparam("deal_ids", type_=sa.ARRAY(sa.Uuid))))
_ONBOARDING = CompiledStatement(
    sa.select(Ticket.table.c.id).where(Ticket.table.c.onboarding_deal_id == sa.bindparam("deal_id"))
)
_WON_BEFORE = sa.select(_table.c.id, _table.c.won_at).where(
    _table.c.id == sa.any_(sa.bindparam("deal_ids", type_=sa.ARRAY(sa.Uuid))), _table.c.won_at.is_not(None)
)
_REOPEN = sa.update(_table).where(_table.c.id == sa.bindparam("deal_id")).values(won_at=None)


def may_have_been_won(deal: Deal) -> bool:
    """Return whether there can be a won deal to copy or reopen: most events are of deals that were never closed."""
    return deal.stage == "won" or deal.reopen_count > 0


async def copy_deals(
    connection: AsyncConnection, records: Sequence[Record[CloudEvent]], process: str, *, onboarding_days: int
) -> None:
    """Copy the deals that were won in a batch, and open an onboarding for each that was won recently.

    A deal comes once at most, in its newest version, and only if it may have been won. It has one onboarding, however
    often its event comes; one that was won more than `onboarding_days` ago needs none: it comes from an import, or from
    a replay. It is in the region and segment that the deal was sold in. The onboarding of a deal that was taken back is
    cancelled, until the deal is won again; also where both are in one batch, of which only the new win is seen.
    """
    found = {record.value.data.id: record.value for record in records}
    deals = {key: each.data for key, each in found.items() if isinstance(each.data, Deal)}
    is_won = {
        key: deal.stage == "won" and found[key].event_type.correction != "withdrawn" for key, deal in deals.items()
    }
    # In the order of the key: two batches of different partitions must not wait for each other in a circle.
    won = [_row(deals[deal_id]) for deal_id in sorted(deals) if is_won[deal_id]]
    other = [{"deal_id": deal_id} for deal_id in sorted(deals) if not is_won[deal_id]]
    if not deals:
        return
    before = {row.id: row.won_at for row in await connection.execute(_WON_BEFORE, {"deal_ids": sorted(is_won)})}
    if other:
        await connection.execute(_REOPEN, other)
    if won:
        await connection.execute(_SET, won)
    for onboarding in (await connection.execute(_ONBOARDINGS, {"deal_ids": sorted(is_won)})).all():
        deal_id: UUID = onboarding.onboarding_deal_id
        won_at = deals[deal_id].closed_at if is_won[deal_id] else None
        is_won_again = won_at is not None and before.get(deal_id, won_at) != won_at
        has_merged = onboarding.merged_into is not None
        if is_won_again or has_merged or (won_at is not None) == (onboarding.cancelled_at is not None):
            async with written_durably(connection, process) as work:
                await _follow(work, onboarding.id, deals[deal_id], won_at, found[deal_id].time, is_won_again)
    since = datetime.now(UTC) - timedelta(days=onboarding_days)
    for deal_id in [row["id"] for row in won if row["won_at"] > since]:
        # A unit of work for each: one compares all that it has loaded before every statement.
        async with written_durably(connection, process) as work:
            await _onboard(work, deal_id, deals[deal_id])


def _row(deal: Deal) -> dict[str, Any]:
    promise = deal.promise
    return {
        "id": deal.id,
        "customer_id": deal.account_id,
        "won_at": deal.closed_at,
        "promised_by": None if promise is None else promise.deliver_by,
        "promised_price": None if promise is None else promise.price.amount,
        "promised_currency": None if promise is None else promise.price.currency,
        "promised_quality": None if promise is None else promise.quality,
    }


async def _onboard(work: UnitOfWork, deal_id: UUID, deal: Deal) -> None:
    won = await work.get(WonDeal, deal_id, lock="update")
    if won is None or won.won_at is None or await onboarding_of(work, deal_id) is not None:
        return
    customer = await surviving_customer(work, deal.account_id)
    if customer is None or customer.registered_at is None or customer.erased_at is not None:
        # An account's events come before its deals'; an unknown customer was erased, or lost with a cut log.
        return
    ticket, event = Ticket.open(
        customer_id=customer.id,
        kind="installation",
        channel="web",
        priority="normal",
        at=won.won_at,
        # Those of the customer depend on what was read when: a merge, a move.
        region=deal.region,
        segment=deal.segment,
        product=deal.lines[0].product if len(deal.lines) == 1 else None,
        terms=await terms_for(work, "installation", "normal"),
        onboarding_deal_id=won.id,
        onboarding_since=won.won_at,
    )
    work.add(ticket)
    publish(work, ticket, event, won.won_at)
    await plan_steps(work, ticket, won, _products_of(deal), won.won_at)


def _products_of(deal: Deal) -> list[str | None]:
    return [line.product for line in deal.lines]


async def _follow(
    work: UnitOfWork,
    ticket_id: UUID,
    deal: Deal,
    won_at: datetime | None,
    changed_at: datetime,
    is_won_again: bool,
) -> None:
    """Cancel the onboarding of a deal that is no longer won, and reinstate that of one that is won again.

    Of one that was merged into another ticket, only its steps are cancelled, and planned again.
    """
    ticket = await work.get(Ticket, ticket_id, lock="update")
    if ticket is None:
        return
    has_merged = ticket.merged_into is not None
    # Meanwhile an agent may have worked on it.
    at = max(changed_at, ticket.changed_at)
    if (won_at is None or is_won_again) and ticket.cancelled_at is None:
        if not has_merged:
            publish(work, ticket, ticket.cancel(at=at), at)
            await undo_onboarding(work, ticket, ONBOARDING_CANCELLED, at)
        await take_back_steps(work, deal.id, at)
    if won_at is not None and (has_merged or ticket.cancelled_at is not None):
        won = await work.get(WonDeal, deal.id)
        if won is not None:
            await plan_steps(work, ticket, won, _products_of(deal), won_at)
    if won_at is not None and not has_merged and ticket.cancelled_at is not None:
        terms = await terms_for(work, ticket.kind, ticket.priority)
        publish(work, ticket, ticket.reinstate(won_at=won_at, terms=terms), won_at)
        if ticket.resolved_at is not None:
            # It is done with anew; what had followed from it was cancelled with it.
            await plan_after_onboarding(work, ticket, max(ticket.resolved_at, won_at))


async def onboarding_of(work: UnitOfWork, deal_id: UUID) -> UUID | None:
    """Return the ticket that brings a deal into use, or None."""
    found = await _ONBOARDING.one_or_none(work, deal_id=deal_id)
    return None if found is None else found["id"]


async def require_won_deal(work: UnitOfWork, deal_id: UUID, pointer: str) -> WonDeal:
    """Return the won deal that a body names, locked: its onboarding is opened once. Raise `UnknownReference` (422)."""
    deal = await work.get(WonDeal, deal_id, lock="update")
    if deal is None or deal.won_at is None:
        raise UnknownReference.at(pointer, "names no won deal that service knows yet")
    return deal
