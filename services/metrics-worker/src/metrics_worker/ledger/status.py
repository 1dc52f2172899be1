"""The status of the ledger: the time zone, currency and rules that it follows, and how far it is complete.

A ledger follows one time zone, one currency and one version of the rules, or it is not used at all. A batch completes
its partitions up to the time at which its last event was recorded; a consumer that has read everything completes all of
its partitions up to now, once a second at most.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import Insert as PostgresInsert
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from metrics_worker.database import reporting_choice
from metrics_worker.domain.kinds import RULES_VERSION
from metrics_worker.domain.posting import Reporting
from metrics_worker.ledger.aggregate import SubjectState
from metrics_worker.ledger.bulk_insert import Insert, Rows, write
from metrics_worker.ledger.tables import CONSUMER, freshness, ledger
from service_kit.compiled import CompiledStatement, driver_of
from service_kit.consumer.offsets import OperatorRequired, consumer_offset
from service_kit.consumer.records import Record

log = structlog.get_logger()


class LedgerRulesDiffer(OperatorRequired):
    """The ledger follows other rules; going on would mix two rules in one sum."""


async def open_ledger(engine: AsyncEngine, reporting: Reporting) -> Reporting:
    """Store what a new ledger follows, and return what this one follows.

    A new ledger follows what was chosen for the one before it, if there was one, and `reporting` otherwise. Then the
    ledger decides: settings that differ change nothing until it is rebuilt. Raise `LedgerRulesDiffer`.
    """
    async with engine.begin() as connection:
        if (stored := await reporting_of_ledger(connection)) is not None:
            return stored
        await connection.execute(_choice_of(reporting).on_conflict_do_nothing())
        chosen = await chosen_reporting(connection) or reporting
        await insert_ledger(connection, chosen)
        return await reporting_of_ledger(connection) or chosen


async def insert_ledger(connection: AsyncConnection, reporting: Reporting) -> None:
    """Store what a new ledger follows, unless it is stored already."""
    row = {
        "id": 1,
        "timezone": reporting.zone.key,
        "currency": reporting.currency,
        "rules_version": RULES_VERSION,
        "opened_at": datetime.now(UTC),
    }
    await connection.execute(insert(ledger).values(row).on_conflict_do_nothing())


async def chosen_reporting(connection: AsyncConnection) -> Reporting | None:
    """Return the time zone and currency that were chosen for the ledger; None before there was one."""
    row = (await connection.execute(sa.select(reporting_choice))).one_or_none()
    return None if row is None else Reporting(zone=ZoneInfo(row.timezone), currency=row.currency)


async def choose_reporting(connection: AsyncConnection, reporting: Reporting) -> None:
    """Store the time zone and currency that this ledger, and any that is made anew, follows."""
    choice = _choice_of(reporting)
    replaced = {name: choice.excluded[name] for name in ("timezone", "currency")}
    await connection.execute(choice.on_conflict_do_update(index_elements=["id"], set_=replaced))


def _choice_of(reporting: Reporting) -> PostgresInsert:
    return insert(reporting_choice).values(id=1, timezone=reporting.zone.key, currency=reporting.currency)


_REPORTING = CompiledStatement(sa.select(ledger.c.timezone, ledger.c.currency, ledger.c.rules_version))


async def reporting_of_ledger(connection: AsyncConnection) -> Reporting | None:
    """Return what the ledger follows, as a transaction that has begun sees it; None before it is opened.

    Raise `LedgerRulesDiffer`.
    """
    row = await _REPORTING.one_or_none(await driver_of(connection))
    return None if row is None else _reporting(*row)


def _reporting(timezone: str, currency: str, rules_version: int) -> Reporting:
    if rules_version != RULES_VERSION:
        raise LedgerRulesDiffer(
            f"the ledger follows rules {rules_version}, this program has rules {RULES_VERSION}: "
            "rebuild it with metrics-replay (on the local stack: tandem replay)"
        )
    return Reporting(zone=ZoneInfo(timezone), currency=currency)


def warn_of_difference(settings: Reporting, stored: Reporting) -> None:
    """Log a warning when the settings ask for another ledger than there is."""
    if settings != stored:
        log.warning(
            "settings_differ_from_ledger",
            settings=f"{settings.zone.key} {settings.currency}",
            ledger=f"{stored.zone.key} {stored.currency}",
            hint="the ledger decides; metrics-replay --timezone rebuilds it",
        )


# ----------------------------------------------------------------------------------------------- freshness

Partition = tuple[str, int]
"""Topic and number."""

# One statement for both: within a statement a row is written once at most.
_COMPLETE = Insert(
    freshness,
    ("topic", "partition", "complete_until", "history_read_at"),
    conflict="(topic, partition) DO UPDATE"
    " SET complete_until = greatest(existing.complete_until, excluded.complete_until),"
    " history_read_at = greatest(existing.history_read_at, excluded.history_read_at)",
)


def completeness_rows(
    complete_until: Mapping[Partition, datetime], history_read_at: Mapping[Partition, datetime] | None = None
) -> Rows:
    """Return the rows that note up to when partitions are complete, and when a part of a history was read in them.

    They never take anything back.
    """
    histories = history_read_at or {}
    parts = sorted({*complete_until, *histories})
    return Rows(_COMPLETE, [(*part, complete_until.get(part), histories.get(part)) for part in parts])


async def complete_partitions(connection: AsyncConnection, complete_until: Mapping[Partition, datetime]) -> None:
    """Note up to when partitions are complete."""
    await write(await driver_of(connection), [completeness_rows(complete_until)])


_READ = (
    sa.select(consumer_offset.c.topic, consumer_offset.c.partition)
    .where(consumer_offset.c.consumer == CONSUMER)
    .distinct()
    .subquery("read")
)
_FRESHNESS = sa.select(
    sa.case(
        (
            sa.func.count(freshness.c.complete_until)
            >= sa.select(sa.func.count()).select_from(_READ).scalar_subquery(),
            sa.func.min(freshness.c.complete_until),
        )
    ).label("as_of")
)


async def fresh_as_of(connection: AsyncConnection) -> datetime | None:
    """Return the time up to which all partitions are complete; None while one of them has not been read at all."""
    moment: datetime | None = (await connection.execute(_FRESHNESS)).scalar_one()
    return moment


_CAUGHT_UP = sa.select(
    sa.func.coalesce(
        sa.func.bool_and(sa.func.coalesce(consumer_offset.c.next_offset >= consumer_offset.c.log_end, sa.false())),
        sa.false(),
    )
).where(consumer_offset.c.consumer == CONSUMER)


async def is_caught_up(connection: AsyncConnection) -> bool:
    """Return whether the ledger has all that the log had when it began to be read: until then no sum is final.

    A ledger that a migration has emptied has no offsets until its log begins to be read anew. It cannot be emptied
    until the transaction ends that has asked this: the transaction holds a lock on the offsets.
    """
    return bool((await connection.execute(_CAUGHT_UP)).scalar_one())


# ------------------------------------------------------------------------------------------------- history

LATE: Final = timedelta(days=1)
"""What is recorded so long after it happened was not entered as it happened."""
HISTORY_EVENTS: Final = 50
"""So many late events in one batch are a history that is loaded. People who enter what they forgot make a few."""
HISTORY_QUIET_SECONDS: Final = 10
"""A history is there once none of it has come for so long: between two imports of one there is less."""


def parts_of_history(batch: Sequence[Record[list[SubjectState]]]) -> set[Partition]:
    """Return the partitions in which a batch has a part of a history; none where it has few late events."""
    late = [
        (record.topic, record.partition)
        for record in batch
        if any(state.recorded_time - state.time > LATE for state in record.value)
    ]
    return set(late) if len(late) >= HISTORY_EVENTS else set()


_HISTORY_READ_AT = sa.select(sa.func.max(freshness.c.history_read_at)).where(
    freshness.c.history_read_at > sa.func.now() - timedelta(seconds=HISTORY_QUIET_SECONDS)
)


async def history_read_at(connection: AsyncConnection) -> datetime | None:
    """Return when a part of the history that is being loaded was last read; None while none is."""
    moment: datetime | None = (await connection.execute(_HISTORY_READ_AT)).scalar_one()
    return moment


async def can_be_evaluated(connection: AsyncConnection) -> bool:
    """Return whether what the ledger adds up to is true: it has caught up, and no history is being loaded.

    Half of a history shows customers who wait for an answer that is in the other half.
    """
    return await is_caught_up(connection) and await history_read_at(connection) is None


# -------------------------------------------------------------------------------------------------- status


class LedgerStatus(NamedTuple):
    """What all parts of an answer out of one snapshot have in common."""

    reporting: Reporting
    fresh_as_of: datetime | None
    """See the function of that name."""


_FRESH = _FRESHNESS.subquery("fresh")
_STATUS = sa.select(ledger.c.timezone, ledger.c.currency, ledger.c.rules_version, _FRESH.c.as_of).select_from(
    _FRESH.outerjoin(ledger, sa.true())
)


async def ledger_status(connection: AsyncConnection, unopened: Reporting) -> LedgerStatus:
    """Return the status that this transaction sees; with `unopened` before the ledger is opened.

    Raise `LedgerRulesDiffer`.
    """
    timezone, currency, rules_version, as_of = (await connection.execute(_STATUS)).one()
    if timezone is None:
        return LedgerStatus(unopened, as_of)
    return LedgerStatus(_reporting(timezone, currency, rules_version), as_of)


LedgerRevision = tuple[object, ...]
"""Two equal revisions: nothing was written in between. It has no other meaning."""

# Offsets and effects are one transaction, so nothing is written without the sum moving. Two consumers may commit in
# another order than they began: the time alone would miss one of them.
_REVISION = CompiledStatement(
    sa.select(
        sa.func.coalesce(sa.func.sum(consumer_offset.c.next_offset), 0),
        sa.func.max(consumer_offset.c.updated_at),
        # A rebuild moves no offset, and may change every sum.
        sa.select(sa.func.max(ledger.c.opened_at)).scalar_subquery(),
    ).where(consumer_offset.c.consumer == CONSUMER)
)


async def ledger_revision(connection: AsyncConnection) -> LedgerRevision:
    """Return the revision of what the ledger holds now."""
    return tuple(*await _REVISION.all(await driver_of(connection)))
