"""Makes the events that correct what a service published and then lost: its database was restored, or failed over.

Their ids follow from what they correct, so that making one again makes a repeat.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from event_contracts.catalogue import EventType, Restoration, State, correction_of
from event_contracts.codec import CloudEvent, encode
from event_contracts.service import (
    InteractionAmended,
    InteractionAmendment,
    InteractionLogged,
    InteractionWithdrawn,
)

_NAMESPACE: Final = UUID("0f6c4bd5-59a3-5c0e-9b52-3f1c0a4f3b0e")


def restored(event: CloudEvent, lost: Sequence[UUID], *, epoch: int, at: datetime) -> bytes:
    """Return the record that says, in a new epoch, that an event's state is the one that holds.

    It has the event's sequence, and nothing of its `change`: that has not happened again. Its own names `lost`, the
    subject's events that have not happened. A directory entry is set again. `at` is when the epoch began.
    """
    entry = correction_of(event.event_type, "restored")
    if entry is None:
        return _encode(event, _as(event.event_type, event.data), epoch, event.sequence, at)
    return _encode(event, _as(entry, event.data, change=Restoration(lost_events=list(lost))), epoch, event.sequence, at)


def withdrawn(event: CloudEvent, lost: list[CloudEvent], *, at: datetime) -> list[bytes]:
    """Return the records that take a subject back; they end its former epoch. `event` is its newest one.

    What `lost` events of it did to interactions is taken back too. Raises LookupError for a directory entry,
    which a tombstone takes back.
    """
    entry = correction_of(event.event_type, "withdrawn")
    if entry is None:
        raise LookupError(f"{event.event_type.name} is taken back by a tombstone")
    before = withdrawn_changes(event, lost, at=at)
    sequence = event.sequence + len(before) + 1
    return [*before, _encode(event, _as(entry, event.data), event.epoch, sequence, at)]


def withdrawn_changes(event: CloudEvent, lost: list[CloudEvent], *, at: datetime) -> list[bytes]:
    """Return the records that take back what lost events of a ticket did to its interactions, after its newest one.

    An interaction that they logged is withdrawn; one that they only amended is again as it was before.
    """
    first: dict[UUID, InteractionWithdrawn | InteractionAmended] = {}
    state = msgspec.structs.asdict(_as_state(event.data))
    for data in (each.data for each in sorted(lost, key=lambda one: (one.epoch, one.sequence))):
        if isinstance(data, InteractionLogged):
            first[data.change.id] = InteractionWithdrawn(**state, change=data.change)
        elif isinstance(data, InteractionAmended):
            back = InteractionAmendment(interaction=data.change.previous, previous=data.change.interaction)
            first.setdefault(data.change.interaction.id, InteractionAmended(**state, change=back))
    return [
        _encode(event, data, event.epoch, event.sequence + number, at) for number, data in enumerate(first.values(), 1)
    ]


def _as(entry: EventType, data: State, **more: Any) -> State:
    fields = msgspec.structs.asdict(data) | more
    return entry.data(**{name: fields[name] for name in entry.data.__struct_fields__})


def _as_state(data: State) -> State:
    state: Any = type(data).__mro__[1]
    fields = msgspec.structs.asdict(data)
    made: State = state(**{name: fields[name] for name in state.__struct_fields__})
    return made


def _encode(event: CloudEvent, data: State, epoch: int, sequence: int, at: datetime) -> bytes:
    return encode(
        data,
        event_id=uuid5(_NAMESPACE, f"{event.id} {type(data).__name__} {epoch} {sequence}"),
        time=at.astimezone(UTC),
        recorded_time=at.astimezone(UTC),
        sequence=sequence,
        partition_key=UUID(event.partition_key),
        epoch=epoch,
    )
