"""GET /v1/kpis/{name}/explain."""

import csv
import io
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Path, Query, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.api.limits import limits_of
from metrics_worker.api.links import ApiAddresses, Links, links_of
from metrics_worker.api.names import Named, NameReader
from metrics_worker.api.parameters import Addresses, Filters, FirstDay, LastDay, LedgerReporting
from metrics_worker.domain.kinds import KINDS, RULES_VERSION
from metrics_worker.domain.posting import Reporting
from metrics_worker.queries.answer import answer
from metrics_worker.queries.explain import Position, PostingsBehind, Reason, exclusions_of
from metrics_worker.queries.fields import (
    Amount,
    AppliedFilters,
    AsOf,
    Denominator,
    FirstDayRead,
    FreshAsOf,
    KpiName,
    LastDayRead,
    MoneyCurrency,
    NamesRead,
    Numerator,
    SeveralTeams,
    TimeZone,
    Unit,
    Value,
    VariantName,
)
from metrics_worker.queries.figure import sum_shown
from metrics_worker.queries.merged_values import merges_for
from metrics_worker.queries.names import KINDS_OF, Names
from metrics_worker.queries.query import (
    KpiQuery,
    as_of_of,
    filters_of,
    kpi_named,
    period_of,
    variant_of,
)
from metrics_worker.queries.schemas import NowRead
from service_kit.compiled import driver_of
from service_kit.csv_rows import neutralised
from service_kit.fields import Moment, ReadModel, described
from service_kit.paging import NextCursor, Page, Paged
from service_kit.problems import Unprocessable
from service_kit.routing import CallersAccess, Work, router

CSV_ROWS: Final = 10_000
"""Postings in one CSV at most; more are for GET /v1/exports/postings."""

_CSV_SHOWN: Final = (
    "kind,subject,event_id,event_time,recorded_time,day,region,deal.won,event_link,record_link\r\n"
    "deal,deals/01980c8e-7a33-7d60-8f3c-5b1f3b0c9a18,01980c8e-7a33-7d60-8f3c-5b1f3b0c9a21,"
    "2026-03-31T21:00:00Z,2026-03-31T21:00:00.120000Z,2026-03-31,EMEA,1,"
    "https://sales.example.com/v1/events/01980c8e-7a33-7d60-8f3c-5b1f3b0c9a21,"
    "https://sales.example.com/v1/deals/01980c8e-7a33-7d60-8f3c-5b1f3b0c9a18\r\n"
)
_EVENT_SHOWN: Final = "https://sales.example.com/v1/events/01980c8e-7a33-7d60-8f3c-5b1f3b0c9a21"
_RECORD_SHOWN: Final = "https://sales.example.com/v1/deals/01980c8e-7a33-7d60-8f3c-5b1f3b0c9a18"
explanations = router("/kpis", "kpis")

_REASON = described("Why it is left out.", "merged", schema="ExclusionReason")
_MEASURES = described(
    "What it adds, by measure: money as a decimal string in the reporting currency, all else as whole numbers.",
    {"deal.won": 1, "deal.revenue": "2598.00"},
)


class ExclusionRead(ReadModel):
    """What the value leaves out, how often, and why."""

    reason: Annotated[Reason, _REASON]
    says: Annotated[str, described("The same in words.", "subjects that were merged into another")]
    count: Annotated[int, described("How many subjects or records it leaves out.", 3)]
    partial: bool = False
    """Whether only the newest 20,000 postings of a kind on these days were examined for it, and there are more."""


class ExplainedLinksRead(ReadModel):
    """The addresses of what is behind a posting. Who may not read a record is answered 404 there."""

    event: Annotated[str, described("The event, as it was published.", _EVENT_SHOWN)] | None
    """The event, as it was published; null where the ledger does not know who published it."""
    record: Annotated[str, described("What the event is about, as it is now.", _RECORD_SHOWN)] | None
    """What the event is about, as it is now; null for a contact whose ticket is not known."""


