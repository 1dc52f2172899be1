"""Balances and histograms are kept by month and year too, and not by customer; all is read anew."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TIMED = ("deal", "interaction", "lead", "ticket")


def _tables(ending: str) -> list[str]:
    return [name for name in sorted(sa.inspect(op.get_bind()).get_table_names()) if name.endswith(ending)]


def _read_anew() -> None:
    # The log has everything: without offsets the consumer begins at its beginning.
    tables = [name for ending in ("_subject", "_posting", "_balance", "_histogram") for name in _tables(ending)]
    tables += ["freshness", "sequence_gap", "consumer_offset"]
    op.execute(f"TRUNCATE {', '.join(tables)}")
    # Settled letters are a person's decision, mended ones a person's work; the rest come again if they are still bad.
    op.execute("DELETE FROM dead_letter WHERE status = 'open' AND mended_value IS NULL")


def _by_customer(posting: str) -> bool:
    return any(column["name"] == "customer" for column in sa.inspect(op.get_bind()).get_columns(posting))


def upgrade() -> None:
    """Applies it."""
    _read_anew()
    for name in _tables("_balance"):
        kind = name.removesuffix("_balance")
        op.add_column(name, sa.Column("span", sa.Text(), nullable=False))
        op.drop_constraint(op.f(f"{name}_pkey"), name)
        op.create_primary_key(op.f(f"{name}_pkey"), name, ["dimension", "span", "day", "value"])
        op.create_table_comment(
            name,
            f"Sums of {kind} postings by one dimension ('all' is the total), the day, month or year "
            "that begins on a day, and value ('' for none).",
        )
    for name in _tables("_posting"):
        if _by_customer(name):
            op.create_index(f"{name}_customer_day_idx", name, ["customer", "day"], unique=False)
    for kind in _TIMED:
        op.drop_table(f"{kind}_histogram")
        op.create_table(
            f"{kind}_histogram",
            sa.Column("duration", sa.Text(), nullable=False),
            sa.Column("dimension", sa.Text(), nullable=False),
            sa.Column("span", sa.Text(), nullable=False),
            sa.Column("day", sa.Date(), nullable=False),
            sa.Column("value", sa.Text(), nullable=False),
            sa.Column("segment", sa.SmallInteger(), nullable=False),
            sa.Column("counts", sa.ARRAY(sa.Integer()), nullable=False),
            sa.PrimaryKeyConstraint(
                "duration", "dimension", "span", "day", "value", "segment", name=op.f(f"{kind}_histogram_pkey")
            ),
            comment=f"How many durations of {kind} postings fall into each bucket, 32 to a segment, "
            "by the months and years of the balances.",
        )


def downgrade() -> None:
    """Takes it back."""
    _read_anew()
    for kind in _TIMED:
        op.drop_table(f"{kind}_histogram")
        op.create_table(
            f"{kind}_histogram",
            sa.Column("duration", sa.Text(), nullable=False),
            sa.Column("dimension", sa.Text(), nullable=False),
            sa.Column("value", sa.Text(), nullable=False),
            sa.Column("day", sa.Date(), nullable=False),
            sa.Column("bucket", sa.SmallInteger(), nullable=False),
            sa.Column("count", sa.BigInteger(), nullable=False),
            sa.PrimaryKeyConstraint(
                "duration", "dimension", "value", "day", "bucket", name=op.f(f"{kind}_histogram_pkey")
            ),
            comment=f"How many durations of {kind} postings fall into each bucket, by the keys of the balances.",
        )
    for name in _tables("_posting"):
        if _by_customer(name):
            op.drop_index(f"{name}_customer_day_idx", table_name=name)
    for name in _tables("_balance"):
        kind = name.removesuffix("_balance")
        op.drop_constraint(op.f(f"{name}_pkey"), name)
        op.drop_column(name, "span")
        op.create_primary_key(op.f(f"{name}_pkey"), name, ["dimension", "value", "day"])
        op.create_table_comment(
            name,
            f"Sums of {kind} postings by one dimension, value ('' for none) and day; 'all' is the total.",
        )
