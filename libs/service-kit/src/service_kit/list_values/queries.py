"""Reads the declared lists, and refuses what they do not have."""

import time
from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa
from pydantic import BaseModel

from event_contracts.lists import ListName
from service_kit.compiled import CompiledStatement
from service_kit.list_values.values import DeclaredValue, Given, UnknownListValue, Values, listed_in, refusal
from service_kit.unit_of_work import UnitOfWork

REFUSED_WITHIN_SECONDS: Final = 5.0
"""How soon every process refuses a value that was retired or merged. A new one is taken at once."""

_NEVER: Final[tuple[float, Values]] = (float("-inf"), {})
_value = sa.table(
    "list_value",
    *(sa.column(name) for name in ("list", "key", "label", "retired_at", "merged_into")),
)
_OF_LISTS: Final = CompiledStatement(
    sa.select(*_value.c).where(_value.c.list == sa.any_(sa.bindparam("lists", type_=sa.ARRAY(sa.Text))))
)


async def check_listed(
    work: UnitOfWork, body: BaseModel, changed: Iterable[str] | None = None, *, pointer: str = "#"
) -> None:
    """Raise `UnknownListValue` (422) where a body has a value that its declared list does not take.

    Of a change, only the fields in `changed` are checked: what a record has already may have been retired since. A
    value that was known to be taken some seconds ago costs no statement.
    """
    given = list(listed_in(body, changed, pointer))
    if all(_is_known(work, each) for each in given):
        return
    values = await values_of(work, {each.list for each in given})
    wrong = [(each.pointer, why) for each in given if (why := refusal(each, values[each.list])) is not None]
    if wrong:
        raise UnknownListValue.several(wrong)


async def values_of(work: UnitOfWork, lists: Iterable[ListName]) -> dict[ListName, Values]:
    """Return the values of these lists, by key, retired and merged ones too."""
    found: dict[ListName, dict[str, DeclaredValue]] = {each: {} for each in sorted(set(lists))}
    for row in await _OF_LISTS.all(work, lists=list(found)):
        is_retired = row["retired_at"] is not None
        found[row["list"]][row["key"]] = DeclaredValue(row["key"], row["label"], is_retired, row["merged_into"])
    for name, values in found.items():
        work.process_cache[_key(name)] = (time.monotonic(), values)
    return dict(found)


def forget_values(work: UnitOfWork, name: str) -> None:
    """Have this process read the values of a list again."""
    work.process_cache.pop(_key(name), None)


def _is_known(work: UnitOfWork, given: Given) -> bool:
    read_at, values = work.process_cache.get(_key(given.list), _NEVER)
    return time.monotonic() < read_at + REFUSED_WITHIN_SECONDS and refusal(given, values) is None


def _key(name: str) -> tuple[str, str]:
    return ("list values", name)
