"""The table of halted consumers becomes that of open circuit breakers."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

COLUMNS = {
    "consumer": "consumer",
    "halted_at": "opened_at",
    "bad_records": "bad_records",
    "open_allowed": "max_dead_letters",
}


def upgrade() -> None:
    """Applies it."""
    op.rename_table("consumer_halt", "circuit_breaker")
    op.execute("ALTER TABLE circuit_breaker RENAME CONSTRAINT consumer_halt_pkey TO circuit_breaker_pkey")
    for before, after in COLUMNS.items():
        op.execute(
            f"ALTER TABLE circuit_breaker RENAME CONSTRAINT consumer_halt_{before}_not_null"
            f" TO circuit_breaker_{after}_not_null"
        )
        if before != after:
            op.alter_column("circuit_breaker", before, new_column_name=after)
    op.create_table_comment(
        "circuit_breaker", "A row for each consumer that stopped because nearly every record was bad."
    )
    op.alter_column("circuit_breaker", "bad_records", comment="among the latest 1,000")
    op.alter_column("circuit_breaker", "max_dead_letters", comment="closes when no more dead letters are unsettled")
    op.alter_column(
        "consumer_offset",
        "topic_id",
        comment="a topic that is recreated under the same name has another id, and other records",
    )
    op.alter_column(
        "consumer_offset",
        "log_end",
        comment="where the log ended when reading began: up to there all is of the past; null until that is known",
    )


def downgrade() -> None:
    """Takes it back."""
    for before, after in COLUMNS.items():
        op.execute(
            f"ALTER TABLE circuit_breaker RENAME CONSTRAINT circuit_breaker_{after}_not_null"
            f" TO consumer_halt_{before}_not_null"
        )
        if before != after:
            op.alter_column("circuit_breaker", after, new_column_name=before)
    op.execute("ALTER TABLE circuit_breaker RENAME CONSTRAINT circuit_breaker_pkey TO consumer_halt_pkey")
    op.rename_table("circuit_breaker", "consumer_halt")
