"""The consumer of the directories: keeps names until they are erased, and which team is above which.

The names are those of people, teams, customers, products and the values of declared lists, with what these count as.
"""

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from event_contracts import codec
from event_contracts.catalogue import SALES_DIRECTORY_TOPIC, SERVICE_DIRECTORY_TOPIC, State
from event_contracts.codec import CloudEvent
from event_contracts.directory import DirectoryEntry, ProductEntry, SalesListValueSet
from service_kit.clock import SYSTEM_CLOCK, Clock
from service_kit.compiled import driver_of
from service_kit.consumer.consumer import Consumer
from service_kit.consumer.offsets import OffsetResetPolicy
from service_kit.consumer.records import Record
from service_kit.kafka import Kafka

NAMES: Final = "metrics-names"
"""The consumer group, and the name under which its offsets and dead letters are kept."""
TOPICS: Final = (SALES_DIRECTORY_TOPIC, SERVICE_DIRECTORY_TOPIC)

_SET: Final = """
    INSERT INTO directory_name AS known (topic, id, kind, name, code, parent_id, merged_into, epoch, sequence)
    SELECT * FROM unnest(
        $1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::integer[],
        $9::integer[]
    )
    ON CONFLICT (topic, id) DO UPDATE SET kind = excluded.kind, name = excluded.name, code = excluded.code,
        parent_id = excluded.parent_id, merged_into = excluded.merged_into, epoch = excluded.epoch,
        sequence = excluded.sequence
    WHERE (known.epoch, known.sequence) < (excluded.epoch, excluded.sequence)
"""
_ERASE: Final = """
    DELETE FROM directory_name USING unnest($1::text[], $2::uuid[]) AS erased (topic, id)
    WHERE directory_name.topic = erased.topic AND directory_name.id = erased.id
"""


def decode_name(value: bytes | None) -> CloudEvent | None:
    """Return a directory record, or None for a tombstone. Raise `UndecodableEvent`."""
    return None if value is None else codec.decode(value)


async def keep_names(connection: AsyncConnection, records: Sequence[Record[CloudEvent | None]]) -> None:
    """Set the names in a batch, and delete those that were erased.

    Of a key the newest counts, and a tombstone erases what came before it. Raise ValueError for an erasure whose key is
    not an id.
    """
    newest: dict[tuple[str, UUID], CloudEvent | None] = {}
    for record in records:
        entry = record.value
        if entry is None:
            newest[record.topic, UUID((record.key or b"").decode())] = None
            continue
        known = newest.get((record.topic, entry.data.id))
        if known is None or (known.epoch, known.sequence) < (entry.epoch, entry.sequence):
            newest[record.topic, entry.data.id] = entry
    # In the order of the key: two batches must not wait for each other in a circle.
    in_order = sorted(newest.items(), key=lambda item: item[0])
    erased = [key for key, entry in in_order if entry is None]
    rows = [
        (topic, id_, *named, entry.epoch, entry.sequence)
        for (topic, id_), entry in in_order
        if entry is not None and (named := _named(entry.data)) is not None
    ]
    driver = await driver_of(connection)
    if erased:
        await driver.execute(_ERASE, *zip(*erased, strict=True))
    if rows:
        await driver.execute(_SET, *zip(*rows, strict=True))


def _named(data: State) -> tuple[str, str, str | None, UUID | None, str | None] | None:
    """Return kind, name, code, the team above, and what a value counts as; None for what is no entry."""
    match data:
        case SalesListValueSet():
            return data.list, data.name, data.key, None, data.merged_into
        case ProductEntry():
            return data.kind, data.name, data.code, None, None
        case DirectoryEntry():
            return data.kind, data.name, None, data.parent_id, None
        case _:
            return None


class DirectoryConsumer:
    """The consumer of the directories, ready to run."""

    def __init__(
        self,
        engine: AsyncEngine,
        kafka: Kafka,
        *,
        topics: Sequence[str] = TOPICS,
        offset_reset: OffsetResetPolicy = "stop",
        revision: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.consumer: Consumer[CloudEvent | None] = Consumer(
            name=NAMES,
            engine=engine,
            kafka=kafka,
            topics=topics,
            decode=decode_name,
            handle=keep_names,
            offset_reset=offset_reset,
            revision=revision,
            clock=clock,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Keep names until `stop` is set. Raise `OperatorRequired`."""
        await self.consumer.run(stop)
