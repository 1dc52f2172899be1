"""Levels in combinations of filters begin at opening balances, which fill in the background."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_LEVELS = {
    "account": ("customers",),
    "deal": ("pipeline_deals", "pipeline_value", "pipeline_weighted"),
    "relationship": (
        "buyers", "repeat_buyers", "active", "active_before", "retained", "revenue_before", "revenue_retained",
        "at_risk", "breached", "reopened", "badly_rated", "revenue_at_risk", "pipeline_at_risk", "health",
    ),
    "ticket": ("backlog", "unattended"),
}  # fmt: skip


def _narrow() -> list[str]:
    return [name for name in sorted(sa.inspect(op.get_bind()).get_table_names()) if name.endswith("_narrow")]


def upgrade() -> None:
    """Applies it."""
    inspector = sa.inspect(op.get_bind())
    for kind, levels in _LEVELS.items():
        copied = inspector.get_columns(f"{kind}_narrow")
        # Codes alone are of four bytes.
        dimensions = [column for column in copied if type(column["type"]) in (sa.INTEGER, sa.BOOLEAN)]
        op.create_table(
            f"{kind}_opening",
            sa.Column("day", sa.Date(), nullable=False),
            *(sa.Column(column["name"], column["type"], nullable=column["nullable"]) for column in dimensions),
            *(sa.Column(each["name"], each["type"], nullable=False) for each in copied if each["name"] in levels),
            comment=f"What stood of {kind} postings at the beginning of the days that `opening_balance` names, as far "
            "as their narrow copy goes: rows of the same day and dimensions add up.",
        )
        op.create_index(f"{kind}_opening_day_idx", f"{kind}_opening", ["day"])
    op.create_table(
        "opening_balance",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("rows_made", sa.BigInteger(), nullable=False),
        sa.Column("rows_added", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "day", name=op.f("opening_balance_pkey")),
        comment="Of which days there are opening balances: how many rows each was made of, and how many were added to "
        "it by postings that came late.",
    )
    for name in _narrow():
        op.create_index(
            f"{name}_recorded_time_idx",
            name,
            ["recorded_time"],
            postgresql_using="brin",
            postgresql_with={"autosummarize": "on"},
        )


def downgrade() -> None:
    """Takes it back."""
    for name in _narrow():
        op.drop_index(f"{name}_recorded_time_idx", name)
    for kind in _LEVELS:
        op.drop_table(f"{kind}_opening")
    op.drop_table("opening_balance")
