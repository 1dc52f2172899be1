"""Who contacted a lead first, and whose it was when it was qualified."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# It was not recorded: it is taken to be who has the lead now.
FILL = """
UPDATE lead SET
contacted_by = CASE WHEN contacted_at IS NOT NULL THEN owned END,
qualified_by = CASE WHEN qualified_at IS NOT NULL THEN owned END
FROM (SELECT id, jsonb_build_object('person_id', owner_id, 'team_id', team_id) AS owned FROM lead) AS now
WHERE now.id = lead.id AND (contacted_at IS NOT NULL OR qualified_at IS NOT NULL)
"""


def upgrade() -> None:
    """Add the columns, and fill them."""
    for name in ("contacted_by", "qualified_by"):
        op.add_column("lead", sa.Column(name, postgresql.JSONB(), comment="its owner and their team then"))
    op.execute(FILL)


def downgrade() -> None:
    """Take them away."""
    op.drop_column("lead", "qualified_by")
    op.drop_column("lead", "contacted_by")
