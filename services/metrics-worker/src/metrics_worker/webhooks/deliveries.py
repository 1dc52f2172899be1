"""Stores a delivery for each webhook that an event is for, in the transaction in which the event is taken."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from metrics_worker.webhooks.filters import Filters, family_of, passes
from metrics_worker.webhooks.model import Webhook

_WEBHOOK: Final = Webhook.table.c
_ACTIVE: Final = sa.select(_WEBHOOK.id, _WEBHOOK.event_types, _WEBHOOK.filters, _WEBHOOK.follows_since).where(
    _WEBHOOK.active
)
# A webhook that is deleted meanwhile gets nothing, and an event that was read before nothing more.
_INSERT: Final = sa.text("""
    INSERT INTO webhook_delivery (id, webhook_id, event_id, event_type, payload, status, tries, next_try_at, created_at)
    SELECT uuidv7(), webhook.id, given.event_id, given.event_type, given.payload, 'pending', 0, now(), now()
    FROM unnest(:webhook_ids, :event_ids, :event_types, :payloads) WITH ORDINALITY
        AS given (webhook_id, event_id, event_type, payload, place)
    JOIN webhook ON webhook.id = given.webhook_id
    ORDER BY given.place
    ON CONFLICT (webhook_id, event_id) DO NOTHING
""").bindparams(
    sa.bindparam("webhook_ids", type_=ARRAY(sa.Uuid)),
    sa.bindparam("event_ids", type_=ARRAY(sa.Uuid)),
    sa.bindparam("event_types", type_=ARRAY(sa.Text)),
    sa.bindparam("payloads", type_=ARRAY(sa.LargeBinary)),
)


class Executes(Protocol):
    """A transaction: of a unit of work, or of a consumer's batch."""

    async def execute(self, statement: Any, parameters: Any = None, /) -> Any:
        """Execute a statement."""


class Message(NamedTuple):
    """An event in the form of Standard Webhooks."""

    event_id: UUID
    event_type: str
    data: Any
    """As decoded from JSON."""
    payload: bytes


class Subscription(NamedTuple):
    """What one active webhook receives."""

    webhook_id: UUID
    event_types: frozenset[str]
    filters: Filters
    follows_since: datetime

    def is_for(self, event_type: str) -> bool:
        """Return whether the webhook receives events of this type, as far as their values pass."""
        return event_type in self.event_types or family_of(event_type) in self.event_types


async def subscriptions(work: Executes) -> list[Subscription]:
    """Return what the active webhooks receive."""
    rows = (await work.execute(_ACTIVE)).all()
    return [Subscription(row.id, frozenset(row.event_types), row.filters, row.follows_since) for row in rows]


async def deliver(work: Executes, found: Sequence[tuple[Subscription, Message]]) -> None:
    """Store deliveries, in this order, of those messages whose values pass; each at most once."""
    wanted = [(subscription, message) for subscription, message in found if passes(subscription.filters, message.data)]
    if wanted:
        await work.execute(
            _INSERT,
            {
                "webhook_ids": [subscription.webhook_id for subscription, _ in wanted],
                "event_ids": [message.event_id for _, message in wanted],
                "event_types": [message.event_type for _, message in wanted],
                "payloads": [message.payload for _, message in wanted],
            },
        )
