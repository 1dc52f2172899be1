"""Webhooks over HTTP; for admins."""

from typing import Annotated, Literal

from fastapi import Depends, Request, Response
from pydantic import BaseModel

from metrics_worker.settings import MetricsSettings
from metrics_worker.webhooks import use_cases
from metrics_worker.webhooks.model import Webhook, WebhookDelivery
from metrics_worker.webhooks.schemas import (
    WebhookCreate,
    WebhookDeliveryRead,
    WebhookRead,
    WebhookRegisteredRead,
    WebhookSecretRead,
    WebhookUpdate,
)
from metrics_worker.webhooks.signatures import secret_text
from service_kit.dependencies import async_dependency
from service_kit.fields import Flag, Identifier
from service_kit.lists.listing import Listing, ListQuery
from service_kit.resources import Resource
from service_kit.routing import CallersAccess, Work
from service_kit.versions import Expected

webhooks = Resource(
    "/webhooks/{webhook_id}",
    Webhook.table,
    WebhookRead,
    filters={"active": Flag},
    tag="push",
    is_small=True,
    has_views=False,
)
webhooks.read_routes(list_as="list_webhooks", get_as="get_webhook", exports=False)


def _allow_loopback(request: Request) -> bool:
    settings: MetricsSettings = request.app.state.settings
    return settings.webhooks_allow_loopback


AllowLoopback = Annotated[bool, Depends(async_dependency(_allow_loopback))]


@webhooks.routes.post("", status_code=201)
async def register_webhook(
    body: WebhookCreate, work: Work, response: Response, allow_loopback: AllowLoopback
) -> WebhookRegisteredRead:
    """Register a URL for types of events. Store the secret: it is not shown again."""
    webhook, secret = use_cases.register_webhook(work, body, allow_loopback=allow_loopback)
    shown = webhooks.show_created(response, webhook)
    return WebhookRegisteredRead(**shown.model_dump(), secret=secret_text(secret.key))


@webhooks.routes.patch("/{webhook_id}")
async def change_webhook(
    webhook_id: Identifier,
    body: WebhookUpdate,
    work: Work,
    response: Response,
    expected: Expected,
    allow_loopback: AllowLoopback,
) -> WebhookRead:
    """Change the URL, the types, or whether anything is sent."""
    webhook = await use_cases.change_webhook(work, webhook_id, body, expected, allow_loopback=allow_loopback)
    return webhooks.show(response, webhook)


@webhooks.routes.delete("/{webhook_id}", status_code=204)
async def delete_webhook(webhook_id: Identifier, work: Work, expected: Expected) -> None:
    """Delete a webhook with its pending messages."""
    await use_cases.delete_webhook(work, webhook_id, expected)


@webhooks.routes.post("/{webhook_id}/secrets", status_code=201)
async def add_webhook_secret(webhook_id: Identifier, work: Work) -> WebhookSecretRead:
    """Add a secret; earlier ones keep signing beside it for one day."""
    secret, retire_at = await use_cases.add_secret(work, webhook_id)
    return WebhookSecretRead(secret=secret_text(secret.key), others_retire_at=retire_at)


_DELIVERIES = Listing(
    WebhookDelivery.table,
    WebhookDeliveryRead,
    filters={"status": Literal["pending", "delivered", "dead"]},
    is_small=True,
)
_ASKS_DELIVERIES = _DELIVERIES.query_of()


@webhooks.routes.get(
    "/{webhook_id}/deliveries", response_model=_DELIVERIES.page_model, openapi_extra=_ASKS_DELIVERIES.document()
)
async def list_webhook_deliveries(
    webhook_id: Identifier,
    work: Work,
    access: CallersAccess,
    asked: Annotated[ListQuery, Depends(_ASKS_DELIVERIES)],
) -> BaseModel:
    """Return delivered, pending and dead messages, newest first."""
    await use_cases.get_webhook(work, webhook_id)
    of_webhook = WebhookDelivery.table.c.webhook_id == webhook_id
    return await _DELIVERIES.page(work, access, asked, WebhookDeliveryRead.model_validate, of_webhook)


@webhooks.routes.post("/{webhook_id}/deliveries/{delivery_id}/send")
async def send_webhook_delivery_again(
    webhook_id: Identifier, delivery_id: Identifier, work: Work
) -> WebhookDeliveryRead:
    """Send the same message again, with the same `webhook-id`."""
    return WebhookDeliveryRead.model_validate(await use_cases.send_again(work, webhook_id, delivery_id))
