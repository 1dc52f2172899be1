"""The clients of Kafka, made in one place: signed in and encrypted as set. A simulation puts a log in memory there."""

import ssl
from collections.abc import Sequence
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError

from service_kit.consumer.log_identity import LogIdentity, identify_log
from service_kit.settings import KafkaSettings

ADMIN_MILLISECONDS: Final = 10_000


class Kafka(Protocol):
    """Makes clients of one Kafka; they are not started yet. Options are aiokafka's."""

    def fencing_producer(self, name: str, **options: Any) -> "FencingProducer":
        """Return a producer that, once it has started, fences those that were started before it under its name."""

    def consumer(self, **options: Any) -> AIOKafkaConsumer:
        """Return a consumer."""

    async def identify(self, topics: Sequence[str]) -> LogIdentity:
        """Return the log's identity. Raises as `identify_log` does."""


class FencingProducer(AIOKafkaProducer):
    """A producer with a transactional id and without transactions.

    Kafka gives every producer of the id the same number and a higher epoch. A partition to which the newest has written
    refuses what comes from an older one (`ProducerFenced`). That needs no transactions, which would double the time
    until an event is read.
    """

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


class KafkaServers:
    """A Kafka that is reached by the addresses of some of its brokers."""

    def __init__(self, bootstrap_servers: str, **security: Any) -> None:
        """`security` are aiokafka's options for TLS and SASL; without any, nothing is encrypted and nobody signs in."""
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

    def consumer(self, **options: Any) -> AIOKafkaConsumer:
        """Return a consumer."""
        return AIOKafkaConsumer(**self._common, **options)

    def admin(self) -> AIOKafkaAdminClient:
        """Return an admin client."""
        return AIOKafkaAdminClient(**self._common, request_timeout_ms=ADMIN_MILLISECONDS)

    async def identify(self, topics: Sequence[str]) -> LogIdentity:
        """Return the log's identity. Raises as `identify_log` does."""
        return await identify_log(self.admin(), topics)