class ExplainedPostingRead(ReadModel):
    """One posting: what one event added to, or subtracted from, the value's measures."""

    kind: Annotated[str, described("The kind of subject.", "deal")]
    subject: Annotated[str, described("What the event is about.", "deals/01980c8e-7a33-7d60-8f3c-5b1f3b0c9a18")]
    event_id: Annotated[UUID, described("The event behind it.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a21")]
    event_time: Moment
    """When it happened in the business."""
    recorded_time: Moment
    """When the service recorded it."""
    day: Annotated[date, described("The day that it counts on, in the reporting time zone.", "2026-03-31")]
    dimensions: Annotated[dict[str, str | None], described("What it counts under, by dimension.", {"region": "EMEA"})]
    measures: Annotated[dict[str, Amount], _MEASURES]
    names: NamesRead
    links: ExplainedLinksRead
    """Where the event and the record are."""


class ExplanationRead(ReadModel):
    """A value, its definition and the postings behind it. Over all pages the items add up to the measures.

    With `recorded_after` they add up to the change since.
    """

    kpi: KpiName
    variant: VariantName
    unit: Unit
    currency: MoneyCurrency | None
    definition: Annotated[str, described("How the value is computed, in words.", "won deals ÷ closed deals")]
    rules_version: Annotated[int, described("The version of the rules by which events become postings.", 7)]
    numerator_measures: Annotated[list[str], described("Measures above the line.", ["deal.won"])]
    denominator_measures: Annotated[list[str], described("Measures below it.", ["deal.won", "deal.lost"])]
    start: FirstDayRead = Field(serialization_alias="from")
    end: LastDayRead = Field(serialization_alias="to")
    timezone: TimeZone
    filters: AppliedFilters
    teams: SeveralTeams | None
    names: NamesRead
    """What the filters' ids and codes are called, by dimension."""
    as_of: AsOf | None
    value: Value | None
    numerator: Numerator
    denominator: Denominator
    now: Annotated[NowRead | None, described("The value as the ledger holds it today; only with `as_of`.", rarely=True)]
    exclusions: list[ExclusionRead]
    """What the value leaves out."""
    fresh_as_of: FreshAsOf | None
    items: list[ExplainedPostingRead]
    """The postings of this page, the latest day first within each kind."""
    next_cursor: NextCursor | None


@explanations.get(
    "/{name}/explain",
    response_model=ExplanationRead,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}, "example": _CSV_SHOWN}}}},
)
async def explain_kpi(
    name: Annotated[str, Path(max_length=64, description="The KPI, as GET /v1/kpis names it.", examples=["revenue"])],
    work: Work,
    reporting: LedgerReporting,
    page: Paged,
    given: Filters,
    access: CallersAccess,
    addresses: Addresses,
    named: Named,
    start: FirstDay = None,
    end: LastDay = None,
    variant: Annotated[
        str | None,
        Query(max_length=64, description="The definition to use; GET /v1/kpis lists them.", examples=["count"]),
    ] = None,
    as_of: Annotated[Moment | None, Query(description="Uses the ledger as of this moment; now by default.")] = None,
    recorded_after: Annotated[
        Moment | None, Query(description="Only postings of events recorded after this moment.")
    ] = None,
    form: Annotated[
        Literal["json", "csv"], Query(alias="format", description="csv returns all postings at once.")
    ] = "json",
) -> ExplanationRead | Response:
    """Return a KPI's value with its definition, its exclusions, and the postings and events behind it."""
    kpi = kpi_named(name)
    query = KpiQuery(
        kpi=kpi,
        variant=variant_of(kpi, variant),
        period=period_of(start, end, reporting),
        interval=None,
        group_by=(),
        filters=(await limits_of(access, work)).filters(kpi, filters_of(kpi, given)),
        with_previous=False,
        as_of=as_of_of(as_of),
    )
    connection = await work.connection()
    kinds = query.formula.kinds
    merges = await merges_for(await driver_of(connection), [(kind, query.filters) for kind in kinds])
    behind = PostingsBehind(query, recorded_after, merges)
    if form == "csv":
        return await _as_csv(connection, behind, reporting, addresses, named)
    return await _explanation(connection, behind, reporting, page, addresses, named)


