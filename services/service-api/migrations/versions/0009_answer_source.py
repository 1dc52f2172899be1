"""Who answered a survey: the customer by their link, or a colleague who entered it for them."""

import sqlalchemy as sa
from alembic import op

from service_kit.migration_tables import create_list_indexes

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

CHECKS = {
    "survey_answer_source_check": "answer_source IN ('customer', 'entered')",
    "survey_answer_source_of_answer_check": "answer_source IS NULL OR answered_at IS NOT NULL",
    "survey_entry_check": "num_nulls(entry_reason, entered_by) IN (0, 2)",
    "survey_entered_check": "(entry_reason IS NOT NULL) = (answer_source IS NOT DISTINCT FROM 'entered')",
}


def upgrade() -> None:
    """Add the columns. Of answers of before, it is not known who gave them: theirs stay null."""
    comment = "null for answers of before it was recorded"
    op.add_column("survey", sa.Column("answer_source", sa.Text(), comment=comment))
    op.add_column("survey", sa.Column("entry_reason", sa.Text()))
    op.add_column("survey", sa.Column("entered_by", sa.Text(), comment="the subject of the token; never in an event"))
    for name, condition in CHECKS.items():
        op.create_check_constraint(op.f(name), "survey", condition)
    create_list_indexes("survey", "answer_source")


def downgrade() -> None:
    """Take them away."""
    op.drop_index("survey_answer_source_id_idx", "survey")
    for name in CHECKS:
        op.drop_constraint(name, "survey")
    for column in ("entered_by", "entry_reason", "answer_source"):
        op.drop_column("survey", column)
