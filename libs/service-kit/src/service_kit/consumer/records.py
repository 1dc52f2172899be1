"""Records of the log: as Kafka delivers them, and decoded."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec
from aiokafka import ConsumerRecord

from service_kit.concurrency import cooperative_chunks

RawRecord = ConsumerRecord[bytes, bytes]
Position = tuple[str, int, int]
"""Topic, partition and offset of a record."""

Decoded = TypeVar("Decoded")

Decode = Callable[[bytes | None], Decoded]
"""Raises `UndecodableEvent` for a record that becomes a dead letter."""


class Record(msgspec.Struct, Generic[Decoded], frozen=True):
    """A decoded record."""

    topic: str
    partition: int
    offset: int
    value: Decoded
    key: bytes | None = None
    """Identifies the subject of a tombstone, which has no value."""


DecodedRecord = tuple[RawRecord, Decoded | Exception]
"""A record beside its decoded value, or beside the reason why it has none."""


def position_of(record: RawRecord) -> Position:
    """Return where the record lies in the log."""
    return record.topic, record.partition, record.offset


async def decode_records(records: Sequence[RawRecord], decode: Decode[Decoded]) -> list[DecodedRecord[Decoded]]:
    """Return all records decoded, in their order. Other tasks run in between: a large batch takes half a second."""
    decoded: list[DecodedRecord[Decoded]] = []
    async for chunk in cooperative_chunks(records):
        for record in chunk:
            try:
                decoded.append((record, decode(record.value)))
            except Exception as error:
                decoded.append((record, error))
    return decoded
