"""Rebuilds the ledger from the log beside the live one, then swaps the two, while reads and new events go on.

The writer of the live ledger writes the new one too, into a shadow schema. It first takes everything that the live
ledger had read at the beginning, and writes the blocks at the end. Then it follows the log up to the live ledger's
offsets; for the last few records the consumer's next transaction has to wait, so that both have the same offsets when
their tables are swapped in one transaction. A crash before that leaves the live ledger untouched and a schema that the
next rebuild drops.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import asyncpg
import sqlalchemy as sa
import structlog
from aiokafka import TopicPartition
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from event_contracts.codec import UndecodableEvent
from metrics_worker.database import tool_engine
from metrics_worker.domain.posting import Reporting
from metrics_worker.ledger import aggregate
from metrics_worker.ledger.aggregate import SubjectState
from metrics_worker.ledger.consumer import TOPICS
from metrics_worker.ledger.status import choose_reporting, chosen_reporting, insert_ledger
from metrics_worker.ledger.tables import CONSUMER
from metrics_worker.ledger.writer import LedgerWriter
from metrics_worker.maintenance.shadow_schema import (
    SHADOW,
    analyze_shadow_schema,
    create_shadow_schema,
    drop_schema,
    shadow_engine,
)
from metrics_worker.maintenance.swap import FORMER, followers_of_tables, keep_vacuum_away, swap_tables
from service_kit.consumer.dead_letters import DeadLetter, dead_letter, insert_dead_letters, skipped_positions
from service_kit.consumer.log_identity import NO_TOPIC_ID, LogIdentity
from service_kit.consumer.log_reader import LogReader, UnreadableLog
from service_kit.consumer.offsets import Offsets, consumer_offset
from service_kit.consumer.records import DecodedRecord, Position, position_of
from service_kit.kafka import Kafka
from service_kit.problems import is_transient, sqlstate_of
from service_kit.settings import DatabaseSettings

LOCK: Final = 0x7461_6E64_656D_0005
"""The session advisory lock that lets one rebuild at a time in."""
CLOSE_ENOUGH: Final = 10
"""Records behind the live ledger at which the consumer has to wait: some milliseconds of work."""
SWAP_LOCK_MILLISECONDS: Final = 200
"""Under PostgreSQL's own deadlock time-out: a reader is never the one that is turned away."""
SWAP_ATTEMPTS: Final = 100

# asyncpg, through which the writer writes, begins with SQLAlchemy's first statement.
_BEGIN: Final = sa.text("SELECT 1")

Progress = Callable[[int, int], None]
"""Called with the number of records that are done, and of all."""

log = structlog.get_logger()


class CannotRebuild(Exception):
    """The ledger cannot be rebuilt now; the message is why and what to do."""


async def rebuild(
    settings: DatabaseSettings,
    kafka: Kafka,
    reporting: Reporting | None = None,
    *,
    default: Reporting,
    topics: Sequence[str] = TOPICS,
    progress: Progress = lambda done, total: None,
) -> int:
    """Replace the live ledger by one that follows `reporting`; return how many records it was made from.

    Without `reporting` it follows the time zone and currency that were chosen for the live one, or `default` where
    none was ever opened. Raise `CannotRebuild`; the live ledger is then as it was.
    """
    control, shadow = tool_engine(settings), shadow_engine(settings)
    try:
        async with control.connect() as guard:
            if not (await guard.execute(sa.select(sa.func.pg_try_advisory_lock(LOCK)))).scalar_one():
                raise CannotRebuild("another rebuild of this ledger is under way")
            await guard.commit()
            reporting = reporting or await chosen_reporting(guard) or default
            await guard.commit()
            await drop_schema(guard, FORMER)
            indexes = await create_shadow_schema(guard)
            async with shadow.begin() as connection:
                await insert_ledger(connection, reporting)
            decode = partial(aggregate.decode, reporting=reporting)
            async with LogReader.open(kafka, topics, decode) as reader:
                reader.skipped_positions = await skipped_positions(guard, CONSUMER, reader.identity.topic_ids)
                writer = LedgerWriter(reporting, deferred=True)
                rebuild_run = _Rebuild(guard, shadow, reader, reporting, writer, topics, progress)
                await rebuild_run.write_whole_log(indexes)
                await rebuild_run.follow()
                await guard.commit()
                async with shadow.begin() as connection:
                    await analyze_shadow_schema(connection)
                await rebuild_run.swap()
            await drop_schema(guard, FORMER)
            await drop_schema(guard, SHADOW)
            return sum(reader.next_offsets.values())
    except UnreadableLog as error:
        raise CannotRebuild(str(error)) from error
    finally:
        await shadow.dispose()
        await control.dispose()


