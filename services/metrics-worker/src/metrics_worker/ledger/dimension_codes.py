"""The codes by which postings hold the values of dimensions: four bytes each, which a scan compares quickly."""

from collections.abc import Collection, Mapping
from typing import Final

import asyncpg

from metrics_worker.domain.kinds import Kind
from metrics_worker.ledger.tables import CUSTOMER

CODES_IN_MEMORY: Final = 100_000
"""Codes that a writer remembers between batches: some 15 MiB."""

_SELECT: Final = "SELECT value, code FROM dimension_value WHERE value = ANY($1::text[])"
# In one order, so that two writers that add the same values wait for each other and do not deadlock.
_INSERT: Final = """
    INSERT INTO dimension_value (value) SELECT value FROM unnest($1::text[]) WITH ORDINALITY AS added (value, position)
    ORDER BY position ON CONFLICT DO NOTHING RETURNING value, code
"""

Codes = Mapping[str | None, int | None]
"""By value; None, for no value, is among them."""


def coded(kind: Kind) -> list[int]:
    """Return the positions of the dimensions that postings of a kind hold by codes."""
    return [position for position, name in enumerate(kind.dimensions) if name != CUSTOMER]


class DimensionCodes:
    """The codes of one writer, which remembers those that were committed when it found them."""

    def __init__(self) -> None:
        self._known: dict[str | None, int | None] = {None: None}

    def forget(self) -> None:
        """Forget all codes: the table may be another one, or may have lost what a crash had not yet written."""
        self._known = {None: None}

    async def codes_of(self, driver: asyncpg.Connection, values: Collection[str | None]) -> Codes:
        """Return the codes of some values, and of others; those that have none get one. Call it once a transaction."""
        missing = [value for value in values if value not in self._known]
        if not missing:
            return self._known
        if len(self._known) > CODES_IN_MEMORY:
            self.forget()
            missing = list(values)
        # What this finds is committed, since this transaction has added nothing yet: it survives a rollback.
        self._known.update(await _fetch(driver, _SELECT, missing))
        new = sorted(value for value in missing if value is not None and value not in self._known)
        if not new:
            return self._known
        added = await _fetch(driver, _INSERT, new)
        if len(added) < len(new):
            # Another writer has added them meanwhile, and the insert has waited for its commit.
            self._known.update(await _fetch(driver, _SELECT, [value for value in new if value not in added]))
        return self._known | added


async def _fetch(driver: asyncpg.Connection, statement: str, values: Collection[str | None]) -> dict[str | None, int]:
    return {row["value"]: row["code"] for row in await driver.fetch(statement, values)}
