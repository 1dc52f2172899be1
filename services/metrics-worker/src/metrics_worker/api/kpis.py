"""GET /v1/kpis and GET /v1/kpis/{name}."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final, Literal

from fastapi import Depends, Path, Query, Response
from pydantic import TypeAdapter

from metrics_worker.api.answers import answers_of
from metrics_worker.api.limits import limits_of
from metrics_worker.api.names import Named
from metrics_worker.api.parameters import Filters, FirstDay, LastDay, LedgerReporting, Status
from metrics_worker.domain.kinds import DIMENSIONS
from metrics_worker.domain.period import Interval
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.kpis.formula import Kpi
from metrics_worker.queries.query import (
    KpiQuery,
    as_of_of,
    filters_of,
    group_by_of,
    kpi_named,
    period_of,
    top_of,
    variant_of,
)
from metrics_worker.queries.schemas import AnswerRead, CatalogueRead, GroupRead, KpiRead, VariantRead
from metrics_worker.queries.sql import AT_ONCE
from service_kit.concurrency import cooperative_chunks
from service_kit.fields import Moment, plain_digits
from service_kit.routing import CallersAccess, Work, router

_ANY_DIMENSION: Final = "|".join(DIMENSIONS)
_GROUPINGS: Final = f"^({_ANY_DIMENSION})(,({_ANY_DIMENSION}))?$"
routes = router("/kpis", "kpis")


@routes.get("")
async def list_kpis(work: Work, reporting: LedgerReporting, access: CallersAccess) -> CatalogueRead:
    """Return every KPI with its definition and the dimensions it can be grouped and filtered by.

    A salesperson or agent gets those that are kept by owner and team.
    """
    limits = await limits_of(access, work)
    return CatalogueRead(
        timezone=reporting.zone.key,
        currency=reporting.currency,
        items=[_view_of(kpi) for kpi in KPIS.values() if limits.covers_dimensions(kpi)],
    )


async def asked(
    name: Annotated[str, Path(max_length=64, description="The KPI, as GET /v1/kpis names it.", examples=["revenue"])],
    work: Work,
    status: Status,
    given: Filters,
    access: CallersAccess,
    start: FirstDay = None,
    end: LastDay = None,
    interval: Annotated[Interval | None, Query(description="Adds a series; weeks begin on Monday.")] = None,
    group_by: Annotated[
        str | None,
        Query(
            max_length=64,
            description="Adds groups by the values of a dimension, or of two: `region,product`. GET /v1/kpis lists"
            " those of the KPI.",
            json_schema_extra={"pattern": _GROUPINGS},
            examples=["region", "region,product"],
        ),
    ] = None,
    top: Annotated[
        int | None,
        Query(
            ge=1,
            le=1000,
            description="Shows so many groups with the highest values, and all others as one, the last.",
            examples=[10],
        ),
        plain_digits,
    ] = None,
    variant: Annotated[
        str | None,
        Query(max_length=64, description="The definition to use; GET /v1/kpis lists them.", examples=["count"]),
    ] = None,
    as_of: Annotated[
        Moment | None, Query(description="Uses the ledger as of this moment, and adds the difference to now.")
    ] = None,
) -> KpiQuery:
    """Return what a request asks of a KPI, within what the caller may see."""
    kpi = kpi_named(name)
    dimensions = group_by_of(kpi, group_by)
    return KpiQuery(
        kpi=kpi,
        variant=variant_of(kpi, variant),
        period=period_of(start, end, status.reporting),
        interval=interval,
        group_by=dimensions,
        filters=(await limits_of(access, work)).filters(kpi, filters_of(kpi, given)),
        with_previous=False,
        as_of=as_of_of(as_of),
        top=top_of(top, dimensions),
    )


Asked = Annotated[KpiQuery, Depends(asked)]


@routes.get("/{name}", response_model=AnswerRead)
async def answer_kpi(
    work: Work,
    status: Status,
    access: CallersAccess,
    named: Named,
    query: Asked,
    compare: Annotated[
        Literal["previous"] | None, Query(description="Adds the same number of days directly before.")
    ] = None,
) -> AnswerRead | Response:
    """Return a KPI over a period of days in the reporting time zone, with its numerator and denominator.

    A salesperson or agent gets the numbers of the filters `owner` (themselves) or `team` (one of theirs, or below
    them); without either, those of their teams and of all below. Another team is answered 404. `filters` says what the
    numbers are of, and `teams` where that is several teams.
    """
    limits = await limits_of(access, work)
    queries = [replace(query, with_previous=compare is not None)]
    connection = await work.connection()
    # A sample is about all that the KPI counts.
    [answer] = await answers_of(connection, queries, status, with_sample=not limits.are_set)
    answer = await named.added_to(connection, answer)
    return answer if len(answer.groups or ()) <= AT_ONCE else await written(answer)


async def written(answer: AnswerRead) -> Response:
    """Return an answer of many groups as JSON; other tasks run in between. `groups` comes last."""
    chunks = cooperative_chunks(answer.groups or (), AT_ONCE)
    groups = [_GROUPS.dump_json(some, by_alias=True)[1:-1] async for some in chunks]
    rest = answer.model_dump_json(by_alias=True, exclude={"groups"}).encode()
    body = b"".join([rest[:-1], b',"groups":[', b",".join(groups), b"]}"])
    return Response(body, media_type="application/json")


_GROUPS: Final[TypeAdapter[Sequence[GroupRead]]] = TypeAdapter(Sequence[GroupRead])


def _view_of(kpi: Kpi) -> KpiRead:
    return KpiRead(
        name=kpi.name,
        title=kpi.title,
        function=kpi.function,
        indicator=kpi.indicator,
        direction=kpi.direction,
        chart=kpi.chart,
        dimensions=list(kpi.dimensions),
        variants=[
            VariantRead(
                name=name,
                unit=formula.unit,
                formula=formula.definition,
                numerator=list(map(str, formula.numerator.terms)),
                denominator=[] if formula.denominator is None else list(map(str, formula.denominator.terms)),
            )
            for name, formula in kpi.variants.items()
        ],
        description=kpi.description,
    )
