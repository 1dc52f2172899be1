"""The circuit breaker: a consumer stops processing when nearly every record is bad.

Then the records are not at fault, but their producer, or this release. The open breaker is a row of the database, so a
restart does not turn the rest of the log into dead letters. It closes once the dead letters that opened it are settled.
"""

from collections import deque
from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service_kit import telemetry
from service_kit.clock import SYSTEM_CLOCK, Clock
from service_kit.consumer.dead_letters import count_open
from service_kit.database import metadata

WINDOW: Final = 1_000
"""The number of records, the latest ones, among which bad ones are counted."""
MAX_BAD: Final = 100
MAX_BAD_SHARE: Final = 0.5
"""The breaker opens when both maxima are exceeded."""
CLOSED_REFRESH_SECONDS: Final = 5.0
OPEN_REFRESH_SECONDS: Final = 1.0
LOG_SECONDS: Final = 60.0

log = structlog.get_logger()

circuit_breaker = sa.Table(
    "circuit_breaker",
    metadata,
    sa.Column("consumer", sa.Text, primary_key=True),
    sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("bad_records", sa.Integer, nullable=False, comment="among the latest 1,000"),
    sa.Column("max_dead_letters", sa.Integer, nullable=False, comment="closes when no more dead letters are unsettled"),
    comment="A row for each consumer that stopped because nearly every record was bad.",
)


class CircuitOpen(Exception):
    """The consumer waits until its dead letters are settled."""


class BadRecords:
    """Counts the bad records among the latest `WINDOW`."""

    def __init__(self, seen: int = 0, bad: deque[int] | None = None) -> None:
        self._seen = seen
        self._bad = bad or deque()
        """The ordinal numbers of the bad ones."""

    def copy(self) -> "BadRecords":
        """Return a copy, for records that are not committed yet."""
        return BadRecords(self._seen, self._bad.copy())

    def add(self, *, is_bad: bool) -> None:
        """Count a record."""
        self._seen += 1
        if is_bad:
            self._bad.append(self._seen)

    def count(self) -> int:
        """Return how many are bad."""
        while self._bad and self._bad[0] <= self._seen - WINDOW:
            self._bad.popleft()
        return len(self._bad)

    def are_too_many(self) -> bool:
        """Return whether the breaker has to open."""
        bad = self.count()
        return bad > MAX_BAD and bad > MAX_BAD_SHARE * min(self._seen, WINDOW)


class CircuitBreaker:
    """The circuit breaker of one consumer."""

    def __init__(self, engine: AsyncEngine, consumer: str, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._engine = engine
        self._consumer = consumer
        self.is_open = False
        self.bad_records = BadRecords()
        """Of the committed records."""
        self._refreshed_at = float("-inf")
        self._logged_at = float("-inf")

    async def check(self) -> None:
        """Raise `CircuitOpen` while it is open: a readiness check."""
        if self.is_open:
            raise CircuitOpen(f"{self._consumer} processes nothing: settle its dead letters")

    def is_due(self) -> bool:
        """Return whether the state in the database may have changed since the last refresh."""
        seconds = OPEN_REFRESH_SECONDS if self.is_open else CLOSED_REFRESH_SECONDS
        return self._clock.monotonic() - self._refreshed_at >= seconds

    def expire(self) -> None:
        """Make the next refresh due at once."""
        self._refreshed_at = float("-inf")

    async def open(self, connection: AsyncConnection, bad_records: int) -> None:
        """Write the open breaker into a batch's transaction, after the dead letters of the batch."""
        before = await count_open(connection, self._consumer) - bad_records
        await connection.execute(
            insert(circuit_breaker).on_conflict_do_nothing(),
            {"consumer": self._consumer, "bad_records": bad_records, "max_dead_letters": max(before, 0)},
        )

    async def refresh(self) -> None:
        """Read the state from the database, and close the breaker there when enough dead letters are settled."""
        ours = circuit_breaker.c.consumer == self._consumer
        async with self._engine.begin() as connection:
            row = (await connection.execute(sa.select(circuit_breaker).where(ours))).one_or_none()
            unsettled = 0 if row is None else await count_open(connection, self._consumer)
            if row is not None and unsettled <= row.max_dead_letters:
                await connection.execute(sa.delete(circuit_breaker).where(ours))
                row = None
        self._refreshed_at = self._clock.monotonic()
        if row is not None and self._refreshed_at - self._logged_at > LOG_SECONDS:
            self._logged_at = self._refreshed_at
            log.error(
                "circuit_open",
                consumer=self._consumer,
                bad_records=row.bad_records,
                of_latest=WINDOW,
                dead_letters_to_settle=unsettled - row.max_dead_letters,
            )
        if self.is_open and row is None:
            log.warning("circuit_closed", consumer=self._consumer)
            self.bad_records = BadRecords()
            self._logged_at = float("-inf")
        self.is_open = row is not None
        telemetry.CONSUMER_CIRCUIT_OPEN.labels(self._consumer).set(self.is_open)
