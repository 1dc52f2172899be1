"""Dead letters can be mended and sent again, a consumer can halt, and offsets know which topic they belong to."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NO_TOPIC_ID = "00000000-0000-0000-0000-000000000000"


def upgrade() -> None:
    """Applies it."""
    op.add_column(
        "consumer_offset",
        sa.Column(
            "topic_id",
            sa.Uuid(),
            server_default=_NO_TOPIC_ID,
            nullable=False,
            comment="of this making of the topic: made anew under the same name, it is another log",
        ),
    )
    # A letter's address must be as hard to guess and as easy to page through as every other thing's.
    op.drop_constraint("dead_letter_pkey", "dead_letter")
    op.drop_column("dead_letter", "id")
    op.add_column("dead_letter", sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False))
    op.create_primary_key("dead_letter_pkey", "dead_letter", ["id"])
    op.add_column("dead_letter", sa.Column("topic_id", sa.Uuid(), server_default=_NO_TOPIC_ID, nullable=False))
    op.add_column("dead_letter", sa.Column("status", sa.Text(), server_default="open", nullable=False))
    op.add_column(
        "dead_letter",
        sa.Column("mended_value", sa.LargeBinary(), nullable=True, comment="what is sent in the original's place"),
    )
    op.add_column(
        "dead_letter",
        sa.Column(
            "settled_at", sa.DateTime(timezone=True), nullable=True, comment="when it was sent again or discarded"
        ),
    )
    op.add_column("dead_letter", sa.Column("settled_by", sa.Text(), nullable=True, comment="who asked for that"))
    op.add_column("dead_letter", sa.Column("discarded_because", sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("dead_letter_status_check"), "dead_letter", "status IN ('open', 'sent', 'discarded')"
    )
    op.drop_constraint("dead_letter_consumer_cluster_id_topic_partition_offset_key", "dead_letter")
    op.create_unique_constraint(
        "dead_letter_record_key",
        "dead_letter",
        ["consumer", "cluster_id", "topic", "topic_id", "partition", "offset"],
    )
    op.create_index("dead_letter_consumer_status_id_idx", "dead_letter", ["consumer", "status", "id"])
    op.create_table(
        "consumer_halt",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("halted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("bad_records", sa.Integer(), nullable=False, comment="of those that were read last"),
        sa.Column(
            "open_allowed", sa.Integer(), nullable=False, comment="it goes on when no more dead letters are open"
        ),
        sa.PrimaryKeyConstraint("consumer", name=op.f("consumer_halt_pkey")),
        comment="Consumers that stopped because nearly everything that arrived was bad.",
    )


def downgrade() -> None:
    """Takes it back; which dead letters were settled, and how, is lost."""
    op.drop_table("consumer_halt")
    op.drop_index("dead_letter_consumer_status_id_idx", "dead_letter")
    op.drop_constraint("dead_letter_record_key", "dead_letter")
    for column in ("status", "mended_value", "settled_at", "settled_by", "discarded_because", "topic_id"):
        op.drop_column("dead_letter", column)
    op.create_unique_constraint(
        "dead_letter_consumer_cluster_id_topic_partition_offset_key",
        "dead_letter",
        ["consumer", "cluster_id", "topic", "partition", "offset"],
    )
    op.drop_constraint("dead_letter_pkey", "dead_letter")
    op.drop_column("dead_letter", "id")
    op.add_column("dead_letter", sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False))
    op.create_primary_key("dead_letter_pkey", "dead_letter", ["id"])
    op.drop_column("consumer_offset", "topic_id")
