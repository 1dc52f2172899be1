"""The values of custom fields: what a body may give, and what each type of field takes. No I/O."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ModelWrapValidatorHandler,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from event_contracts.fields import CustomValue, CustomValues
from service_kit.custom_fields.model import CUSTOM, CUSTOM_PERSONAL, FieldType
from service_kit.fields import Day, DecimalText, Flag, Name, ReadModel, described
from service_kit.problems import Unprocessable
from service_kit.suggestions import known_names

NAME_PATTERN: Final = "[a-z][a-z0-9_]{0,39}"
MAX_FIELDS: Final = 100
"""Of one noun, archived ones left out."""
MAX_OPTIONS: Final = 200
MAX_URL: Final = 500
_MAX_CHOSEN: Final = 50
_MAX_TEXT: Final = 500
_NAME: Final = re.compile(NAME_PATTERN, re.ASCII)
_URL: Final = re.compile(rf"https?://[!-~]{{1,{MAX_URL}}}", re.ASCII)
_EXAMPLE: Final[dict[str, Any]] = {"site_region": "north", "roof_square_metres": "84.5", "wants_newsletter": True}

Given = Mapping[str, Any]
"""Values by the fields' names, as a body has them; null for none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeclaredField:
    """A custom field, as values are checked by it."""

    id: UUID
    name: str
    type: FieldType
    options: tuple[str, ...] = ()
    is_required: bool = False
    is_personal: bool = False
    is_archived: bool = False

    def value(self, given: Any) -> CustomValue:
        """Return a value as it is stored. Raise ValueError, which says what the field takes."""
        if self.type == "choice":
            return self._option(given)
        if self.type == "choices":
            if not isinstance(given, list) or not 1 <= len(given) <= _MAX_CHOSEN:
                raise ValueError(f"must be a list of 1 to {_MAX_CHOSEN} options, or null")
            chosen = [self._option(each) for each in given]
            if len(set(chosen)) < len(chosen):
                raise ValueError("names an option twice")
            return chosen
        try:
            value: CustomValue = _WRITTEN[self.type](_ADAPTERS[self.type].validate_python(given))
        except ValidationError as error:
            raise ValueError(str(error.errors()[0]["msg"]).removeprefix("Value error, ")) from None
        return value

    def _option(self, given: Any) -> str:
        if not isinstance(given, str) or given not in self.options:
            raise ValueError(f"is none of its options; {known_names(str(given), self.options)}")
        return given


