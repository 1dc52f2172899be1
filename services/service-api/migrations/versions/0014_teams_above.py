"""The directory says which team is above which: for the teams of before it is published once."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from event_contracts.catalogue import SERVICE_DIRECTORY_TOPIC
from event_contracts.codec import encode
from event_contracts.directory import ServiceDirectoryEntrySet
from service_kit.identifiers import new_id

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# A version of their own: that of before may have been published already, and a sequence has one event.
_TEAMS = sa.text(
    "UPDATE team SET version = version + 1 WHERE parent_id IS NOT NULL RETURNING id, name, parent_id, version"
)
_PUBLISH = sa.text(
    "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload)"
    " VALUES (:id, :topic, :key, 'service.directory-entry-set', :payload)"
)


def upgrade() -> None:
    """Write the entry of each team below another to the outbox, for the relay."""
    connection = op.get_bind()
    now = datetime.now(UTC)
    for team in connection.execute(_TEAMS).all():
        event_id = new_id()
        payload = encode(
            ServiceDirectoryEntrySet(id=team.id, kind="team", name=team.name, parent_id=team.parent_id),
            event_id=event_id,
            time=now,
            recorded_time=now,
            sequence=team.version,
            partition_key=team.id,
        )
        row = {"id": event_id, "topic": SERVICE_DIRECTORY_TOPIC, "key": str(team.id), "payload": payload}
        connection.execute(_PUBLISH, row)


def downgrade() -> None:
    """Leave what was published."""
