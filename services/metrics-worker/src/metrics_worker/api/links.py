"""Finds where the event and the record behind a posting are: which API has them, and under which address."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from event_contracts.catalogue import EVENT_TYPES
from metrics_worker.customers.queries import survivors_of
from metrics_worker.domain.customer_timeline import TimelineEntry
from metrics_worker.domain.kinds import KIND_BY_NAME, KINDS, Kind
from metrics_worker.ledger.customer_timelines import RELATIONSHIP
from metrics_worker.ledger.merges import MERGING_KINDS
from metrics_worker.ledger.tables import CUSTOMER, account_merge, subject_state, timeline_entry

_COLLECTIONS: Final = {
    "checkins": "check-ins",
    "onboardingsteps": "onboarding-steps",
    "upsells": "upsell-suggestions",
}
"""The addresses of records that are not named as the subjects of their events."""
_MERGING: Final = tuple(kind.name for kind in MERGING_KINDS)
_INTERACTION: Final = KIND_BY_NAME["interaction"]
_OF_SALES: Final = frozenset(each.subject_kind for each in EVENT_TYPES.values() if each.source == "/sales-api")
_ENTRY: Final = msgspec.json.Decoder(TimelineEntry)


@dataclass(frozen=True)
class ApiAddresses:
    """The base addresses of the two APIs, without a slash at the end."""

    sales: str
    service: str

    def of(self, kind: Kind) -> str:
        """Return that of the API that has the records of a kind, and their events."""
        return self.sales if kind.subject_kind in _OF_SALES else self.service


class Links(NamedTuple):
    """The addresses behind a posting; None where the ledger does not know which they are."""

    event: str | None
    record: str | None


class _Source(NamedTuple):
    """The subject whose event it was."""

    kind: Kind
    subject_id: UUID


async def links_of(connection: AsyncConnection, rows: Sequence[Any], addresses: ApiAddresses) -> list[Links]:
    """Return the links of rows of `PostingsBehind`, in their order, by at most seven statements.

    A posting of a customer's timeline leads to the deal, ticket or survey that changed it. What moved by a merge, or by
    the end of one, leads to the event of the account or customer, whatever it is a posting of.
    """
    on_timelines = await _sources_on_timelines(connection, rows)
    of_customers = await _events_of_customers(connection, rows)
    tickets = await _tickets_of(connection, rows)
    found = []
    for row in rows:
        kind, subject_id, event_of = KINDS[row.kind], row.subject_id, KINDS[row.kind]
        if kind is RELATIONSHIP:
            source = on_timelines.get(row.event_id)
            if source is None:
                found.append(Links(None, f"{addresses.sales}/v1/accounts/{subject_id}"))
                continue
            kind, subject_id = source
            event_of = kind
        event_of = of_customers.get(row.event_id, event_of)
        found.append(
            Links(
                event=f"{addresses.of(event_of)}/v1/events/{row.event_id}",
                record=record_address(kind, subject_id, tickets, addresses),
            )
        )
    return found


def record_address(kind: Kind, subject_id: UUID, tickets: Mapping[UUID, UUID], addresses: ApiAddresses) -> str | None:
    """Return where a subject's record is; None for an interaction that is not in `tickets`, which has its ticket."""
    base = f"{addresses.of(kind)}/v1"
    if kind is _INTERACTION:
        ticket = tickets.get(subject_id)
        return None if ticket is None else f"{base}/tickets/{ticket}/interactions/{subject_id}"
    return f"{base}/{_COLLECTIONS.get(kind.subject_kind, kind.subject_kind)}/{subject_id}"


async def _sources_on_timelines(connection: AsyncConnection, rows: Sequence[Any]) -> dict[UUID, _Source]:
    customers = {row.subject_id for row in rows if KINDS[row.kind] is RELATIONSHIP}
    if not customers:
        return {}
    entries = await _entries_of(connection, customers, {row.event_id for row in rows})
    return {entry.event_id: _Source(KIND_BY_NAME[entry.kind], entry.subject_id) for entry in entries}


