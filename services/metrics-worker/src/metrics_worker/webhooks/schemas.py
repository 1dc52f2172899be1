"""The form of webhooks over HTTP."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, PlainValidator

from metrics_worker.webhooks.filters import FAMILIES, TYPES
from service_kit.changes import Change
from service_kit.fields import Moment, ReadModel, RecordId, StrictModel, Version, described
from service_kit.suggestions import known_names


def _known(types: list[str]) -> list[str]:
    for name in types:
        if name not in TYPES and name not in FAMILIES:
            raise ValueError(f"{name} is no type of event; {known_names(name, (*FAMILIES, *TYPES))}")
    return sorted(set(types))


_EVENT_TYPES = described(
    "The events to send, by type, or by family for all of a service: "
    + ", ".join(FAMILIES)
    + ". `GET /v1/schemas` lists the types; those of directories are not sent.",
    ["metrics.kpi-target-missed", "sales.deal-closed"],
)
_FILTERS = described(
    "Which of these events to send: every field named must have one of the values given. A field is the names that "
    "lead to it in the message, joined by dots; each event must have it. Of a list one item is enough. Empty for all.",
    {"data.region": ["EMEA"]},
)


def _filter_value(value: Any) -> Any:
    if value is not None and not isinstance(value, str | int):
        raise ValueError("must be a text, a whole number, true, false or null")
    if isinstance(value, str) and len(value) > _LONGEST_VALUE:
        raise ValueError(f"must have at most {_LONGEST_VALUE} characters")
    return value


_LONGEST_VALUE: Final = 200
_FilterValue = Annotated[
    str | int | bool | None,
    # One validator, so that what is wrong is answered at its own place and not at one of four kinds.
    PlainValidator(_filter_value, json_schema_input_type=str | int | bool | None),
]
EventFilters = Annotated[
    dict[Annotated[str, Field(max_length=200)], Annotated[list[_FilterValue], Field(min_length=1, max_length=100)]],
    Field(max_length=10),
    _FILTERS,
]
EventTypes = Annotated[
    list[Annotated[str, Field(max_length=64)]],
    Field(min_length=1, max_length=50),
    AfterValidator(_known),
    _EVENT_TYPES,
]
_URL = described("Where messages are sent: https, public, without credentials.", "https://example.com/hooks/tandem")
Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2000,
        json_schema_extra={"format": "uri", "pattern": r'^https?://[!-"$-\[\]-~]+$'},
    ),
    _URL,
]
_DISABLED = described(
    "Why it was switched off by itself; null if it was not.", "The receiver answered 410.", rarely=True
)
_SECRET = described(
    "The key that signs messages, for a library of Standard Webhooks. It is shown only here.",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
)
_EVENT = described(
    "Identifies the event: the header `webhook-id`, the same in every try.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a21"
)
_STATUS = described(
    "Whether it is still to be sent, was taken, or was given up.", "delivered", schema="WebhookDeliveryStatus"
)


class WebhookCreate(StrictModel):
    """The URL and the types of events to send."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": "https://example.com/hooks/tandem",
                    "event_types": ["sales.deal-closed", "sales.deal-reopened"],
                    "filters": {"data.region": ["EMEA"]},
                }
            ]
        }
    )

    url: Url
    event_types: EventTypes
    filters: EventFilters = Field(default={}, validate_default=False)


class WebhookUpdate(Change):
    """The fields to change; absent ones stay."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": "https://example.com/hooks/tandem",
                    "event_types": ["service.ticket-opened"],
                    "filters": {"data.priority": ["high", "urgent"]},
                    "active": True,
                }
            ]
        }
    )

    url: Url = ""
    event_types: EventTypes = Field(default=[], validate_default=False)
    filters: EventFilters = Field(default={}, validate_default=False)
    active: Annotated[bool, Field(strict=True)] = True
    """Whether anything is sent."""


class WebhookRead(ReadModel):
    """A webhook. `disabled_because` gives the reason for an automatic deactivation: the receiver answered 410."""

    id: RecordId
    version: Version
    url: Annotated[str, _URL]
    event_types: Annotated[list[str], _EVENT_TYPES]
    filters: Annotated[dict[str, list[str | int | bool | None]], _FILTERS]
    active: bool
    """Whether anything is sent."""
    disabled_because: Annotated[str, _DISABLED] | None
    created_at: Moment
    """When it was registered."""


class WebhookRegisteredRead(WebhookRead):
    """A new webhook with its secret, which is shown only here."""

    secret: Annotated[str, _SECRET]


class WebhookSecretRead(ReadModel):
    """A new secret. Earlier ones sign beside it until `others_retire_at`."""

    secret: Annotated[str, _SECRET]
    others_retire_at: Moment
    """Until when earlier secrets sign beside the new one."""


class WebhookDeliveryRead(ReadModel):
    """One event for one webhook. `event_id` is the header `webhook-id`, the same in every attempt."""

    id: RecordId
    event_id: Annotated[UUID, _EVENT]
    event_type: Annotated[str, described("What happened.", "metrics.kpi-target-missed")]
    status: Annotated[Literal["pending", "delivered", "dead"], _STATUS]
    tries: Annotated[int, described("How often it was sent.", 1)]
    next_try_at: Moment
    """When it is sent next, while it is pending."""
    created_at: Moment
    """When the event was recorded."""
    last_tried_at: Moment | None
    """When it was last sent; null before the first time."""
    last_status: (
        Annotated[int, described("The HTTP status of the receiver's last answer; null without one.", 503)] | None
    )
    last_error: Annotated[str, described("Why the last try failed; null if it did not.", "timed out")] | None
