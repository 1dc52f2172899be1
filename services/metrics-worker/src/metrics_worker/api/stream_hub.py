"""One refresh for all readers of a process: what they watch is computed again whenever the ledger changes.

Nothing is queued for a reader. It is woken, compares what it was sent with what is newest, and is sent the difference:
however slow it is, it gets the newest values next, and costs no more memory than one that keeps up.
"""

import asyncio
import contextlib
import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

import prometheus_client
import sqlalchemy as sa
import structlog
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.alerts.rules import alerts as all_alerts
from metrics_worker.alerts.schemas import summary
from metrics_worker.api.answers import answers_of
from metrics_worker.api.limits import NO_LIMITS, Limits
from metrics_worker.api.names import NameReader
from metrics_worker.domain.period import Interval
from metrics_worker.domain.posting import Reporting
from metrics_worker.ledger.status import (
    LedgerRevision,
    fresh_as_of,
    ledger_revision,
    ledger_status,
    reporting_of_ledger,
)
from metrics_worker.queries.query import FilterValue, KpiQuery, kpi_named, period_of
from metrics_worker.targets.model import Target
from service_kit.problems import RETRY_AFTER_SECONDS, Problem
from service_kit.unit_of_work import units_of_work

log = structlog.get_logger()

READERS = prometheus_client.Gauge("tandem_stream_readers", "Readers of the stream of KPI values.")

PAUSE_SECONDS: Final = 0.2
QUERIES_AT_ONCE: Final = 20
"""KPIs that one statement reads: a page of them, and not so many that planning it takes long."""
ALERTS_PAUSE_SECONDS: Final = 5.0
ALERTS_AT_LEAST_EVERY_SECONDS: Final = 30.0
AFTER_FAILURE_SECONDS: Final = 1.0
DIGEST_BYTES: Final = 6
"""Two values share a digest once in 2^48; the next change is noticed again."""


_TARGETS = sa.select(sa.func.count(), sa.func.sum(Target.table.c.version), sa.func.max(Target.table.c.set_at))


class TooManyReaders(Problem):
    """This process streams to as many readers as it may."""

    status, slug, title = 503, "too-many-readers", "Too many streams are open"

    def __init__(self) -> None:
        super().__init__(
            "Try again shortly, or query the KPIs one by one.", headers={"Retry-After": str(RETRY_AFTER_SECONDS)}
        )


@dataclass(frozen=True)
class Watch:
    """One KPI that a reader watches. Without days it is the last 30, moving with the calendar."""

    kpi: str
    variant: str
    start: date | None
    end: date | None
    interval: Interval | None
    filters: tuple[tuple[str, FilterValue], ...]
    with_previous: bool = False
    is_limited: bool = False
    """Whether the reader does not see all numbers, and so no coverage of them."""
    shows_customers: bool = False
    """Whether the reader sees the name of the customer that it filters by."""

    def query(self, reporting: Reporting) -> KpiQuery:
        """Return its query, as of today."""
        return KpiQuery(
            kpi=kpi_named(self.kpi),
            variant=self.variant,
            period=period_of(self.start, self.end, reporting),
            interval=self.interval,
            group_by=(),
            filters=dict(self.filters),
            with_previous=self.with_previous,
        )


@dataclass(frozen=True)
class AlertsWatch:
    """The alerts that a reader sees: how many there are of each severity, and the first of them."""

    limits: Limits = NO_LIMITS
    shows_customers: bool = False
    """Whether the reader sees the names of customers."""


Watched = Watch | AlertsWatch


@dataclass(frozen=True)
class Value:
    """The newest answer: its JSON, and a digest of everything but its freshness."""

    digest: bytes
    json: str


class Reader:
    """One open stream: what it watches, and what it has been sent."""

    def __init__(self, watches: Sequence[Watched], sent: Sequence[bytes]) -> None:
        self.watches = tuple(watches)
        self.sent = list(sent)
        """The digest of the last value sent, for each watch; empty when none was."""
        self.woken = asyncio.Event()


