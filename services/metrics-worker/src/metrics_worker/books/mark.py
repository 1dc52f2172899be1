"""Tells whether the books have moved since somebody last looked, at the price of one small query."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.books.tables import books
from service_kit.consumer.offsets import consumer_offset

Mark = tuple[object, ...]
"""Equal marks: nothing was entered in between. Of no other meaning."""

# Offsets and effects are one transaction, so nothing is entered without the sum moving. Two consumers may commit in
# another order than they began: the time alone would miss one of them.
_MARK = sa.select(
    sa.func.coalesce(sa.func.sum(consumer_offset.c.next_offset), 0),
    sa.func.max(consumer_offset.c.updated_at),
    # A rebuild moves no offset, and may change every sum.
    sa.select(sa.func.max(books.c.opened_at)).scalar_subquery(),
)


async def mark_of(connection: AsyncConnection) -> Mark:
    """Where the books stand now."""
    return tuple((await connection.execute(_MARK)).one())
