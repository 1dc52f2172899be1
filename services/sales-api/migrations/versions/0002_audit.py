"""The audit of who changed what."""

from service_kit.migration_tables import create_audit_entry, drop_audit_entry

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the audit."""
    create_audit_entry()


def downgrade() -> None:
    """Drop the audit."""
    drop_audit_entry()
