"""Custom fields over HTTP."""

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, StrictBool, StringConstraints, WithJsonSchema, model_validator

from service_kit.changes import Change
from service_kit.custom_fields.listing import ENDINGS
from service_kit.custom_fields.model import FieldType
from service_kit.custom_fields.values import MAX_OPTIONS, NAME_PATTERN
from service_kit.fields import (
    Code,
    Moment,
    Name,
    ReadModel,
    RecordId,
    StrictModel,
    UpdatedAt,
    Version,
    described,
    examples,
)

_NOUN = described("The plural noun of the records' address.", "deals")
_NAME = described("By which values are given and filtered. It never changes, and is not used again.", "site_region")
_LABEL = described("What people read in forms and headings.", "Region of the site")
_TYPE = described(
    "What its values are: a line of text, a decimal in a string, a day, true or false, one of the options, several of"
    " them, or an address on the web. Of amounts in one currency, make a number and name the currency in the label.",
    "choice",
    schema="CustomFieldType",
)
_OPTIONS = described("What its values are chosen from; of a choice or choices only.", ["north", "south"])
_REQUIRED = described("Whether a new record must have a value. Records that are there need none until then.", False)
_PERSONAL = described(
    "Whether its values are about a person: they are in no event, hidden like a name, and erased with the person.",
    False,
)
_ARCHIVED = described("Since when it takes no values; null while it does.", "2026-06-30T08:00:00Z", rarely=True)
_EXAMPLE: dict[str, Any] = {"label": "Region of the site", "options": ["north", "south"], "is_required": False}

FieldName = Annotated[
    str,
    StringConstraints(pattern=f"^{NAME_PATTERN}\\z", max_length=40),
    # JSON Schema's regular expressions know no \z.
    WithJsonSchema({"type": "string", "pattern": f"^{NAME_PATTERN}$", "maxLength": 40}),
    _NAME,
]
Options = Annotated[list[Annotated[Name, Field(max_length=100)]], Field(min_length=1, max_length=MAX_OPTIONS), _OPTIONS]


def _check_options(options: list[str]) -> None:
    if len(set(options)) < len(options):
        raise ValueError("name each option once")


class CustomFieldCreate(StrictModel):
    """A new custom field of a noun."""

    model_config = examples(
        {"noun": "deals", "name": "site_region", "type": "choice", **_EXAMPLE, "is_personal": False}
    )

    noun: Annotated[Code, _NOUN]
    name: FieldName
    label: Annotated[Name, _LABEL]
    type: Annotated[FieldType, _TYPE]
    options: Options | None = None
    is_required: Annotated[StrictBool, _REQUIRED] = False
    is_personal: Annotated[StrictBool, _PERSONAL] | None = Field(
        default=None, description="Unless given, true of texts and addresses, and false of all others."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.name.endswith(ENDINGS):
            raise ValueError(f"a name must not end in {', '.join(ENDINGS)}: filters do")
        has_options = self.type in ("choice", "choices")
        if has_options != (self.options is not None):
            raise ValueError("give options of a choice or choices, and of nothing else")
        _check_options(self.options or [])
        return self

    @property
    def has_personal_values(self) -> bool:
        """Whether its values are personal; texts may name people, unless it is said that they do not."""
        return self.type in ("text", "url") if self.is_personal is None else self.is_personal


class CustomFieldUpdate(Change):
    """What to change; what is left out stays. Values that records have stay as they are."""

    elsewhere: ClassVar = {
        "noun": "stays as it is: declare a field of the other noun",
        "name": "stays as it is: change the label, which people read",
        "type": "stays as it is: declare another field, and archive this one",
        "is_personal": "stays as it is, since published events do: declare another field, and archive this one",
        "archived_at": "is set by archiving it: POST …/archive, …/restore",
    }
    model_config = examples(_EXAMPLE)

    label: Annotated[Name, _LABEL] = Field(default_factory=str)
    options: Options = Field(default_factory=list)
    is_required: Annotated[StrictBool, _REQUIRED] = Field(default_factory=bool)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _check_options(self.options)
        return self


class CustomFieldRead(ReadModel):
    """A custom field of a noun."""

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    noun: Annotated[str, _NOUN]
    name: Annotated[str, _NAME]
    label: Annotated[str, _LABEL]
    type: Annotated[FieldType, _TYPE]
    options: Annotated[list[str], _OPTIONS] | None
    is_required: Annotated[bool, _REQUIRED]
    is_personal: Annotated[bool, _PERSONAL]
    archived_at: Annotated[Moment, _ARCHIVED] | None
