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
        keys = sa.union(*(_keys(table, sa.column(column)) for table, column in columns))
        for key in sorted(connection.scalars(keys)):
            value_id, event_id = new_id(), new_id()
            if connection.execute(_DECLARE, {"id": value_id, "list": name, "key": key}).first() is None:
                continue
            payload = encode(
                SalesListValueSet(id=value_id, kind="list_value", list=name, key=key, name=key),
                event_id=event_id,
                time=now,
                recorded_time=now,
                sequence=1,
                partition_key=value_id,
            )
            published = {"id": event_id, "topic": SALES_DIRECTORY_TOPIC, "key": str(value_id), "payload": payload}
            connection.execute(_PUBLISH, published)


def _keys(table: str, column: sa.ColumnClause[str]) -> sa.Select[str]:
    return sa.select(column).select_from(sa.table(table)).where(column.is_not(None))
