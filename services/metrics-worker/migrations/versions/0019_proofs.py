"""What metrics-verify found."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

SCHEMA = "authoritative"


def upgrade() -> None:
    """Add the table of proofs."""
    op.create_table(
        "proof",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "fresh_as_of",
            sa.DateTime(timezone=True),
            comment="the ledger held all that was recorded up to then; null when it was not complete",
        ),
        sa.Column(
            "ledger_opened_at",
            sa.DateTime(timezone=True),
            comment="which ledger was compared: a rebuilt one differs; null before the first",
        ),
        sa.Column("events", sa.BigInteger(), nullable=False, comment="records of the log that were read"),
        sa.Column("subjects", sa.BigInteger(), nullable=False, comment="whose newest states were compared"),
        sa.Column("blocks", sa.BigInteger(), nullable=False, comment="rows of sums that were compared"),
        sa.Column("differences_found", sa.BigInteger(), nullable=False, comment="0 for an exact ledger"),
        sa.Column("differences", JSONB(), nullable=False, comment="the first of them, with what each side holds"),
        sa.Column("release", sa.Text(), nullable=False, comment="of metrics-worker, that compared them"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    """Take it away."""
    op.drop_table("proof", schema=SCHEMA)
