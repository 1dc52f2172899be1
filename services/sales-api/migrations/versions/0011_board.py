"""The board of deals sums amounts by stage: they are read from the index alone."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let the index of stages cover what is summed."""
    op.drop_index("deal_stage_id_idx", "deal")
    op.create_index("deal_stage_id_idx", "deal", ["stage", "id"], postgresql_include=["amount", "currency"])


def downgrade() -> None:
    """Leave that to the table again."""
    op.drop_index("deal_stage_id_idx", "deal")
    op.create_index("deal_stage_id_idx", "deal", ["stage", "id"])
