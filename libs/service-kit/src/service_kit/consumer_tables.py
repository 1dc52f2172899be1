"""Where a consumer keeps what it must not lose: how far it has come, and the records that it could not take."""

from collections.abc import Mapping
from typing import Final, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from service_kit.database import metadata

NO_TOPIC_ID: Final = UUID(int=0)
"""As Kafka writes it: the topic's id is not known."""

LetterStatus = Literal["open", "sent", "discarded"]

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
        comment="of this making of the topic: made anew under the same name, it is another log",
    ),
    sa.Column("next_offset", sa.BigInteger, nullable=False, comment="of the first record whose effects are not here"),
    sa.Column(
        "log_end",
        sa.BigInteger,
        comment="where the log ended when reading began: up to there all is of the past; null until that is asked",
    ),
    sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
)

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
    sa.CheckConstraint("status IN ('open', 'sent', 'discarded')", name="status"),
    sa.UniqueConstraint(
        "consumer", "cluster_id", "topic", "topic_id", "partition", "offset", name="dead_letter_record_key"
    ),
    sa.Index("dead_letter_consumer_status_id_idx", "consumer", "status", "id"),
)

consumer_halt = sa.Table(
    "consumer_halt",
    metadata,
    sa.Column("consumer", sa.Text, primary_key=True),
    sa.Column("halted_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("bad_records", sa.Integer, nullable=False, comment="of those that were read last"),
    sa.Column("open_allowed", sa.Integer, nullable=False, comment="it goes on when no more dead letters are open"),
    comment="Consumers that stopped because nearly everything that arrived was bad.",
)


Place = tuple[str, int, int]
"""Where a record lies: topic, partition and offset."""


async def overruled(
    connection: AsyncConnection, consumer: str, topic_ids: Mapping[str, UUID] | None = None
) -> frozenset[Place]:
    """Where the records lie that shall not count as they came, also when the log is read anew by who could take them.

    They were discarded, or something else was sent in their place. With `topic_ids`, of these makings of the topics.
    """
    letter = dead_letter.c
    replaced = sa.and_(letter.status == "sent", letter.mended_value.is_not(None))
    found = await connection.execute(
        sa.select(letter.topic, letter.topic_id, letter.partition, letter.offset).where(
            letter.consumer == consumer, sa.or_(letter.status == "discarded", replaced)
        )
    )
    return frozenset(
        (row.topic, row.partition, row.offset)
        for row in found
        if topic_ids is None or row.topic_id == topic_ids.get(row.topic)
    )
