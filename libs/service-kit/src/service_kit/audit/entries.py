"""Audit entries: rows of the transaction that they are about, written by the unit of work and never changed.

A trigger refuses every change of them, but that retention deletes them and that an erasure empties values.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from service_kit.auth import Principal
from service_kit.database import metadata
from service_kit.entities import Entity
from service_kit.identifiers import new_id
from service_kit.tables import one_of
from service_kit.trace import current_request_id
from service_kit.write_statement import Change

ActorKind = Literal["caller", "link", "process"]
Action = Literal["created", "updated", "deleted", "read"]
ACTOR_KINDS: Final[tuple[ActorKind, ...]] = ("caller", "link", "process")
ACTIONS: Final[tuple[Action, ...]] = ("created", "updated", "deleted", "read")

Changes = Mapping[str, Any]
"""By field, its values before and after as a pair; None in the place of a pair whose values are not to be seen."""

audit_entry = sa.Table(
    "audit_entry",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True, comment="rises with time; uuid_extract_timestamp(id) is when it was"),
    sa.Column("actor_kind", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False, comment="the token's subject, or the process"),
    sa.Column("roles", JSONB, comment="that the token claimed; null for a process"),
    sa.Column("operation", sa.Text, comment="of the API; null for what a process does by itself"),
    sa.Column("request_id", sa.Text),
    sa.Column("noun", sa.Text, nullable=False),
    sa.Column("record_id", sa.Uuid, nullable=False),
    sa.Column("version", sa.Integer, comment="the record's afterwards; null where it has none"),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("changes", JSONB, nullable=False, comment="by field [before, after]; null once erased, and for secrets"),
    one_of("actor_kind", ACTOR_KINDS),
    one_of("action", ACTIONS),
    *(sa.Index(f"audit_entry_{column}_id_idx", column, "id") for column in ("record_id", "actor", "operation", "noun")),
    comment="Who did what to which record. Only retention deletes entries, and only erasure empties values.",
)
COLUMNS: Final = tuple(audit_entry.c.keys())
_CUSTOM: Final = frozenset({"custom", "custom_personal"})
"""Columns with the values of custom fields by name."""
_OWN_COLUMNS: Final = frozenset({"id", "version", "updated_at"})
"""Of a record, what its entries have in columns of their own, and its time in their ids."""

_encoder: Final = msgspec.json.Encoder(enc_hook=str)
"""What JSON does not know is a text: no write fails for the audit of it."""

PURPOSE: Final = "tandem.audit"
"""The setting of a transaction that the trigger asks for: `retention` may delete, `erasure` may empty values."""


def allow(purpose: Literal["retention", "erasure"]) -> sa.Select[Any]:
    """Return the statement that allows it until the transaction ends."""
    return sa.select(sa.func.set_config(PURPOSE, purpose, True))


class Actor(NamedTuple):
    """Who acts: their part of each entry."""

    kind: ActorKind
    name: str
    roles: str | None
    """As JSON."""
    operation: str | None
    request_id: str | None


def process(name: str) -> Actor:
    """Return a process that acts by itself."""
    return Actor("process", name, None, None, None)


def caller(principal: Principal, operation: str, *, is_public: bool) -> Actor:
    """Return the caller of an operation: the token's holder, or on a public route anyone who has the link."""
    roles = msgspec.json.encode(sorted(principal.roles)).decode()
    kind: ActorKind = "link" if is_public else "caller"
    return Actor(kind, principal.subject, roles, operation, current_request_id.get())


def noun_code(table: sa.Table) -> str:
    """Return the noun of a table's records as entries have it: `maintenance-plan`."""
    return table.name.replace("_", "-")


def entry(
    actor: Actor, noun: str, record_id: UUID, action: Action, changes: Changes, version: int | None = None
) -> tuple[Any, ...]:
    """Return a row, in the order of `COLUMNS`."""
    return (new_id(), *actor, noun, record_id, version, action, _encoder.encode(changes).decode())


def entries_of(actor: Actor, changes: Iterable[Change], new: Iterable[Entity]) -> list[tuple[Any, ...]]:
    """Return the rows of changed and new entities; of those that are audited.

    One of which only the version rose has none, as a ticket whose contact was corrected: the contact's says what
    changed.
    """
    audited = [change for change in changes if change.loaded.entity.binding.is_audited]
    changed = [(change.loaded.entity, fields) for change in audited if (fields := updated(change))]
    created = (one for one in new if one.binding.is_audited)
    return [
        *(_of_entity(actor, entity, "updated", fields) for entity, fields in changed),
        *(_of_entity(actor, one, "created", _whole(one, is_before=False)) for one in created),
    ]


def deletion(actor: Actor, entity: Entity) -> tuple[Any, ...]:
    """Return the row of an entity that is deleted."""
    return _of_entity(actor, entity, "deleted", _whole(entity, is_before=True))


def _of_entity(actor: Actor, entity: Any, action: Any, changes: Changes) -> tuple[Any, ...]:
    version = entity.version if "version" in entity.binding.identity else None
    return entry(actor, noun_code(entity.table), entity.id, action, changes, version)


def updated(change: Change) -> Changes:
    """Return the fields of a changed entity that differ, with their values before and after."""
    binding = change.loaded.entity.binding
    changes: dict[str, Any] = {
        name: None if name in binding.secret else _differing(name, before, after)
        for name, before, after in zip(binding.names, change.loaded.values, change.values, strict=True)
        if before != after and name not in _OWN_COLUMNS
    }
    if binding.child_field is not None and change.children != change.loaded.children:
        changes[binding.child_field] = _children(change.loaded.entity, change.loaded.children, change.children)
    return changes


def _differing(name: str, before: Any, after: Any) -> tuple[Any, Any]:
    """Return both values; of custom fields those that differ."""
    if name not in _CUSTOM:
        return before, after
    names = [each for each in {**before, **after} if before.get(each) != after.get(each)]
    first, second = ({each: one[each] for each in names if each in one} for one in (before, after))
    return first, second


def _whole(entity: Entity, *, is_before: bool) -> Changes:
    binding = entity.binding
    changes: dict[str, Any] = {}
    for name, value in zip(binding.names, binding.values_of(entity), strict=True):
        if value not in (None, {}) and name not in _OWN_COLUMNS:
            pair = (value, None) if is_before else (None, value)
            changes[name] = None if name in binding.secret else pair
    if children := tuple(one.binding.values_of(one) for one in binding.children_of(entity)):
        sides = (children, ()) if is_before else ((), children)
        changes[str(binding.child_field)] = _children(entity, *sides)
    return changes


def _children(entity: Entity, *sides: Iterable[tuple[Any, ...]]) -> tuple[list[dict[str, Any]], ...]:
    """Return the child rows of both sides without the keys of their parent."""
    child = entity.binding.child_type
    assert child is not None  # noqa: S101 -- it has child rows
    of_parent = frozenset(child.binding.keys[: len(entity.binding.keys)])
    names = child.binding.names
    return tuple(
        [
            {name: value for name, value in zip(names, row, strict=True) if name not in of_parent and value is not None}
            for row in side
        ]
        for side in sides
    )
