"""The highest sequence that a consumer has seen of every subject, whatever became of it: what is not newer is dropped.

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
    comment="Events that had no effect because another event of their subject had their sequence.",
)

# All of it is one snapshot: `before` is what was seen before the batch.
_RAISE: Final = CompiledStatement(
    sa.text(
        "with given as (select * from unnest(cast(:subjects as text[]), cast(:sequences as bigint[]),"
        " cast(:event_ids as uuid[])) as each (subject, sequence, event_id)),"
        " raised as (insert into seen_sequence as seen (consumer, subject, sequence, event_id)"
        " select :consumer, subject, sequence, event_id from given"
        " on conflict (consumer, subject) do update set sequence = excluded.sequence, event_id = excluded.event_id"
        " where seen.sequence < excluded.sequence returning subject)"
        " select given.subject, raised.subject is not null as is_newer, before.sequence, before.event_id"
        " from given left join raised using (subject)"
        " left join seen_sequence as before on before.consumer = :consumer and before.subject = given.subject"
    )
)

log = structlog.get_logger()


class Version(NamedTuple):
    """Which state of which subject a record carries, by which event."""

    subject: str
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
            if version is not None and version.sequence > highest.get(version.subject, version._replace(sequence=0))[1]:
                highest[version.subject] = version
        newer: dict[str, Version] = {}
        if highest:
            # Sorted: two members of the group must not lock the same rows in opposite order.
            ordered = [highest[subject] for subject in sorted(highest)]
            rows = await _RAISE.all(
                await driver_of(connection),
                consumer=self._consumer,
                subjects=[version.subject for version in ordered],
                sequences=[version.sequence for version in ordered],
                event_ids=[version.event_id for version in ordered],
            )
            newer = {row["subject"]: highest[row["subject"]] for row in rows if row["is_newer"]}
            before = {(row["subject"], row["sequence"]): row["event_id"] for row in rows}
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
        self, connection: AsyncConnection, versions: Sequence[Version], before: dict[tuple[str, int], UUID]
    ) -> None:
        dropped = []
        for subject, sequence, event_id in versions:
            first = before.setdefault((subject, sequence), event_id)
            if first != event_id:
                dropped.append({"subject": subject, "sequence": sequence, "event_id": first, "dropped": event_id})
        for each in dropped:
            telemetry.SEQUENCE_CONFLICTS.labels(self._consumer).inc()
            log.error("sequence_conflict", consumer=self._consumer, subject=each["subject"], sequence=each["sequence"])
            values = {name: each[name] for name in ("subject", "sequence", "event_id")}
            row = values | {"consumer": self._consumer, "dropped_event_id": each["dropped"]}
            await connection.execute(insert(conflicting_event).values(row).on_conflict_do_nothing())
