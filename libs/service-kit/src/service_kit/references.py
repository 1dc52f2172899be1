"""What a body may refer to: a record that exists, and the record's own reference in the system it came from."""

import hashlib
from functools import cache
from typing import Any, ClassVar, Protocol, TypeVar

import sqlalchemy as sa

from service_kit.compiled import CompiledStatement
from service_kit.entities import Entity
from service_kit.problems import Conflict, Unprocessable
from service_kit.tables import noun_of
from service_kit.unit_of_work import UnitOfWork


class UnknownReference(Unprocessable):
    """A field names a record that does not exist."""

    slug, title = "unknown-reference", "The request names something that does not exist"


class ExternalRefTaken(Conflict):
    """A record with this external_ref exists; `existing_id` is its id."""

    slug, title = "external-ref-taken", "This external_ref belongs to another record"


def erased_ref(external_ref: str | None) -> str | None:
    """Return what replaces a reference when its record is erased.

    The words are gone; the next import still finds the record instead of creating it again.
    """
    return None if external_ref is None else f"erased:{hashlib.sha256(external_ref.encode()).hexdigest()}"


E = TypeVar("E", bound=Entity)


async def require(work: UnitOfWork, entity: type[E], identity: Any, pointer: str) -> E:
    """Return the record that a body names at `pointer`.

    Raise `UnknownReference` (422), also for one that the caller may not see.
    """
    found = await work.get(entity, identity)
    if found is None or not await is_covered(work, found):
        raise unknown(entity, pointer, is_hidden=found is not None)
    return found


async def is_covered(work: UnitOfWork, record: Entity) -> bool:
    """Return whether the caller of the request may do with the record what they do, or see it where it is named."""
    return work.access is None or await work.access.covers(work, record, record.table)


def unknown(entity: type[Entity], pointer: str, *, is_hidden: bool) -> Unprocessable:
    """Return the problem of a reference to nothing, or to what `is_hidden` from the caller: the same for both."""
    problem = UnknownReference.at(pointer, f"names no {noun_of(entity.table)}")
    problem.forbids_replay = is_hidden
    return problem


class HasExternalRef(Protocol):
    """An entity that may come from another system."""

    table: ClassVar[sa.Table]

    @property
    def external_ref(self) -> str | None:
        """Its reference there."""


async def require_new(work: UnitOfWork, entity: type[HasExternalRef], external_ref: str | None) -> None:
    """Raise `ExternalRefTaken` (409) when a record has this reference already, also one that was erased.

    Two requests at the same moment both pass; the second then meets the unique constraint, is tried again by its
    route, and is refused here.
    """
    if external_ref is None:
        return
    references = [external_ref, erased_ref(external_ref)]
    existing = await _taken(entity.table).one_or_none(work, references=references)
    if existing is not None:
        raise ExternalRefTaken("Read or change the record that existing_id names.", existing_id=str(existing["id"]))


@cache
def _taken(table: sa.Table) -> CompiledStatement:
    references = sa.bindparam("references", type_=sa.ARRAY(sa.Text))
    # Two of one unit of work meet the unique constraint, so that an import need not send row after row.
    return CompiledStatement(sa.select(table.c.id).where(table.c.external_ref == sa.any_(references)), sees_all=False)
