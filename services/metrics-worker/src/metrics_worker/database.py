"""The two schemas of the metrics database: the ledger's tables follow from the log, those declared here do not.

What people decided, what was made once, and what is known of messages that left: `metrics-replay` leaves it alone, and
it is backed up by itself. docs/quickstart-operations.md lists what is restored how.
"""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from service_kit.audit.entries import audit_entry
from service_kit.consumer.dead_letters import dead_letter
from service_kit.database import encryption
from service_kit.entities import Entity
from service_kit.idempotency import idempotency_key
from service_kit.outbox import outbox
from service_kit.published_events import correction, published_event, published_topic, stream
from service_kit.relay_lease import relay_lease
from service_kit.settings import DatabaseSettings
from service_kit.tables import own_metadata

AUTHORITATIVE: Final = "authoritative"
"""The schema of what cannot be derived from the log."""
SEARCH_PATH: Final = f"public, {AUTHORITATIVE}"
"""No name is in both."""

authoritative = own_metadata(
    audit_entry,
    correction,
    dead_letter,
    idempotency_key,
    outbox,
    published_event,
    published_topic,
    relay_lease,
    stream,
    schema=AUTHORITATIVE,
)

reporting_choice = sa.Table(
    "reporting_choice",
    authoritative,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("timezone", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.CheckConstraint("id = 1", name="single_row"),
    comment="The time zone and currency that were chosen for the ledger, and that a new one follows; one row.",
)


class Base(Entity):
    """The base of the entities that people and jobs write: targets, closed periods, webhooks, published risks."""

    metadata = authoritative


def tool_engine(settings: DatabaseSettings) -> AsyncEngine:
    """Return an engine for commands, whose statements may take longer than those of a request."""
    return create_async_engine(
        settings.database_url,
        poolclass=NullPool,
        connect_args=encryption(settings) | {"server_settings": {"search_path": SEARCH_PATH}},
    )
