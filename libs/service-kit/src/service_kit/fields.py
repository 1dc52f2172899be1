"""The types of everything that arrives over HTTP: each bounded, each strict, so that nothing odd gets past the door."""

import re
import unicodedata
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_after_validator_function, no_info_before_validator_function

from event_contracts.calendar import check_day, check_moment
from event_contracts.fields import CODE_PATTERN, DECIMAL_PLACES, MAX_COUNT, MAX_SECONDS
from event_contracts.fields import Money as ContractMoney
from service_kit.docstrings import attribute_docstrings

MAX_AMOUNT_DIGITS = 12
"""Digits before the point of one amount of money; sums of many still fit 64 bits in minor units."""

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
UNSIGNED_DECIMAL: Final = r"(0|[1-9][0-9]{0,11})(\.[0-9]{1,10})?"
"""The pattern of a decimal that is never negative, in JSON Schema and Python alike."""
_DECIMAL = f"-?{UNSIGNED_DECIMAL}"
# Written as both Python and JSON Schema read them.
_INVISIBLE = r"\u00ad\u034f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
"""Marks that set the direction of writing or take no width: with them, two texts that look the same would differ."""
_CONTROL = r"\u0000-\u001f\u007f-\u009f\u2028\u2029" + _INVISIBLE
_CONTROL_BUT_LINES = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f" + _INVISIBLE
_STRAY = re.compile(
    # Joiners after Arabic and the scripts of South and South-East Asia, after emoji, symbols and their selector.
    "(?<![\u0590-\u1cff\ua800-\ua8ff\ua960-\uabff\ufb50-\ufdff\ufe0f\ufe70-\ufefc"
    "\u2190-\u2bff\U00010d00-\U00011fff\U0001e900-\U0001eeff\U0001f000-\U0001faff])[\u200c\u200d]"
    # Tags after the black flag, which they turn into Scotland's.
    "|(?<![\U0001f3f4\U000e0020-\U000e007e])[\U000e0000-\U000e007f]"
)
"""Invisible marks where no script needs them. Not in the schema, whose readers need not know such patterns."""
_MAX_LENGTH = 20_000
"""Characters of any text, as it arrives."""
_MAX_MARKS = 30
"""Combining marks in a row, as in Unicode's Stream-Safe Text Format: sorting more of them takes time by the square."""


class _Described:
    """Adds to the schema of a type, whatever made it: pydantic's own `Field` is overruled by `WithJsonSchema`."""

    def __init__(self, **added: Any) -> None:
        self._added = added

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | self._added


def described(text: str, *examples: Any, schema: str | None = None, rarely: bool = False) -> Any:
    """Return what a type adds to the API's document: its meaning, with units, and examples.

    `schema` names a list of values, so that it is one schema wherever it is used. What is `rarely` given is null in the
    example of a whole record.
    """
    added: dict[str, Any] = {"description": text}
    if examples:
        added["examples"] = list(examples)
    if schema is not None:
        added["x-schema"] = schema
    if rarely:
        added["x-rarely"] = True
    return _Described(**added)


def _text_matching(pattern: re.Pattern[str], what: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        if isinstance(value, datetime | date | UUID | Decimal):
            return value
        if not isinstance(value, str) or pattern.fullmatch(value) is None:
            raise ValueError(f"must be {what}")
        return value

    return BeforeValidator(check)


plain_digits = _text_matching(re.compile(r"-?[0-9]{1,18}", re.ASCII), "a number in plain digits")
"""For an integer in a query, where pydantic also takes `1_000`, `+1` and spaces."""


def _true_or_false(value: Any) -> Any:
    if not isinstance(value, bool) and value not in ("true", "false"):
        raise ValueError("must be true or false")
    return value


Flag = Annotated[bool, BeforeValidator(_true_or_false)]
"""A boolean in a query, where pydantic also takes `yes`, `on`, `1`, `t` and `TRUE`."""


def _in_bounds(value: datetime) -> datetime:
    try:
        utc = value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the calendar") from None
    check_moment(utc)
    return utc


def _day_in_bounds(value: date) -> date:
    check_day(value)
    return value


def normalized(text: str) -> str:
    """Return a text in NFC, so that what looks the same is the same. Raise ValueError for a pile of marks."""
    if text.isascii():
        return text
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character)[0] == "M" else 0
        if marks > _MAX_MARKS:
            raise ValueError(f"must not contain more than {_MAX_MARKS} combining marks in a row")
    return unicodedata.normalize("NFC", text)


