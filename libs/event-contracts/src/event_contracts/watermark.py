"""Watermarks: how far the topics of events are complete. A relay publishes them, on a compacted topic of its service.

They are no events: they tell of a topic, not of what happened in the business.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from event_contracts.fields import Moment

CONTENT_TYPE: Final = "application/json"


def watermarks_topic(topic: str) -> str:
    """Return the topic of the watermarks of a topic of events: `sales.events.watermarks`."""
    return f"{topic}.watermarks"


class Watermark(msgspec.Struct, frozen=True, kw_only=True):
    """All that the service recorded up to a moment lies in its topic of events, before these offsets."""

    topic: str
    """The topic of events; also the record's key."""
    topic_id: UUID
    """Kafka's id of that topic: the offsets of a topic that was created anew are others."""
    complete_until: Moment
    """By the clock of the service's database."""
    ends: Sequence[int]
    """The offset behind the last record of each partition, by the partition's number."""


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Watermark)


def encode(watermark: Watermark) -> bytes:
    """Return a watermark as JSON."""
    return _ENCODER.encode(watermark)


def decode(value: bytes) -> Watermark:
    """Return the watermark in a record's value. Raise `msgspec.DecodeError` when there is none."""
    return _DECODER.decode(value)
