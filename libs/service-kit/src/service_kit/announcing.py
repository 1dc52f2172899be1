"""How a writer wakes the relay: it announces by NOTIFY that the outbox has something new, once that is committed.

In the writer's own transaction, NOTIFY would take a lock that all commits of the server share; here it has a
transaction of its own, and one announcement is for all that was committed meanwhile. It is a hint and no more: the
relay looks for itself now and then, and then finds what nobody announced.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from service_kit.compiled import driver_of
from service_kit.database import own_connection

CHANNEL: Final = "outbox"
AFTER_FAILURE_SECONDS: Final = 1.0

log = structlog.get_logger()


class Announcer:
    """Announces what was written, while `announcing` holds."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._due = asyncio.Event()

    def announce(self) -> None:
        """Says, soon, that something was written. Waits for nothing and cannot fail."""
        self._due.set()

    @contextlib.asynccontextmanager
    async def announcing(self) -> AsyncIterator[None]:
        """Announces until it is left."""
        task = asyncio.create_task(self._run(), name="announcer")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._due.wait()
            try:
                await self._announce_all()
            except Exception as error:
                # Any failure: until the database is back there is nothing to announce, and the relay looks anyway.
                log.info("announcing_failed", error=repr(error))
                await asyncio.sleep(AFTER_FAILURE_SECONDS)

    async def _announce_all(self) -> None:
        async with own_connection(self._engine) as connection:
            driver = await driver_of(connection)
            while True:
                await self._due.wait()
                self._due.clear()
                await driver.execute(f"NOTIFY {CHANNEL}")