def _address(value: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_URL or _URL.fullmatch(value) is None:
        raise ValueError(f"must be an address such as https://example.com/4711, of {MAX_URL} ASCII characters at most")
    return value


_ADAPTERS: Final[Mapping[str, TypeAdapter[Any]]] = {
    "text": TypeAdapter(Name),
    "number": TypeAdapter(DecimalText),
    "date": TypeAdapter(Day),
    "boolean": TypeAdapter(Flag),
    "url": TypeAdapter(Annotated[Any, AfterValidator(_address)]),
}
_WRITTEN: Final[Mapping[str, Callable[[Any], CustomValue]]] = {
    "text": str,
    "number": lambda value: format(value, "f"),
    "date": lambda value: value.isoformat(),
    "boolean": bool,
    "url": str,
}


@dataclass(frozen=True, slots=True)
class Split:
    """Values of a record: those that events carry, and those of personal fields."""

    custom: CustomValues
    custom_personal: CustomValues


def new_values(fields: Iterable[DeclaredField], given: Given, noun: str, pointer: str) -> Split:
    """Return the values of a new record. Raise `Unprocessable` (422), naming each place below the pointer."""
    known = {each.name: each for each in fields}
    wrong: list[tuple[str, str]] = []
    split = Split({}, {})
    _enter(split, known, {name: value for name, value in given.items() if value is not None}, noun, pointer, wrong)
    missing = (each for each in known.values() if each.is_required and not each.is_archived)
    wrong += [(f"{pointer}/{each.name}", "is required") for each in missing if given.get(each.name) is None]
    if wrong:
        raise Unprocessable.several(wrong)
    return split


def changed_values(before: Split, fields: Iterable[DeclaredField], given: Given, noun: str, pointer: str) -> Split:
    """Return the values of a record after a change: those not given stay, null removes one. Raise as `new_values`."""
    known = {each.name: each for each in fields}
    wrong: list[tuple[str, str]] = []
    after = Split(
        {name: value for name, value in before.custom.items() if name not in given},
        {name: value for name, value in before.custom_personal.items() if name not in given},
    )
    _enter(after, known, given, noun, pointer, wrong)
    if wrong:
        raise Unprocessable.several(wrong)
    return after


def _enter(
    into: Split,
    known: Mapping[str, DeclaredField],
    given: Given,
    noun: str,
    pointer: str,
    wrong: list[tuple[str, str]],
) -> None:
    for name, value in given.items():
        one = known.get(name)
        try:
            if one is None:
                names = [each.name for each in known.values() if not each.is_archived]
                raise ValueError(f"is no custom field of {noun}; {known_names(name, names)}")
            if one.is_archived:
                raise ValueError("was archived: leave it out, or restore the field")
            if value is None:
                if one.is_required:
                    raise ValueError("is required")
                continue
            (into.custom_personal if one.is_personal else into.custom)[name] = one.value(value)
        except ValueError as reason:
            wrong.append((f"{pointer}/{name}", str(reason)))


def merged(record: Any) -> CustomValues:
    """Return all values of an entity or a row, by name."""
    return dict(sorted({**record.custom, **record.custom_personal}.items()))


def _plain(given: Any) -> Any:
    """Return what may be values of fields that are not known here. Raise ValueError."""
    if not isinstance(given, dict) or len(given) > MAX_FIELDS:
        raise ValueError(f"must be an object with {MAX_FIELDS} members at most")
    for name, value in given.items():
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise ValueError("has a member that cannot be a custom field: names are like site_region")
        texts = value if isinstance(value, list) else [value]
        is_text = all(isinstance(each, str) and len(each) <= _MAX_TEXT for each in texts)
        if not (value is None or isinstance(value, bool) or (is_text and len(texts) <= _MAX_CHOSEN)):
            raise ValueError(
                f"has a value at {name} that is no text of {_MAX_TEXT} characters at most, true or false, list"
                ' of texts, or null; a number is a decimal in a string, such as "84.5"'
            )
    return given


_TEXT: Final = {"type": "string", "maxLength": _MAX_TEXT}
_VALUE: Final = [_TEXT, {"type": "boolean"}, {"type": "array", "items": _TEXT, "maxItems": _MAX_CHOSEN}]
_NAMES: Final = {"pattern": f"^{NAME_PATTERN}$"}

CustomGiven = Annotated[
    dict[str, Any],
    BeforeValidator(_plain),
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": _NAMES,
            "maxProperties": MAX_FIELDS,
            "additionalProperties": {"anyOf": [*_VALUE, {"type": "null"}]},
        }
    ),
    described("Values of custom fields by their names (`GET /v1/custom-fields`); null for none.", _EXAMPLE),
]
"""Values in a body."""

CustomShown = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "propertyNames": _NAMES, "additionalProperties": {"anyOf": _VALUE}}),
    described(
        "Values of custom fields by their names, archived fields too: texts, decimals and days in strings, booleans,"
        " and lists of options.",
        _EXAMPLE,
    ),
]
"""Values in an answer."""


class CustomizedRead(ReadModel):
    """The base of views of records with custom fields: an entity or a row has its values in two columns."""

    custom: CustomShown

    @model_validator(mode="wrap")
    @classmethod
    def _with_personal(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        shown = handler(given)
        personal = getattr(given, CUSTOM_PERSONAL, None)
        return shown.model_copy(update={CUSTOM: merged(given)}) if personal else shown
