"""The use cases of webhooks: one function, one transaction each."""

from datetime import UTC, datetime
from uuid import UUID

from metrics_worker.webhooks.addresses import AddressRefused, check_address
from metrics_worker.webhooks.filters import FilterRefused, Filters, check_filters
from metrics_worker.webhooks.model import OVERLAP, Webhook, WebhookDelivery, WebhookSecret
from metrics_worker.webhooks.schemas import WebhookCreate, WebhookUpdate
from service_kit.audit.entries import noun_code
from service_kit.database import database_now
from service_kit.locking import lock
from service_kit.problems import NotFound, Unprocessable
from service_kit.unit_of_work import Lock, UnitOfWork
from service_kit.versions import ExpectedVersion


def register_webhook(work: UnitOfWork, body: WebhookCreate, *, allow_loopback: bool) -> tuple[Webhook, WebhookSecret]:
    """Register a webhook with its first secret. Raise `Unprocessable` for an address or a filter that is not valid."""
    _check(body.url, allow_loopback=allow_loopback)
    _check_filters(body.event_types, body.filters)
    webhook = Webhook.register(body.url, body.event_types, body.filters, at=datetime.now(UTC))
    secret = WebhookSecret.make(webhook.id)
    work.add(webhook)
    work.add(secret)
    return webhook, secret


async def change_webhook(
    work: UnitOfWork, webhook_id: UUID, body: WebhookUpdate, expected: ExpectedVersion, *, allow_loopback: bool
) -> Webhook:
    """Change a webhook. Raise `NotFound`, `PreconditionFailed` and `Unprocessable`."""
    if {"event_types", "filters"} <= body.model_fields_set:
        _check_filters(body.event_types, body.filters)
    webhook = await lock(work, Webhook, webhook_id, expected)
    changed = body.changed_from(webhook)
    if "url" in changed:
        _check(body.url, allow_loopback=allow_loopback)
    if changed.keys() & {"event_types", "filters"}:
        _check_filters(changed.get("event_types", webhook.event_types), changed.get("filters", webhook.filters))
    webhook.change(changed, at=datetime.now(UTC))
    return webhook


async def delete_webhook(work: UnitOfWork, webhook_id: UUID, expected: ExpectedVersion) -> None:
    """Delete a webhook with its secrets and deliveries. Raise `NotFound` and `PreconditionFailed`."""
    webhook = await lock(work, Webhook, webhook_id, expected, with_key=True)
    for secret in await work.find(WebhookSecret, WebhookSecret.table.c.webhook_id == webhook_id):
        await work.delete(secret)
    await work.delete(webhook)


async def add_secret(work: UnitOfWork, webhook_id: UUID) -> tuple[WebhookSecret, datetime]:
    """Return a new secret, and when the former ones expire. Raise `NotFound`."""
    await get_webhook(work, webhook_id, locked="no key update")
    now = datetime.now(UTC)
    retire_at = now + OVERLAP
    for former in await work.find(WebhookSecret, WebhookSecret.table.c.webhook_id == webhook_id):
        if former.retires_at is None:
            former.retires_at = retire_at
        elif former.retires_at <= now:
            await work.delete(former)
    secret = WebhookSecret.make(webhook_id)
    work.add(secret)
    return secret, retire_at


async def send_again(work: UnitOfWork, webhook_id: UUID, delivery_id: UUID) -> WebhookDelivery:
    """Raises `NotFound` and `DeliveryPending`."""
    delivery = await work.get(WebhookDelivery, delivery_id, lock="no key update")
    if delivery is None or delivery.webhook_id != webhook_id:
        raise NotFound(f"There is no delivery {delivery_id} of this webhook.")
    before = delivery.status
    delivery.send_again(await database_now(work))
    work.audit(noun_code(WebhookDelivery.table), delivery.id, "updated", {"status": (before, delivery.status)})
    return delivery


async def get_webhook(work: UnitOfWork, webhook_id: UUID, *, locked: Lock | None = None) -> Webhook:
    """Return a webhook. Raise `NotFound`."""
    webhook = await work.get(Webhook, webhook_id, lock=locked)
    if webhook is None:
        raise NotFound(f"There is no webhook {webhook_id}.")
    return webhook


def _check(url: str, *, allow_loopback: bool) -> None:
    try:
        check_address(url, allow_loopback=allow_loopback)
    except AddressRefused as refused:
        raise Unprocessable.at("#/url", str(refused)) from None


def _check_filters(event_types: list[str], filters: Filters) -> None:
    try:
        check_filters(event_types, filters)
    except FilterRefused as refused:
        raise Unprocessable.at(f"#/filters/{refused.field}", str(refused)) from None
