"""Each time a bad rating waited to be followed up, and which scores are bad ratings."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from service_kit.migration_tables import create_list_indexes

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. It is not known which bad ratings of before were followed up: none of them waits."""
    comment = "the best score that waits for a follow-up; 0 for none, null for the default"
    op.add_column("sla_policy", sa.Column("bad_score", sa.SmallInteger(), comment=comment))
    comment = "the ticket's policy's when it was sent; null for the default"
    op.add_column("survey", sa.Column("bad_score", sa.SmallInteger(), comment=comment))
    for table in ("sla_policy", "survey"):
        op.create_check_constraint(op.f(f"{table}_bad_score_check"), table, "bad_score BETWEEN 0 AND 4")
    comment = "each time a bad rating waited for a follow-up; null before it was recorded"
    op.add_column("survey", sa.Column("waits", postgresql.JSONB(), comment=comment))
    comment = "since when a bad rating waits for a follow-up now"
    op.add_column("survey", sa.Column("waiting_since", sa.DateTime(timezone=True), comment=comment))
    is_waiting = sa.text("waiting_since IS NOT NULL")
    op.create_index("survey_waiting_idx", "survey", ["ticket_id"], postgresql_where=is_waiting)
    create_list_indexes("survey", "waiting_since")


def downgrade() -> None:
    """Take them away."""
    op.drop_index("survey_waiting_since_id_idx", "survey")
    op.drop_index("survey_waiting_idx", "survey")
    for table, columns in (("survey", ("waiting_since", "waits", "bad_score")), ("sla_policy", ("bad_score",))):
        op.drop_constraint(f"{table}_bad_score_check", table)
        for column in columns:
            op.drop_column(table, column)
