"""Proves the ledger: blocks = sum of postings = a recomputation from the log, and lists the differences.

The recomputation shares `postings_for` with the consumer and nothing else: it reads the topics from their beginning
up to the offsets of the ledger, keeps each subject's newest state in memory, and sums. It holds at any moment, also
while events flow, since ledger and offsets are read in one snapshot.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from aiokafka import TopicPartition
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from metrics_worker.domain.kinds import KINDS, Kind
from metrics_worker.domain.posting import Reporting
from metrics_worker.ledger.aggregate import SubjectState, decode
from metrics_worker.ledger.blocks import BlockKey, Blocks, blocks_of
from metrics_worker.ledger.consumer import TOPICS
from metrics_worker.ledger.status import fresh_as_of, reporting_of_ledger
from metrics_worker.ledger.tables import CONSUMER, POSTING, open_wait, subject_state
from metrics_worker.ledger.tables import ledger as ledger_table
from metrics_worker.maintenance.recompute import Newest, newest_of, recomputed
from metrics_worker.maintenance.stored_sums import (
    CustomerSums,
    posted_by_customer,
    stored_blocks,
    summed_postings,
    sums_by_customer,
)
from service_kit.consumer.dead_letters import dead_letter, skipped_positions
from service_kit.consumer.log_identity import LogIdentity, TopicsMissing
from service_kit.consumer.log_reader import LogReader, UnreadableLog
from service_kit.consumer.offsets import Offsets, consumer_offset
from service_kit.consumer.records import Position, position_of
from service_kit.kafka import Kafka

Key = TypeVar("Key")
SHOWN_DIFFERENCES = 100
CATCH_UP_SECONDS = 60.0


class CannotVerify(Exception):
    """The ledger could not be compared at all; the message is why and what to do."""


@dataclass
class Report:
    """What the comparison found."""

    events: int = 0
    """Records of the log that were decoded; undecodable ones are compared with the dead letters."""
    subjects: dict[str, int] = field(default_factory=dict)
    blocks: int = 0
    """Rows of sums that one side has at least."""
    fresh_as_of: datetime | None = None
    """The ledger that was compared held all that was recorded up to then; None when it was not complete."""
    ledger_opened_at: datetime | None = None
    """Names the ledger that was compared: a rebuilt one was opened later; None before it is opened."""
    differences: list[dict[str, Any]] = field(default_factory=list)
    """The first hundred."""
    differences_found: int = 0

    def differ(self, table: str, key: Sequence[Any], **sides: Any) -> None:
        """Note one difference."""
        self.differences_found += 1
        if len(self.differences) < SHOWN_DIFFERENCES:
            self.differences.append({"table": table, "key": [str(part) for part in key], **sides})

    def to_json(self) -> dict[str, Any]:
        """Return what `metrics-verify` prints."""
        return {
            "ok": not self.differences_found,
            "events": self.events,
            "subjects": self.subjects,
            "blocks": self.blocks,
            "fresh_as_of": self.fresh_as_of,
            "differences_found": self.differences_found,
            "differences": self.differences,
        }


@dataclass
class _Ledger:
    """What the database holds at one moment."""

    fresh_as_of: datetime | None
    opened_at: datetime | None
    offsets: Offsets
    dead_letters: dict[Position, str]
    """The status of each."""
    skipped_positions: frozenset[Position]
    """The records that do not count as they came, even if they can be read now."""
    subjects: dict[str, dict[UUID, tuple[int, int]]]
    """The epoch and sequence of each, by kind."""
    blocks: Blocks
    contradictory: list[tuple[Any, ...]]
    """The rows of blocks that contradict themselves."""
    postings: Blocks
    """What the blocks should be, by the postings."""
    by_customer: dict[str, CustomerSums]
    waits: dict[UUID, tuple[Any, ...]]
    """The rows of the open waits."""


@dataclass
class _Log:
    """What the topics hold, up to the same moment."""

    events: int = 0
    undecodable: set[Position] = field(default_factory=set)
    conflicts: dict[tuple[str, UUID], tuple[UUID, UUID]] = field(default_factory=dict)
    """By subject, the two events that have its newest sequence: which of them the source has is not known."""
    newest: dict[Kind, dict[UUID, Newest]] = field(default_factory=lambda: defaultdict(dict))


async def verify(
    engine: AsyncEngine,
    kafka: Kafka,
    reporting: Reporting,
    *,
    topics: Sequence[str] = TOPICS,
    catch_up_seconds: float = CATCH_UP_SECONDS,
) -> Report:
    """Compare the ledger with the log. Wait until it has reached the log's present end.

    Raise `CannotVerify` when it does not within `catch_up_seconds`, or the log no longer begins at its beginning.
    """
    try:
        async with LogReader.open(kafka, topics, partial(decode, reporting=reporting)) as reader:
            identity = reader.identity
            await reader.add_partitions(
                TopicPartition(topic, number) for topic in topics for number in range(identity.partitions[topic])
            )
            await _catch_up(engine, await reader.end_offsets(), catch_up_seconds)
            ledger = await _read_ledger(engine, topics, identity, reporting)
            reader.skipped_positions = ledger.skipped_positions
            log = await read_log(reader, {part: ledger.offsets.get(part, 0) for part in reader.next_offsets})
    except (TopicsMissing, UnreadableLog) as error:
        raise CannotVerify(str(error)) from error
    return _compare(ledger, log, reporting)


async def _stored_offsets(connection: AsyncConnection, topics: Sequence[str]) -> Offsets:
    rows = await connection.execute(
        sa.select(consumer_offset.c.topic, consumer_offset.c.partition, consumer_offset.c.next_offset).where(
            consumer_offset.c.consumer == CONSUMER, consumer_offset.c.topic.in_(topics)
        )
    )
    return {TopicPartition(row.topic, row.partition): row.next_offset for row in rows}


async def _catch_up(engine: AsyncEngine, end: Offsets, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        async with engine.connect() as connection:
            stored = await _stored_offsets(connection, sorted({part.topic for part in end}))
        behind = sum(max(offset - stored.get(part, 0), 0) for part, offset in end.items())
        if not behind:
            return
        if time.monotonic() > deadline:
            raise CannotVerify(f"the ledger is {behind} records behind the log: is the consumer up?")
        await asyncio.sleep(0.1)


async def _read_ledger(
    engine: AsyncEngine, topics: Sequence[str], identity: LogIdentity, reporting: Reporting
) -> _Ledger:
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        offsets = await _stored_offsets(connection, topics)
        if (await reporting_of_ledger(connection) or reporting) != reporting:
            raise CannotVerify("the ledger was rebuilt meanwhile; compare again")
        settled_rows = await connection.execute(
            sa.select(dead_letter).where(dead_letter.c.consumer == CONSUMER, dead_letter.c.topic.in_(topics))
        )
        subjects: dict[str, dict[UUID, tuple[int, int]]] = {kind.name: {} for kind in KINDS if not kind.is_derived}
        for kind, subject_id, epoch, sequence in await connection.execute(
            sa.select(subject_state.c.kind, subject_state.c.id, subject_state.c.epoch, subject_state.c.sequence)
        ):
            subjects[kind][subject_id] = epoch, sequence
        blocks, contradictory = await stored_blocks(connection)
        postings = Blocks()
        for kept in POSTING:
            postings |= await summed_postings(connection, kept)
        return _Ledger(
            fresh_as_of=await fresh_as_of(connection),
            opened_at=await connection.scalar(sa.select(ledger_table.c.opened_at)),
            offsets=offsets,
            dead_letters={(row.topic, row.partition, row.offset): row.status for row in settled_rows},
            skipped_positions=await skipped_positions(connection, CONSUMER, identity.topic_ids),
            subjects=subjects,
            blocks=blocks,
            contradictory=contradictory,
            postings=postings,
            by_customer={kept.name: await posted_by_customer(connection, kept) for kept in POSTING},
            waits={row.id: tuple(row) for row in await connection.execute(sa.select(open_wait))},
        )


async def read_log(reader: LogReader[list[SubjectState]], until: Offsets) -> _Log:
    """Return what the reader's partitions hold, each up to but without the given offset."""
    log = _Log()
    while reader.lag(until):
        for record, value in await reader.read(until):
            if isinstance(value, Exception):
                log.undecodable.add(position_of(record))
            else:
                log.events += 1
                _keep_newest(log, value)
    return log


