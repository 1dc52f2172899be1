"""Hypothesis strategies made from the contracts' own types, so that a new event is tested without a new line here."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import msgspec.inspect as inspect
from hypothesis import strategies as st

from event_contracts.calendar import FIRST_DAY, LAST_DAY
from event_contracts.catalogue import EventType, State
from event_contracts.fields import DECIMAL_PLACES, MAX_MONEY_DIGITS, Money, money_from_minor_units

_ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))])
MOMENTS = st.datetimes(min_value=datetime(1970, 1, 3), max_value=datetime(2199, 12, 30), timezones=_ZONES)  # noqa: DTZ001
_RATES = st.decimals(min_value=Decimal("0.000001"), max_value=Decimal(1_000_000), allow_nan=False, places=6)


@st.composite
def money(draw: st.DrawFn) -> Money:
    """Any amount that has a whole number of minor units, in any currency."""
    currency = draw(st.sampled_from(sorted(DECIMAL_PLACES)))
    limit = 10 ** (MAX_MONEY_DIGITS + DECIMAL_PLACES[currency]) - 1
    return money_from_minor_units(draw(st.integers(-limit, limit)), currency)


def events(entry: EventType) -> st.SearchStrategy[State]:
    """Any data that the event's type allows."""
    return _values(inspect.type_info(entry.data))


def _values(kind: inspect.Type) -> st.SearchStrategy[Any]:
    match kind:
        case inspect.Metadata(type=inner, extra_json_schema={"pattern": str(pattern)}):
            assert isinstance(inner, inspect.StrType)
            return st.from_regex(pattern.removesuffix("$") + r"\Z")
        case inspect.Metadata(type=inner):
            return _values(inner)
        case inspect.StructType(cls=cls) if cls is Money:
            return money()
        case inspect.StructType(cls=cls, fields=fields):
            return st.fixed_dictionaries(
                {field.name: _values(field.type) for field in fields if field.required},
                optional={field.name: _values(field.type) for field in fields if not field.required},
            ).map(lambda values: cls(**values))
        case inspect.UnionType(types=types):
            return st.one_of([_values(each) for each in types])
        case inspect.ListType(item_type=item):
            return st.lists(_values(item), max_size=4)
        case inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(_values(key), _values(value), max_size=4)
        case inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case inspect.IntType(ge=int(lowest), le=int(highest)):
            return st.integers(lowest, highest)
        case inspect.StrType(min_length=shortest, max_length=longest):
            # NUL and lone surrogates are refused; tests of their own show it.
            text = st.characters(exclude_characters="\x00", exclude_categories=["Cs"])
            return st.text(text, min_size=shortest or 0, max_size=longest)
        case inspect.DateTimeType():
            return MOMENTS
        case inspect.DateType():
            return st.dates(FIRST_DAY, LAST_DAY)
        case inspect.DecimalType():
            return _RATES
        case inspect.UUIDType():
            return st.uuids()
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
    raise AssertionError(f"a contract has a field of a kind that no event had so far: {kind}")


JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
"""Any JSON value, small."""


def to_json(value: Any) -> bytes:
    """JSON of plain data, by msgspec."""
    return msgspec.json.encode(value)
