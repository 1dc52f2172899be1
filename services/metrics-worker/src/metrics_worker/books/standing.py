"""How the books stand: what they are kept by and how fresh they are, at the price of one small query."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.books.freshness import FRESH_AS_OF
from metrics_worker.books.opening import reporting_of
from metrics_worker.kpis.posting import Reporting


class Standing(NamedTuple):
    """What every answer out of one snapshot has in common."""

    reporting: Reporting
    fresh_as_of: datetime | None
    """See `freshness.fresh_as_of`."""


_STANDING = sa.text(f"""
    SELECT fresh.as_of, timezone, currency, rules_version
    FROM ({FRESH_AS_OF}) AS fresh (as_of) LEFT JOIN books ON true
""")  # noqa: S608 -- SQL of ours, no input


async def standing_of(connection: AsyncConnection, unopened: Reporting) -> Standing:
    """How the books stand, as this transaction sees them; kept as `unopened` says before they are opened.

    Raises `BooksKeptOtherwise`.
    """
    fresh_as_of, *kept = (await connection.execute(_STANDING)).one()
    return Standing(unopened if kept[0] is None else reporting_of(*kept), fresh_as_of)
