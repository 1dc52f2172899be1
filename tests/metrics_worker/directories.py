"""Entries of the directories, kept as the consumer keeps them."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts import codec
from event_contracts.catalogue import State
from metrics_worker.ledger.directory import decode_name, keep_names
from service_kit.consumer.records import Record
from service_kit.identifiers import new_id
from tests.metrics_worker.facts import MORNING


def entry(data: State, *, sequence: int = 1, epoch: int = 1) -> bytes:
    return codec.encode(
        data,
        event_id=new_id(),
        time=MORNING,
        recorded_time=MORNING,
        sequence=sequence,
        partition_key=data.id,
        epoch=epoch,
    )


async def keep(engine: AsyncEngine, *records: tuple[str, UUID, bytes | None]) -> None:
    """Write records as the consumer does, in one batch."""
    batch = [
        Record(topic=topic, partition=0, offset=number, key=str(key).encode(), value=decode_name(value))
        for number, (topic, key, value) in enumerate(records)
    ]
    async with engine.begin() as connection:
        await keep_names(connection, batch)
