"""Who replied first to a ticket and who resolved it, and whom surveys about it are about."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

COLUMNS = ("first_responded_by", "resolved_by", "first_resolved_by")
# The first reply is in the contacts. Who resolved a ticket was not recorded: it is taken to be who has it now.
RESPONDED = """
UPDATE ticket SET first_responded_by = jsonb_build_object('person_id', reply.agent_id, 'team_id', reply.team_id)
FROM interaction AS reply
WHERE reply.ticket_id = ticket.id AND reply.occurred_at = ticket.first_responded_at AND reply.agent_id IS NOT NULL
AND reply.visibility = 'public' AND (reply.direction = 'outbound' OR reply.channel IN ('phone', 'chat', 'in_person'))
"""
RESOLVED = """
UPDATE ticket SET
resolved_by = CASE WHEN resolved_at IS NOT NULL THEN jsonb_build_object('person_id', agent_id, 'team_id', team_id) END,
first_resolved_by = jsonb_build_object('person_id', agent_id, 'team_id', team_id)
WHERE first_resolved_at IS NOT NULL
"""


def upgrade() -> None:
    """Add the columns, and fill them."""
    comment = "the agent and their team then"
    for name in COLUMNS:
        op.add_column("ticket", sa.Column(name, postgresql.JSONB(), comment=comment))
    op.execute(RESPONDED)
    op.execute(RESOLVED)
    comment = "whom surveys about its tickets are about"
    policy = sa.Column("survey_credit", sa.Text(), nullable=False, server_default="resolver", comment=comment)
    op.add_column("sla_policy", policy)
    op.alter_column("sla_policy", "survey_credit", server_default=None)
    op.create_check_constraint(
        op.f("sla_policy_survey_credit_check"),
        "sla_policy",
        "survey_credit IN ('resolver', 'first_responder', 'assignee')",
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_column("sla_policy", "survey_credit")
    for name in COLUMNS:
        op.drop_column("ticket", name)
