"""The offsets of a consumer: kept beside its effects, bound to one log, and advanced by compare-and-set."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import sqlalchemy as sa
import structlog
from aiokafka import TopicPartition
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service_kit import telemetry
from service_kit.compiled import CompiledStatement, driver_of
from service_kit.consumer.log_identity import NO_TOPIC_ID, LogIdentity
from service_kit.database import metadata

log = structlog.get_logger()

Offsets = dict[TopicPartition, int]

OffsetResetPolicy = Literal["stop", "reset"]
"""What happens when the log does not hold the next record: stop for an operator, or go on with what the log holds."""

consumer_offset = sa.Table(
    "consumer_offset",
    metadata,
    sa.Column("consumer", sa.Text, primary_key=True),
    sa.Column("cluster_id", sa.Text, primary_key=True, comment="of the Kafka cluster: offsets mean nothing elsewhere"),
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column(
        "topic_id",
        sa.Uuid,
        nullable=False,
        server_default=str(NO_TOPIC_ID),
        comment="a topic that is recreated under the same name has another id, and other records",
    ),
    sa.Column("next_offset", sa.BigInteger, nullable=False, comment="of the first record whose effects are not here"),
    sa.Column(
        "log_end",
        sa.BigInteger,
        comment="where the log ended when reading began: up to there all is of the past; null until that is known",
    ),
    sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
)

# Arrays, not a list of values: a statement that looks the same for any number of partitions is compiled once.
_ADVANCING: Final = (
    "update consumer_offset as stored set next_offset = given.now, updated_at = now()"
    " from unnest(cast(:topics as text[]), cast(:partitions as integer[]), cast(:topic_ids as uuid[]),"
    " cast(:was as bigint[]), cast(:now as bigint[])) as given (topic, partition, topic_id, was, now)"
    " where stored.consumer = :consumer and stored.cluster_id = :cluster_id and stored.topic = given.topic"
    " and stored.partition = given.partition and stored.topic_id = given.topic_id"
    " and stored.next_offset = given.was"
)
_AT_REVISION: Final = " and exists (select from alembic_version where version_num = cast(:revision as text))"
_RETURNING: Final = " returning stored.partition"
_ADVANCE: Final = CompiledStatement(sa.text(_ADVANCING + _RETURNING))
_ADVANCE_AT: Final = CompiledStatement(sa.text(_ADVANCING + _AT_REVISION + _RETURNING))
_REVISION: Final = sa.text("select version_num from alembic_version")

_SET_LOG_ENDS: Final = sa.text(
    "update consumer_offset as stored set log_end = given.log_end"
    " from unnest(cast(:topics as text[]), cast(:partitions as integer[]), cast(:ends as bigint[]))"
    " as given (topic, partition, log_end)"
    " where stored.consumer = :consumer and stored.cluster_id = :cluster_id and stored.topic = given.topic"
    " and stored.partition = given.partition and stored.log_end is null"
)


class Fenced(Exception):
    """Another consumer has advanced these partitions: ours is out of date, and nothing of its batch is written."""


class SchemaDiffers(Exception):
    """The database is migrated to another revision than the process is for; nothing is written."""


class OperatorRequired(Exception):
    """A failure that needs an operator's decision. Ends `Consumer.run`; nothing of the batch is written."""


class OffsetsOutOfRange(OperatorRequired):
    """The log does not hold the next record: it was cut, or recreated. Never skipped silently."""


