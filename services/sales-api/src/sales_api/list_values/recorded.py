"""Declares what records have, for the migrations that make a list of a field."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa
from alembic import op

from event_contracts.catalogue import SALES_DIRECTORY_TOPIC
from event_contracts.codec import encode
from event_contracts.directory import SalesListValueSet
from service_kit.identifiers import new_id

_DECLARE: Final = sa.text(
    "INSERT INTO list_value (id, version, list, key, label) VALUES (:id, 1, :list, :key, :key)"
    " ON CONFLICT (list, key) DO NOTHING RETURNING id"
)
_PUBLISH: Final = sa.text(
    "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload)"
    " VALUES (:id, :topic, :key, 'sales.list-value-set', :payload)"
)


def declare_recorded(columns_of: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """Declare and publish what records have in columns of tables, besides the first values of their list."""
    connection = op.get_bind()
    now = datetime.now(UTC)
    for name, columns in columns_of.items():
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
