"""The directory names products: those of before are published once."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from event_contracts.catalogue import SALES_DIRECTORY_TOPIC
from event_contracts.codec import encode
from event_contracts.directory import SalesProductEntrySet
from service_kit.identifiers import new_id

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_PRODUCTS = sa.text("SELECT id, code, name, version FROM product ORDER BY id FOR SHARE")
_PUBLISH = sa.text(
    "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload)"
    " VALUES (:id, :topic, :key, 'sales.product-entry-set', :payload)"
)


def upgrade() -> None:
    """Write each product's entry to the outbox, for the relay."""
    connection = op.get_bind()
    now = datetime.now(UTC)
    for product in connection.execute(_PRODUCTS).all():
        event_id = new_id()
        entry = SalesProductEntrySet(id=product.id, kind="product", code=product.code, name=product.name)
        payload = encode(
            entry,
            event_id=event_id,
            time=now,
            recorded_time=now,
            sequence=product.version,
            partition_key=product.id,
        )
        row = {"id": event_id, "topic": SALES_DIRECTORY_TOPIC, "key": str(product.id), "payload": payload}
        connection.execute(_PUBLISH, row)


def downgrade() -> None:
    """Leave what was published."""
