"""Reads which custom fields a noun has, and makes the values of its records by them."""

import time
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from service_kit.compiled import CompiledStatement
from service_kit.custom_fields import values
from service_kit.custom_fields.model import CUSTOM, CUSTOM_PERSONAL, Customized, customized_noun
from service_kit.custom_fields.values import DeclaredField, Given, Split
from service_kit.unit_of_work import UnitOfWork

C = TypeVar("C", bound=Customized)

REQUIRED_WITHIN_SECONDS: Final = 5.0
"""How soon a record that gives no custom values is refused since a field has become required."""

_NEVER: Final[tuple[float, list[DeclaredField]]] = (float("-inf"), [])
_field = sa.table(
    "custom_field",
    *(sa.column(name) for name in ("id", "noun", "name", "label", "type", "is_required", "is_personal", "archived_at")),
    sa.column("options", JSONB),
)
_COLUMNS: Final = ("id", "name", "type", "options", "is_required", "is_personal", "archived_at")
_OF_NOUN: Final = CompiledStatement(
    sa.select(*(_field.c[name] for name in _COLUMNS))
    .where(_field.c.noun == sa.bindparam("noun", type_=sa.Text))
    .order_by(_field.c.id)
)


async def fields_of(work: UnitOfWork, noun: str) -> list[DeclaredField]:
    """Return the custom fields of a noun, archived ones too, the oldest first."""
    found = [
        DeclaredField(
            id=row["id"],
            name=row["name"],
            type=row["type"],
            options=tuple(row["options"] or ()),
            is_required=row["is_required"],
            is_personal=row["is_personal"],
            is_archived=row["archived_at"] is not None,
        )
        for row in await _OF_NOUN.all(work, noun=noun)
    ]
    work.process_cache[_key(noun)] = (time.monotonic(), found)
    return found


def forget_fields(work: UnitOfWork, noun: str) -> None:
    """Have this process read the fields of a noun again."""
    work.process_cache.pop(_key(noun), None)


async def new_custom(
    work: UnitOfWork, entity: type[Customized], given: Given, pointer: str = "#/custom"
) -> dict[str, Any]:
    """Return the columns of a new record's values. Raise `Unprocessable` (422), naming each place below the pointer.

    Where no values are given, a field that has just become required may not be missed yet: most records have none, and
    are not to wait for a statement more.
    """
    noun = _noun_of(entity)
    fields = await fields_of(work, noun) if given else await _recent_fields_of(work, noun)
    return _columns(values.new_values(fields, given, noun, pointer))


async def changed_custom(
    work: UnitOfWork, record: Customized, given: Given, pointer: str = "#/custom"
) -> dict[str, Any]:
    """Return the columns of a record's values that differ after a change. Raise `Unprocessable` (422)."""
    if not given:
        return {}
    noun = _noun_of(type(record))
    before = Split(record.custom, record.custom_personal)
    after = values.changed_values(before, await fields_of(work, noun), given, noun, pointer)
    return {name: value for name, value in _columns(after).items() if value != getattr(record, name)}


def _columns(split: Split) -> dict[str, Any]:
    return {CUSTOM: split.custom, CUSTOM_PERSONAL: split.custom_personal}


async def _recent_fields_of(work: UnitOfWork, noun: str) -> list[DeclaredField]:
    read_at, known = work.process_cache.get(_key(noun), _NEVER)
    is_recent = time.monotonic() < read_at + REQUIRED_WITHIN_SECONDS
    return known if is_recent else await fields_of(work, noun)


def _key(noun: str) -> tuple[str, str]:
    return ("custom fields", noun)


def _noun_of(entity: type[Customized]) -> str:
    noun = customized_noun(entity.table)
    assert noun is not None  # noqa: S101 -- each entity with the columns declares it
    return noun
