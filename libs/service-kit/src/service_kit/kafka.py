"""The clients of Kafka, made in one place: signed in and encrypted as set. A simulation puts a log in memory there."""

import ssl
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import ConnectionGroup
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
)
from aiokafka.protocol.api import Request
from aiokafka.protocol.produce import ProduceRequest

from service_kit.consumer.log_identity import LogIdentity, TopicIdentity, identify_found, identify_log
from service_kit.settings import KafkaSettings

ADMIN_MILLISECONDS: Final = 10_000


class Kafka(Protocol):
    """Makes clients of one Kafka; they are not started yet. Options are aiokafka's."""

    def fencing_producer(self, name: str, **options: Any) -> "FencingProducer":
        """Return a producer that, once it has started, fences those that were started before it under its name."""

    def producer(self, **options: Any) -> AIOKafkaProducer:
        """Return a producer for what may be repeated and overtaken."""

    def consumer(self, **options: Any) -> AIOKafkaConsumer:
        """Return a consumer."""

    async def identify(self, topics: Sequence[str]) -> LogIdentity:
        """Return the log's identity. Raises as `identify_log` does."""


class AnotherLog(KafkaError):
    """A broker has another topic of this name than the one that is published to; nothing was sent to it."""


class FencingProducer(AIOKafkaProducer):
    """A producer with a transactional id and without transactions, which sends to certain topics only.

    Kafka gives every producer of the id the same number and a higher epoch. A partition to which the newest has written
    refuses what comes from an older one (`ProducerFenced`). That needs no transactions, which would double the time
    until an event is read.

    Kafka takes records by the topic's name, and aiokafka sends again by itself, over a new connection, what got no
    answer: a Kafka that was lost and begins anew at the same address would get the end of a log first. So each
    connection is asked for the ids of the topics before anything is sent over it, and again when it refused something.
    A server that begins anew has to be connected to anew.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._topics: dict[str, TopicIdentity] = {}
        self._identified: dict[int, tuple[AIOKafkaConnection, set[str]]] = {}
        """By node, the connection that was asked for its topics, and those that are the right ones."""
        self._send_any = self.client.send
        # The sender of aiokafka sends by it, with what it sends again.
        self.client.send = self._send_request  # type: ignore[method-assign]

    def send_only_to(self, topics: Mapping[str, TopicIdentity]) -> None:
        """Let it send to these topics from now on, as long as they are the same. It begins with none."""
        if topics != self._topics:
            self._topics = dict(topics)
            self._identified.clear()

    async def start(self) -> None:
        """Start it, and fence those before it."""
        await super().start()  # type: ignore[no-untyped-call]
        # aiokafka sends outside of transactions only without an id; the number and the epoch stay.
        self._txn_manager.transactional_id = None

    async def count_partitions(self, topic: str) -> int:
        """Return how many partitions a topic has now; 0 when it does not exist.

        `partitions_for` gives what was known up to five minutes ago, and waits for a topic that is missing.
        """
        self.client.add_topic(topic)
        # An update may be under way that was asked for before the topic was added: its answer lacks the topic.
        for _ in range(2):
            if not await self.client.force_metadata_update():
                raise KafkaConnectionError("no broker answers for the cluster's metadata")
            if found := self.client.cluster.partitions_for_topic(topic):
                return len(found)
        return 0

    async def _send_request(self, node_id: int, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        """Send a request to a node as aiokafka's client does. Raise `AnotherLog`, and what aiokafka raises."""
        if not isinstance(request, ProduceRequest):
            return await self._send_any(node_id, request, group=group)
        topics = {topic for topic, _ in request._topics}
        connection = await self.client._get_conn(node_id, group=group)
        if connection is None:
            raise NodeNotReadyError(f"node {node_id} cannot be connected to")
        ask = partial(_ask, connection)
        # Over this connection alone: the client would open another one where it is closed meanwhile.
        identified, right = self._identified.get(node_id, (None, set[str]()))
        if identified is not connection or not topics <= right:
            await self._identify(ask, topics)
            self._identified[node_id] = connection, topics | (right if identified is connection else set())
        response = await ask(request)
        if any(part[1] for _, parts in response.topics for part in parts):
            # It may refuse what it gets for a topic because that one is gone.
            self._identified.pop(node_id, None)
        return response

    async def _identify(self, ask: Any, topics: set[str]) -> None:
        found = (await identify_found(ask, sorted(topics))).topics
        if missing := topics - found.keys():
            raise UnknownTopicOrPartitionError(", ".join(sorted(missing)))
        wrong = [name for name in topics if name not in self._topics or not self._topics[name].is_same(found[name])]
        if wrong:
            raise AnotherLog(f"not the topic that is published to: {', '.join(sorted(wrong))}")


async def _ask(connection: AIOKafkaConnection, request: Request[Any]) -> Any:
    try:
        return await connection.send(request)
    except TimeoutError as error:
        connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
        raise RequestTimedOutError from error


class KafkaServers:
    """A Kafka that is reached by the addresses of some of its brokers."""

    def __init__(self, bootstrap_servers: str, **security: Any) -> None:
        """`security` are aiokafka's options for TLS and SASL; without any, nothing is encrypted or authenticated."""
        self.bootstrap_servers = bootstrap_servers
        self._common = {"bootstrap_servers": bootstrap_servers, **security}

    @classmethod
    def of(cls, settings: KafkaSettings) -> "KafkaServers":
        """Return the Kafka that is set. Raise OSError, such as `ssl.SSLError`, when a certificate cannot be loaded."""
        security: dict[str, Any] = {"security_protocol": settings.kafka_security_protocol}
        if settings.kafka_security_protocol.endswith("SSL"):
            security["ssl_context"] = context = ssl.create_default_context(cafile=settings.kafka_ssl_ca_file)
            if settings.kafka_ssl_cert_file is not None:
                context.load_cert_chain(settings.kafka_ssl_cert_file, settings.kafka_ssl_key_file)
        if settings.kafka_sasl_password is not None:
            security |= {
                "sasl_mechanism": settings.kafka_sasl_mechanism,
                "sasl_plain_username": settings.kafka_sasl_username,
                "sasl_plain_password": settings.kafka_sasl_password.get_secret_value(),
            }
        return cls(settings.kafka_bootstrap_servers, **security)

    def fencing_producer(self, name: str, **options: Any) -> FencingProducer:
        """Return a producer that, once it has started, fences those that were started before it under its name."""
        return FencingProducer(**self._common, transactional_id=name, **options)

    def producer(self, **options: Any) -> AIOKafkaProducer:
        """Return a producer for what may be repeated and overtaken."""
        return AIOKafkaProducer(**self._common, **options)

    def consumer(self, **options: Any) -> AIOKafkaConsumer:
        """Return a consumer."""
        return AIOKafkaConsumer(**self._common, **options)

    def admin(self) -> AIOKafkaAdminClient:
        """Return an admin client."""
        return AIOKafkaAdminClient(**self._common, request_timeout_ms=ADMIN_MILLISECONDS)

    async def identify(self, topics: Sequence[str]) -> LogIdentity:
        """Return the log's identity. Raises as `identify_log` does."""
        return await identify_log(self.admin(), topics)
