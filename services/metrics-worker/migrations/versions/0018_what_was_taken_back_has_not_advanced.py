"""Deals that were taken back no longer count as advanced: the books are emptied and read anew.

Targets for groupings that have ceased to be are taken away: nobody could address them any more.
"""

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
_NO_LONGER_BY = {
    "advocacy": ("channel",),
    "cost_to_serve_minutes": ("channel", "owner", "team"),
    "upsell_from_service": ("owner", "team"),
}


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
    for kpi, dimensions in _NO_LONGER_BY.items():
        named = ", ".join(f"'{name}'" for name in dimensions)
        op.execute(f"DELETE FROM target WHERE kpi = '{kpi}' AND dimension IN ({named})")  # noqa: S608 -- names of ours


def downgrade() -> None:
    """Takes it back."""
    _read_anew(rules_version=4)
