"""Which fields of a body hold values of declared lists, and which values these take. No I/O."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple, get_args

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from event_contracts.lists import ListName
from service_kit.problems import Unprocessable
from service_kit.suggestions import nearest_name

NAMED_AT_MOST: Final = 50
"""Values that a refusal names."""
_APART: Final = re.compile(r"[^\w+#]|_")


class UnknownListValue(Unprocessable):
    """A field has a value that its declared list does not have, or no longer takes."""

    slug, title = "unknown-list-value", "The request has a value that its list does not have"


@dataclass(frozen=True)
class ListedIn:
    """Says of a field's type that a declared list has its values; in the schema it is `x-list`."""

    name: ListName

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the schema with the list's name, by which a frontend offers the values."""
        return handler(schema) | {"x-list": self.name}


class DeclaredValue(NamedTuple):
    """A value of a list, as fields are checked by it."""

    key: str
    label: str
    is_retired: bool
    merged_into: str | None

    @property
    def is_taken(self) -> bool:
        """Whether a record may be given it."""
        return not self.is_retired and self.merged_into is None


Values = Mapping[str, DeclaredValue]
"""Of one list, by key."""


class Given(NamedTuple):
    """A value in a body."""

    pointer: str
    list: ListName
    key: str


def normal_form(text: str) -> str:
    """Return what different spellings of one code have in common: `TradeShow`, `trade-show` and `trade_show` are one.

    `C`, `C#` and `C++` stay three.
    """
    return _APART.sub("", text).casefold()


def listed_in(body: BaseModel, names: Iterable[str] | None = None, pointer: str = "#") -> Iterator[Given]:
    """Yield the values of declared lists in a body, or in those of its fields that are named."""
    chosen = None if names is None else frozenset(names)
    for name, list_name in _fields(type(body)):
        value = getattr(body, name)
        if value is None or name not in body.model_fields_set or (chosen is not None and name not in chosen):
            continue
        if isinstance(value, BaseModel):
            yield from listed_in(value, pointer=f"{pointer}/{name}")
        elif list_name is not None:
            yield Given(f"{pointer}/{name}", list_name, value)


@cache
def _fields(model: type[BaseModel]) -> tuple[tuple[str, ListName | None], ...]:
    """Return the fields with values of lists, each with its list, and those with a model that has some."""
    found: list[tuple[str, ListName | None]] = []
    for name, info in model.model_fields.items():
        parts = [*info.metadata, *_parts(info.annotation)]
        lists = [part.name for part in parts if isinstance(part, ListedIn)]
        nested = [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]
        if lists:
            found.append((name, lists[0]))
        elif any(map(_fields, nested)):
            found.append((name, None))
    return tuple(found)


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield a type with all that it is made of: the members of a union, and what annotates them."""
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def refusal(given: Given, values: Values) -> str | None:
    """Return why a list does not take a value, and what it takes; None where it does."""
    known = values.get(given.key)
    if known is not None and known.is_taken:
        return None
    taken = sorted(each.key for each in values.values() if each.is_taken)
    if known is not None and known.merged_into is not None:
        into = final_key(known.key, values)
        return f"was merged into {into}: give {into}" if into in taken else f"was merged into {into}; {_all_of(taken)}"
    if known is not None:
        return f"was retired; {_all_of(taken)}"
    near = same_as(given.key, values) or nearest_name(given.key, taken)
    meant = f"did you mean {near}? " if near is not None else ""
    return f"is no value of the list {given.list}; {meant}{_all_of(taken)}"


def same_as(text: str, values: Values) -> str | None:
    """Return the key that a spelling means, by a value's key or its label; None where none is like it.

    A merged value means the one that it was merged into.
    """
    form = normal_form(text)
    alike = [each.key for each in values.values() if form in (normal_form(each.key), normal_form(each.label))]
    finals = {final_key(key, values) for key in alike}
    taken = sorted(key for key in finals if values[key].is_taken)
    return taken[0] if len(taken) == 1 else None


def final_key(key: str, values: Values) -> str:
    """Return the value that a value counts as, itself unless it was merged."""
    while (known := values.get(key)) is not None and known.merged_into is not None:
        key = known.merged_into
    return key


def _all_of(taken: list[str]) -> str:
    if not taken:
        return "it has none yet: a manager declares them by POST /v1/list-values"
    if len(taken) <= NAMED_AT_MOST:
        return f"there are: {', '.join(taken)}"
    return f"there are {len(taken)}, which GET /v1/list-values names, such as {', '.join(taken[:NAMED_AT_MOST])}"
