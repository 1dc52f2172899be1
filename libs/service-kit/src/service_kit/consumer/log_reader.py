"""Reads a log outside any consumer group, from its first record up to given offsets."""

import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final, Generic

from aiokafka import AIOKafkaConsumer, TopicPartition

from service_kit.consumer.log_identity import LogIdentity
from service_kit.consumer.offsets import Offsets
from service_kit.consumer.records import Decode, Decoded, DecodedRecord, Position, decode_records, position_of
from service_kit.kafka import Kafka

BATCH: Final = 10_000
POLL_MILLISECONDS: Final = 500
SILENT_SECONDS: Final = 20.0
"""A log that delivers nothing for so long, though it holds more, cannot be read."""


class UnreadableLog(Exception):
    """The log cannot be read from its first record, or Kafka does not deliver it."""


class LogReader(Generic[Decoded]):
    """A reader that is given its target with every batch, since the consumer that it follows goes on meanwhile."""

    def __init__(self, kafka: AIOKafkaConsumer, identity: LogIdentity, decode: Decode[Decoded]) -> None:
        self._kafka = kafka
        self._decode = decode
        self.identity = identity
        self.skipped_positions: frozenset[Position] = frozenset()
        """The records to leave out."""
        self.next_offsets: Offsets = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls, clients: Kafka, topics: Sequence[str], decode: Decode[Decoded]
    ) -> AsyncIterator["LogReader[Decoded]"]:
        """Yield a reader of no partition yet. Raises `TopicsMissing`."""
        identity = await clients.identify(topics)
        kafka = clients.consumer(
            enable_auto_commit=False,
            auto_offset_reset="none",
            # A broker answers one request at a time: one that waits for more records delays the last ones.
            fetch_max_wait_ms=10,
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )
        # Also after a failed start, which leaves connections behind.
        try:
            await kafka.start()
            yield cls(kafka, identity, decode)
        finally:
            await kafka.stop()

    async def add_partitions(self, partitions: Iterable[TopicPartition]) -> None:
        """Read these partitions too, from their first record. Raises `UnreadableLog` when the log was cut."""
        new = [part for part in partitions if part not in self.next_offsets]
        if not new:
            return
        first = await self._kafka.beginning_offsets(new)
        if cut := [part.topic for part, offset in first.items() if offset > 0]:
            raise UnreadableLog(f"the log of {cut[0]} was cut: it no longer begins at its beginning")
        self.next_offsets |= dict.fromkeys(new, 0)
        self._kafka.assign(list(self.next_offsets))
        for part, offset in self.next_offsets.items():
            self._kafka.seek(part, offset)

    async def end_offsets(self) -> Offsets:
        """Return where the partitions of the reader end now."""
        ends: Offsets = await self._kafka.end_offsets(list(self.next_offsets))
        return ends

    def lag(self, until: Offsets) -> int:
        """Return the number of records before the given offsets that are not read yet."""
        return sum(max(offset - self.next_offsets.get(part, 0), 0) for part, offset in until.items())

    async def read(self, until: Offsets) -> list[DecodedRecord[Decoded]]:
        """Return some records before the given offsets, decoded. Raises `UnreadableLog` when none come for long."""
        unread = [part for part, offset in until.items() if self.next_offsets[part] < offset]
        self._kafka.pause(*(set(self.next_offsets) - set(unread)))
        self._kafka.resume(*unread)
        began = time.monotonic()
        while time.monotonic() - began < SILENT_SECONDS:
            polled = await self._kafka.getmany(*unread, timeout_ms=POLL_MILLISECONDS, max_records=BATCH)
            records = [
                record
                for part, of_partition in polled.items()
                for record in of_partition
                if record.offset < until[part] and position_of(record) not in self.skipped_positions
            ]
            for part in unread:
                position = await self._kafka.position(part)
                if position > until[part]:
                    self._kafka.seek(part, until[part])
                self.next_offsets[part] = min(position, until[part])
            if records or not self.lag(until):
                return await decode_records(records, self._decode)
            if polled:
                began = time.monotonic()
        raise UnreadableLog(f"the log delivered nothing for {SILENT_SECONDS:.0f} s: is Kafka up?")