class OffsetStore:
    """The offsets that one consumer keeps for one log."""

    def __init__(
        self,
        consumer: str,
        identity: LogIdentity,
        reset_policy: OffsetResetPolicy,
        *,
        revision: str | None = None,
    ) -> None:
        """`revision` is that of the schema that the consumer's statements are for; None for any."""
        self._consumer = consumer
        self._identity = identity
        self._reset_policy = reset_policy
        self._revision = revision

    async def require_schema(self, connection: AsyncConnection) -> None:
        """Raise `SchemaDiffers` unless the database is at the revision."""
        if self._revision is None:
            return
        found = (await connection.execute(_REVISION)).scalars().all()
        if found != [self._revision]:
            at = ", ".join(found) or "none"
            raise SchemaDiffers(f"the database is at revision {at}, and this release is for {self._revision}")

    async def advance(self, connection: AsyncConnection, stored: Offsets, next_offsets: Offsets) -> None:
        """Replace the stored offsets by the next ones.

        Raises `Fenced` when the database holds others, or was migrated to another revision since.
        """
        moved = sorted(part for part, offset in next_offsets.items() if offset != stored[part])
        advance, at = (_ADVANCE, {}) if self._revision is None else (_ADVANCE_AT, {"revision": self._revision})
        rows = await advance.all(
            await driver_of(connection),
            **at,
            consumer=self._consumer,
            cluster_id=self._identity.cluster_id,
            topics=[part.topic for part in moved],
            partitions=[part.partition for part in moved],
            topic_ids=[self._identity.topic_ids[part.topic] for part in moved],
            was=[stored[part] for part in moved],
            now=[next_offsets[part] for part in moved],
        )
        if len(rows) != len(moved):
            left = len(moved) - len(rows)
            raise Fenced(f"another consumer advanced {left} of {len(moved)} partitions, or the database was migrated")

    async def load(self, connection: AsyncConnection) -> Offsets:
        """Return the stored offsets of all partitions, also of those that other members of the group hold."""
        rows = await connection.execute(
            sa.select(consumer_offset.c.topic, consumer_offset.c.partition, consumer_offset.c.next_offset).where(
                consumer_offset.c.consumer == self._consumer,
                consumer_offset.c.cluster_id == self._identity.cluster_id,
            )
        )
        return {TopicPartition(row.topic, row.partition): row.next_offset for row in rows}

    async def adopt(
        self, connection: AsyncConnection, assigned: Iterable[TopicPartition], first: Mapping[TopicPartition, int]
    ) -> None:
        """Give every assigned partition an offset of this log. Raises `OffsetsOutOfRange` where it has another log's.

        `first` are the offsets of the partitions' first records.
        """
        for part in sorted(assigned):
            ours = sa.and_(
                consumer_offset.c.consumer == self._consumer,
                consumer_offset.c.topic == part.topic,
                consumer_offset.c.partition == part.partition,
            )
            here = consumer_offset.c.cluster_id == self._identity.cluster_id
            rows = (
                await connection.execute(
                    sa.select(consumer_offset.c.cluster_id, consumer_offset.c.topic_id).where(ours).with_for_update()
                )
            ).all()
            topic_id, name = self._identity.topic_ids[part.topic], f"{part.topic}/{part.partition}"
            if any(row.cluster_id != self._identity.cluster_id for row in rows):
                reason = f"{name}: the offsets are of another Kafka cluster, {rows[0].cluster_id}"
                await self.reset(connection, part, first[part], reason)
                await connection.execute(sa.delete(consumer_offset).where(ours, ~here))
            elif rows and rows[0].topic_id not in (topic_id, NO_TOPIC_ID):
                reason = f"{name}: the topic was recreated, the offsets are of the one before it"
                await self.reset(connection, part, first[part], reason)
            elif rows:
                # Stored when the broker knew no topic ids.
                unknown = consumer_offset.c.topic_id == NO_TOPIC_ID
                await connection.execute(sa.update(consumer_offset).where(ours, unknown).values(topic_id=topic_id))
            else:
                await self._write(connection, part, first[part])

    async def insert_missing(self, connection: AsyncConnection, first: Mapping[TopicPartition, int]) -> None:
        """Insert offsets for partitions without any: of members that have not started, to show what is unread."""
        if first:
            rows = [self._row(part, offset) for part, offset in sorted(first.items())]
            await connection.execute(insert(consumer_offset).on_conflict_do_nothing(), rows)

    async def reset(self, connection: AsyncConnection, part: TopicPartition, first: int, reason: str) -> None:
        """Start again at the log's first record, when that is the policy. Raises `OffsetsOutOfRange`."""
        if self._reset_policy == "stop":
            raise OffsetsOutOfRange(
                f"{reason}. Restore the log; or set CONSUMER_OFFSET_RESET=reset to go on with what the log holds now "
                "(what is read twice counts once, what the log lost keeps its effects)"
            )
        log.error("offset_reset", consumer=self._consumer, reason=reason, next_offset=first)
        telemetry.OFFSET_RESETS.labels(self._consumer, part.topic).inc()
        await self._write(connection, part, first)

    async def without_log_end(self, connection: AsyncConnection) -> list[TopicPartition]:
        """Return the partitions whose reading has just begun: where their log ended then is not stored yet."""
        rows = await connection.execute(
            sa.select(consumer_offset.c.topic, consumer_offset.c.partition).where(
                consumer_offset.c.consumer == self._consumer,
                consumer_offset.c.cluster_id == self._identity.cluster_id,
                consumer_offset.c.log_end.is_(None),
            )
        )
        return [TopicPartition(row.topic, row.partition) for row in rows if row.topic in self._identity.topic_ids]

    async def set_log_ends(self, connection: AsyncConnection, ends: Mapping[TopicPartition, int]) -> None:
        """Store where the log ended when reading began, once for each partition."""
        await connection.execute(
            _SET_LOG_ENDS,
            {
                "consumer": self._consumer,
                "cluster_id": self._identity.cluster_id,
                "topics": [part.topic for part in ends],
                "partitions": [part.partition for part in ends],
                "ends": list(ends.values()),
            },
        )

    async def _write(self, connection: AsyncConnection, part: TopicPartition, offset: int) -> None:
        row = self._row(part, offset)
        await connection.execute(
            insert(consumer_offset)
            .values(row)
            .on_conflict_do_update(
                index_elements=["consumer", "cluster_id", "topic", "partition"],
                set_={"topic_id": row["topic_id"], "next_offset": offset, "log_end": None},
            )
        )

    def _row(self, part: TopicPartition, offset: int) -> dict[str, Any]:
        return {
            "consumer": self._consumer,
            "cluster_id": self._identity.cluster_id,
            "topic": part.topic,
            "partition": part.partition,
            "topic_id": self._identity.topic_ids[part.topic],
            "next_offset": offset,
        }
