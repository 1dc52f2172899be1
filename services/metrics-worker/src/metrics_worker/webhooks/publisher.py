"""Publishes an event on `metrics.events` and to the webhooks that subscribe to it, in one transaction."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from event_contracts.catalogue import State, event_type_of
from service_kit import outbox
from service_kit.unit_of_work import UnitOfWork

_DELIVER = sa.text("""
    INSERT INTO webhook_delivery (id, webhook_id, event_id, event_type, payload, status, tries, next_try_at, created_at)
    SELECT uuidv7(), id, :event_id, :event_type, :payload, 'pending', 0, now(), now()
    FROM webhook WHERE active AND :event_type = ANY (event_types)
""").bindparams(
    sa.bindparam("event_id", type_=sa.Uuid),
    sa.bindparam("event_type", type_=sa.Text),
    sa.bindparam("payload", type_=sa.LargeBinary),
)


async def publish(work: UnitOfWork, event: State, *, sequence: int, time: datetime, partition_key: UUID) -> None:
    """Write the event to the outbox, and a delivery for each webhook, in the form of Standard Webhooks."""
    entry = event_type_of(event)
    event_id = outbox.write(work, event, sequence=sequence, time=time, partition_key=partition_key)
    message = {
        "type": entry.name,
        "timestamp": time.astimezone(UTC),
        "subject": f"{entry.subject_kind}/{event.id}",
        "sequence": sequence,
        "data": event,
    }
    await work.execute(
        _DELIVER, {"event_id": event_id, "event_type": entry.name, "payload": msgspec.json.encode(message)}
    )
