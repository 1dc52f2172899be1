"""Reads closed periods, and what of them has been restated."""

from typing import Any, Final
from urllib.parse import urlencode

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.domain.kinds import KINDS
from metrics_worker.domain.posting import Reporting
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.periods.model import ClosedFigure, ClosedPeriod, Shown
from metrics_worker.periods.schemas import (
    RestatementEventRead,
    RestatementFigureRead,
    RestatementRead,
)
from metrics_worker.periods.use_cases import shown_of
from metrics_worker.queries.explain import PostingsBehind
from metrics_worker.queries.figure import difference_text
from metrics_worker.queries.query import KpiQuery
from service_kit.paging import Page, PageRead
from service_kit.unit_of_work import UnitOfWork

EVENTS_SHOWN: Final = 10


_columns = ClosedPeriod.table.c
PERIOD_ROWS: Final = sa.select(
    _columns.id,
    _columns.name.label("period"),
    _columns.first_day.label("start"),
    _columns.last_day.label("end"),
    _columns.as_of,
    _columns.closed_at,
)
"""Closed periods as they are shown."""


async def list_restatements(
    work: UnitOfWork, closed: ClosedPeriod, page: Page, reporting: Reporting, kpi: str | None
) -> PageRead[RestatementRead]:
    """Return one page of the figures that differ now from those at the closing, by the ledger of this snapshot."""
    restated = await _restated(work, closed, reporting, kpi)
    if page.after is not None:
        restated = [each for each in restated if each[0].id > page.after]
    more = len(restated) > page.limit
    shown = restated[: page.limit]
    return PageRead(
        items=await _views_of(work, closed, shown, reporting),
        next_cursor=page.cursor_after(shown[-1][0].id) if more else None,
    )


async def all_restatements(
    work: UnitOfWork, closed: ClosedPeriod, reporting: Reporting, kpi: str | None
) -> list[RestatementRead]:
    """Return all of them."""
    return await _views_of(work, closed, await _restated(work, closed, reporting, kpi), reporting)


_Restated = list[tuple[ClosedFigure, Shown]]


async def _restated(work: UnitOfWork, closed: ClosedPeriod, reporting: Reporting, kpi: str | None) -> _Restated:
    now = await shown_of(await work.connection(), closed.period, reporting)
    columns = ClosedFigure.table.c
    return [
        (figure, now[figure.kpi, figure.variant])
        for figure in await work.find(ClosedFigure, columns.period_id == closed.id, order_by=[columns.id])
        if kpi in (None, figure.kpi) and now.get((figure.kpi, figure.variant), figure.as_closed) != figure.as_closed
    ]


async def _views_of(
    work: UnitOfWork, closed: ClosedPeriod, restated: _Restated, reporting: Reporting
) -> list[RestatementRead]:
    connection = await work.connection()
    return [await _view_of(connection, closed, figure, now, reporting) for figure, now in restated]


async def _view_of(
    connection: AsyncConnection, closed: ClosedPeriod, figure: ClosedFigure, now: Shown, reporting: Reporting
) -> RestatementRead:
    kpi = KPIS[figure.kpi]
    formula = kpi.variants[figure.variant]
    query = KpiQuery(
        kpi=kpi,
        variant=figure.variant,
        period=closed.period,
        interval=None,
        group_by=(),
        filters={},
        with_previous=False,
    )
    count, events = await _events_behind(connection, PostingsBehind(query, recorded_after=closed.as_of))
    since = {
        "variant": figure.variant,
        "from": closed.first_day,
        "to": closed.last_day,
        "recorded_after": closed.as_of.isoformat().replace("+00:00", "Z"),
    }
    return RestatementRead(
        id=figure.id,
        kpi=kpi.name,
        variant=figure.variant,
        unit=formula.unit,
        currency=reporting.currency if formula.unit == "money" else None,
        as_closed=RestatementFigureRead(**figure.as_closed),
        now=RestatementFigureRead(**now),
        change=difference_text(now["value"], figure.as_closed["value"], formula),
        restated_at=figure.restated_at,
        event_count=count,
        events=events,
        explain=f"/v1/kpis/{kpi.name}/explain?{urlencode(since)}",
    )


async def _events_behind(connection: AsyncConnection, behind: PostingsBehind) -> tuple[int, list[RestatementEventRead]]:
    rows = behind.rows()
    # An event may move several postings of its subject: it is one event all the same.
    events = (
        sa.select(rows.c.event_id, rows.c.kind, rows.c.subject_id, rows.c.event_time, rows.c.recorded_time)
        .distinct()
        .subquery()
    )
    newest = (
        sa.select(events, sa.func.count().over().label("count"))
        .order_by(events.c.recorded_time.desc(), events.c.event_id)
        .limit(EVENTS_SHOWN)
    )
    found: Any = (await connection.execute(newest)).all()
    return (found[0].count if found else 0), [
        RestatementEventRead(
            event_id=row.event_id,
            subject=f"{KINDS[row.kind].subject_kind}/{row.subject_id}",
            event_time=row.event_time,
            recorded_time=row.recorded_time,
        )
        for row in found
    ]
