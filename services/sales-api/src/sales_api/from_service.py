"""The consumers of `service.events` and `metrics.events`: leads of upsell suggestions, tasks about customers at risk,
and service's events, mirrored for the timelines of accounts."""

import asyncio
from collections.abc import Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from event_contracts import codec
from event_contracts.catalogue import METRICS_TOPIC, SERVICE_TOPIC
from event_contracts.codec import CloudEvent
from event_contracts.metrics import Risk
from event_contracts.service import UpsellSuggestion
from sales_api.activities.risk_tasks import follow_risk
from sales_api.leads.suggestions import take_up
from sales_api.timeline import CONSUMER as TIMELINE_CONSUMER
from service_kit.clock import SYSTEM_CLOCK, Clock
from service_kit.consumer.consumer import Consumer
from service_kit.consumer.offsets import OffsetResetPolicy
from service_kit.consumer.records import Record
from service_kit.consumer.seen_sequences import Version
from service_kit.kafka import Kafka
from service_kit.outbox_notify import OutboxNotifier
from service_kit.timeline.entries import timeline_consumer
from service_kit.unit_of_work import written_durably

CONSUMER: Final = "sales-consumer"
"""The consumer group, and the name of its offsets and dead letters."""
TOPICS: Final = (SERVICE_TOPIC, METRICS_TOPIC)


def is_followed(event: CloudEvent) -> bool:
    """Return whether sales acts on an event of service or metrics."""
    return isinstance(event.data, UpsellSuggestion | Risk)


def version_of(event: CloudEvent) -> Version | None:
    """Return the version of what sales acts on."""
    return Version(event.subject, event.epoch, event.sequence, event.id) if is_followed(event) else None


async def follow_service(
    connection: AsyncConnection, records: Sequence[Record[CloudEvent]], *, suggestion_days: int, risk_days: int
) -> None:
    """Take up the suggestions and risks in a batch. Each comes once at most, in its newest version."""
    # In the order of the key: two batches of different partitions must not wait for each other in a circle.
    for event in sorted((record.value for record in records), key=lambda event: event.data.id):
        # A unit of work for each: one compares all that it has loaded before every statement.
        async with written_durably(connection, CONSUMER) as work:
            if isinstance(event.data, UpsellSuggestion):
                await take_up(work, event, event.data, suggestion_days=suggestion_days)
            elif isinstance(event.data, Risk):
                await follow_risk(work, event, event.data, risk_days=risk_days)


class ServiceEvents:
    """The two consumers, ready to run."""

    def __init__(
        self,
        engine: AsyncEngine,
        kafka: Kafka,
        *,
        topics: Sequence[str] = TOPICS,
        offset_reset: OffsetResetPolicy = "stop",
        suggestion_days: int = 30,
        risk_days: int = 30,
        revision: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._outbox_notifier = OutboxNotifier(engine)

        async def follow(connection: AsyncConnection, records: Sequence[Record[CloudEvent]]) -> None:
            await follow_service(connection, records, suggestion_days=suggestion_days, risk_days=risk_days)

        self.consumer: Consumer[CloudEvent] = Consumer(
            name=CONSUMER,
            engine=engine,
            kafka=kafka,
            topics=topics,
            decode=codec.decode,
            handle=follow,
            is_relevant=is_followed,
            version_of=version_of,
            on_commit=self._outbox_notifier.notify,
            offset_reset=offset_reset,
            revision=revision,
            clock=clock,
        )
        self.timeline: Consumer[CloudEvent] = timeline_consumer(
            TIMELINE_CONSUMER,
            engine,
            kafka,
            [topic for topic in topics if topic != METRICS_TOPIC],
            offset_reset=offset_reset,
            revision=revision,
            clock=clock,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Follow until `stop` is set. Raise an exception group with `OperatorRequired`."""
        async with self._outbox_notifier.running(), asyncio.TaskGroup() as group:
            group.create_task(self.consumer.run(stop))
            group.create_task(self.timeline.run(stop))
