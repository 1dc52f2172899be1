"""Reads one customer's timeline."""

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.domain.customer_merges import survivor_of
from metrics_worker.domain.customer_timeline import TimelineEntry, by_survivor
from metrics_worker.domain.posting import Reporting
from metrics_worker.domain.relationship import Relationship
from metrics_worker.ledger.customer_timelines import current_entries
from metrics_worker.ledger.tables import account_merge, subject_state, timeline_entry

_ENTRY = msgspec.json.Decoder(TimelineEntry)


class Found(NamedTuple):
    """A customer's relationship, and who they are."""

    survivor: UUID
    """The customer itself, unless it was merged."""
    known: bool
    """False for an id that no event has named as a customer's."""
    relationship: Relationship


async def relationship_of(connection: AsyncConnection, customer: UUID, reporting: Reporting) -> Found:
    """Return the relationship of a customer and of all that were merged into it."""
    survivor = (await survivors_of(connection, [customer]))[customer]
    encoded = await connection.execute(sa.select(timeline_entry.c.entry).where(timeline_entry.c.customer == survivor))
    timeline = current_entries(map(_ENTRY.decode, encoded.scalars()))
    of_survivor = by_survivor(timeline.values()).get(survivor, [])
    known = bool(timeline) or await _is_known(connection, survivor)
    return Found(survivor, known, Relationship(survivor, of_survivor, reporting))


class Whose(msgspec.Struct, frozen=True):
    """Whose a customer is, of the account's or the customer's state."""

    owner_id: UUID | None = None
    team_id: UUID | None = None
    region: str | None = None


_WHOSE = msgspec.json.Decoder(Whose)


async def account_of(connection: AsyncConnection, customer: UUID) -> Whose:
    """Return whose a customer is: as its account says, or as service registered it; without one where it is unknown."""
    states = sa.select(subject_state.c.state).where(
        subject_state.c.kind.in_(["account", "customer"]),
        subject_state.c.id == customer,
        subject_state.c.state.is_not(None),
    )
    # The account comes first by its name.
    found = (await connection.execute(states.order_by(subject_state.c.kind).limit(1))).scalar_one_or_none()
    return Whose() if found is None else _WHOSE.decode(found)


async def survivors_of(connection: AsyncConnection, customers: Collection[UUID]) -> dict[UUID, UUID]:
    """Return, for each customer, the one that it was merged into in the end; itself unless it was merged."""
    onward = account_merge.alias()
    chain = (
        sa.select(account_merge.c.customer, account_merge.c.merged_into)
        .where(account_merge.c.customer.in_(customers))
        .cte(recursive=True)
    )
    chain = chain.union(
        sa.select(onward.c.customer, onward.c.merged_into).where(onward.c.customer == chain.c.merged_into)
    )
    links = {row.customer: row.merged_into for row in await connection.execute(sa.select(chain))}
    return {customer: survivor_of(customer, links) for customer in customers}


async def _is_known(connection: AsyncConnection, customer: UUID) -> bool:
    is_one = sa.exists().where(
        subject_state.c.kind.in_(["account", "customer"]),
        subject_state.c.id == customer,
        subject_state.c.state.is_not(None),
    )
    return bool((await connection.execute(sa.select(is_one))).scalar_one())
