"""How fresh the books are: the time up to which every event that was recorded is in them.

Kept for each partition. A batch brings its partitions up to the time its last event was recorded at; a consumer
that has read everything there is brings all of its partitions up to now, once a second at most.
"""

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from metrics_worker.books.tables import freshness
from metrics_worker.books.writing import Insert, Rows, write
from service_kit.compiled import driver_of
from service_kit.consumer.offsets import consumer_offset

HEARTBEAT_SECONDS = 1.0

Partition = tuple[str, int]
"""Topic and number."""


_COMPLETE = Insert(
    freshness,
    ("topic", "partition", "complete_until"),
    conflict="(topic, partition) DO UPDATE"
    " SET complete_until = greatest(stood.complete_until, excluded.complete_until)",
)


async def bring_up(connection: AsyncConnection, complete_until: Mapping[Partition, datetime]) -> None:
    """Notes up to when partitions are complete."""
    await write(await driver_of(connection), [brought_up(complete_until)])


def brought_up(complete_until: Mapping[Partition, datetime]) -> Rows:
    """Up to when partitions are complete, as rows to write; they never take anything back."""
    return Rows(_COMPLETE, [(*partition, complete_until[partition]) for partition in sorted(complete_until)])


FRESH_AS_OF = """
    SELECT CASE WHEN count(*) >= (
        SELECT count(*) FROM (SELECT DISTINCT topic, partition FROM consumer_offset) AS read
    ) THEN min(complete_until) END FROM freshness
"""
_FRESH_AS_OF = sa.text(FRESH_AS_OF)


async def fresh_as_of(connection: AsyncConnection) -> datetime | None:
    """The time up to which all partitions are complete; None while one of them has not been read at all."""
    moment: datetime | None = (await connection.execute(_FRESH_AS_OF)).scalar_one()
    return moment


_CAUGHT_UP = sa.select(
    sa.func.coalesce(
        sa.func.bool_and(sa.func.coalesce(consumer_offset.c.next_offset >= consumer_offset.c.log_end, sa.false())),
        sa.false(),
    )
)


async def caught_up(connection: AsyncConnection) -> bool:
    """Whether the books hold all that the log held when it began to be read: until then no sum is finished.

    Books that a migration has emptied have no offsets until their log begins to be read anew. Nobody can empty them
    until the transaction ends that has asked this: it holds on to the offsets.
    """
    return bool((await connection.execute(_CAUGHT_UP)).scalar_one())


class Pulse:
    """The heartbeat of a consumer that has nothing left to read."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._last = float("-inf")

    async def beat(self, partitions: Iterable[Partition]) -> None:
        """Brings the partitions up to now, unless that was done less than a second ago."""
        now = time.monotonic()
        if now - self._last < HEARTBEAT_SECONDS:
            return
        moment = datetime.now(UTC)
        async with self._engine.begin() as connection:
            await bring_up(connection, dict.fromkeys(partitions, moment))
        self._last = now
