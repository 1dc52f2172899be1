"""Which log this is: the cluster's id and the topics' ids, which a topic that is made anew does not share.

aiokafka speaks Metadata up to version 5; topic ids came with version 10. So that one request is written out here, as
https://kafka.apache.org/protocol#The_Messages_Metadata has it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, Final
from uuid import UUID

import msgspec
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

from service_kit.consumer_tables import NO_TOPIC_ID

KAFKA_SECONDS: Final = 20


class LogIdentity(msgspec.Struct, frozen=True):
    """Offsets mean something only together with these."""

    cluster_id: str
    topic_ids: Mapping[str, UUID]
    """By name; `NO_TOPIC_ID` from a broker that knows no ids (before Kafka 2.8)."""


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


async def identify_log(bootstrap_servers: str, topics: Sequence[str]) -> LogIdentity:
    """Asks a broker which log this is. Raises `TopicsMissing`, what aiokafka raises, and TimeoutError.

    A member that joins a group before Kafka knows all topics is given the others only, and hears of the rest half a
    minute later: until then it would look as if everything were read.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=10_000)
    await asyncio.wait_for(admin.start(), KAFKA_SECONDS)
    try:
        identity, missing = await asyncio.wait_for(_ask(admin, topics), KAFKA_SECONDS)
    finally:
        await admin.close()
    if missing:
        raise TopicsMissing(f"Kafka has no topic {', '.join(missing)}")
    return identity


async def _ask(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> tuple[LogIdentity, list[str]]:
    try:
        answer: Any = await admin._send_request(_MetadataRequest(topics))
    except (IncompatibleBrokerVersion, NotImplementedError):
        described = await admin.describe_topics(list(topics))
        missing = [topic["topic"] for topic in described if topic["error_code"] or not topic["partitions"]]
        cluster = await admin.describe_cluster()
        return LogIdentity(str(cluster["cluster_id"]), dict.fromkeys(topics, NO_TOPIC_ID)), missing
    # Each topic: error code, name, id, whether internal, partitions, …
    missing = [topic[1] for topic in answer.topics if topic[0] or not topic[4]]
    return LogIdentity(str(answer.cluster_id), {topic[1]: topic[2] for topic in answer.topics}), missing
