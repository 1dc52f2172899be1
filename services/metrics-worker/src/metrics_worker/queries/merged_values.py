"""What merged values of declared lists count as: the ledger keeps what was recorded, and reads apply a merge.

So a merge moves no posting, a closed period is not restated, and taking the merge back leaves nothing behind.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import asyncpg
import sqlalchemy as sa

from metrics_worker.domain.kinds import Kind
from metrics_worker.ledger.tables import directory_name
from metrics_worker.queries.query import FilterValue
from service_kit.compiled import CompiledStatement

_DIMENSION_OF: Final[Mapping[str, str]] = {"channels": "channel"}
"""The dimension whose values a list has."""
_OF_SALES: Final = frozenset({"account", "activity", "deal", "lead", "relationship"})
"""The kinds whose channel is the way a customer came; elsewhere it is the way of a contact, or where a review is."""
_columns = directory_name.c
_MERGED: Final = CompiledStatement(
    sa.select(_columns.kind, _columns.code, _columns.merged_into).where(_columns.merged_into.is_not(None))
)


@dataclass(frozen=True)
class Merges:
    """The final value that each merged one counts as."""

    into: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """By dimension and value."""

    def value(self, kind: Kind, dimension: str, value: str | None) -> str | None:
        """Return what a value counts as, itself unless it was merged."""
        if value is None or not _has_list(kind, dimension):
            return value
        return self.into.get((dimension, value), value)

    def key(self, kind: Kind, dimensions: tuple[str, ...], key: str | None) -> str | None:
        """Return the key of the group that a group counts as: see `values_of`."""
        if len(dimensions) == 1:
            return self.value(kind, dimensions[0], key)
        values = json.loads(key or "[]")
        return json.dumps([self.value(kind, *each) for each in zip(dimensions, values, strict=True)])

    def filter(self, kind: Kind, dimension: str, value: FilterValue) -> FilterValue:
        """Return all values that count as those of a filter. A merged one selects what it was merged into."""
        if value is None or not _has_list(kind, dimension):
            return value
        finals = {self.into.get((dimension, each), each) for each in ((value,) if isinstance(value, str) else value)}
        merged = [each for (of, each), final in self.into.items() if of == dimension and final in finals]
        return tuple(sorted({*finals, *merged})) if merged else value


NO_MERGES: Final = Merges()


async def merges_for(driver: asyncpg.Connection, reads: Iterable[tuple[Kind, Iterable[str]]]) -> Merges:
    """Return the merges for what is read of kinds by some dimensions; without a statement where none can matter."""
    if not any(_has_list(kind, each) for kind, dimensions in reads for each in dimensions):
        return NO_MERGES
    merged = {
        (dimension, code): into
        for kind, code, into in await _MERGED.all(driver)
        if (dimension := _DIMENSION_OF.get(kind)) is not None
    }
    return Merges({(dimension, code): _final(merged, dimension, into) for (dimension, code), into in merged.items()})


def _final(merged: Mapping[tuple[str, str], str], dimension: str, value: str) -> str:
    # A chain ends: sales refuses circles. But of events that came apart it may see one for a moment.
    seen: set[str] = set()
    while (into := merged.get((dimension, value))) is not None and value not in seen:
        seen.add(value)
        value = into
    return value


def _has_list(kind: Kind, dimension: str) -> bool:
    return dimension in _DIMENSION_OF.values() and (dimension != "channel" or kind.name in _OF_SALES)
