"""The clients of Kafka, made in one place: a simulation puts a log in memory there."""

from collections.abc import Sequence
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from service_kit.consumer.log_identity import LogIdentity, identify_log


class Kafka(Protocol):
    """Makes clients of one Kafka; they are not started yet. Options are aiokafka's."""

    def fencing_producer(self, name: str, **options: Any) -> AIOKafkaProducer:
        """Return a producer that, once it has started, fences those that were started before it under its name."""

    def consumer(self, **options: Any) -> AIOKafkaConsumer:
        """Return a consumer."""

    async def identify(self, topics: Sequence[str]) -> LogIdentity:
        """Return the log's identity. Raises as `identify_log` does."""


class _FencingProducer(AIOKafkaProducer):
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


class KafkaServers:
    """A Kafka that is reached by the addresses of some of its brokers."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._bootstrap_servers = bootstrap_servers

    def fencing_producer(self, name: str, **options: Any) -> AIOKafkaProducer:
        """Return a producer that, once it has started, fences those that were started before it under its name."""
        options |= {"bootstrap_servers": self._bootstrap_servers, "transactional_id": name}
        return _FencingProducer(**options)  # type: ignore[no-untyped-call]

    def consumer(self, **options: Any) -> AIOKafkaConsumer:
        """Return a consumer."""
        return AIOKafkaConsumer(bootstrap_servers=self._bootstrap_servers, **options)

    async def identify(self, topics: Sequence[str]) -> LogIdentity:
        """Return the log's identity. Raises as `identify_log` does."""
        return await identify_log(self._bootstrap_servers, topics)
