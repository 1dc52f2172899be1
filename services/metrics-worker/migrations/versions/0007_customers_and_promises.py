"""Customers get books, deliveries are held against promises, and onboardings are timed; all is read anew."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TIMED = ("deal", "interaction", "lead", "ticket")
_KEPT_SO_FAR = (
    "deal", "interaction", "lead", "quota", "survey", "ticket", "activity", "referral", "training", "checkin",
    "maintenance", "review", "upsell",
)  # fmt: skip
_ACCOUNT = ("registered", "referred", "customers")
_DELIVERY = ("accepted", "promised", "kept", "in_time", "at_price", "of_quality")


def _read_anew(rules_version: int) -> None:
    # The sums of one version of the rules mean nothing to another. The log has everything: without offsets the
    # consumer begins at its beginning. The time zone and the currency of the books stay.
    tables = [f"{kind}_{table}" for kind in _KEPT_SO_FAR for table in ("subject", "posting", "balance")]
    tables += [f"{kind}_histogram" for kind in _TIMED]
    tables += ["account_subject", "customer_subject", "freshness", "sequence_gap", "consumer_offset"]
    op.execute(f"TRUNCATE {', '.join(tables)}")
    # Settled letters are a person's decision, mended ones a person's work; the rest come again if they are still bad.
    op.execute("DELETE FROM dead_letter WHERE status = 'open' AND mended_value IS NULL")
    op.execute(sa.text("UPDATE books SET rules_version = :version").bindparams(version=rules_version))


def _make_books(kind: str, dimensions: tuple[str, ...], measures: tuple[str, ...]) -> None:
    op.create_table(
        f"{kind}_posting",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=True) for name in dimensions),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in measures),
        sa.PrimaryKeyConstraint("id", name=op.f(f"{kind}_posting_pkey")),
        comment=f"What changes of {kind} subjects added to the sums of a day. Never changed, only appended to.",
    )
    op.create_index(f"{kind}_posting_day_idx", f"{kind}_posting", ["day"], unique=False)
    op.create_table(
        f"{kind}_balance",
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in measures),
        sa.PrimaryKeyConstraint("dimension", "value", "day", name=op.f(f"{kind}_balance_pkey")),
        comment=f"Sums of {kind} postings by one dimension, value ('' for none) and day; 'all' is the total.",
    )


def upgrade() -> None:
    """Applies it."""
    _read_anew(rules_version=3)
    op.create_table(
        "delivery_subject",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("delivery_subject_pkey")),
        comment="The newest state of each delivery that the books have seen, as the event told it (JSON).",
    )
    _make_books("account", ("region", "segment", "channel", "owner", "team", "customer"), _ACCOUNT)
    _make_books("delivery", ("region", "segment", "owner", "team", "customer"), _DELIVERY)
    for table in ("ticket_posting", "ticket_balance"):
        op.add_column(table, sa.Column("onboarded", sa.BigInteger(), nullable=False))
        op.add_column(table, sa.Column("onboarding_seconds", sa.BigInteger(), nullable=False))
    op.add_column("ticket_posting", sa.Column("onboarding_seconds_bucket", sa.SmallInteger(), nullable=True))


def downgrade() -> None:
    """Takes it back."""
    _read_anew(rules_version=2)
    op.drop_column("ticket_posting", "onboarding_seconds_bucket")
    for table in ("ticket_posting", "ticket_balance"):
        op.drop_column(table, "onboarding_seconds")
        op.drop_column(table, "onboarded")
    for kind in ("delivery", "account"):
        op.drop_table(f"{kind}_balance")
        op.drop_index(f"{kind}_posting_day_idx", table_name=f"{kind}_posting")
        op.drop_table(f"{kind}_posting")
    op.drop_table("delivery_subject")
