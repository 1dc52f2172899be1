"""How the books stand: what they are kept by and how fresh they are, at the price of one small query."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.books.freshness import FRESH_AS_OF
from metrics_worker.books.opening import reporting_of
from metrics_worker.domain.posting import Reporting


class Standing(NamedTuple):
    """What every answer out of one snapshot has in common."""

    reporting: Reporting
    fresh_as_of: datetime | None
    """See `freshness.fresh_as_of`."""


STANDING: Final = f"""
    SELECT NULL::date, timezone || ' ' || currency,
           ARRAY[rules_version::numeric, extract(epoch FROM fresh.as_of) * 1000000]
    FROM ({FRESH_AS_OF}) AS fresh (as_of) LEFT JOIN books ON true
"""  # noqa: S608 -- SQL of ours, no input
"""How the books stand, as one row of a date, a text and numbers, so that it can be read along with others; see
`told_standing`."""
_STANDING = sa.text(STANDING)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def standing_of(connection: AsyncConnection, unopened: Reporting) -> Standing:
    """How the books stand, as this transaction sees them; kept as `unopened` says before they are opened.

    Raises `BooksKeptOtherwise`.
    """
    [(_, kept_by, numbers)] = await connection.execute(_STANDING)
    return told_standing(kept_by, numbers, unopened)


def told_standing(kept_by: str | None, numbers: Sequence[Decimal | int | None], unopened: Reporting) -> Standing:
    """What the row of `STANDING` says; as `standing_of`."""
    rules_version, microseconds = numbers
    fresh_as_of = None if microseconds is None else _EPOCH + timedelta(microseconds=int(microseconds))
    if kept_by is None or rules_version is None:
        return Standing(unopened, fresh_as_of)
    timezone, currency = kept_by.split()
    return Standing(reporting_of(timezone, currency, int(rules_version)), fresh_as_of)
