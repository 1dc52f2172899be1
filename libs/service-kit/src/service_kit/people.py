"""The people behind tokens, and the teams above one another, as the nouns of each service have them."""

from functools import cache
from typing import Annotated, Any, Final
from uuid import UUID

import sqlalchemy as sa

from service_kit.compiled import CompiledStatement
from service_kit.entities import Entity
from service_kit.fields import ExternalReference, described
from service_kit.problems import Conflict, Unprocessable
from service_kit.references import require
from service_kit.unit_of_work import UnitOfWork

_SUBJECT: Final = described(
    "The subject of their tokens, by which they see their own records; null to most roles.",
    "auth0|5f7c8ec7c33c6c004bbafe82",
)
Subject = Annotated[ExternalReference, _SUBJECT]
SubjectRead = Annotated[str, _SUBJECT]


class SubjectTaken(Conflict):
    """The tokens of this subject are another person's; `existing_id` is their id."""

    slug, title = "subject-taken", "This subject belongs to another person"


async def require_new_subject(work: UnitOfWork, person: type[Entity], subject: str | None) -> None:
    """Raise `SubjectTaken` (409) when the tokens of a subject belong to another person already."""
    if subject is None:
        return
    existing = await _with_subject(person.table).one_or_none(work, subject=subject)
    if existing is not None:
        raise SubjectTaken("Take it from the person that existing_id names first.", existing_id=str(existing["id"]))


async def require_above(work: UnitOfWork, entity: type[Entity], team: Any, parent_id: UUID) -> None:
    """Raise `UnknownReference` (422) for a parent that is no team, and `Unprocessable` for one below the team."""
    parent: Any = await require(work, entity, parent_id, "#/parent_id")
    while parent is not None:
        if parent.id == team.id:
            raise Unprocessable.at("#/parent_id", "is the team itself, or below it")
        parent = None if parent.parent_id is None else await work.get(entity, parent.parent_id)


@cache
def _with_subject(table: sa.Table) -> CompiledStatement:
    of_subject = table.c.subject == sa.bindparam("subject", type_=sa.Text)
    # Two of one unit of work meet the unique constraint, as those of one external_ref do.
    return CompiledStatement(sa.select(table.c.id).where(of_subject), sees_all=False)
