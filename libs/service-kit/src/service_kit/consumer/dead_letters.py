"""Dead letters: records that a consumer cannot process, kept with their original bytes."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service_kit.consumer.log_identity import NO_TOPIC_ID, LogIdentity
from service_kit.consumer.records import Position, RawRecord
from service_kit.database import metadata

MAX_DETAIL_LENGTH = 1000

DeadLetterStatus = Literal["open", "sent", "discarded"]

SETTLED_WITH_CONTENT: Final = "status <> 'open' AND (key IS NOT NULL OR value IS NOT NULL OR mended_value <> ''::bytea)"

dead_letter = sa.Table(
    "dead_letter",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True, server_default=sa.text("uuidv7()")),
    sa.Column("consumer", sa.Text, nullable=False),
    sa.Column("cluster_id", sa.Text, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("topic_id", sa.Uuid, nullable=False, server_default=str(NO_TOPIC_ID)),
    sa.Column("partition", sa.Integer, nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("key", sa.LargeBinary),
    sa.Column("value", sa.LargeBinary, comment="the original bytes"),
    sa.Column("headers", JSONB, nullable=False, comment="pairs of name and value, the value in base64"),
    sa.Column("reason", sa.Text, nullable=False, comment="one of a closed list"),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("status", sa.Text, nullable=False, server_default="open"),
    sa.Column("mended_value", sa.LargeBinary, comment="what is sent in the original's place"),
    sa.Column("settled_at", sa.DateTime(timezone=True), comment="when it was sent again or discarded"),
    sa.Column("settled_by", sa.Text, comment="who asked for that"),
    sa.Column("discarded_because", sa.Text),
    sa.Column("version", sa.Integer, nullable=False, server_default="1", comment="rises with each change"),
    sa.CheckConstraint("status IN ('open', 'sent', 'discarded')", name="status"),
    sa.UniqueConstraint(
        "consumer", "cluster_id", "topic", "topic_id", "partition", "offset", name="dead_letter_record_key"
    ),
    sa.Index("dead_letter_consumer_status_id_idx", "consumer", "status", "id"),
    sa.Index("dead_letter_settled_at_idx", "settled_at", postgresql_where=sa.text(SETTLED_WITH_CONTENT)),
)

EMPTY: Final[Mapping[str, Any]] = {
    "version": sa.literal_column("version + 1"),
    "value": None,
    "headers": sa.literal_column("'[]'::jsonb"),
    "detail": "",
    # Not null: another record was sent in this one's place, which is still to be skipped.
    "mended_value": sa.case((dead_letter.c.mended_value.is_not(None), sa.literal_column("''::bytea"))),
}
"""The values of a settled dead letter whose content is gone. Its key is not among them."""


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that cannot be processed, and why."""

    record: RawRecord
    reason: str
    detail: str

    def row(self, consumer: str, log: LogIdentity) -> dict[str, Any]:
        """Return its row of `dead_letter`."""
        record = self.record
        return {
            "consumer": consumer,
            "cluster_id": log.cluster_id,
            "topic": record.topic,
            "topic_id": log.topic_ids[record.topic],
            "partition": record.partition,
            "offset": record.offset,
            "key": record.key,
            "value": record.value,
            "headers": [[name, base64.b64encode(value or b"").decode()] for name, value in record.headers or ()],
            "reason": self.reason,
            # PostgreSQL's text holds neither NUL nor lone surrogates.
            "detail": self.detail.replace("\x00", "").encode("utf-8", "replace").decode()[:MAX_DETAIL_LENGTH],
        }


async def insert_dead_letters(
    connection: AsyncConnection, consumer: str, log: LogIdentity, dead_letters: Iterable[DeadLetter]
) -> None:
    """Insert those that the consumer does not have yet."""
    rows = [each.row(consumer, log) for each in dead_letters]
    await connection.execute(insert(dead_letter).on_conflict_do_nothing(), rows)


async def count_open(connection: AsyncConnection, consumer: str) -> int:
    """Return how many of the consumer's dead letters are neither sent nor discarded."""
    query = sa.select(sa.func.count()).where(dead_letter.c.consumer == consumer, dead_letter.c.status == "open")
    return int((await connection.execute(query)).scalar_one())


async def skipped_positions(
    connection: AsyncConnection, consumer: str, topic_ids: Mapping[str, UUID]
) -> frozenset[Position]:
    """Return the positions of records that must not count as they are, even to a release that can read them.

    They were discarded, or a mended record was sent in their place.
    """
    table = dead_letter.c
    replaced = sa.and_(table.status == "sent", table.mended_value.is_not(None))
    rows = await connection.execute(
        sa.select(table.topic, table.topic_id, table.partition, table.offset).where(
            table.consumer == consumer, sa.or_(table.status == "discarded", replaced)
        )
    )
    return frozenset((row.topic, row.partition, row.offset) for row in rows if row.topic_id == topic_ids.get(row.topic))
