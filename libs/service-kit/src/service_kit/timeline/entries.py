"""Entries mirrored from another service: one row for each event about a customer, whichever record they end up at.

Rows are only ever added, so that neither repeats nor the order in which events arrive make a difference. Which of them
hold follows from all of them as they are read: see `holds`.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from event_contracts import codec, sales
from event_contracts.catalogue import Restoration
from event_contracts.codec import CloudEvent
from service_kit.clock import SYSTEM_CLOCK, Clock
from service_kit.compiled import CompiledStatement, driver_of
from service_kit.consumer.consumer import Consumer
from service_kit.consumer.offsets import OffsetResetPolicy
from service_kit.consumer.records import Record
from service_kit.database import metadata
from service_kit.kafka import Kafka
from service_kit.timeline.facts import RECORDS, facts_of

timeline_entry = sa.Table(
    "timeline_entry",
    metadata,
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    sa.Column("sequence", sa.Integer, primary_key=True),
    sa.Column("event_id", sa.Uuid, primary_key=True),
    sa.Column("type", sa.Text, nullable=False, comment="the event's type"),
    sa.Column("records", sa.Text, nullable=False, comment="the kind of the subject: tickets"),
    sa.Column("customer_id", sa.Uuid, comment="that the event names; it may be unknown here, or null of a lead"),
    sa.Column("lead_id", sa.Uuid, comment="whose customer it is of: of a lead itself, and of what has no customer"),
    sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("correction", sa.Text, comment="`restored` or `withdrawn`, of what corrects a subject after a restore"),
    sa.Column("lost_events", sa.ARRAY(sa.Uuid), comment="of what restores a subject: what has not happened"),
    sa.Column("facts", JSONB, nullable=False, comment="codes, amounts, times and ids; neither names nor texts"),
    sa.Index("timeline_entry_customer_idx", "customer_id", "occurred_at", "event_id"),
    comment="What the other service's events tell of customers.",
)
sa.Index("timeline_entry_lead_idx", timeline_entry.c.lead_id, postgresql_where=timeline_entry.c.customer_id.is_(None))
sa.Index(
    "timeline_entry_customer_lead_idx",
    timeline_entry.c.customer_id,
    timeline_entry.c.lead_id,
    postgresql_where=timeline_entry.c.lead_id.is_not(None),
)
sa.Index(
    "timeline_entry_withdrawn_idx",
    timeline_entry.c.subject,
    postgresql_where=timeline_entry.c.correction == sa.literal_column("'withdrawn'"),
)

sa.Index(
    "timeline_entry_restored_idx",
    timeline_entry.c.subject,
    postgresql_where=timeline_entry.c.correction == sa.literal_column("'restored'"),
)

_KEEP: Final = CompiledStatement(
    sa.text(
        "insert into timeline_entry (subject, epoch, sequence, event_id, type, records, customer_id, lead_id,"
        " occurred_at, recorded_at, correction, lost_events, facts)"
        " select subject, epoch, sequence, event_id, type, records, customer_id, lead_id, occurred_at, recorded_at,"
        " correction, cast(lost_events as uuid[]), cast(facts as jsonb)"
        " from unnest(cast(:subjects as text[]), cast(:epochs as integer[]),"
        " cast(:sequences as integer[]), cast(:event_ids as uuid[]), cast(:types as text[]), cast(:records as text[]),"
        " cast(:customer_ids as uuid[]), cast(:lead_ids as uuid[]), cast(:occurred as timestamptz[]),"
        " cast(:recorded as timestamptz[]), cast(:corrections as text[]),"
        " cast(:lost as text[]), cast(:facts as text[]))"
        " as given (subject, epoch, sequence, event_id, type, records, customer_id, lead_id, occurred_at, recorded_at,"
        " correction, lost_events, facts) on conflict do nothing"
    )
)


def is_mirrored(event: CloudEvent) -> bool:
    """Return whether an event is about a customer's record."""
    return event.event_type.subject_kind in RECORDS.get(event.event_type.topic, ())


