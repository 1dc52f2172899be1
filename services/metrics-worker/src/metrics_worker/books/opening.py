"""Opens the books: they are kept by one time zone, one currency and one version of the rules, or not at all."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from metrics_worker.books.tables import books
from metrics_worker.domain.kinds import RULES_VERSION
from metrics_worker.domain.posting import Reporting
from service_kit.compiled import CompiledStatement, driver_of
from service_kit.consumer.offsets import OperatorRequired

_KEPT_BY = CompiledStatement(sa.select(books.c.timezone, books.c.currency, books.c.rules_version))

log = structlog.get_logger()


class BooksKeptOtherwise(OperatorRequired):
    """The books were kept by other rules; going on would mix what two rules say in one sum."""


async def open_books(engine: AsyncEngine, reporting: Reporting) -> Reporting:
    """Notes what new books are kept by, and returns what these are kept by.

    The books decide: settings that differ change nothing until the books are rebuilt. Raises `BooksKeptOtherwise`.
    """
    async with engine.begin() as connection:
        if (kept := await kept_by(connection)) is not None:
            return kept
        await connection.execute(
            insert(books)
            .values(
                id=1,
                timezone=reporting.zone.key,
                currency=reporting.currency,
                rules_version=RULES_VERSION,
                opened_at=datetime.now(UTC),
            )
            .on_conflict_do_nothing()
        )
        return await kept_by(connection) or reporting


async def kept_by(connection: AsyncConnection) -> Reporting | None:
    """What the books are kept by, as a transaction that has begun sees them; None before they are opened.

    Raises `BooksKeptOtherwise`.
    """
    row = await _KEPT_BY.one_or_none(await driver_of(connection))
    return None if row is None else reporting_of(*row)


def reporting_of(timezone: str, currency: str, rules_version: int) -> Reporting:
    """What the row of `books` says. Raises `BooksKeptOtherwise`."""
    if rules_version != RULES_VERSION:
        raise BooksKeptOtherwise(
            f"the books are kept by rules {rules_version}, this program has rules {RULES_VERSION}: "
            "rebuild them with metrics-replay (on the local stack: tandem replay)"
        )
    return Reporting(zone=ZoneInfo(timezone), currency=currency)


def warn_of_difference(settings: Reporting, kept: Reporting) -> None:
    """Says in the log when the settings ask for other books than there are."""
    if settings != kept:
        log.warning(
            "settings_differ_from_books",
            settings=f"{settings.zone.key} {settings.currency}",
            books=f"{kept.zone.key} {kept.currency}",
            hint="the books decide; metrics-replay --timezone rebuilds them",
        )
