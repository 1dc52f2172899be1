"""While the ledger catches up with the log nothing is evaluated, and afterwards nothing is published twice."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts.catalogue import State
from event_contracts.codec import decode
from metrics_worker.jobs.restatements import RestatementJob
from metrics_worker.jobs.targets import TargetEvaluator
from metrics_worker.ledger.status import complete_partitions
from metrics_worker.maintenance.shadow_schema import REBUILT
from metrics_worker.periods.use_cases import close_period
from metrics_worker.settings import MetricsSettings
from metrics_worker.targets.model import Target, TargetKey
from service_kit.outbox import outbox
from service_kit.unit_of_work import units_of_work
from tests.metrics_worker.conftest import ingest, moved
from tests.metrics_worker.facts import CUSTOMER, VILNIUS, all_decoded, deal, line, moment, survey

pytestmark = pytest.mark.clock

NOW = datetime.now(UTC)
LAST_WEEK = NOW - timedelta(days=7)
LOG: list[tuple[State, int]] = [
    (survey(sent_at=LAST_WEEK, answered_at=LAST_WEEK, score=1, customer_id=CUSTOMER), 2),
    (deal(line("desk", 1, "60"), stage="won", account_id=CUSTOMER, closed_at=moment("2025-03-10")), 2),
    (deal(line("desk", 1, "50"), stage="won", account_id=CUSTOMER, closed_at=LAST_WEEK), 2),
]
"""A customer at risk; what a closed period counts; and enough to meet the target."""


async def published(engine: AsyncEngine) -> list[Any]:
    async with engine.connect() as connection:
        rows = await connection.execute(sa.select(outbox.c.payload).order_by(outbox.c.position))
        return [decode(row.payload).event_type.name for row in rows]


async def run_jobs(engine: AsyncEngine, settings: MetricsSettings) -> list[Any]:
    """Judges as a process does that has just started, and returns what has been published so far."""
    await TargetEvaluator(engine, settings.reporting).run_once()
    await RestatementJob(engine, settings.reporting).run_once()
    return await published(engine)


async def read(engine: AsyncEngine, *states: tuple[State, int]) -> None:
    await ingest(engine, all_decoded(states))
    await moved(engine)


@pytest.fixture
async def judged(engine: AsyncEngine, settings: MetricsSettings) -> list[Any]:
    """A ledger with a target met, a customer at risk and a closed period; returns the events published of them."""
    await read(engine, *LOG)
    async with engine.begin() as connection:
        await complete_partitions(connection, {("t", 0): NOW})
    async with units_of_work(engine, process="tests")() as work:
        revenue = TargetKey("revenue", "standard")
        work.add(Target.set(revenue, Decimal(100), period=None, since=date(2025, 1, 1), at=NOW))
        await close_period(work, "2025-03", VILNIUS)
        await work.commit()
    events = await run_jobs(engine, settings)
    assert sorted(events) == ["metrics.customer-at-risk", "metrics.period-closed"]
    return events


async def empty_ledger(engine: AsyncEngine) -> None:
    """What a migration does after which all is read anew."""
    async with engine.begin() as connection:
        await connection.execute(sa.text(f"TRUNCATE {', '.join(REBUILT)}, freshness, consumer_offset"))


async def test_nothing_is_published_while_the_ledger_catches_up_nor_when_it_is_the_same_again(
    engine: AsyncEngine, settings: MetricsSettings, judged: list[Any]
) -> None:
    await empty_ledger(engine)
    assert await run_jobs(engine, settings) == judged, "no consumer has begun to read"
    async with engine.begin() as connection:
        begun = "INSERT INTO consumer_offset (consumer, cluster_id, topic, partition, next_offset)"
        offsets = "('metrics-worker', 'c', 't', 0, 0), ('metrics-worker', 'c', 't', 1, 5)"
        await connection.execute(sa.text(f"{begun} VALUES {offsets}"))
    assert await run_jobs(engine, settings) == judged, "the end of the log is not known yet"
    async with engine.begin() as connection:
        await connection.execute(sa.text("UPDATE consumer_offset SET log_end = 3 + 2 * partition"))
    for state in LOG:
        assert await run_jobs(engine, settings) == judged
        await read(engine, state)
    assert await run_jobs(engine, settings) == judged


async def test_what_differs_once_the_ledger_has_caught_up_is_published(
    engine: AsyncEngine, settings: MetricsSettings, judged: list[Any]
) -> None:
    await empty_ledger(engine)
    await read(engine, *LOG[1:2])
    events = await run_jobs(engine, settings)
    assert set(events[len(judged) :]) == {"metrics.kpi-target-missed", "metrics.customer-recovered"}
    assert len(events) == len(judged) + 2


async def test_the_ledger_is_not_emptied_during_an_evaluation(
    engine: AsyncEngine, settings: MetricsSettings, judged: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def empty_them_meanwhile(*_: Any) -> None:
        async with engine.begin() as connection:
            await connection.execute(sa.text("SET LOCAL lock_timeout = 100"))
            await connection.execute(sa.text("TRUNCATE consumer_offset"))

    monkeypatch.setattr(TargetEvaluator, "_evaluate", empty_them_meanwhile)
    with pytest.raises(sa.exc.DBAPIError, match="lock timeout"):
        await TargetEvaluator(engine, settings.reporting).run_once()
