"""Deletes what has expired, in short transactions, until none is left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from service_kit.idempotency import RETENTION, idempotency_key
from service_kit.periodic import PeriodicJob

log = structlog.get_logger()

PAUSE_SECONDS: Final = 60
BATCH: Final = 1000
"""Rows of one transaction: some hundredths of a second, and no lock that a request would notice."""


@dataclass(frozen=True)
class RetentionRule:
    """Rows of a table expire `keep` after the moment in `since`; then they are deleted, or emptied by `values`.

    An index on `since` is needed, with the condition of `only` when there is one.
    """

    table: sa.Table
    since: sa.Column[Any]
    keep: timedelta
    only: sa.ColumnElement[bool] = field(default_factory=sa.true)
    values: Mapping[str, Any] | None = None

    def statement(self) -> sa.Delete | sa.Update:
        """Return the statement that takes the oldest expired rows, `BATCH` at most."""
        (key,) = self.table.primary_key
        expired = (
            sa.select(key)
            .where(self.since < sa.func.now() - self.keep, self.only)
            .order_by(self.since)
            .limit(BATCH)
            # Another process that cleans takes the next ones.
            .with_for_update(skip_locked=True)
        )
        # As an array it is evaluated once; a join may evaluate it again for each row.
        is_expired = key == sa.any_(sa.func.array(expired.scalar_subquery()))
        if self.values is None:
            return sa.delete(self.table).where(is_expired)
        return sa.update(self.table).where(is_expired).values(self.values)


class RetentionJob:
    """Applies the rules of one database. Any number of processes share the work."""

    def __init__(self, engine: AsyncEngine, rules: Sequence[RetentionRule]) -> None:
        self._engine = engine
        self._rules = rules
        self.job = PeriodicJob("retention", self.run_once, pause=PAUSE_SECONDS)

    async def run_once(self) -> bool:
        """Apply each rule to one batch, each in a transaction of its own. Return whether more has expired."""
        has_more = False
        for rule in self._rules:
            async with self._engine.begin() as connection:
                expired = (await connection.execute(rule.statement())).rowcount
            if expired:
                log.info("rows_expired", table=rule.table.name, rows=expired)
            has_more |= expired == BATCH
        return has_more


def idempotency_keys() -> RetentionRule:
    """Return the rule of idempotency keys, whose retention is part of the API's contract."""
    return RetentionRule(table=idempotency_key, since=idempotency_key.c.created_at, keep=RETENTION)
