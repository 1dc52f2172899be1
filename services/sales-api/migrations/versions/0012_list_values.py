"""Declared lists: the channels. Those that records have are declared, so that they stay valid."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from event_contracts.catalogue import SALES_DIRECTORY_TOPIC
from event_contracts.codec import encode
from event_contracts.directory import SalesListValueSet
from service_kit.identifiers import new_id
from service_kit.migration_tables import create_list_values

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_RECORDED = {
    "channels": [(table, "channel") for table in ("account", "lead", "deal", "activity", "referral")],
}
_DECLARE = sa.text(
    "INSERT INTO list_value (id, version, list, key, label) VALUES (:id, 1, :list, :key, :key)"
    " ON CONFLICT (list, key) DO NOTHING RETURNING id"
)
_PUBLISH = sa.text(
    "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload)"
    " VALUES (:id, :topic, :key, 'sales.list-value-set', :payload)"
)


def upgrade() -> None:
    """Create the table, and declare and publish what records have besides the first values."""
    create_list_values(*_RECORDED)
    connection = op.get_bind()
    now = datetime.now(UTC)
    for name, columns in _RECORDED.items():
        keys = " UNION ".join(f"SELECT {column} FROM {table}" for table, column in columns)  # noqa: S608 -- no input
        recorded = connection.execute(sa.text(f"SELECT * FROM ({keys}) AS recorded (key) WHERE key IS NOT NULL"))  # noqa: S608
        for key in sorted(recorded.scalars()):
            row = {"id": new_id(), "list": name, "key": key}
            if connection.execute(_DECLARE, row).first() is None:
                continue
            event_id = new_id()
            payload = encode(
                SalesListValueSet(id=row["id"], kind="list_value", list=name, key=key, name=key),
                event_id=event_id,
                time=now,
                recorded_time=now,
                sequence=1,
                partition_key=row["id"],
            )
            published = {"id": event_id, "topic": SALES_DIRECTORY_TOPIC, "key": str(row["id"]), "payload": payload}
            connection.execute(_PUBLISH, published)


def downgrade() -> None:
    """Drop the table; what was published stays."""
    op.drop_table("list_value")
