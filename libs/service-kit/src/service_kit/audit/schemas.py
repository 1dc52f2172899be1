"""Audit entries over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from service_kit.audit.entries import Action, ActorKind
from service_kit.fields import Moment, ReadModel, RecordId, described
from service_kit.identifiers import moment_of

_KIND = described(
    "`link` is a customer who answers a survey; a `process` acts by itself.", "caller", schema="AuditActorKind"
)
_ROLES = described("Those that the token claimed; null for a process.", ["sales-rep"])
_REQUEST_ID = described("The X-Request-Id that the log has too.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a30")
_OPERATION = described("The operation's id in this document; null for a process.", "close_deal")
_ACTION = described("What happened to the record.", "updated", schema="AuditAction")


class AuditActorRead(ReadModel):
    """Who did it."""

    kind: Annotated[ActorKind, _KIND]
    name: Annotated[str, described("The subject of the caller's token, or the process.", "auth0|5f7c8ec7c33c6c00")]
    roles: Annotated[list[str] | None, _ROLES]


class AuditEntryRead(ReadModel):
    """One change of one record, or one export. It is never changed."""

    id: RecordId
    """Identifies the entry; later entries have higher ones."""
    occurred_at: Moment
    """When it was committed."""
    actor: AuditActorRead
    """Who did it: a person, a customer with a link, or a process."""
    operation: (
        Annotated[str, described("The operation's id in this document; null for a process.", "close_deal")] | None
    )
    request_id: Annotated[str, _REQUEST_ID] | None
    noun: Annotated[str, described("The kind of record.", "deal")]
    record_id: UUID
    """Which one it was; the audit also keeps those that were deleted."""
    version: Annotated[int, described("The record's own afterwards; null for what has none.", 3)] | None
    action: Annotated[Action, _ACTION]
    changes: dict[str, tuple[Any, Any] | None] = Field(
        description="By field, its values before and after. Null in their place: the field was changed, and its values"
        " were erased, are secret, or are personal and not to be seen by the caller's roles.",
        examples=[{"stage": ["proposal", "won"], "title": None}],
    )


def view_of(row: Any, hidden: frozenset[str] = frozenset()) -> AuditEntryRead:
    """Return the view of a row of `audit_entry` without the values of `hidden` fields."""
    return AuditEntryRead(
        id=row.id,
        occurred_at=moment_of(row.id),
        actor=AuditActorRead(kind=row.actor_kind, name=row.actor, roles=row.roles),
        operation=row.operation,
        request_id=row.request_id,
        noun=row.noun,
        record_id=row.record_id,
        version=row.version,
        action=row.action,
        changes={name: None if name in hidden else pair for name, pair in row.changes.items()},
    )