async def _explanation(
    connection: AsyncConnection,
    behind: PostingsBehind,
    reporting: Reporting,
    page: Page,
    addresses: ApiAddresses,
    named: NameReader,
) -> ExplanationRead:
    formula = behind.formula
    answered = await named.added_to(connection, await answer(connection, behind.query, reporting))
    shown, more = await _page(connection, behind, page)
    names = await named.of(connection, [row.dimensions for row in shown])
    same = {
        name: getattr(answered, name) for name in ExplanationRead.model_fields if name in type(answered).model_fields
    }
    return ExplanationRead(
        **same,
        definition=formula.definition,
        rules_version=RULES_VERSION,
        numerator_measures=list(map(str, formula.numerator_terms)),
        denominator_measures=list(map(str, formula.denominator_terms)),
        exclusions=[
            ExclusionRead(reason=each.reason, says=each.says, count=each.count, partial=each.is_partial)
            for each in await exclusions_of(connection, behind, reporting)
        ],
        items=[
            _view_of(row, links, reporting.currency, names)
            for row, links in zip(shown, await links_of(connection, shown, addresses), strict=True)
        ],
        next_cursor=page.cursor_after(Position(shown[-1].kind, shown[-1].day, shown[-1].id).packed) if more else None,
    )


async def _page(connection: AsyncConnection, behind: PostingsBehind, page: Page) -> tuple[Sequence[Any], bool]:
    """Return the page's rows, the latest day first within each kind, and whether there are more."""
    after = None if page.after is None else Position.of(page.after)
    found = await behind.newest(connection, page.limit + 1, after)
    return found[: page.limit], len(found) > page.limit


def _view_of(row: Any, links: Links, currency: str, names: Names) -> ExplainedPostingRead:
    kind = KINDS[row.kind]
    return ExplainedPostingRead(
        kind=kind.name,
        subject=f"{kind.subject_kind}/{row.subject_id}",
        event_id=row.event_id,
        event_time=row.event_time,
        recorded_time=row.recorded_time,
        day=row.day,
        dimensions=row.dimensions,
        measures={
            f"{kind.name}.{name}": sum_shown(int(amount), kind.measure_named(name).unit, currency)
            for name, amount in row.measures.items()
        },
        names=names.of(row.dimensions),
        links=ExplainedLinksRead(event=links.event, record=links.record),
    )


async def _as_csv(
    connection: AsyncConnection,
    behind: PostingsBehind,
    reporting: Reporting,
    addresses: ApiAddresses,
    named: NameReader,
) -> Response:
    found = await behind.newest(connection, CSV_ROWS + 1)
    if len(found) > CSV_ROWS:
        raise Unprocessable(
            f"More than {CSV_ROWS} postings are behind this value. Ask for fewer days, filter, or use "
            "GET /v1/exports/postings."
        )
    kinds = behind.formula.kinds
    dimensions = list(dict.fromkeys(name for kind in kinds for name in kind.dimensions))
    with_names = [name for name in dimensions if name in KINDS_OF]
    names = await named.of(connection, [row.dimensions for row in found])
    measures = [f"{kind.name}.{name}" for kind, of_kind in kinds.items() for name in of_kind]
    plain = ["kind", "subject", "event_id", "event_time", "recorded_time", "day"]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(
        [*plain, *dimensions, *(f"{name}_name" for name in with_names), *measures, "event_link", "record_link"]
    )
    for row, links in zip(found, await links_of(connection, found, addresses), strict=True):
        view = _view_of(row, links, reporting.currency, names).model_dump(mode="json")
        writer.writerow(
            [
                *(view[name] for name in plain),
                # Codes and names come from people, and a spreadsheet must not take one for a formula.
                *(neutralised(view["dimensions"].get(name) or "") for name in dimensions),
                *(neutralised(view["names"].get(name, "")) for name in with_names),
                *(view["measures"].get(name, "") for name in measures),
                *(address or "" for address in links),
            ]
        )
    period = behind.query.period
    file = f"{behind.query.kpi.name}-{period.start}-{period.end}.csv"
    return Response(
        text.getvalue(), media_type="text/csv", headers={"Content-Disposition": f'attachment; filename="{file}"'}
    )
