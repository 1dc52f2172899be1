"""Customers' stories get books, and customers that were found to be one count as one; all is read anew."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_DIMENSIONS = ("region", "segment", "product", "channel", "owner", "team", "customer")
_MEASURES = (
    "new_won", "new_revenue", "repeat_won", "repeat_revenue", "assisted_closed", "assisted_won", "unassisted_closed",
    "unassisted_won", "buyers", "repeat_buyers", "active", "lapsed", "active_before", "retained", "revenue_before",
    "revenue_retained", "at_risk", "breached", "reopened", "badly_rated", "revenue_at_risk", "pipeline_at_risk",
    "health",
)  # fmt: skip
_MONEY = {
    "new_revenue", "repeat_revenue", "revenue_before", "revenue_retained", "revenue_at_risk", "pipeline_at_risk",
}  # fmt: skip


def _read_anew(rules_version: int) -> None:
    # The sums of one version of the rules mean nothing to another. The log has everything: without offsets the
    # consumer begins at its beginning. The time zone and the currency of the books stay.
    names = sorted(sa.inspect(op.get_bind()).get_table_names())
    tables = [name for name in names if name.endswith(("_subject", "_posting", "_balance", "_histogram"))]
    tables += ["freshness", "sequence_gap", "consumer_offset"]
    op.execute(f"TRUNCATE {', '.join(tables)}")
    # Settled letters are a person's decision, mended ones a person's work; the rest come again if they are still bad.
    op.execute("DELETE FROM dead_letter WHERE status = 'open' AND mended_value IS NULL")
    op.execute(sa.text("UPDATE books SET rules_version = :version").bindparams(version=rules_version))


def _measures() -> list[sa.Column[object]]:
    return [
        sa.Column(name, sa.Numeric(38, 0) if name in _MONEY else sa.BigInteger(), nullable=False) for name in _MEASURES
    ]


def upgrade() -> None:
    """Applies it."""
    _read_anew(rules_version=4)
    op.create_table(
        "account_merge",
        sa.Column("customer", sa.Uuid(), nullable=False),
        sa.Column("merged_into", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer", name=op.f("account_merge_pkey")),
        comment="Customers that were found to be another one, and the event that told of it.",
    )
    op.create_table(
        "relationship_subject",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("facts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("relationship_subject_pkey")),
        comment=(
            "Customers whose stories are told, and how many facts they have; whoever adds to a story locks its row."
        ),
    )
    op.create_table(
        "relationship_fact",
        sa.Column("customer", sa.Uuid(), nullable=False, comment="the one that remains, if customers were merged"),
        sa.Column("told", sa.LargeBinary(), nullable=False),
        comment="What events told of what matters to customers' stories, as the books read it (JSON).",
    )
    op.create_index("relationship_fact_customer_idx", "relationship_fact", ["customer"], unique=False)
    op.create_table(
        "relationship_review",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("customer", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("relationship_review_pkey")),
        comment="Customers whose risk has to be looked at on a day or after it, because it may have changed.",
    )
    op.create_index("relationship_review_day_idx", "relationship_review", ["day"], unique=False)
    op.create_table(
        "relationship_posting",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("split", sa.Boolean(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=True) for name in _DIMENSIONS),
        *_measures(),
        sa.PrimaryKeyConstraint("id", name=op.f("relationship_posting_pkey")),
        comment=("What changes of relationship subjects added to the sums of a day. Never changed, only appended to."),
    )
    op.create_index("relationship_posting_day_idx", "relationship_posting", ["day"], unique=False)
    op.create_index("relationship_posting_customer_day_idx", "relationship_posting", ["customer", "day"], unique=False)
    op.create_table(
        "relationship_balance",
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("span", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        *_measures(),
        sa.PrimaryKeyConstraint("dimension", "span", "day", "value", name=op.f("relationship_balance_pkey")),
        comment="Sums of relationship postings by one dimension ('all' is the total), the day, month or year that "
        "begins on a day, and value ('' for none).",
    )


def downgrade() -> None:
    """Takes it back."""
    _read_anew(rules_version=3)
    for table in ("balance", "posting", "review", "fact", "subject"):
        op.drop_table(f"relationship_{table}")
    op.drop_table("account_merge")
