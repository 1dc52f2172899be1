"""What an aggregate has in common with every other: a version, a partition key, and events to publish."""

from datetime import datetime
from typing import Any, Protocol

from event_contracts.catalogue import State
from service_kit import outbox
from service_kit.entities import Recorded
from service_kit.unit_of_work import UnitOfWork


class Aggregate(Protocol):
    """A noun whose changes are published."""

    @property
    def version(self) -> Any:
        """The number of its changes: the sequence of its latest event."""

    @property
    def partition_key(self) -> Any:
        """The id that puts its events in order; it never changes."""


def publish(work: UnitOfWork, aggregate: Aggregate, event: State, at: datetime) -> None:
    """Write the event of an aggregate's change to the unit of work; `at` is when the change happened."""
    if isinstance(aggregate, Recorded):
        aggregate.touch()
    outbox.write(work, event, sequence=aggregate.version, time=at, partition_key=aggregate.partition_key)
