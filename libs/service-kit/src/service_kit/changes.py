"""Partial updates: a field that is given is changed, one that is left out stays, an equal value is no change."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from pydantic import GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema

from service_kit.entities import Recorded
from service_kit.fields import StrictModel
from service_kit.problems import Unprocessable


class Versioned(Protocol):
    """A row with a version, the number of its changes."""

    version: Any


class NotNull:
    """Makes an optional type one that only a field that is left out has as null: a null that is given is refused.

    `Annotated[CustomerId | None, NotNull()] = Field(default_factory=left_out)`: rules read the field, and no value is
    made up for it; the schema is that of the type itself.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of the type without null."""
        schema = handler(source)
        if schema["type"] != "nullable":
            raise TypeError("NotNull is for an optional type: Annotated[X | None, NotNull()]")
        without_null: CoreSchema = schema["schema"]
        return without_null


def left_out() -> None:
    """Return what a field that is `NotNull` is when it is left out. A factory: a schema shows no default then."""


class Change(StrictModel):
    """The base of every partial update. Rules ask the defaults of fields only where these are null."""

    elsewhere: ClassVar[Mapping[str, str]] = {}
    """Fields of the record that it does not change, each with the reason and what to do instead."""

    @model_validator(mode="before")
    @classmethod
    def _names_nothing_else(cls, given: Any) -> Any:
        named = [name for name in cls.elsewhere if name in given] if isinstance(given, dict) else []
        if named:
            raise Unprocessable.several((f"#/{name}", cls.elsewhere[name]) for name in named)
        return given

    @model_validator(mode="after")
    def _gives_something(self) -> "Change":
        if not self.model_fields_set:
            raise ValueError("must give at least one field")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        """Return the model's schema, which excludes the empty object."""
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        handler.resolve_ref_schema(schema)["minProperties"] = 1
        return schema

    def changed_from(self, row: object, *, besides: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Return the given fields whose value differs from the row's, without those named in `besides`."""
        given = self.model_dump(include=set(self.model_fields_set - besides))
        return {name: value for name, value in given.items() if getattr(row, name) != value}

    def apply_to(self, row: Versioned) -> frozenset[str]:
        """Set the given fields on the row and return the names of those that changed; any change is a new version."""
        changed = self.changed_from(row)
        for name, value in changed.items():
            setattr(row, name, value)
        if changed:
            row.version += 1
            if isinstance(row, Recorded):
                row.touch()
        return frozenset(changed)
