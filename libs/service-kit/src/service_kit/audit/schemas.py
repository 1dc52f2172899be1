"""Audit entries over HTTP."""

from typing import Any
from uuid import UUID

from pydantic import Field

from service_kit.audit.entries import Action, ActorKind
from service_kit.fields import Moment, ReadModel
from service_kit.identifiers import moment_of


class AuditActorRead(ReadModel):
    """Who did it."""

    kind: ActorKind = Field(description="`link` is a customer who answers a survey; a `process` acts by itself.")
    name: str = Field(description="The subject of the caller's token, or the process.")
    roles: list[str] | None = Field(description="Those that the token claimed; null for a process.")


class AuditEntryRead(ReadModel):
    """One change of one record, or one export. It is never changed."""

    id: UUID
    occurred_at: Moment
    actor: AuditActorRead
    operation: str | None = Field(description="The operation's id in this document; null for a process.")
    request_id: str | None = Field(description="The X-Request-Id that the log has too.")
    noun: str
    record_id: UUID
    version: int | None = Field(description="The record's version afterwards; null for what has no versions.")
    action: Action
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
