"""Webhooks over HTTP; for admins."""

from typing import Annotated, Final, Literal

from fastapi import Depends, Request, Response
from pydantic import BaseModel, Field

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
from service_kit.fields import Code, Flag, Identifier, Moment, Name, plain_digits
from service_kit.lists.exports import FORMAT
from service_kit.lists.files import file_of_list, file_route
from service_kit.lists.listing import Listing, ListQuery
from service_kit.resources import Resource
from service_kit.routing import CallersAccess, Work
from service_kit.versions import Expected
from service_kit.views.routes import ViewedList

webhooks = Resource(
    "/webhooks/{webhook_id}",
    Webhook.table,
    WebhookRead,
    filters={
        "active": Flag,
        "created_at": Moment,
        "disabled_because": Annotated[Name, Field(examples=["The receiver answered 410."])],
    },
    sorts=("created_at", "url"),
    tag="push",
    is_small=True,
)
webhooks.read_routes(list_as="list_webhooks", get_as="get_webhook")


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
    filters={
        "status": Literal["pending", "delivered", "dead"],
        "event_type": Code,
        "event_id": Identifier,
        "tries": Annotated[int, Field(ge=0, le=1000, examples=[3]), plain_digits],
        "created_at": Moment,
        "last_tried_at": Moment,
    },
    sorts=("created_at", "last_tried_at"),
    is_small=True,
    viewed_as="deliveries",
)
_ASKS_DELIVERIES = _DELIVERIES.query_of()
_EXPORTS_DELIVERIES = _DELIVERIES.query_of(pages=False, more=[FORMAT])
VIEWED_DELIVERIES: Final = ViewedList(_DELIVERIES, "list_webhook_deliveries", "/v1/webhooks/{webhook_id}/deliveries")


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


@webhooks.routes.get(
    "/{webhook_id}/deliveries/export",
    openapi_extra=_EXPORTS_DELIVERIES.document(),
    **file_route(WebhookDeliveryRead, "a webhook's deliveries"),
)
async def export_webhook_deliveries(
    webhook_id: Identifier,
    work: Work,
    request: Request,
    access: CallersAccess,
    asked: Annotated[ListQuery, Depends(_EXPORTS_DELIVERIES)],
) -> Response:
    await use_cases.get_webhook(work, webhook_id)
    of_webhook = WebhookDelivery.table.c.webhook_id == webhook_id
    view = WebhookDeliveryRead.model_validate
    return await file_of_list(request, work, access, _DELIVERIES, asked, view, of_webhook, name="deliveries")


@webhooks.routes.post("/{webhook_id}/deliveries/{delivery_id}/send")
async def send_webhook_delivery_again(
    webhook_id: Identifier, delivery_id: Identifier, work: Work
) -> WebhookDeliveryRead:
    """Send the same message again, with the same `webhook-id`."""
    return WebhookDeliveryRead.model_validate(await use_cases.send_again(work, webhook_id, delivery_id))
