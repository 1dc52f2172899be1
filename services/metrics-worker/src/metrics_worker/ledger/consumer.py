"""The consumer of the ledger: reads both services' events and writes each batch into the ledger, exactly once."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from event_contracts.catalogue import SALES_TOPIC, SERVICE_TOPIC
from metrics_worker.domain.posting import Reporting
from metrics_worker.ledger import aggregate
from metrics_worker.ledger.aggregate import SubjectState
from metrics_worker.ledger.status import (
    CompletenessHeartbeat,
    Partition,
    completeness_rows,
    open_ledger,
    reporting_of_ledger,
    warn_of_difference,
)
from metrics_worker.ledger.writer import LedgerWriter
from service_kit.clock import SYSTEM_CLOCK, Clock
from service_kit.consumer.consumer import Consumer
from service_kit.consumer.offsets import Fenced, OffsetResetPolicy
from service_kit.consumer.records import Record
from service_kit.kafka import Kafka
from service_kit.problems import is_transient

CONSUMER = "metrics-worker"
"""The consumer group, and the name under which its offsets and dead letters are kept."""
TOPICS = (SALES_TOPIC, SERVICE_TOPIC)
RETRY_SECONDS = 1.0

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
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._reporting = reporting
        self._writer = LedgerWriter(reporting)
        self._completeness = CompletenessHeartbeat(engine)
        self.consumer: Consumer[list[SubjectState]] = Consumer(
            name=CONSUMER,
            engine=engine,
            kafka=kafka,
            topics=topics,
            decode=self._decode,
            handle=self._handle,
            on_idle=self._idle,
            offset_reset=offset_reset,
            clock=clock,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Write the ledger until `stop` is set. Raise `LedgerRulesDiffer` and `OperatorRequired`."""
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
        complete_until: dict[Partition, datetime] = {}
        for record in records:
            for state in record.value:
                complete_until[record.topic, record.partition] = state.recorded_time
        states = [state for record in records for state in record.value]
        self._writer.part = self._part()
        await self._writer.apply(connection, states, beside=[completeness_rows(complete_until)])

    def _part(self) -> int:
        """Return the lowest partition number that this member holds: members at work at one time have different ones.

        While a partition changes hands two may take the same part for a moment; they then wait for each other.
        """
        return min((part.partition for part in self.consumer.next_offsets), default=0)

    async def _idle(self) -> None:
        await self._completeness.beat((part.topic, part.partition) for part in self.consumer.next_offsets)
