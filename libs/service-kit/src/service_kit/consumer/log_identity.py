"""The identity of a log: the cluster's id and the topics' ids, which a recreated topic does not share.

aiokafka speaks Metadata up to version 5; topic ids came with version 10. So that one request is written out here, as
https://kafka.apache.org/protocol#The_Messages_Metadata has it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final, NamedTuple
from uuid import UUID

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

KAFKA_SECONDS: Final = 20
NO_TOPIC_ID: Final = UUID(int=0)
"""Kafka's own value for an unknown topic id."""

Ask = Callable[[Request[Any]], Awaitable[Any]]
"""Sends a request to a broker and returns its answer."""


class TopicIdentity(NamedTuple):
    """What tells a topic from another one of its name."""

    cluster_id: str
    topic_id: UUID

    def is_same(self, other: "TopicIdentity") -> bool:
        """Return whether both are one topic; of a broker that knows no ids, whether they are of one cluster."""
        if NO_TOPIC_ID in (self.topic_id, other.topic_id):
            return self.cluster_id == other.cluster_id
        return self.topic_id == other.topic_id


@dataclass(frozen=True)
class LogIdentity:
    """What offsets refer to."""

    cluster_id: str
    topic_ids: Mapping[str, UUID]
    """By name; `NO_TOPIC_ID` from a broker that knows no ids (before Kafka 2.8)."""
    partitions: Mapping[str, int] = field(compare=False)
    """The number of each topic's partitions, which may grow."""

    @property
    def topics(self) -> dict[str, TopicIdentity]:
        """The identity of each topic, by name."""
        return {name: TopicIdentity(self.cluster_id, topic_id) for name, topic_id in self.topic_ids.items()}


class TopicsMissing(Exception):
    """Kafka does not know all of the topics, or not yet."""


class _Uuid(AbstractType[UUID]):
    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))


class _MetadataResponseV10(Response):
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _MetadataRequestV10(RequestStruct):
    API_KEY = 3
    API_VERSION = 10
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _MetadataResponseV10
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("topic", CompactString("utf-8")), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_MetadataRequestV10]):
    API_KEY = 3

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataRequestV10]) -> _MetadataRequestV10:
        return request_struct_class([(NO_TOPIC_ID, name, {}) for name in self._topics], False, False, False, {})


async def identify_log(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> LogIdentity:
    """Return the log's identity from a broker, by a client that is not started yet and is closed then.

    Raises `TopicsMissing`, what aiokafka raises, and TimeoutError.

    A member that joins a group before Kafka knows all topics gets partitions of the others only, and of the rest half
    a minute later: until then it would seem to have read everything.
    """
    await asyncio.wait_for(admin.start(), KAFKA_SECONDS)
    try:
        identity = await asyncio.wait_for(identify_found(admin._send_request, topics), KAFKA_SECONDS)
    finally:
        await admin.close()
    if missing := [name for name in topics if name not in identity.topic_ids]:
        raise TopicsMissing(f"Kafka has no topic {', '.join(missing)}")
    return identity


async def identify_found(ask: Ask, topics: Sequence[str]) -> LogIdentity:
    """Return the log's identity with those of the topics that the broker knows. Raises what `ask` raises."""
    try:
        answer = await ask(_MetadataRequest(topics))
    except (IncompatibleBrokerVersion, NotImplementedError):
        answer = await ask(MetadataRequest(list(topics), allow_auto_topic_creation=False))
        known = [(error_code, name, NO_TOPIC_ID, parts) for error_code, name, _, parts in answer.topics]
    else:
        # Each topic: error code, name, id, whether internal, partitions, …
        known = [(topic[0], topic[1], topic[2], topic[4]) for topic in answer.topics]
    found = [(name, topic_id, parts) for error_code, name, topic_id, parts in known if parts and not error_code]
    return LogIdentity(
        str(answer.cluster_id),
        {name: topic_id for name, topic_id, _ in found},
        {name: len(parts) for name, _, parts in found},
    )
