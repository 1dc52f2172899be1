"""How a writer wakes the relay: PostgreSQL's NOTIFY, after its commit.

In the writer's own transaction, NOTIFY would take a lock that all commits of the server share; here it has a
transaction of its own, and one notification covers all commits before it. It only saves time: the relay also polls,
and then finds what was never notified.
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
RETRY_SECONDS: Final = 1.0

log = structlog.get_logger()


class OutboxNotifier:
    """Notifies the relay of writes, while `running` is entered."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._due = asyncio.Event()

    def notify(self) -> None:
        """Notify the relay soon. Waits for nothing and cannot fail."""
        self._due.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send notifications until the context is left."""
        task = asyncio.create_task(self._run(), name="outbox notifier")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._due.wait()
            try:
                await self._send_all()
            except Exception as error:
                # Any failure: until the database is back there is nothing to notify of, and the relay polls anyway.
                log.info("outbox_notify_failed", error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _send_all(self) -> None:
        async with own_connection(self._engine) as connection:
            driver = await driver_of(connection)
            while True:
                await self._due.wait()
                self._due.clear()
                await driver.execute(f"NOTIFY {CHANNEL}")
