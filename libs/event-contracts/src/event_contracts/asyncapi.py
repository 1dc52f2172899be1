"""The AsyncAPI 3.0 description of the topics: who publishes what where, under which key, with an example of each."""

import json
from datetime import UTC, datetime
from importlib.metadata import version
from inspect import getdoc
from typing import Any, Final
from uuid import UUID

import msgspec

from event_contracts.catalogue import (
    EVENT_TYPES,
    METRICS_TOPIC,
    SALES_DIRECTORY_TOPIC,
    SALES_TOPIC,
    SERVICE_DIRECTORY_TOPIC,
    SERVICE_TOPIC,
    EventType,
)
from event_contracts.codec import CONTENT_TYPE, TYPE_HEADER
from event_contracts.examples import encoded_example
from event_contracts.schemas import ENVELOPE_FILE, schema_file
from event_contracts.watermark import CONTENT_TYPE as WATERMARK_TYPE
from event_contracts.watermark import Watermark, watermarks_topic

PARTITIONS: Final = 12

_TOPICS: Final = {
    SALES_TOPIC: "Accounts, leads, deals, activities, referrals and quotas.",
    SERVICE_TOPIC: "Service's customers, tickets, interactions, surveys, deliveries and other work for customers.",
    METRICS_TOPIC: "KPI targets, customers at risk, closed periods and restatements.",
    SALES_DIRECTORY_TOPIC: "Names of accounts, salespeople, teams, products and values of declared lists."
    " Personal data: a tombstone erases a name.",
    SERVICE_DIRECTORY_TOPIC: "Names of service's customers, agents, teams. Personal data: a tombstone erases a name.",
}
_WATERMARKED: Final = (SALES_TOPIC, SERVICE_TOPIC)
_KEPT_FOR_EVER: Final = {"cleanup.policy": ["delete"], "retention.ms": -1}
_LATEST_KEPT: Final = {"cleanup.policy": ["compact"], "max.compaction.lag.ms": 86_400_000}
_DESCRIPTION: Final = """\
Sales and service publish every change as one event with the whole state of its subject.
An event's `sequence` is the version of its `subject`, and `epoch` rises when its service's database was restored: a
consumer that keeps the highest epoch and sequence of each subject reaches the same state under repeats, reordering and
replays. docs/events.md describes how to consume."""


def asyncapi() -> dict[str, Any]:
    """The whole document. Raises KeyError when an event has no example."""
    entries = [EVENT_TYPES[name] for name in sorted(EVENT_TYPES)]
    topics = [topic for topic in _TOPICS if any(entry.topic == topic for entry in entries)]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tandem events",
            "version": version("event-contracts"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "kafka": {
                "host": "{host}:{port}",
                "protocol": "kafka",
                "description": "The company's Apache Kafka.",
                "variables": {
                    "host": {"default": "localhost", "description": "A bootstrap server."},
                    "port": {"default": "9092"},
                },
            }
        },
        "channels": {topic: _channel(topic, entries) for topic in topics}
        | {watermarks_topic(topic): _watermarks_channel(topic) for topic in _WATERMARKED},
        "operations": {f"publish.{topic}": _publishing(topic, _TOPICS[topic]) for topic in topics}
        | {
            f"publish.{watermarks_topic(topic)}": _publishing(watermarks_topic(topic), _watermarks_of(topic))
            for topic in _WATERMARKED
        },
        "components": {
            "messages": {entry.name: _message(entry) for entry in entries} | {"watermark": _watermark_message()}
        },
    }


def _publishing(topic: str, summary: str) -> dict[str, Any]:
    return {"action": "send", "summary": summary, "channel": {"$ref": f"#/channels/{topic}"}}


def _watermarks_of(topic: str) -> str:
    return f"Watermarks of {topic}: up to when it holds all that its service recorded."


def _watermarks_channel(topic: str) -> dict[str, Any]:
    address = watermarks_topic(topic)
    return {
        "address": address,
        "description": _watermarks_of(topic),
        "messages": {"watermark": {"$ref": "#/components/messages/watermark"}},
        "bindings": {"kafka": _topic_binding(address, partitions=1, is_compacted=True)},
    }


def _watermark_message() -> dict[str, Any]:
    _, described = msgspec.json.schema_components([Watermark], ref_template="#/{name}")
    example = Watermark(
        topic=SALES_TOPIC,
        topic_id=UUID("7f0c1f3a-4c0e-4a53-9b5e-2f6d0f5f9f10"),
        complete_until=datetime(2026, 3, 31, 21, 0, 0, 120_000, tzinfo=UTC),
        ends=[4_238, 4_102],
    )
    return {
        "name": "watermark",
        "title": "Watermark",
        "summary": getdoc(Watermark),
        "contentType": WATERMARK_TYPE,
        "payload": described["Watermark"],
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": "The topic of events."},
                "bindingVersion": "0.5.0",
            }
        },
        "examples": [{"name": "watermark", "payload": msgspec.to_builtins(example)}],
    }


def _channel(topic: str, entries: list[EventType]) -> dict[str, Any]:
    compacted = topic in (SALES_DIRECTORY_TOPIC, SERVICE_DIRECTORY_TOPIC)
    return {
        "address": topic,
        "description": _TOPICS[topic],
        "messages": {
            entry.name: {"$ref": f"#/components/messages/{entry.name}"} for entry in entries if entry.topic == topic
        },
        "bindings": {
            "kafka": _topic_binding(topic, partitions=PARTITIONS, is_compacted=compacted),
        },
    }


def _topic_binding(topic: str, *, partitions: int, is_compacted: bool) -> dict[str, Any]:
    return {
        "topic": topic,
        "partitions": partitions,
        "topicConfiguration": _LATEST_KEPT if is_compacted else _KEPT_FOR_EVER,
        "bindingVersion": "0.5.0",
    }


def _message(entry: EventType) -> dict[str, Any]:
    return {
        "name": entry.name,
        "title": entry.data.__name__,
        "summary": getdoc(entry.data),
        "contentType": CONTENT_TYPE,
        "headers": {
            "type": "object",
            "properties": {TYPE_HEADER: {"const": entry.name, "description": "Absent in old records."}},
        },
        "payload": {
            "allOf": [
                {"$ref": f"./schemas/{ENVELOPE_FILE}"},
                {
                    "type": "object",
                    "properties": {
                        "type": {"const": entry.name},
                        "source": {"const": entry.source},
                        "dataschema": {"const": entry.dataschema},
                        "data": {"$ref": f"./schemas/{schema_file(entry)}"},
                    },
                },
            ]
        },
        "bindings": {
            "kafka": {
                "key": {"type": "string", "format": "uuid", "description": "The event's `partitionkey`."},
                "bindingVersion": "0.5.0",
            }
        },
        "examples": [{"name": entry.name, "payload": json.loads(encoded_example(entry.name))}],
    }
