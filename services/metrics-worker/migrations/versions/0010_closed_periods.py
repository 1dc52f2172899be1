"""Closed periods, and the figures that they were closed with."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies it."""
    op.create_table(
        "closed_period",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="such as 2026-03 or 2026-Q1"),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column(
            "as_of",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="the books held all that was recorded up to then, and count as that",
        ),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("closed_period_pkey")),
        sa.UniqueConstraint("name", name=op.f("closed_period_name_key")),
    )
    op.create_table(
        "closed_figure",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("period_id", sa.Uuid(), nullable=False),
        sa.Column("kpi", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("as_closed", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "told",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="as closed, or as the last restatement said",
        ),
        sa.Column("restated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=False, comment="how many restatements told of it"),
        sa.ForeignKeyConstraint(["period_id"], ["closed_period.id"], name=op.f("closed_figure_period_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("closed_figure_pkey")),
        sa.UniqueConstraint("period_id", "kpi", "variant", name=op.f("closed_figure_period_id_kpi_variant_key")),
    )


def downgrade() -> None:
    """Takes it back."""
    op.drop_table("closed_figure")
    op.drop_table("closed_period")
