"""Declares which of a service's events are those of a noun's records."""

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args, get_type_hints

from event_contracts.catalogue import EVENT_TYPES, EventType

DIRECTORY: Final = "directory"
"""The kind of subject that has names, on the compacted topics."""

Named = Literal["account", "customer", "rep", "agent", "team", "product", "list_value"]


@dataclass(frozen=True)
class OwnEvents:
    """The events of a noun: those on `topic` whose subject is `subjects/<id>`.

    `key` are the columns with the id that puts them in order, which is the Kafka key: the first that is not null.
    `named` is the kind of the noun's entries in the directory, if its names are published there.
    """

    topic: str
    subjects: str
    key: tuple[str, ...] = ("id",)
    named: Named | None = None

    @property
    def types(self) -> tuple[str, ...]:
        """Return their types."""
        found = (
            each for each in EVENT_TYPES.values() if (each.topic, each.subject_kind) == (self.topic, self.subjects)
        )
        return tuple(sorted(each.name for each in found if self.subjects != DIRECTORY or self._names(each)))

    def _names(self, entry: EventType) -> bool:
        return self.named in get_args(get_type_hints(entry.data)["kind"])

    def subject_of(self, record: Any) -> str:
        """Return the subject of a record's events."""
        return f"{self.subjects}/{record.id}"

    def key_of(self, record: Any) -> str:
        """Return the Kafka key of a record's events."""
        return next(str(value) for name in self.key if (value := getattr(record, name)) is not None)
