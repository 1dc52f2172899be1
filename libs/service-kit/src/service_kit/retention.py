"""Deletes or empties what has expired, in short transactions, until none is left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from service_kit.audit.entries import allow, audit_entry
from service_kit.consumer.dead_letters import EMPTY, SETTLED_WITH_CONTENT, dead_letter
from service_kit.idempotency import RETENTION, idempotency_key
from service_kit.imports.records import imported_record
from service_kit.periodic import PeriodicJob

log = structlog.get_logger()

PAUSE_SECONDS: Final = 60
BATCH: Final = 1000
"""Rows of one transaction: some hundredths of a second, and no lock that a request would notice."""


@dataclass(frozen=True)
class RetentionRule:
    """Rows of a table expire `keep` after the moment in `since`; then they are deleted, or emptied by `values`.

    `since` may be a UUIDv7, which has the moment in it. `only` is a condition in SQL. The table needs an index on
    `since`, which may be partial by that condition.
    """

    table: sa.Table
    since: sa.Column[Any]
    keep: timedelta
    only: str = "true"
    beforehand: sa.Executable | None = None
    """What the transaction runs first, to be allowed to."""
    values: Mapping[str, Any] | None = None

    @property
    def _limit(self) -> sa.ColumnElement[Any]:
        if isinstance(self.since.type, sa.Uuid):
            # In a query of its own it is evaluated once, and the index is used.
            return sa.select(sa.func.uuidv7(-self.keep, type_=sa.Uuid())).scalar_subquery()
        return sa.func.now() - self.keep

    def statement(self) -> sa.Delete | sa.Update:
        """Return the statement that takes the oldest expired rows, `BATCH` at most."""
        (key,) = self.table.primary_key
        expired = (
            sa.select(key)
            .where(self.since < self._limit, sa.text(self.only))
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
                if rule.beforehand is not None:
                    await connection.execute(rule.beforehand)
                expired = (await connection.execute(rule.statement())).rowcount
            if expired:
                log.info("rows_expired", table=rule.table.name, rows=expired)
            has_more |= expired == BATCH
        return has_more


def idempotency_keys() -> RetentionRule:
    """Return the rule of idempotency keys, whose retention is part of the API's contract."""
    return RetentionRule(table=idempotency_key, since=idempotency_key.c.created_at, keep=RETENTION)


def imported_records(days: int) -> RetentionRule:
    """Return the rule of imported records, by their latest import."""
    return RetentionRule(table=imported_record, since=imported_record.c.imported_at, keep=timedelta(days=days))


def audit_entries(days: int) -> RetentionRule:
    """Return the rule of audit entries."""
    return RetentionRule(
        table=audit_entry, since=audit_entry.c.id, keep=timedelta(days=days), beforehand=allow("retention")
    )


def settled_dead_letters(days: int) -> RetentionRule:
    """Return the rule that empties settled dead letters.

    Their rows stay: a consumer that reads the log again, `metrics-replay` and `metrics-verify` need each position and
    how it was settled, or a discarded record would count.
    """
    return RetentionRule(
        table=dead_letter,
        since=dead_letter.c.settled_at,
        keep=timedelta(days=days),
        only=SETTLED_WITH_CONTENT,
        values={"key": None, **EMPTY},
    )
