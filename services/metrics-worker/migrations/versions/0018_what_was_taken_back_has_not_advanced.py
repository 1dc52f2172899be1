"""Deals that were taken back no longer count as advanced: the books are emptied and read anew."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_OF_KINDS = ("_subject", "_posting", "_balance", "_histogram", "_narrow", "_opening")
_OTHERS = (
    "relationship_fact", "relationship_review", "account_merge", "narrowed", "opening_balance", "freshness",
    "sequence_gap", "consumer_offset",
)  # fmt: skip


def _read_anew(rules_version: int) -> None:
    # The sums of one version of the rules mean nothing to another. The log has everything: without offsets the
    # consumer begins at its beginning. The time zone and the currency of the books stay.
    names = sorted(sa.inspect(op.get_bind()).get_table_names())
    op.execute(f"TRUNCATE {', '.join([name for name in names if name.endswith(_OF_KINDS)] + [*_OTHERS])}")
    # Settled letters are a person's decision, mended ones a person's work; the rest come again if they are still bad.
    op.execute("DELETE FROM dead_letter WHERE status = 'open' AND mended_value IS NULL")
    op.execute(sa.text("UPDATE books SET rules_version = :version").bindparams(version=rules_version))


def upgrade() -> None:
    """Applies it."""
    _read_anew(rules_version=5)


def downgrade() -> None:
    """Takes it back."""
    _read_anew(rules_version=4)