def _keep_newest(log: _Log, states: Iterable[SubjectState]) -> None:
    for state in states:
        of_kind = log.newest[state.kind]
        known = of_kind.get(state.subject_id)
        if known is None or known.version < state.version:
            of_kind[state.subject_id] = newest_of(state)
            log.conflicts.pop((state.kind.name, state.subject_id), None)
        elif known.version == state.version and known.event_id != state.event_id:
            log.conflicts[state.kind.name, state.subject_id] = (known.event_id, state.event_id)


def _compare(ledger: _Ledger, log: _Log, reporting: Reporting) -> Report:
    kinds = [kind for kind in KINDS if not kind.is_derived]
    report = Report(
        events=log.events,
        subjects={kind.name: len(log.newest[kind]) for kind in kinds},
        fresh_as_of=ledger.fresh_as_of,
        ledger_opened_at=ledger.opened_at,
    )
    for position in sorted(log.undecodable ^ ledger.dead_letters.keys()):
        if ledger.dead_letters.get(position, "open") != "open":
            # Settled when it could not be read; a ledger that was read anew has it now.
            continue
        report.differ("dead_letter", position, log=position in log.undecodable, ledger=position in ledger.dead_letters)
    for subject, (first, second) in log.conflicts.items():
        report.differ("sequence_conflict", subject, counts=str(first), dropped=str(second))
    for kind in kinds:
        in_log = {subject_id: newest.version for subject_id, newest in log.newest[kind].items()}
        _compare_values(report, "subject_state", (kind.name,), log=in_log, ledger=ledger.subjects[kind.name])
    waits = {key: row for kind in kinds for newest in log.newest[kind].values() for key, row in newest.waits.items()}
    _compare_values(report, open_wait.name, (), log=waits, ledger=ledger.waits)
    postings = recomputed({kind: list(log.newest[kind].values()) for kind in kinds}, reporting)
    expected = Blocks()
    for kept in POSTING:
        expected |= blocks_of(kept, postings[kept])
        customers, posted = sums_by_customer(kept, postings[kept]), ledger.by_customer[kept.name]
        _compare_values(report, f"{kept.name}_posting", (), log=customers, postings=posted)
    report.blocks = len(expected.keys() | ledger.blocks.keys())
    for key in _differing(expected, ledger.blocks):
        report.differ("block", key, log=_shown(expected, key), blocks=_shown(ledger.blocks, key))
    for key in _differing(expected, ledger.postings):
        report.differ(f"{key.kind}_posting", key, log=_shown(expected, key), postings=_shown(ledger.postings, key))
    for row in ledger.contradictory:
        report.differ("block", row, contradicts="the sums are not those of the days")
    return report


def _compare_values(report: Report, table: str, prefix: tuple[str, ...], **sides: Mapping[Any, Any]) -> None:
    (left_name, left), (right_name, right) = sides.items()
    for key in _differing(left, right):
        parts = key if isinstance(key, tuple) else (key,)
        report.differ(table, (*prefix, *parts), **{left_name: left.get(key), right_name: right.get(key)})


def _differing(left: Mapping[Key, Any], right: Mapping[Key, Any]) -> list[Key]:
    return sorted({key for key in left.keys() | right.keys() if left.get(key) != right.get(key)})  # type: ignore[type-var]  # keys are tuples or ids


def _shown(blocks: Blocks, key: BlockKey) -> dict[str, dict[int, int]]:
    if key not in blocks:
        return {}
    found = blocks[key]
    return {
        "cells": {number: amount for number, amount in sorted(found.cells.items()) if amount},
        "buckets": {number: count for number, count in sorted(found.buckets.items()) if count},
    }