class _Without:
    """Keep a text in NFC, refuse one that has any of some characters, and declare these in the schema."""

    def __init__(self, characters: str) -> None:
        self._characters = characters
        self._any = re.compile(f"[{characters}]")

    def _check(self, value: str) -> str:
        if self._any.search(value):
            raise ValueError("must not contain control characters or invisible marks")
        if _STRAY.search(value):
            raise ValueError("must not contain a joiner or tag where no script needs one")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # Before the length is checked: some characters are two or three in NFC.
        checked = no_info_after_validator_function(self._check, handler(source))
        return no_info_before_validator_function(_normalized_if_text, checked)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | {"pattern": f"^[^{self._characters}]*$"}


def _normalized_if_text(value: Any) -> Any:
    # What is longer is refused for its length, before any time is spent on it.
    return normalized(value) if isinstance(value, str) and len(value) <= _MAX_LENGTH else value


def _iso_z(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


Moment = Annotated[
    datetime,
    _text_matching(_MOMENT, "an RFC 3339 time with its zone, such as 2026-03-31T21:00:00Z"),
    AfterValidator(_in_bounds),
    PlainSerializer(_iso_z, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-31T21:00:00Z"]}),
]
"""An instant; kept in UTC."""

Day = Annotated[
    date,
    _text_matching(_DAY, "a day such as 2026-03-31"),
    AfterValidator(_day_in_bounds),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-03-31"]}),
]

Identifier = Annotated[
    UUID,
    _text_matching(_UUID, "a UUID"),
    WithJsonSchema({"type": "string", "format": "uuid", "examples": ["01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11"]}),
]

Code = Annotated[
    str,
    StringConstraints(pattern=CODE_PATTERN.removesuffix("$") + r"\z", max_length=64),
    # JSON Schema's regular expressions know no \z.
    WithJsonSchema({"type": "string", "pattern": CODE_PATTERN, "maxLength": 64, "examples": ["enterprise"]}),
]
"""A short code of a list that the company defines: a region, a segment, a channel, a product."""

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), _Without(_CONTROL)]
"""One line that a person reads, in NFC."""

Text = Annotated[str, StringConstraints(max_length=10_000), _Without(_CONTROL_BUT_LINES)]
"""Lines that a person reads, in NFC; stays in the service's own database."""

_EXTERNAL_REFERENCE: Final = described(
    "The record's id in the system that it comes from. No two records of a resource have the same.", "crm-4711"
)
ExternalReference = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    _Without(_CONTROL),
    _EXTERNAL_REFERENCE,
]
"""The record's id in the system that it was imported from; unique a resource."""

ExternalReferenceRead = Annotated[str, _EXTERNAL_REFERENCE]

RecordId = Annotated[
    UUID, described("Identifies the record in every service, for good.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a10")
]
Version = Annotated[int, described("Counts the record's changes, from 1. In quotes, it is the ETag.", 3)]
OccurredAt = Annotated[
    Moment,
    described(
        "When it happened; now, if left out. Only some roles may give a time in the past.", "2026-03-31T14:00:00Z"
    ),
]
UpdatedAt = Annotated[
    Moment,
    described("When the latest change was recorded here, for `updated_since` and copies.", "2026-03-31T21:00:00.120Z"),
]
ErasedAt = Annotated[
    Moment,
    described("When the personal data was erased; null while it is kept.", "2026-06-30T08:00:00Z", rarely=True),
]

