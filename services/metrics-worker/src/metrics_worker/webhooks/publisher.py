"""Publishes an event on `metrics.events` and to the webhooks that receive it, in one transaction."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec

from event_contracts.catalogue import State, event_type_of
from metrics_worker.webhooks.deliveries import Message, deliver, subscriptions
from service_kit import outbox
from service_kit.unit_of_work import UnitOfWork


async def publish(work: UnitOfWork, event: State, *, sequence: int, time: datetime, partition_key: UUID) -> None:
    """Write the event to the outbox, and a delivery for each webhook, in the form of Standard Webhooks."""
    entry = event_type_of(event)
    event_id = outbox.write(work, event, sequence=sequence, time=time, partition_key=partition_key)
    wanted = [each for each in await subscriptions(work) if each.is_for(entry.name)]
    if not wanted:
        return
    message = {
        "type": entry.name,
        "timestamp": time.astimezone(UTC),
        "subject": f"{entry.subject_kind}/{event.id}",
        "sequence": sequence,
        "data": event,
    }
    encoded = msgspec.json.encode(message)
    sent = Message(event_id, entry.name, msgspec.json.decode(encoded)["data"], encoded)
    await deliver(work, [(subscription, sent) for subscription in wanted])
