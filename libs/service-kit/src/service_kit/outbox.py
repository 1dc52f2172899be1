"""The transactional outbox: an event is a row of the transaction that it is about; the relay takes it from there.

The columns are those of Debezium's outbox event router, so that it can replace the relay.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts import codec
from event_contracts.catalogue import State, event_type_of
from service_kit import telemetry
from service_kit.compiled import CompiledStatement, driver_of
from service_kit.database import metadata
from service_kit.identifiers import new_id
from service_kit.trace import current_traceparent
from service_kit.unit_of_work import UnitOfWork

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column(
        "position",
        sa.BigInteger,
        sa.Identity(always=True),
        primary_key=True,
        comment="order within one aggregate only: another transaction's lower position may commit later",
    ),
    sa.Column("id", sa.Uuid, nullable=False, comment="the event's id"),
    sa.Column("aggregatetype", sa.Text, nullable=False, comment="the topic"),
    sa.Column("aggregateid", sa.Text, nullable=False, comment="the Kafka key"),
    sa.Column("type", sa.Text, nullable=False, comment="the event's type"),
    sa.Column("payload", sa.LargeBinary, comment="the whole record's value; null is a tombstone"),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("parked_reason", sa.Text, comment="why this row cannot be sent; its key's later rows wait"),
    # For the history of a record, also while Kafka is away and much waits.
    sa.Index("outbox_id_idx", "id"),
    sa.Index("outbox_aggregateid_idx", "aggregateid"),
)
sa.Index(
    "outbox_parked_idx",
    outbox.c.aggregateid,
    outbox.c.position,
    postgresql_where=outbox.c.parked_reason.is_not(None),
)

_MEASURE: Final = CompiledStatement(
    sa.select(
        sa.func.count(),
        sa.func.coalesce(sa.func.extract("epoch", sa.func.now() - sa.func.min(outbox.c.created_at)), 0),
        sa.func.count(sa.distinct(outbox.c.aggregateid)).filter(outbox.c.parked_reason.is_not(None)),
    )
)


class OutboxState(NamedTuple):
    """What waits to be published."""

    rows: int
    oldest_seconds: float
    parked_keys: int


async def measure_outbox(driver: asyncpg.Connection) -> OutboxState:
    """Return what waits to be published, and set the metrics of it."""
    (row,) = await _MEASURE.all(driver)
    state = OutboxState(int(row[0]), float(row[1]), int(row[2]))
    telemetry.OUTBOX_ROWS.set(state.rows)
    telemetry.OUTBOX_AGE_SECONDS.set(state.oldest_seconds)
    telemetry.OUTBOX_PARKED.set(state.parked_keys)
    return state


def outbox_measure(engine: AsyncEngine) -> Callable[[], Awaitable[dict[str, Any]]]:
    """Return what measures the outbox from outside of the relay, which may be stopped."""

    async def measure() -> dict[str, Any]:
        async with engine.connect() as connection:
            return (await measure_outbox(await driver_of(connection)))._asdict()

    return measure


def write(work: UnitOfWork, data: State, *, sequence: int, time: datetime, partition_key: UUID) -> UUID:
    """Add an event to the unit of work and return its id.

    `sequence` is the aggregate's version after the change, which the unit of work checks as it writes. `time` is
    when it happened in the business. Raises KeyError when `data` is not an event.
    """
    entry = event_type_of(data)
    event_id = new_id()
    payload = codec.encode(
        data,
        event_id=event_id,
        time=time,
        recorded_time=datetime.now(UTC),
        sequence=sequence,
        partition_key=partition_key,
        traceparent=current_traceparent.get(),
    )
    _add(work, event_id, entry.topic, partition_key, entry.name, payload)
    return event_id


def write_tombstone(work: UnitOfWork, topic: str, key: UUID) -> None:
    """Add a record without a value: in a compacted topic it erases what the key had."""
    _add(work, new_id(), topic, key, f"{topic}.tombstone", None)


def _add(work: UnitOfWork, row_id: UUID, topic: str, key: UUID, kind: str, payload: bytes | None) -> None:
    work.insert(
        outbox, {"id": row_id, "aggregatetype": topic, "aggregateid": str(key), "type": kind, "payload": payload}
    )