@dataclass
class _Rebuild:
    """One rebuild under way."""

    guard: AsyncConnection
    """The connection to the live ledger, which swaps the two."""
    shadow: AsyncEngine
    reader: LogReader[list[SubjectState]]
    reporting: Reporting
    writer: LedgerWriter
    topics: Sequence[str]
    progress: Progress
    dead_letters: dict[Position, DeadLetter] = field(default_factory=dict)
    """The records that the new ledger cannot take."""

    async def write_whole_log(self, indexes: Sequence[str]) -> None:
        """Write all that the live ledger has read by now: first the postings, then their indexes and the blocks."""
        target = await self._target()
        await self.guard.commit()
        await self._write_up_to(target)
        async with self.shadow.begin() as connection:
            await connection.execute(_BEGIN)
            for index in indexes:
                await connection.exec_driver_sql(index)
            await self.writer.flush(connection)

    async def follow(self) -> None:
        """Come as close to the live ledger, which goes on meanwhile, as it allows."""
        before = None
        while True:
            target = await self._target()
            behind = self.reader.lag(target)
            if behind <= CLOSE_ENOUGH or (before is not None and behind >= before):
                return
            await self._write_up_to(target)
            before = behind

    async def swap(self) -> None:
        """Hold the consumer back, write the last records, and swap the tables."""
        for attempt in range(1, SWAP_ATTEMPTS + 1):
            try:
                async with self.guard.begin():
                    await keep_vacuum_away(self.guard)
                    # Before anyone has to wait: to write out views takes longer than all the rest.
                    followers = await followers_of_tables(self.guard)
                    await self.follow()
                    began = time.monotonic()
                    await self._set_lock_timeout(SWAP_LOCK_MILLISECONDS * attempt)
                    # Every batch begins with its offsets: from here on the consumer's next one waits.
                    await self.guard.execute(sa.text("LOCK TABLE consumer_offset IN EXCLUSIVE MODE"))
                    await self._write_up_to(await self._target())
                    await self._set_lock_timeout(SWAP_LOCK_MILLISECONDS)
                    await swap_tables(self.guard, followers)
                    await choose_reporting(self.guard, self.reporting)
                    await self._settle_dead_letters()
            except (DBAPIError, asyncpg.PostgresError) as error:
                if sqlstate_of(error) not in ("55P03", "40P01"):
                    raise
                # The ledger is being read, by a long report for example, and no other reader is to wait for this.
                log.info("swap_waits_for_readers", attempt=attempt)
                await asyncio.sleep(0.05)
            else:
                log.info("ledger_swapped", consumer_waited_seconds=round(time.monotonic() - began, 3))
                return
        raise CannotRebuild("the ledger has been read all the time; try again when that has ended")

    async def _set_lock_timeout(self, milliseconds: int) -> None:
        await self.guard.execute(sa.text(f"SET LOCAL lock_timeout = {milliseconds}"))

    async def _target(self) -> Offsets:
        """Return the live ledger's offsets. Raise `CannotRebuild` when they are of another log."""
        rows = await self.guard.execute(
            sa.select(consumer_offset).where(
                consumer_offset.c.consumer == CONSUMER, consumer_offset.c.topic.in_(self.topics)
            )
        )
        live = {TopicPartition(row.topic, row.partition): row for row in rows}
        _require_same_log(self.reader.identity, live)
        await self.reader.add_partitions(live)
        return {part: row.next_offset for part, row in live.items()}

    async def _write_up_to(self, target: Offsets) -> None:
        """Write all records before the target offsets; while one batch is written, the next is read and decoded."""
        reader = self.reader
        writing: asyncio.Task[None] | None = None
        try:
            while reader.lag(target):
                decoded = await reader.read(target)
                if writing is not None:
                    await writing
                writing = asyncio.create_task(self._write_batch(decoded))
                self.progress(sum(reader.next_offsets.values()), sum(target.values()))
            if writing is not None:
                await writing
        finally:
            if writing is not None and not writing.done():
                writing.cancel()
                await asyncio.wait([writing])

    async def _write_batch(self, decoded: Sequence[DecodedRecord[list[SubjectState]]]) -> None:
        good = []
        for record, value in decoded:
            if isinstance(value, UndecodableEvent):
                self.dead_letters[position_of(record)] = DeadLetter(record, value.reason, value.detail)
            elif isinstance(value, Exception):
                self.dead_letters[position_of(record)] = DeadLetter(record, "handler-failed", type(value).__name__)
            else:
                good.append((record, value))
        try:
            await self._write([state for _, states in good for state in states])
        except Exception as error:
            if is_transient(error):
                raise
            # As in the consumer: a bad record stops nothing but itself.
            for record, states in good:
                try:
                    await self._write(states)
                except Exception as alone:
                    if is_transient(alone):
                        raise
                    dead_letter = DeadLetter(record, "handler-failed", type(alone).__name__)
                    self.dead_letters[position_of(record)] = dead_letter

    async def _write(self, states: Sequence[SubjectState]) -> None:
        async with self.shadow.begin() as connection:
            await connection.execute(_BEGIN)
            await self.writer.apply(connection, states)

    async def _settle_dead_letters(self) -> None:
        """Delete the dead letters that the new ledger has taken, and insert those that it cannot take."""
        of_log = [dead_letter.c.consumer == CONSUMER, dead_letter.c.topic.in_(self.topics)]
        rows = await self.guard.execute(
            sa.select(dead_letter.c.id, dead_letter.c.topic, dead_letter.c.partition, dead_letter.c.offset).where(
                *of_log
            )
        )
        not_taken = self.dead_letters.keys() | self.reader.skipped_positions
        taken = [row.id for row in rows if (row.topic, row.partition, row.offset) not in not_taken]
        if taken:
            await self.guard.execute(sa.delete(dead_letter).where(dead_letter.c.id.in_(taken)))
        if self.dead_letters:
            in_order = [self.dead_letters[position] for position in sorted(self.dead_letters)]
            await insert_dead_letters(self.guard, CONSUMER, self.reader.identity, in_order)


def _require_same_log(identity: LogIdentity, live: Mapping[TopicPartition, Any]) -> None:
    for part, row in live.items():
        known = (NO_TOPIC_ID, identity.topic_ids[part.topic])
        if row.cluster_id != identity.cluster_id or row.topic_id not in known:
            raise CannotRebuild(
                f"{part.topic} is not the log that the ledger was written from; see metrics-consumer's log"
            )
