"""The form of webhooks over HTTP."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field

from event_contracts import metrics as contract
from event_contracts.catalogue import EVENT_TYPES, METRICS_TOPIC
from service_kit.changes import Change
from service_kit.fields import Moment, ReadModel, StrictModel

DECLARED = contract  # importing it fills the catalogue
TYPES = sorted(name for name, entry in EVENT_TYPES.items() if entry.topic == METRICS_TOPIC)


def _known(types: list[str]) -> list[str]:
    if unknown := set(types) - set(TYPES):
        raise ValueError(f"{', '.join(sorted(unknown))} is not published; there are: {', '.join(TYPES)}")
    return sorted(set(types))


EventTypes = Annotated[
    list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=50), AfterValidator(_known)
]
Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2000,
        description="https, public, without credentials.",
        json_schema_extra={"format": "uri", "pattern": r"^https?://[!-\"$-\[\]-~]+$"},
    ),
]


class WebhookCreate(StrictModel):
    """The URL and the types of events to send."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": "https://example.com/hooks/tandem",
                    "event_types": ["metrics.kpi-target-missed", "metrics.kpi-target-recovered"],
                }
            ]
        }
    )

    url: Url
    event_types: EventTypes


class WebhookUpdate(Change):
    """The fields to change; absent ones stay."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": "https://example.com/hooks/tandem",
                    "event_types": ["metrics.kpi-target-missed"],
                    "active": True,
                }
            ]
        }
    )

    url: Url = ""
    event_types: EventTypes = Field(default=[], validate_default=False)
    active: Annotated[bool, Field(strict=True)] = True


class WebhookRead(ReadModel):
    """A webhook. `disabled_because` gives the reason for an automatic deactivation: the receiver answered 410."""

    id: UUID
    version: int
    url: str
    event_types: list[str]
    active: bool
    disabled_because: str | None
    created_at: Moment


class WebhookRegisteredRead(WebhookRead):
    """A new webhook with its secret, which is shown only here."""

    secret: str


class WebhookSecretRead(ReadModel):
    """A new secret. Earlier ones sign beside it until `others_retire_at`."""

    secret: str
    others_retire_at: Moment


class WebhookDeliveryRead(ReadModel):
    """One event for one webhook. `event_id` is the header `webhook-id`, the same in every attempt."""

    id: UUID
    event_id: UUID
    event_type: str
    status: Literal["pending", "delivered", "dead"]
    tries: int
    next_try_at: Moment
    created_at: Moment
    last_tried_at: Moment | None
    last_status: int | None
    last_error: str | None
