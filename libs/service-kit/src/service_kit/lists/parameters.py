"""The query parameters of lists: how each is read from the address, and how documents show it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError

from service_kit.suggestions import known_names

MAX_VALUES: Final = 100
"""Values that one filter takes."""

Found = list[tuple[str, str]]
"""What is wrong with parameters: the name, and what to do."""


@cache
def _adapter_of(kind: Any) -> TypeAdapter[Any]:
    # The same types are those of many filters, and each takes a millisecond to compile.
    return TypeAdapter(kind)


@dataclass(frozen=True, eq=False)
class Parameter:
    """A query parameter. One that `repeats` takes so many values at most, given by as many parameters of the name."""

    name: str
    type: Any
    description: str
    repeats: int = 0
    adapter: TypeAdapter[Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "adapter", _adapter_of(self.type))

    def read(self, texts: Sequence[str], wrong: Found) -> Any:
        """Return the value, or the list of values. What is wrong is added to `wrong`."""
        if not self.repeats and len(texts) > 1:
            wrong.append((self.name, "is given twice"))
            return None
        if self.repeats and len(texts) > self.repeats:
            wrong.append((self.name, f"is given more than {self.repeats} times"))
            return None
        values = [self._value(text, wrong) for text in texts]
        return values if self.repeats else values[0]

    def _value(self, text: str, wrong: Found) -> Any:
        try:
            return self.adapter.validate_python(text)
        except ValidationError as error:
            (first, *_) = error.errors()
            said = str(first["msg"]).removeprefix("Value error, ").encode("ascii", "backslashreplace").decode()
            if first["type"] in ("literal_error", "enum"):
                said = f"is none of its values; {known_names(text, self._choices)}"
            wrong.append((self.name, said))
            return None

    @property
    def _choices(self) -> list[str]:
        schema = self.adapter.json_schema()
        return [str(each) for each in schema.get("enum", [schema.get("const")])]

    def document(self) -> dict[str, Any]:
        """Return the parameter as OpenAPI describes it."""
        schema = self.adapter.json_schema()
        shown = schema if not self.repeats else {"type": "array", "items": schema, "maxItems": self.repeats}
        document = {"name": self.name, "in": "query", "required": False, "description": self.description}
        return document | {"schema": {**shown, **self.more_schema()}}

    def more_schema(self) -> Mapping[str, Any]:
        """Return what else the schema says: a default."""
        return {}


@dataclass(frozen=True, eq=False)
class Defaulted(Parameter):
    """A parameter with a default."""

    default: Any = field(kw_only=True)

    def more_schema(self) -> Mapping[str, Any]:
        """Return the default."""
        return {"default": self.default}


@dataclass(frozen=True, eq=False)
class FilterParameter(Parameter):
    """A parameter that leaves records out, by what a column has."""

    column: sa.ColumnElement[Any] = field(kw_only=True)

    def condition(self, value: Any) -> sa.ColumnElement[bool]:
        """Return what the remaining records meet."""
        raise NotImplementedError
