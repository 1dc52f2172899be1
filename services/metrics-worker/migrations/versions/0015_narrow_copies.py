"""Combinations of filters are answered from narrow copies of the postings, which fill in the background."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_LEFT_OUT = frozenset({"id", "event_id", "subject_id", "event_time"})


def _postings() -> list[str]:
    names = sa.inspect(op.get_bind()).get_table_names()
    return sorted(name.removesuffix("_posting") for name in names if name.endswith("_posting"))


def upgrade() -> None:
    """Applies it."""
    inspector = sa.inspect(op.get_bind())
    for kind in _postings():
        columns = []
        for column in inspector.get_columns(f"{kind}_posting"):
            if column["name"] not in _LEFT_OUT:
                # A dimension is a text there and a code here.
                type_ = sa.Integer() if isinstance(column["type"], sa.Text) else column["type"]
                columns.append(sa.Column(column["name"], type_, nullable=column["nullable"]))
        op.create_table(
            f"{kind}_narrow",
            *columns,
            comment=f"A copy of what {kind} postings are summed by, made in the background up to the posting that "
            "`narrowed` names: dimensions by their codes in `dimension_value`.",
        )
        op.create_index(f"{kind}_narrow_day_idx", f"{kind}_narrow", ["day"])
    op.create_table(
        "narrowed",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("posting_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("narrowed_pkey")),
        comment="Up to which posting, that one included, a kind's narrow copy is complete; without a row it is empty.",
    )
    op.create_table(
        "dimension_value",
        sa.Column("code", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("dimension_value_pkey")),
        sa.UniqueConstraint("value", name=op.f("dimension_value_value_key")),
        comment="The values of all dimensions, and the codes that narrow copies hold in their place.",
    )


def downgrade() -> None:
    """Takes it back."""
    for kind in _postings():
        op.drop_table(f"{kind}_narrow")
    op.drop_table("narrowed")
    op.drop_table("dimension_value")