async def _entries_of(connection: AsyncConnection, customers: Set[UUID], events: Set[UUID]) -> Sequence[TimelineEntry]:
    """Return what these events changed on the timelines of these customers."""
    survivors = {*(await survivors_of(connection, customers)).values()}
    # An entry is an array whose second member is its event.
    event_id = sa.cast(sa.cast(sa.func.convert_from(timeline_entry.c.entry, "UTF8"), sa.JSON)[1].as_string(), sa.Uuid)
    encoded = await connection.execute(
        sa.select(timeline_entry.c.entry).where(
            _is_one_of(timeline_entry.c.customer, survivors | customers), _is_one_of(event_id, events)
        )
    )
    return [_ENTRY.decode(entry) for entry in encoded.scalars()]


async def _events_of_customers(connection: AsyncConnection, rows: Sequence[Any]) -> dict[UUID, Kind]:
    """Return which events are of accounts, or of service's own customers.

    By a merge or a link, or by the end of one, the postings of other kinds move.
    """
    moved = [row for row in rows if CUSTOMER in row.dimensions and KINDS[row.kind].subject_kind not in _OF_SALES]
    if not moved:
        return {}
    events = {row.event_id for row in moved}
    merges = (
        sa.select(account_merge.c.event_id, subject_state.c.kind)
        .join(subject_state, subject_state.c.id == account_merge.c.customer)
        .where(_is_one_of(account_merge.c.event_id, events), subject_state.c.kind.in_(_MERGING))
    )
    customers = {UUID(row.dimensions[CUSTOMER]) for row in moved if row.dimensions[CUSTOMER] is not None}
    newest = sa.select(subject_state.c.event_id, subject_state.c.kind).where(
        subject_state.c.kind.in_(_MERGING),
        _is_one_of(subject_state.c.id, customers),
        _is_one_of(subject_state.c.event_id, events),
    )
    known = {row.event_id: row.kind for row in await connection.execute(sa.union(merges, newest))}
    # Of a merge that was undone since, only the timeline of the customer that came back knows the event.
    subjects = {row.subject_id for row in moved}
    of_subject = sa.cast(sa.func.convert_from(subject_state.c.state, "UTF8"), sa.JSON)["customer_id"].as_string()
    named = await connection.execute(
        sa.select(of_subject)
        .distinct()
        .where(
            _is_one_of(subject_state.c.id, subjects),
            subject_state.c.kind.in_({KINDS[row.kind].name for row in moved}),
            subject_state.c.state.is_not(None),
        )
    )
    customers |= {UUID(customer) for customer in named.scalars() if customer is not None}
    entries = await _entries_of(connection, customers, events - known.keys())
    known |= {entry.event_id: entry.kind for entry in entries if entry.kind in _MERGING}
    return {event_id: KIND_BY_NAME[kind] for event_id, kind in known.items()}


async def _tickets_of(connection: AsyncConnection, rows: Sequence[Any]) -> dict[UUID, UUID]:
    """Return the tickets of interactions."""
    interactions = {row.subject_id for row in rows if KINDS[row.kind] is _INTERACTION}
    if not interactions:
        return {}
    states = await connection.execute(
        sa.select(subject_state.c.id, subject_state.c.state).where(
            subject_state.c.kind == _INTERACTION.name,
            _is_one_of(subject_state.c.id, interactions),
            subject_state.c.state.is_not(None),
        )
    )
    return {row.id: _TICKET_ID.decode(row.state).ticket_id for row in states}


def _is_one_of(column: sa.ColumnElement[UUID], ids: Set[UUID]) -> sa.ColumnElement[bool]:
    # One parameter: an explanation as CSV has more ids than a statement may have parameters.
    return column == sa.any_(sa.literal(sorted(ids), sa.ARRAY(sa.Uuid)))


class _OfTicket(msgspec.Struct):
    """The part of an interaction's state that says where its record is."""

    ticket_id: UUID


_TICKET_ID: Final = msgspec.json.Decoder(_OfTicket)
