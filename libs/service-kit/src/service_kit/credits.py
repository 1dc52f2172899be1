"""Credits in columns: who did something, and their team then, as JSON."""

from typing import Any

import msgspec

from event_contracts.fields import Credit

CreditRow = dict[str, str | None]


def credit_row(credit: Credit) -> CreditRow:
    """Return a credit as its column has it."""
    row: CreditRow = msgspec.to_builtins(credit)
    return row


def credit_in(row: dict[str, Any] | None) -> Credit | None:
    """Return the credit in a column; None where it is not done yet."""
    return None if row is None else msgspec.convert(row, Credit)
