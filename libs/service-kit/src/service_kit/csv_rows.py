"""CSV as exports write it: RFC 4180, in fields that no spreadsheet takes for formulas."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

_BEGINS_A_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def neutralised(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: what begins like one gets an apostrophe before it."""
    return f"'{text}" if text.startswith(_BEGINS_A_FORMULA) else text


def field(value: Any) -> str:
    """Return a value as a field: nothing for a missing one, JSON for a list or an object."""
    match value:
        case None:
            return ""
        case str():
            return neutralised(value)
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case Decimal():
            # As text, what the driver reads of 10000 is 1E+4.
            return f"{value:f}"
        case list() | dict():
            return msgspec.json.encode(value).decode()
        case _:
            # Numbers keep their sign: they are computed here and cannot be a formula.
            return str(value)


def lines(rows: Iterable[Sequence[str]]) -> bytes:
    """Return rows of fields as lines."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
