"""The use cases of webhooks: one function, one transaction each."""

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from metrics_worker.webhooks.addresses import AddressRefused, check_address
from metrics_worker.webhooks.model import OVERLAP, Webhook, WebhookDelivery, WebhookSecret
from metrics_worker.webhooks.schemas import WebhookCreate, WebhookUpdate
from service_kit.database import database_now
from service_kit.problems import NotFound, Unprocessable
from service_kit.versions import ExpectedVersion


async def register_webhook(
    session: AsyncSession, body: WebhookCreate, *, allow_loopback: bool
) -> tuple[Webhook, WebhookSecret]:
    """Register a webhook with its first secret. Raise `Unprocessable` for an address that is not allowed."""
    _check(body.url, allow_loopback=allow_loopback)
    webhook = Webhook.register(body.url, body.event_types, at=datetime.now(UTC))
    session.add(webhook)
    await session.flush()
    secret = WebhookSecret.make(webhook.id)
    session.add(secret)
    return webhook, secret


async def change_webhook(
    session: AsyncSession, webhook_id: UUID, body: WebhookUpdate, expected: ExpectedVersion, *, allow_loopback: bool
) -> Webhook:
    """Change a webhook. Raise `NotFound`, `PreconditionFailed` and `Unprocessable`."""
    webhook = await get_webhook(session, webhook_id, lock=True)
    expected.check(webhook.version)
    changed = body.changed_from(webhook)
    if "url" in changed:
        _check(body.url, allow_loopback=allow_loopback)
    webhook.change(changed)
    return webhook


async def delete_webhook(session: AsyncSession, webhook_id: UUID, expected: ExpectedVersion) -> None:
    """Delete a webhook with its secrets and deliveries. Raise `NotFound` and `PreconditionFailed`."""
    webhook = await get_webhook(session, webhook_id, lock=True)
    expected.check(webhook.version)
    await session.execute(sa.delete(Webhook).where(Webhook.id == webhook_id))


async def add_secret(session: AsyncSession, webhook_id: UUID) -> tuple[WebhookSecret, datetime]:
    """Return a new secret, and when the former ones expire. Raise `NotFound`."""
    await get_webhook(session, webhook_id, lock=True)
    now = datetime.now(UTC)
    await session.execute(
        sa.delete(WebhookSecret).where(WebhookSecret.webhook_id == webhook_id, WebhookSecret.retires_at <= now)
    )
    retire_at = now + OVERLAP
    await session.execute(
        sa.update(WebhookSecret)
        .where(WebhookSecret.webhook_id == webhook_id, WebhookSecret.retires_at.is_(None))
        .values(retires_at=retire_at)
    )
    secret = WebhookSecret.make(webhook_id)
    session.add(secret)
    return secret, retire_at


async def send_again(session: AsyncSession, webhook_id: UUID, delivery_id: UUID) -> WebhookDelivery:
    """Raises `NotFound` and `DeliveryPending`."""
    delivery = await session.get(WebhookDelivery, delivery_id, with_for_update=True)
    if delivery is None or delivery.webhook_id != webhook_id:
        raise NotFound(f"There is no delivery {delivery_id} of this webhook.")
    delivery.send_again(await database_now(session))
    return delivery


async def get_webhook(session: AsyncSession, webhook_id: UUID, *, lock: bool = False) -> Webhook:
    """Return a webhook. Raise `NotFound`."""
    webhook = await session.get(Webhook, webhook_id, with_for_update={"key_share": True} if lock else None)
    if webhook is None:
        raise NotFound(f"There is no webhook {webhook_id}.")
    return webhook


def _check(url: str, *, allow_loopback: bool) -> None:
    try:
        check_address(url, allow_loopback=allow_loopback)
    except AddressRefused as refused:
        raise Unprocessable.at("#/url", str(refused)) from None