class Hub:
    """All readers of one process, and the refresh that they share."""

    def __init__(self, engine: AsyncEngine, reporting: Reporting, *, readers: int) -> None:
        self._engine = engine
        self._begin = units_of_work(engine)
        self._reporting = reporting
        self._limit = readers
        self._readers: set[Reader] = set()
        self._watched: Counter[Watched] = Counter()
        self._newest: dict[Watched, Value] = {}
        self._alerts_refreshed: dict[AlertsWatch, tuple[LedgerRevision, float]] = {}
        self._refreshed: LedgerRevision | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()
        self.fresh_as_of: datetime | None = None
        self.closed = False

    def join(self, reader: Reader) -> None:
        """Start to refresh what the reader watches. Raise `TooManyReaders`."""
        if self.closed or len(self._readers) >= self._limit:
            raise TooManyReaders
        self._readers.add(reader)
        self._watched.update(reader.watches)
        READERS.set(len(self._readers))
        if any(watch not in self._newest for watch in reader.watches):
            self._wanted.set()
        if self._refreshing is None or self._refreshing.done():
            self._refreshed = None
            self._refreshing = asyncio.create_task(self._refresh_while_read(), name="stream")

    def leave(self, reader: Reader) -> None:
        """Remove the reader, and what no other reader watches."""
        self._readers.discard(reader)
        self._watched.subtract(reader.watches)
        for watch in reader.watches:
            if self._watched[watch] <= 0:
                del self._watched[watch]
                self._newest.pop(watch, None)
                if isinstance(watch, AlertsWatch):
                    self._alerts_refreshed.pop(watch, None)
        READERS.set(len(self._readers))

    def close(self) -> None:
        """End every stream: a reader reconnects to another process and continues there."""
        self.closed = True
        for reader in self._readers:
            reader.woken.set()

    def changed(self, reader: Reader) -> Iterable[tuple[int, Value]]:
        """Yield what the reader has not been sent yet, each value the newest at the moment it is taken."""
        for number, watch in enumerate(reader.watches):
            newest = self._newest.get(watch)
            if newest is not None and newest.digest != reader.sent[number]:
                yield number, newest

    async def _refresh_while_read(self) -> None:
        while self._readers:
            began = time.monotonic()
            pause = PAUSE_SECONDS
            try:
                await self._refresh()
                # The database rests as long as a slow refresh took.
                pause = max(pause, time.monotonic() - began)
            except Exception as error:
                # Any failure: readers keep what they have, and the next refresh starts over.
                log.warning("stream_refresh_failed", error=repr(error))
                pause = AFTER_FAILURE_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), pause)

    async def _refresh(self) -> None:
        self._wanted.clear()
        async with self._engine.connect() as connection:
            # Settings that differ from the ledger change nothing, and a rebuild may change the ledger.
            self._reporting = await reporting_of_ledger(connection) or self._reporting
            revision: LedgerRevision = (
                *await ledger_revision(connection),
                *(await connection.execute(_TARGETS)).one(),
                self._reporting.day_of(datetime.now(UTC)),
            )
            self.fresh_as_of = await fresh_as_of(connection)
        moved = revision != self._refreshed
        watches = list(self._watched)
        due = [each for each in watches if isinstance(each, Watch) and (moved or each not in self._newest)]
        for first in range(0, len(due), QUERIES_AT_ONCE):
            await self._answer(due[first : first + QUERIES_AT_ONCE])
        for watch in watches:
            if isinstance(watch, AlertsWatch):
                await self._refresh_alerts(watch, revision)
        self._refreshed = revision

    async def _answer(self, watches: Sequence[Watch]) -> None:
        async with self._begin(only_reads=True) as work:
            connection = await work.connection()
            status = await ledger_status(connection, self._reporting)
            queries = {}
            for watch in watches:
                # Days that were few enough when the stream was opened may be too many by now: the other watches go on.
                with contextlib.suppress(Problem):
                    queries[watch] = watch.query(status.reporting)
            answers = await answers_of(connection, list(queries.values()), status) if queries else []
            named = [
                await NameReader(shows_customers=watch.shows_customers).added_to(connection, each)
                for watch, each in zip(queries, answers, strict=True)
            ]
        for watch, each in zip(queries, named, strict=True):
            # A sample is about all that the KPI counts.
            found = each.model_copy(update={"coverage": None, "warnings": []}) if watch.is_limited else each
            self._store(watch, found, found.model_dump_json(by_alias=True, exclude={"fresh_as_of"}))

    async def _refresh_alerts(self, watch: AlertsWatch, revision: LedgerRevision) -> None:
        # They take many queries: not at every change. And a customer who waits for an hour changes no ledger: so by the
        # clock too.
        now = time.monotonic()
        known, refreshed = self._alerts_refreshed.get(watch, (None, float("-inf")))
        since = now - refreshed
        due = revision != known or since >= ALERTS_AT_LEAST_EVERY_SECONDS
        if watch in self._newest and (not due or since < ALERTS_PAUSE_SECONDS):
            return
        async with self._begin(only_reads=True) as work:
            sees = watch.limits.cover if watch.limits.are_set else None
            found = summary(await all_alerts(work, self._reporting, datetime.now(UTC), sees=sees))
            names = NameReader(shows_customers=watch.shows_customers)
            named = await names.added_to_alerts(await work.connection(), found.items)
            found = found.model_copy(update={"items": named})
        self._alerts_refreshed[watch] = revision, time.monotonic()
        self._store(watch, found, found.model_dump_json())

    def _store(self, watch: Watched, found: BaseModel, unchanging: str) -> None:
        digest = hashlib.blake2b(f"{watch}{unchanging}".encode(), digest_size=DIGEST_BYTES).digest()
        known = self._newest.get(watch)
        if watch not in self._watched or (known is not None and known.digest == digest):
            return
        self._newest[watch] = Value(digest, found.model_dump_json(by_alias=True))
        for reader in self._readers:
            if watch in reader.watches:
                reader.woken.set()
