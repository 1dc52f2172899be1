"""The newest version that a consumer has seen of every subject, whatever became of it: what is not newer is dropped.

A version is an epoch and a sequence in it: a restore of the source's database raises the epoch.

What a consumer copies cannot remember that by itself. A deal that was won, reopened and lost within one batch leaves no
copy; if its win came a second time, it would be new.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service_kit import telemetry
from service_kit.compiled import CompiledStatement, driver_of
from service_kit.consumer.records import Decoded, Record
from service_kit.database import metadata

seen_sequence = sa.Table(
    "seen_sequence",
    metadata,
    sa.Column("consumer", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False, comment="the highest that the consumer has seen"),
    sa.Column("event_id", sa.Uuid, nullable=False, comment="of the event with this sequence"),
    sa.Column("epoch", sa.Integer, nullable=False, server_default="1", comment="the highest that it has seen"),
    comment="What is not newer than this has no effect, also where its effects are gone.",
)

conflicting_event = sa.Table(
    "conflicting_event",
    metadata,
    sa.Column("consumer", sa.Text, primary_key=True),
    sa.Column("dropped_event_id", sa.Uuid, primary_key=True),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("event_id", sa.Uuid, nullable=False, comment="of the event that counts"),
    sa.Column("noticed_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("epoch", sa.Integer, nullable=False, server_default="1", comment="of both events"),
    comment="Events that had no effect because another event of their subject had their sequence.",
)

# All of it is one snapshot: `before` is what was seen before the batch.
_RAISE: Final = CompiledStatement(
    sa.text(
        "with given as (select * from unnest(cast(:subjects as text[]), cast(:epochs as integer[]),"
        " cast(:sequences as bigint[]), cast(:event_ids as uuid[])) as each (subject, epoch, sequence, event_id)),"
        " raised as (insert into seen_sequence as seen (consumer, subject, epoch, sequence, event_id)"
        " select :consumer, subject, epoch, sequence, event_id from given"
        " on conflict (consumer, subject) do update"
        " set epoch = excluded.epoch, sequence = excluded.sequence, event_id = excluded.event_id"
        " where (seen.epoch, seen.sequence) < (excluded.epoch, excluded.sequence) returning subject)"
        " select given.subject, raised.subject is not null as is_newer, before.epoch, before.sequence, before.event_id"
        " from given left join raised using (subject)"
        " left join seen_sequence as before on before.consumer = :consumer and before.subject = given.subject"
    )
)

log = structlog.get_logger()


class Version(NamedTuple):
    """Which state of which subject a record carries, by which event."""

    subject: str
    epoch: int
    sequence: int
    event_id: UUID


VersionOf = Callable[[Decoded], Version | None]
"""Returns None for a record that has no sequence, or that the consumer does not copy: it passes."""


class SeenSequences:
    """The sequences that one consumer has seen."""

    def __init__(self, consumer: str) -> None:
        self._consumer = consumer

    async def newest(
        self, connection: AsyncConnection, records: Sequence[Record[Decoded]], version_of: VersionOf[Decoded]
    ) -> list[Record[Decoded]]:
        """Return of each subject's records the newest, if it is newer than all before it; note that it was seen.

        Of two events with the same sequence the first one counts, and the other is stored as a conflict.
        """
        versions = [version_of(record.value) for record in records]
        highest: dict[str, Version] = {}
        for version in versions:
            if version is not None and _is_newer(version, highest.get(version.subject)):
                highest[version.subject] = version
        newer: dict[str, Version] = {}
        if highest:
            # Sorted: two members of the group must not lock the same rows in opposite order.
            ordered = [highest[subject] for subject in sorted(highest)]
            rows = await _RAISE.all(
                await driver_of(connection),
                consumer=self._consumer,
                subjects=[version.subject for version in ordered],
                epochs=[version.epoch for version in ordered],
                sequences=[version.sequence for version in ordered],
                event_ids=[version.event_id for version in ordered],
            )
            newer = {row["subject"]: highest[row["subject"]] for row in rows if row["is_newer"]}
            before = {(row["subject"], row["epoch"], row["sequence"]): row["event_id"] for row in rows}
            await self._store_conflicts(connection, [each for each in versions if each is not None], before)
        found = []
        for record, version in zip(records, versions, strict=True):
            if version is None:
                found.append(record)
            elif newer.get(version.subject) == version:
                # Its repeat within the batch has no effect either.
                del newer[version.subject]
                found.append(record)
        return found

    async def _store_conflicts(
        self, connection: AsyncConnection, versions: Sequence[Version], before: dict[tuple[str, int, int], UUID]
    ) -> None:
        for version in versions:
            first = before.setdefault(version[:3], version.event_id)
            if first == version.event_id:
                continue
            telemetry.SEQUENCE_CONFLICTS.labels(self._consumer).inc()
            log.error("sequence_conflict", consumer=self._consumer, subject=version.subject, sequence=version.sequence)
            row = {
                "consumer": self._consumer,
                "dropped_event_id": version.event_id,
                "subject": version.subject,
                "epoch": version.epoch,
                "sequence": version.sequence,
                "event_id": first,
            }
            await connection.execute(insert(conflicting_event).values(row).on_conflict_do_nothing())


def _is_newer(version: Version, other: Version | None) -> bool:
    return other is None or (version.epoch, version.sequence) > (other.epoch, other.sequence)
