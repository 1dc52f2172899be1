"""The consumer of the ledger: reads both services' events and writes each batch into the ledger, exactly once."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from event_contracts.catalogue import SALES_TOPIC, SERVICE_TOPIC
from metrics_worker.domain.posting import Reporting
from metrics_worker.ledger import aggregate
from metrics_worker.ledger.aggregate import SubjectState
from metrics_worker.ledger.completeness import CompletenessBy, WatermarkReader
from metrics_worker.ledger.status import (
    Partition,
    complete_partitions,
    completeness_rows,
    open_ledger,
    parts_of_history,
    reporting_of_ledger,
    warn_of_difference,
)
from metrics_worker.ledger.tables import CONSUMER
from metrics_worker.ledger.writer import LedgerWriter
from service_kit.clock import SYSTEM_CLOCK, Clock
from service_kit.consumer.consumer import Consumer
from service_kit.consumer.offsets import Fenced, OffsetResetPolicy
from service_kit.consumer.records import Record
from service_kit.kafka import Kafka
from service_kit.problems import is_transient

TOPICS = (SALES_TOPIC, SERVICE_TOPIC)
RETRY_SECONDS: Final = 1.0
COMPLETENESS_SECONDS: Final = 1.0
"""How often it is written down up to when partitions are complete."""

log = structlog.get_logger()


class LedgerConsumer:
    """The consumer of the ledger, ready to run."""

    def __init__(
        self,
        engine: AsyncEngine,
        kafka: Kafka,
        reporting: Reporting,
        *,
        topics: Sequence[str] = TOPICS,
        offset_reset: OffsetResetPolicy = "stop",
        completeness: CompletenessBy = "watermarks",
        revision: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._reporting = reporting
        self._writer = LedgerWriter(reporting)
        self._watermarks = WatermarkReader(kafka, topics, clock) if completeness == "watermarks" else None
        self._completed_at = float("-inf")
        self.consumer: Consumer[list[SubjectState]] = Consumer(
            name=CONSUMER,
            engine=engine,
            kafka=kafka,
            topics=topics,
            decode=self._decode,
            handle=self._handle,
            on_idle=self._idle,
            offset_reset=offset_reset,
            revision=revision,
            clock=clock,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Write the ledger until `stop` is set. Raise `LedgerRulesDiffer` and `OperatorRequired`."""
        if self._watermarks is None:
            await self._write_ledger(stop)
            return
        watermarks = asyncio.create_task(self._watermarks.run(stop))
        try:
            await self._write_ledger(stop)
        finally:
            watermarks.cancel()
            await asyncio.gather(watermarks, return_exceptions=True)

    async def _write_ledger(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                stored = await open_ledger(self._engine, self._reporting)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("ledger_not_reachable", error=repr(error), retry_seconds=RETRY_SECONDS)
                await self._clock.wait(stop, RETRY_SECONDS)
            else:
                warn_of_difference(self._reporting, stored)
                self._follow(stored)
                await self.consumer.run(stop)

    def _follow(self, reporting: Reporting) -> None:
        self._reporting = reporting
        self._writer = LedgerWriter(reporting)

    def _decode(self, value: bytes | None) -> list[SubjectState]:
        return aggregate.decode(value, self._reporting)

    async def _handle(self, connection: AsyncConnection, records: Sequence[Record[list[SubjectState]]]) -> None:
        stored = await reporting_of_ledger(connection)
        if stored is not None and stored != self._reporting:
            # Rebuilt meanwhile with another time zone: what was decoded has its days from the one before.
            self._follow(stored)
            raise Fenced("the ledger was rebuilt and follows another time zone or currency now")
        states = [state for record in records for state in record.value]
        self._writer.part = self._part()
        # By what was read before this batch. Without a pause in the load, nothing else would tell.
        complete_until = {} if self._watermarks is None else self._newly_complete()
        history = dict.fromkeys(parts_of_history(records), datetime.now(UTC))
        beside = [completeness_rows(complete_until, history)] if complete_until or history else []
        await self._writer.apply(connection, states, beside=beside)

    def _part(self) -> int:
        """Return the lowest partition number that this member holds: members at work at one time have different ones.

        While a partition changes hands two may take the same part for a moment; they then wait for each other.
        """
        return min((part.partition for part in self.consumer.next_offsets), default=0)

    async def _idle(self) -> None:
        if complete_until := self._newly_complete():
            async with self._engine.begin() as connection:
                await complete_partitions(connection, complete_until)

    def _newly_complete(self) -> dict[Partition, datetime]:
        """Return up to when partitions are complete; nothing when that was asked less than a second ago."""
        now = self._clock.monotonic()
        if now - self._completed_at < COMPLETENESS_SECONDS:
            return {}
        self._completed_at = now
        next_offsets = self.consumer.next_offsets
        if self._watermarks is None:
            return dict.fromkeys(((part.topic, part.partition) for part in next_offsets), datetime.now(UTC))
        return self._watermarks.complete_until(next_offsets, self.consumer.topic_ids)
