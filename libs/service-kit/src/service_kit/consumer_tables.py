"""Where a consumer keeps what it must not lose: how far it has come, and the records that it could not take."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from service_kit.database import metadata

consumer_offset = sa.Table(
    "consumer_offset",
    metadata,
    sa.Column("consumer", sa.Text, primary_key=True),
    sa.Column("cluster_id", sa.Text, primary_key=True, comment="of the Kafka cluster: offsets mean nothing elsewhere"),
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("next_offset", sa.BigInteger, nullable=False, comment="of the first record whose effects are not here"),
    sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
)

dead_letter = sa.Table(
    "dead_letter",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("consumer", sa.Text, nullable=False),
    sa.Column("cluster_id", sa.Text, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("partition", sa.Integer, nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("key", sa.LargeBinary),
    sa.Column("value", sa.LargeBinary, comment="the original bytes"),
    sa.Column("headers", JSONB, nullable=False, comment="pairs of name and value, the value in base64"),
    sa.Column("reason", sa.Text, nullable=False, comment="one of a closed list"),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.UniqueConstraint("consumer", "cluster_id", "topic", "partition", "offset"),
)
