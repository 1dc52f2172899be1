"""Whether an activity was agreed with the customer, who then waits for it."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Of activities of before it is not known: no customer waits for them."""
    comment = "they count on it at its due time"
    agreed = sa.Column(
        "agreed_with_customer", sa.Boolean(), nullable=False, server_default=sa.text("false"), comment=comment
    )
    op.add_column("activity", agreed)


def downgrade() -> None:
    """Take it away."""
    op.drop_column("activity", "agreed_with_customer")
