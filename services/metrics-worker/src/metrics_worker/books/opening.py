"""Opens the books: they are kept by one time zone, one currency and one version of the rules, or not at all."""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.books.tables import books
from metrics_worker.kpis.kinds import RULES_VERSION
from metrics_worker.kpis.posting import Reporting


class BooksKeptOtherwise(Exception):
    """The books were kept by other settings or rules; going on would mix two kinds of days or money in one sum."""


async def open_books(engine: AsyncEngine, reporting: Reporting) -> None:
    """Notes what new books are kept by, or checks that existing ones are kept by the same.

    Raises `BooksKeptOtherwise`.
    """
    ours = (reporting.zone.key, reporting.currency, RULES_VERSION)
    async with engine.begin() as connection:
        await connection.execute(
            insert(books)
            .values(id=1, timezone=ours[0], currency=ours[1], rules_version=ours[2], opened_at=datetime.now(UTC))
            .on_conflict_do_nothing()
        )
        kept = (await connection.execute(sa.select(books.c.timezone, books.c.currency, books.c.rules_version))).one()
    if tuple(kept) != ours:
        raise BooksKeptOtherwise(
            f"the books are kept in time zone {kept.timezone}, currency {kept.currency}, rules {kept.rules_version}; "
            f"this process is set to {ours[0]}, {ours[1]}, rules {ours[2]}. Set REPORTING_TIMEZONE and "
            "REPORTING_CURRENCY back, or give it an empty database to build new books from the log."
        )
