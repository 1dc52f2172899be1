"""Check constraints of closed lists, from the contract's own literals."""

from collections.abc import Sequence

from sqlalchemy import CheckConstraint


def one_of(column: str, values: Sequence[str]) -> CheckConstraint:
    """The column holds one of the values, or null where it may."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} in ({listed})", name=column)
