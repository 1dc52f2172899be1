"""Webhooks over HTTP; for admins."""

from typing import Annotated, Literal

import sqlalchemy as sa
from fastapi import Depends, Request, Response

from metrics_worker.settings import MetricsSettings
from metrics_worker.webhooks import use_cases
from metrics_worker.webhooks.model import Webhook, WebhookDelivery
from metrics_worker.webhooks.schemas import (
    DeliveryView,
    RegisteredView,
    SecretView,
    WebhookChange,
    WebhookIn,
    WebhookView,
)
from metrics_worker.webhooks.signatures import secret_text
from service_kit.auth import requires
from service_kit.dependencies import async_dependency
from service_kit.fields import Identifier
from service_kit.filters import equal
from service_kit.paging import Paged, PageView
from service_kit.routing import Session, router
from service_kit.versions import ExpectedVersion, set_etag, unchanged

webhooks = router("/webhooks", "push")

ADMINS = [Depends(requires("admin"))]
Expected = Annotated[ExpectedVersion, Depends(async_dependency(ExpectedVersion))]


def _allow_loopback(request: Request) -> bool:
    settings: MetricsSettings = request.app.state.settings
    return settings.webhooks_allow_loopback


AllowLoopback = Annotated[bool, Depends(async_dependency(_allow_loopback))]


@webhooks.post("", status_code=201, dependencies=ADMINS)
async def register_webhook(
    body: WebhookIn, session: Session, response: Response, allow_loopback: AllowLoopback
) -> RegisteredView:
    """Registers an address for some types of events; keep the secret, it is not shown again."""
    webhook, secret = await use_cases.register_webhook(session, body, allow_loopback=allow_loopback)
    response.headers["Location"] = f"/v1/webhooks/{webhook.id}"
    set_etag(response, webhook.version)
    view = WebhookView.model_validate(webhook)
    return RegisteredView(**view.model_dump(), secret=secret_text(secret.key))


@webhooks.get("", dependencies=ADMINS)
async def list_webhooks(session: Session, page: Paged, active: bool | None = None) -> PageView[WebhookView]:
    """Webhooks, newest first."""
    columns = Webhook.__table__.c
    query = sa.select(*columns).where(*equal(columns, {"active": active}))
    return await page.of(session, query, columns.id, WebhookView.model_validate)


@webhooks.get("/{webhook_id}", dependencies=ADMINS, response_model=WebhookView)
async def get_webhook(
    webhook_id: Identifier, session: Session, request: Request, response: Response
) -> WebhookView | Response:
    """One webhook."""
    webhook = await use_cases.get_webhook(session, webhook_id)
    set_etag(response, webhook.version)
    return unchanged(request, webhook.version) or WebhookView.model_validate(webhook)


@webhooks.patch("/{webhook_id}", dependencies=ADMINS)
async def change_webhook(
    webhook_id: Identifier,
    body: WebhookChange,
    session: Session,
    response: Response,
    expected: Expected,
    allow_loopback: AllowLoopback,
) -> WebhookView:
    """Changes the address, the types, or whether anything is sent."""
    webhook = await use_cases.change_webhook(session, webhook_id, body, expected, allow_loopback=allow_loopback)
    set_etag(response, webhook.version)
    return WebhookView.model_validate(webhook)


@webhooks.delete("/{webhook_id}", status_code=204, dependencies=ADMINS)
async def delete_webhook(webhook_id: Identifier, session: Session, expected: Expected) -> None:
    """Takes a webhook away, with all that was to be sent to it."""
    await use_cases.delete_webhook(session, webhook_id, expected)


@webhooks.post("/{webhook_id}/secrets", status_code=201, dependencies=ADMINS)
async def add_webhook_secret(webhook_id: Identifier, session: Session) -> SecretView:
    """Gives a new secret; the ones before sign beside it for another day."""
    secret, retire_at = await use_cases.add_secret(session, webhook_id)
    return SecretView(secret=secret_text(secret.key), others_retire_at=retire_at)


@webhooks.get("/{webhook_id}/deliveries", dependencies=ADMINS)
async def list_webhook_deliveries(
    webhook_id: Identifier,
    session: Session,
    page: Paged,
    status: Literal["pending", "delivered", "dead"] | None = None,
) -> PageView[DeliveryView]:
    """What was sent, is to be sent, and was given up, newest first."""
    await use_cases.get_webhook(session, webhook_id)
    columns = WebhookDelivery.__table__.c
    query = sa.select(*columns).where(*equal(columns, {"webhook_id": webhook_id, "status": status}))
    return await page.of(session, query, columns.id, DeliveryView.model_validate)


@webhooks.post("/{webhook_id}/deliveries/{delivery_id}/send", dependencies=ADMINS)
async def send_webhook_delivery_again(
    webhook_id: Identifier, delivery_id: Identifier, session: Session
) -> DeliveryView:
    """Sends the same message again, under the same `webhook-id`."""
    return DeliveryView.model_validate(await use_cases.send_again(session, webhook_id, delivery_id))
