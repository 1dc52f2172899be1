"""The webhook, its secrets and its deliveries: their columns and their rules."""

import random
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from metrics_worker.database import Base, authoritative
from metrics_worker.webhooks.filters import Filters, follows_services
from metrics_worker.webhooks.signatures import new_secret
from service_kit.entities import column
from service_kit.identifiers import new_id
from service_kit.problems import Conflict
from service_kit.tables import one_of

OVERLAP: Final = timedelta(days=1)
"""How long an old secret signs beside a new one."""
RETRY_AFTER: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 60, 300, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)
"""The pauses between tries: eleven tries within three days and a bit."""
MOST_TRIES: Final = len(RETRY_AFTER) + 1
LONGEST_PAUSE: Final = timedelta(days=1)
STATUSES: Final = ("pending", "delivered", "dead")


class DeliveryPending(Conflict):
    """The delivery is tried again without a request."""

    slug, title = "delivery-pending", "The delivery is still being tried"


class Webhook(Base, table="webhook"):
    """An address and the events that it receives."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    url: str
    event_types: Annotated[list[str], column(ARRAY(sa.Text))]
    active: bool
    disabled_because: Annotated[str | None, column(comment="set when it was switched off by itself")]
    created_at: datetime
    filters: Annotated[dict[str, list[Any]], column(JSONB, server_default=sa.text("'{}'::jsonb"))]
    follows_since: Annotated[
        datetime,
        column(
            server_default=sa.func.now(),
            comment="events of sales and service that were recorded before are not sent",
        ),
    ]

    @classmethod
    def register(cls, url: str, event_types: list[str], filters: Filters, *, at: datetime) -> "Webhook":
        """Return a new webhook, active."""
        return cls(
            id=new_id(),
            version=1,
            url=url,
            event_types=event_types,
            active=True,
            disabled_because=None,
            created_at=at,
            filters={field: list(values) for field, values in filters.items()},
            follows_since=at,
        )

    def change(self, changed: dict[str, Any], *, at: datetime) -> None:
        """Take over the given values. A change clears the reason why it was disabled."""
        followed = follows_services(self.event_types)
        for name, value in changed.items():
            setattr(self, name, value)
        if not followed and follows_services(self.event_types):
            self.follows_since = at
        if changed:
            self.version += 1
            self.disabled_because = None

    def switch_off(self, because: str) -> None:
        """Send nothing more until it is activated by a request."""
        self.active = False
        self.disabled_because = because
        self.version += 1


class WebhookSecret(Base, table="webhook_secret"):
    """A key that signs a webhook's messages."""

    id: Annotated[UUID, column(primary_key=True)]
    webhook_id: Annotated[UUID, column(sa.ForeignKey("webhook.id", ondelete="CASCADE"), index=True)]
    key: Annotated[bytes, column(sa.LargeBinary, secret=True)]
    retires_at: datetime | None

    @classmethod
    def make(cls, webhook_id: UUID) -> "WebhookSecret":
        """Return a new secret, which does not expire."""
        return cls(id=new_id(), webhook_id=webhook_id, key=new_secret(), retires_at=None)


class WebhookDelivery(Base, table="webhook_delivery", audited=False):
    """One event for one webhook; its payload is stored, so that every try sends the same."""

    id: Annotated[UUID, column(primary_key=True)]
    webhook_id: Annotated[UUID, column(sa.ForeignKey("webhook.id", ondelete="CASCADE"))]
    event_id: UUID
    event_type: str
    payload: Annotated[bytes, column(sa.LargeBinary)]
    status: str
    tries: int
    next_try_at: datetime
    created_at: datetime
    last_tried_at: datetime | None
    last_status: Annotated[int | None, column(comment="of the answer; null when there was none")]
    last_error: str | None

    __table_args__ = (
        sa.UniqueConstraint("webhook_id", "event_id"),
        one_of("status", STATUSES),
        sa.Index("webhook_delivery_pending_idx", "next_try_at", postgresql_where=sa.text("status = 'pending'")),
        sa.Index(
            "webhook_delivery_ended_idx", "status", "last_tried_at", postgresql_where=sa.text("status <> 'pending'")
        ),
        sa.Index("webhook_delivery_webhook_id_id_idx", "webhook_id", "id"),
        sa.Index(
            "webhook_delivery_due_idx",
            "webhook_id",
            "next_try_at",
            "id",
            postgresql_where=sa.text("status = 'pending'"),
        ),
    )

    def succeed(self, status: int) -> None:
        """Note that the receiver accepted it."""
        self.status, self.last_status, self.last_error = "delivered", status, None

    def fail(self, error: str, *, status: int | None, at: datetime, retry_after: timedelta | None = None) -> None:
        """Note a failed try; another one follows, unless this was the last."""
        self.last_status, self.last_error = status, error
        if self.tries >= MOST_TRIES:
            self.status = "dead"
            return
        pause = RETRY_AFTER[self.tries - 1]
        if retry_after is not None:
            pause = max(pause, min(retry_after, LONGEST_PAUSE))
        # Spread, so that what failed together does not come back together.
        self.next_try_at = at + pause * (1 + random.random() / 10)  # noqa: S311 -- no secret

    def give_up(self, error: str, *, status: int) -> None:
        """Stop trying, as the receiver demands."""
        self.status, self.last_status, self.last_error = "dead", status, error

    def send_again(self, at: datetime) -> None:
        """Start over with the same message. Raise `DeliveryPending` (409)."""
        if self.status == "pending":
            raise DeliveryPending("Wait until it is delivered or given up.")
        self.status, self.tries, self.next_try_at = "pending", 0, at


FEED: Final = "metrics-webhooks"
"""The consumer group of the webhooks' feed, and the name under which its offsets and dead letters are kept."""

webhook_progress = sa.Table(
    "webhook_progress",
    authoritative,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column(
        "topic_id", sa.Uuid, nullable=False, comment="a topic that is recreated has another id and other offsets"
    ),
    sa.Column("next_offset", sa.BigInteger, nullable=False, comment="what comes before it was read"),
    sa.Column("recorded_until", sa.DateTime(timezone=True), nullable=False, comment="the latest event that was read"),
    sa.Column(
        "skips_until",
        sa.DateTime(timezone=True),
        comment="what was recorded until then was read in the topic before this one",
    ),
    comment="What webhooks were sent of the services' events, so that a restore sends nothing of it again.",
)
