"""The calendar that every business time is in: one bound for HTTP, events and the ledger."""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec

FIRST_DAY: Final = date(1970, 1, 1)
LAST_DAY: Final = date(2199, 12, 31)
"""Days outside are mistakes, and PostgreSQL or a calendar may choke on them."""
FIRST_MOMENT: Final = datetime(1970, 1, 2, tzinfo=UTC)
END_MOMENT: Final = datetime(2199, 12, 31, tzinfo=UTC)
"""The bounds of an instant, the end not included: a day inside, so that its day is in the calendar in every zone."""

Check = Callable[[Any], None]
"""Raises ValueError for a value with a time outside the calendar."""


def check_moment(moment: datetime) -> None:
    """Raise ValueError for an instant outside the calendar."""
    if not FIRST_MOMENT <= moment < END_MOMENT:
        raise ValueError(f"{moment.isoformat()} is not between 1970-01-02 and 2199-12-30")


def check_day(day: date) -> None:
    """Raise ValueError for a day outside the calendar."""
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError(f"{day.isoformat()} is not between 1970-01-01 and 2199-12-31")


def check_of(struct: type[msgspec.Struct]) -> Check | None:
    """Return what checks every time in a value of this type, however deep; None when it has none."""
    return _check_of(msgspec.inspect.type_info(struct))


def _check_of(kind: msgspec.inspect.Type) -> Check | None:
    match kind:
        case msgspec.inspect.Metadata(type=inner):
            return _check_of(inner)
        case msgspec.inspect.DateTimeType():
            return check_moment
        case msgspec.inspect.DateType():
            return check_day
        case msgspec.inspect.StructType(fields=fields):
            return _of_fields([(field.name, _check_of(field.type)) for field in fields])
        case msgspec.inspect.UnionType(types=types):
            # Unions of the contract are of one type and null.
            return next((check for each in types if (check := _check_of(each)) is not None), None)
        case msgspec.inspect.ListType(item_type=item):
            return _of_items(_check_of(item))
        case _:
            return None


def _of_fields(fields: Iterable[tuple[str, Check | None]]) -> Check | None:
    timed = [(name, check) for name, check in fields if check is not None]
    if not timed:
        return None

    def check(value: Any) -> None:
        for name, check_field in timed:
            if (inner := getattr(value, name)) is not None and inner is not msgspec.UNSET:
                check_field(inner)

    return check


def _of_items(check_item: Check | None) -> Check | None:
    if check_item is None:
        return None

    def check(items: Iterable[Any]) -> None:
        for item in items:
            check_item(item)

    return check
