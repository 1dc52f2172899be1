"""Declares an event once: its type, topic, kind of subject and schema version; everything else follows from here."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar
from uuid import UUID

import msgspec

SALES_TOPIC = "sales.events"
SERVICE_TOPIC = "service.events"
METRICS_TOPIC = "metrics.events"
SALES_DIRECTORY_TOPIC = "sales.directory"
SERVICE_DIRECTORY_TOPIC = "service.directory"


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The whole state of one aggregate; events extend it, some with a `change` that is only true of their step."""

    id: UUID
    """Of the aggregate: the one in the event's subject."""


Correction = Literal["restored", "withdrawn"]


class EventType(msgspec.Struct, frozen=True):
    """One entry of the catalogue."""

    name: str
    """The CloudEvents `type`: `sales.deal-closed`."""
    topic: str
    subject_kind: str
    """The plural noun in `subject`: `deals` of `deals/<uuid>`."""
    version: int
    """The major version of the data's schema."""
    data: type[State]
    correction: Correction | None = None
    """How it corrects what a service published and then lost: by the subject's state now, or by taking it back."""

    @property
    def dataschema(self) -> str:
        """The CloudEvents `dataschema` URI."""
        return f"urn:tandem:schema:{self.name}:{self.version}"

    @property
    def source(self) -> str:
        """The CloudEvents `source`: the service that publishes it."""
        return {"sales": "/sales-api", "service": "/service-api", "metrics": "/metrics-worker"}[
            self.name.split(".", 1)[0]
        ]


EVENT_TYPES: dict[str, EventType] = {}
"""Every event by its `type`. Filled by importing `event_contracts.events`."""

_TYPE_OF_DATA: dict[type[State], EventType] = {}

Data = TypeVar("Data", bound=State)


def event(
    name: str, *, topic: str, subject_kind: str, version: int = 1, correction: Correction | None = None
) -> Callable[[type[Data]], type[Data]]:
    """Class decorator that enters an event's data type into the catalogue. Raises ValueError on a name used twice."""

    def enter(data: type[Data]) -> type[Data]:
        if name in EVENT_TYPES:
            raise ValueError(f"event {name} is declared twice")
        entry = EventType(name, topic, subject_kind, version, data, correction)
        EVENT_TYPES[name] = entry
        _TYPE_OF_DATA[data] = entry
        return data

    return enter


class Restoration(msgspec.Struct, frozen=True, kw_only=True):
    """Which of a subject's events a restore lost."""

    lost_events: list[UUID]
    """Their ids. They were published, but have not happened: the restored database does not know them."""


_CORRECTIONS: dict[Correction, str] = {
    "restored": "What the service published of this {subject} was lost by a restore in part: this is its state now.",
    "withdrawn": "A restore lost this {subject}: nothing of it counts any more. The state is the last one published.",
}


def corrections(noun: str, state: type[State], *, topic: str, subject_kind: str) -> None:
    """Declare the two events that correct a subject after a restore: `sales.deal-restored`, `sales.deal-withdrawn`."""
    for correction, text in _CORRECTIONS.items():
        fact = f"{noun}-{correction}"
        data: Any = msgspec.defstruct(
            "".join(map(str.capitalize, fact.split("-"))),
            [("change", Restoration | None, None)] if correction == "restored" else [],
            bases=(state,),
            module=state.__module__,
            namespace={"__doc__": text.format(subject=noun.replace("-", " "))},
            frozen=True,
            kw_only=True,
        )
        event(f"{topic.partition('.')[0]}.{fact}", topic=topic, subject_kind=subject_kind, correction=correction)(data)


def correction_of(entry: EventType, correction: Correction) -> EventType | None:
    """Return the event that corrects the subject of another, or None where a directory entry is set again instead.

    Of several, it is the first declared one whose state the other's is a case of.
    """
    found = (
        each
        for each in EVENT_TYPES.values()
        if (each.topic, each.subject_kind, each.correction) == (entry.topic, entry.subject_kind, correction)
        and issubclass(entry.data, each.data.__mro__[1])
    )
    return next(found, None)


def event_type_of(data: State | type[Any]) -> EventType:
    """The catalogue entry of an event's data. Raises KeyError for a class that is not an event."""
    return _TYPE_OF_DATA[data if isinstance(data, type) else type(data)]
