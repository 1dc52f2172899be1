"""Keeps the books: reads both services' events and folds each batch into the ledger, exactly once."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from event_contracts.catalogue import SALES_TOPIC, SERVICE_TOPIC
from metrics_worker.books import fold
from metrics_worker.books.fold import Entry
from metrics_worker.books.freshness import Partition, Pulse, brought_up
from metrics_worker.books.ledger import Ledger
from metrics_worker.books.opening import kept_by, open_books, warn_of_difference
from metrics_worker.domain.posting import Reporting
from service_kit.concurrency import wait_unless_stopped
from service_kit.consumer.consumer import Consumer
from service_kit.consumer.offsets import Fenced, OffsetResetPolicy
from service_kit.consumer.records import Record
from service_kit.problems import is_transient

CONSUMER = "metrics-worker"
"""The consumer group, and the name under which its offsets and dead letters are kept."""
TOPICS = (SALES_TOPIC, SERVICE_TOPIC)
RETRY_SECONDS = 1.0

log = structlog.get_logger()


class Bookkeeper:
    """The consumer of the books, ready to run."""

    def __init__(
        self,
        engine: AsyncEngine,
        bootstrap_servers: str,
        reporting: Reporting,
        *,
        topics: Sequence[str] = TOPICS,
        offset_reset: OffsetResetPolicy = "stop",
    ) -> None:
        self._engine = engine
        self._reporting = reporting
        self._ledger = Ledger(reporting)
        self._pulse = Pulse(engine)
        self.consumer: Consumer[list[Entry]] = Consumer(
            name=CONSUMER,
            engine=engine,
            bootstrap_servers=bootstrap_servers,
            topics=topics,
            decode=self._decode,
            handle=self._handle,
            on_idle=self._idle,
            offset_reset=offset_reset,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Keeps the books until `stop` is set. Raises `BooksKeptOtherwise` and `OperatorRequired`."""
        while not stop.is_set():
            try:
                kept = await open_books(self._engine, self._reporting)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("books_not_reachable", error=repr(error), retry_seconds=RETRY_SECONDS)
                await wait_unless_stopped(stop, RETRY_SECONDS)
            else:
                warn_of_difference(self._reporting, kept)
                self._keep_by(kept)
                await self.consumer.run(stop)

    def _keep_by(self, reporting: Reporting) -> None:
        self._reporting = reporting
        self._ledger = Ledger(reporting)

    def _decode(self, value: bytes | None) -> list[Entry]:
        return fold.decode(value, self._reporting)

    async def _handle(self, connection: AsyncConnection, records: Sequence[Record[list[Entry]]]) -> None:
        kept = await kept_by(connection)
        if kept is not None and kept != self._reporting:
            # Rebuilt meanwhile, by another time zone: what was decoded has its days from the one before.
            self._keep_by(kept)
            raise Fenced("the books were rebuilt and are kept otherwise now")
        complete_until: dict[Partition, datetime] = {}
        for record in records:
            for entry in record.value:
                complete_until[record.topic, record.partition] = entry.recorded_time
        entries = [entry for record in records for entry in record.value]
        await self._ledger.apply(connection, entries, beside=[brought_up(complete_until)])

    async def _idle(self) -> None:
        await self._pulse.beat((part.topic, part.partition) for part in self.consumer.next_offsets)