Count = Annotated[int, Field(strict=True, ge=0, le=MAX_COUNT)]
Quantity = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Seconds = Annotated[int, Field(strict=True, ge=0, le=MAX_SECONDS)]
QueryNumber = Annotated[int, Field(ge=-(2**31), le=2**31 - 1), plain_digits]
"""A whole number in a query, where every value is a text."""
Score = Annotated[int, Field(strict=True, ge=1, le=5)]


def _without_negative_zero(value: Decimal) -> Decimal:
    # It would be another text for the same number. Not in the schema, whose readers need not know such patterns.
    if value.is_zero() and value.is_signed():
        raise ValueError("must not be minus zero")
    return value


DecimalText = Annotated[
    Decimal,
    _text_matching(re.compile(_DECIMAL, re.ASCII), 'a decimal in a string, such as "1299.00", with 12 digits at most'),
    AfterValidator(_without_negative_zero),
    PlainSerializer(lambda value: format(value, "f"), when_used="json"),
    WithJsonSchema({"type": "string", "pattern": f"^{_DECIMAL}$", "examples": ["1299.00"]}),
]
"""A decimal number, as a string on the wire: JSON numbers would pass through floats."""


def _known_currency(value: str) -> str:
    if value not in DECIMAL_PLACES:
        raise ValueError("must be an ISO 4217 currency code, such as EUR")
    return value


_CURRENCY: Final = described("The alphabetic code of ISO 4217.", "EUR")
Currency = Annotated[
    str,
    AfterValidator(_known_currency),
    WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$"}),
    _CURRENCY,
]
CurrencyRead = Annotated[str, _CURRENCY]


class DescribedModel(BaseModel):
    """The base of every schema: the docstring below a field is its description in the API's document."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the model's schema with these descriptions."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        docstrings = attribute_docstrings(cls)
        for name, field in cls.model_fields.items():
            for shown in {name, field.alias, field.serialization_alias} & properties.keys():
                if name in docstrings:
                    properties[shown]["description"] = docstrings[name]
        return schema


class StrictModel(DescribedModel):
    """The base of every request body: an unknown key is an error, not a typo that is silently dropped."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=_MAX_LENGTH)


def examples(*bodies: dict[str, Any]) -> ConfigDict:
    """Return the configuration of a request body that shows these examples in the API's document."""
    return ConfigDict(json_schema_extra={"examples": list(bodies)})


class ReadModel(DescribedModel):
    """The base of every answer, read straight from a row's attributes."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Money(StrictModel):
    """An amount of money, never negative, with no more places than its currency has."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"amount": "1299.00", "currency": "EUR"}]}
    )

    amount: Annotated[
        DecimalText,
        WithJsonSchema({"type": "string", "pattern": f"^{UNSIGNED_DECIMAL}$", "examples": ["1299.00"]}),
    ]
    """In units of the currency, as a decimal string with no more places than the currency has."""
    currency: Currency

    @model_validator(mode="after")
    def _fits_currency(self) -> "Money":
        if self.amount < 0:
            raise ValueError("an amount cannot be negative")
        try:
            self.to_contract().minor_units()
        except ValueError as error:
            raise ValueError(str(error)) from None
        return self

    def to_contract(self) -> ContractMoney:
        """The same amount as events carry it, with exactly the currency's places."""
        exact = self.amount
        with_places = exact.quantize(Decimal(1).scaleb(-DECIMAL_PLACES[self.currency]))
        if with_places == exact:
            exact = with_places
        return ContractMoney(amount=exact, currency=self.currency)


class MoneyRead(ReadModel):
    """An amount of money in an answer."""

    amount: DecimalText
    """In units of the currency, as a decimal string."""
    currency: CurrencyRead
