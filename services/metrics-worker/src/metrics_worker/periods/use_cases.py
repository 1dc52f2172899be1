"""The use cases of periods: one function, one transaction each."""

from datetime import UTC, datetime, time, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.domain.period import Period
from metrics_worker.domain.posting import Reporting
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.ledger.status import fresh_as_of
from metrics_worker.periods.model import ClosedFigure, ClosedPeriod, Shown
from metrics_worker.periods.names import period_named
from metrics_worker.queries.answer import Renderer
from metrics_worker.queries.result import figures
from metrics_worker.webhooks.publisher import publish
from service_kit.problems import Conflict, NotFound, Unavailable
from service_kit.unit_of_work import UnitOfWork

UNDER_WAY: Final = timedelta(seconds=10)
"""How long an event may take from being recorded to its topic: one that was overtaken is in the ledger by then."""
Variant = tuple[str, str]
"""A KPI's name and a variant's."""


class NotClosed(NotFound):
    """The period exists and is not closed."""

    slug, title = "period-not-closed", "The period is not closed"


class PeriodNotOver(Conflict):
    """Its last day is not over in the reporting time zone."""

    slug, title = "period-not-over", "The period is not over yet"


class PeriodAlreadyClosed(Conflict):
    """A period is closed once: what it was closed with must not change."""

    slug, title = "period-already-closed", "The period is closed already"


async def close_period(work: UnitOfWork, name: str, reporting: Reporting) -> ClosedPeriod:
    """Close a period with the figures of now, as of the moment up to which the ledger is complete.

    Raise `NoSuchPeriod`, `PeriodNotOver`, `PeriodAlreadyClosed`, and `Unavailable` while the ledger is behind its end.
    """
    period = period_named(name)
    now = datetime.now(UTC)
    over_at = datetime.combine(period.end + timedelta(days=1), time.min, reporting.zone)
    if now < over_at:
        raise PeriodNotOver(f"It can be closed from {over_at.isoformat()} on.")
    if await _closed(work, name) is not None:
        raise PeriodAlreadyClosed(f"GET /v1/periods/{name}/restatements lists what has changed since.")
    connection = await work.connection()
    complete_until = await fresh_as_of(connection)
    # Not now: everything recorded before this moment is in the ledger, so the answer as of it stays the same.
    as_of = None if complete_until is None else min(complete_until, now) - UNDER_WAY
    if as_of is None or as_of < over_at:
        raise Unavailable("The ledger does not yet have everything that was recorded in the period. Try again shortly.")
    shown = await shown_of(connection, period, reporting, as_of=as_of)
    closed = ClosedPeriod.close(name, period, as_of=as_of, at=now)
    work.add(closed)
    for (kpi, variant), figure in shown.items():
        work.add(ClosedFigure.close(closed, kpi, variant, figure))
    await publish(work, closed.event(), sequence=1, time=now, partition_key=closed.id)
    return closed


async def closed_period(work: UnitOfWork, name: str) -> ClosedPeriod:
    """Return a closed period. Raise `NoSuchPeriod` and `NotClosed`."""
    period_named(name)
    closed = await _closed(work, name)
    if closed is None:
        raise NotClosed(f"POST /v1/periods/{name}/close closes it.")
    return closed


async def shown_of(
    connection: AsyncConnection, period: Period, reporting: Reporting, *, as_of: datetime | None = None
) -> dict[Variant, Shown]:
    """Return the figure of every variant of every KPI over a period, as answers show it."""
    formulas = {(kpi.name, name): formula for kpi in KPIS.values() for name, formula in kpi.variants.items()}
    shown = {}
    for key, figure in (await figures(connection, formulas, period, as_of=as_of)).items():
        render = Renderer(formulas[key], reporting.currency)
        shown[key] = {
            "value": render.value(figure),
            "numerator": render.numerator(figure),
            "denominator": render.denominator(figure),
        }
    return shown


async def _closed(work: UnitOfWork, name: str) -> ClosedPeriod | None:
    found = await work.find(ClosedPeriod, ClosedPeriod.table.c.name == name)
    return found[0] if found else None
