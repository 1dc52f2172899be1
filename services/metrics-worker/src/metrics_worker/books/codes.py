"""Dimensions by codes of four bytes, as narrow copies hold them in the place of their values."""

from collections.abc import Iterable
from typing import Literal

from metrics_worker.domain.kinds import Kind


def translated(kind: Kind, columns: Iterable[str], table: str, wanted: Literal["code", "value"]) -> tuple[str, str]:
    """SQL for a table's columns, with values in the place of codes or the reverse, and for the joins it takes."""
    known = "value" if wanted == "code" else "code"
    told = [f"{name}_value.{wanted}" if name in kind.dimensions else f"{table}.{name}" for name in columns]
    joins = [
        f"LEFT JOIN dimension_value AS {name}_value ON {name}_value.{known} = {table}.{name}"
        for name in kind.dimensions
    ]
    return ", ".join(told), " ".join(joins)
