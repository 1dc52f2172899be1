"""The clients of Kafka, made in one place: a simulation puts a log in memory there."""

from collections.abc import Sequence
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from service_kit.consumer.log_identity import LogIdentity, identify_log


class Kafka(Protocol):
    """Makes clients of one Kafka; they are not started yet. Options are aiokafka's."""

    def producer(self, **options: Any) -> AIOKafkaProducer:
        """Return a producer."""

    def consumer(self, **options: Any) -> AIOKafkaConsumer:
        """Return a consumer."""

    async def identify(self, topics: Sequence[str]) -> LogIdentity:
        """Return the log's identity. Raises as `identify_log` does."""


class KafkaServers:
    """A Kafka that is reached by the addresses of some of its brokers."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._bootstrap_servers = bootstrap_servers

    def producer(self, **options: Any) -> AIOKafkaProducer:
        """Return a producer."""
        return AIOKafkaProducer(bootstrap_servers=self._bootstrap_servers, **options)

    def consumer(self, **options: Any) -> AIOKafkaConsumer:
        """Return a consumer."""
        return AIOKafkaConsumer(bootstrap_servers=self._bootstrap_servers, **options)

    async def identify(self, topics: Sequence[str]) -> LogIdentity:
        """Return the log's identity. Raises as `identify_log` does."""
        return await identify_log(self._bootstrap_servers, topics)