async def keep_entries(connection: AsyncConnection, records: Sequence[Record[CloudEvent]]) -> None:
    """Keep the entries of a batch's events; what is kept already changes nothing."""
    found = {
        (event.subject, event.epoch, event.sequence, event.id): event for event in (record.value for record in records)
    }
    # In the order of the key: two batches of different partitions must not wait for each other in a circle.
    events = [found[key] for key in sorted(found)]
    await _KEEP.execute(
        await driver_of(connection),
        subjects=[event.subject for event in events],
        epochs=[event.epoch for event in events],
        sequences=[event.sequence for event in events],
        event_ids=[event.id for event in events],
        types=[event.event_type.name for event in events],
        records=[event.event_type.subject_kind for event in events],
        customer_ids=[_customer_of(event.data) for event in events],
        lead_ids=[_lead_of(event.data) for event in events],
        occurred=[event.time for event in events],
        recorded=[event.recorded_time for event in events],
        corrections=[event.event_type.correction for event in events],
        lost=[_lost_in(event) for event in events],
        facts=[msgspec.json.encode(facts_of(event.data)).decode() for event in events],
    )


def _lost_in(event: CloudEvent) -> str | None:
    """Return the ids that a restored subject names, as PostgreSQL writes an array."""
    change = getattr(event.data, "change", None)
    return f"{{{','.join(map(str, change.lost_events))}}}" if isinstance(change, Restoration) else None


def _customer_of(data: Any) -> UUID | None:
    for name in ("customer_id", "account_id"):
        if hasattr(data, name):
            customer: UUID | None = getattr(data, name)
            return customer
    # A customer itself.
    own: UUID = data.id
    return own


def _lead_of(data: Any) -> UUID | None:
    if isinstance(data, sales.Lead):
        return data.id
    return data.lead_id if isinstance(data, sales.Activity) and data.account_id is None else None


def holds(events: Any, is_restored: Any) -> sa.ColumnElement[bool]:
    """Return what events meet that a restore of their service has not lost.

    `events` has the subject, epoch and sequence of each; `is_restored` says of another one like it, whether it restores
    a subject, and does not happen anew. Where a higher epoch went on from a sequence, what came before it in a lower
    one holds, and nothing from there on.
    """
    later = events.alias()
    return _none(
        later.c.subject == events.c.subject,
        later.c.epoch > events.c.epoch,
        later.c.sequence <= events.c.sequence,
        sa.or_(later.c.sequence < events.c.sequence, sa.not_(is_restored(later))),
    )


def is_restored(events: Any) -> sa.ColumnElement[bool]:
    """Return whether an entry restores its subject."""
    found: sa.ColumnElement[bool] = sa.func.coalesce(events.c.correction == "restored", sa.false())
    return found


def is_not_lost(entries: Any) -> sa.ColumnElement[bool]:
    """Return what entries meet that nothing which holds names as lost.

    By their sequences alone two events look alike that were published before and after a restore, under one epoch.
    """
    later = timeline_entry.alias()
    return _none(
        later.c.subject == entries.c.subject,
        later.c.correction == sa.literal_column("'restored'"),
        entries.c.event_id == sa.any_(later.c.lost_events),
        # A later backup may know the event again.
        holds(later, is_restored),
    )


def is_not_withdrawn(entries: Any) -> sa.ColumnElement[bool]:
    """Return what entries meet whose subject its service knows: none was withdrawn later, for good."""
    taken = timeline_entry.alias()
    return _none(
        taken.c.subject == entries.c.subject,
        taken.c.correction == sa.literal_column("'withdrawn'"),
        sa.tuple_(taken.c.epoch, taken.c.sequence) > sa.tuple_(entries.c.epoch, entries.c.sequence),
        # A later backup may know the subject again.
        holds(taken, is_restored),
    )


def _none(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Return that nothing meets the conditions: a look-up for each row, where NOT EXISTS may read the whole table."""
    return sa.select(sa.literal_column("1")).where(*conditions).limit(1).scalar_subquery().is_(None)


def timeline_consumer(
    name: str,
    engine: AsyncEngine,
    kafka: Kafka,
    topics: Sequence[str],
    *,
    offset_reset: OffsetResetPolicy = "stop",
    revision: str | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Consumer[CloudEvent]:
    """Return the consumer that mirrors another service's events for timelines, from the first one on."""
    return Consumer(
        name=name,
        engine=engine,
        kafka=kafka,
        topics=topics,
        decode=codec.decode,
        handle=keep_entries,
        is_relevant=is_mirrored,
        offset_reset=offset_reset,
        revision=revision,
        clock=clock,
    )
