"""GET /v1/kpis and GET /v1/kpis/{name}."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from fastapi import Depends, Path, Query, Request, Response
from pydantic import TypeAdapter

from event_contracts.fields import CODE_PATTERN
from metrics_worker.api.answers import ask, readable
from metrics_worker.books.status import LedgerStatus, ledger_status
from metrics_worker.domain.kinds import DIMENSIONS
from metrics_worker.domain.period import Interval
from metrics_worker.domain.posting import Reporting
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.kpis.formula import Kpi
from metrics_worker.queries.answer import snapshot
from metrics_worker.queries.query import (
    FirstDay,
    LastDay,
    Question,
    as_of_of,
    filters_of,
    group_by_of,
    kpi_named,
    period_of,
    variant_of,
)
from metrics_worker.queries.schemas import AnswerView, GroupView, KpiView, RegistryView, VariantView
from metrics_worker.queries.sql import AT_ONCE
from service_kit.auth import ROLES, requires
from service_kit.concurrency import cooperative_chunks
from service_kit.dependencies import async_dependency
from service_kit.fields import Moment
from service_kit.routing import Session, router

routes = router("/kpis", "kpis")

# A token without any role of ours is somebody else's.
READERS = [Depends(requires(*ROLES))]


async def standing(request: Request, session: Session) -> LedgerStatus:
    """How the books stand: by the settings before they are opened.

    Read first, in the request's own snapshot: books that are rebuilt meanwhile change nothing under the answer.
    Raises `Unavailable`.
    """
    with readable():
        return await ledger_status(await snapshot(session), request.app.state.reporting)


Stand = Annotated[LedgerStatus, Depends(standing)]


async def reporting_of(stand: Stand) -> Reporting:
    """The time zone and currency that the books are kept in. Raises `Unavailable`."""
    return stand.reporting


InBooks = Annotated[Reporting, Depends(reporting_of)]
Code = Annotated[
    str | None,
    Query(
        max_length=64,
        description="Only this one; empty: only what has none.",
        json_schema_extra={"pattern": f"^$|{CODE_PATTERN}"},
    ),
]
Identity = Annotated[
    str | None,
    Query(
        max_length=36,
        description="Only this one's id; empty: only what has none.",
        json_schema_extra={"pattern": "^$|^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"},
    ),
]


def filters(
    region: Code = None,
    segment: Code = None,
    product: Code = None,
    channel: Code = None,
    owner: Identity = None,
    team: Identity = None,
    customer: Identity = None,
    priority: Code = None,
    kind: Code = None,
    stage: Code = None,
) -> dict[str, str | None]:
    """Every dimension as a query parameter; a test compares them with `kinds.DIMENSIONS`."""
    return {
        "region": region,
        "segment": segment,
        "product": product,
        "channel": channel,
        "owner": owner,
        "team": team,
        "customer": customer,
        "priority": priority,
        "kind": kind,
        "stage": stage,
    }


@routes.get("", dependencies=READERS)
async def list_kpis(reporting: InBooks) -> RegistryView:
    """What KPIs there are, how each is defined, and what it may be grouped and filtered by."""
    return RegistryView(
        timezone=reporting.zone.key, currency=reporting.currency, items=[_view_of(kpi) for kpi in KPIS.values()]
    )


@routes.get("/{name}", dependencies=READERS, response_model=AnswerView)
async def answer_kpi(
    name: Annotated[str, Path(max_length=64, examples=["revenue"])],
    session: Session,
    stand: Stand,
    given: Annotated[dict[str, str | None], Depends(async_dependency(filters))],
    start: FirstDay = None,
    end: LastDay = None,
    interval: Annotated[Interval | None, Query(description="Also a series; weeks begin on Monday.")] = None,
    group_by: Annotated[
        str | None,
        Query(
            max_length=64,
            description="Also by each value of a dimension; GET /v1/kpis says which ones the KPI has.",
            json_schema_extra={"enum": list(DIMENSIONS)},
        ),
    ] = None,
    variant: Annotated[str | None, Query(max_length=64, description="Which definition; see GET /v1/kpis.")] = None,
    compare: Annotated[
        Literal["previous"] | None, Query(description="Also the same number of days directly before.")
    ] = None,
    as_of: Annotated[Moment | None, Query(description="As the books stood then, and how far it has come.")] = None,
) -> AnswerView | Response:
    """A KPI over a run of days in the reporting time zone, with the sums that its value is made of."""
    kpi = kpi_named(name)

    question = Question(
        kpi=kpi,
        variant=variant_of(kpi, variant),
        period=period_of(start, end, stand.reporting),
        interval=interval,
        group_by=group_by_of(kpi, group_by),
        filters=filters_of(kpi, given),
        with_previous=compare is not None,
        as_of=as_of_of(as_of),
    )
    [answer] = await ask(session, [question], stand)
    return answer if len(answer.groups or ()) <= AT_ONCE else await written(answer)


async def written(answer: AnswerView) -> Response:
    """An answer of many groups as JSON, written while others have their turn; `groups` comes last."""
    chunks = cooperative_chunks(answer.groups or (), AT_ONCE)
    groups = [_GROUPS.dump_json(some, by_alias=True)[1:-1] async for some in chunks]
    rest = answer.model_dump_json(by_alias=True, exclude={"groups"}).encode()
    body = b"".join([rest[:-1], b',"groups":[', b",".join(groups), b"]}"])
    return Response(body, media_type="application/json")


_GROUPS: Final[TypeAdapter[Sequence[GroupView]]] = TypeAdapter(Sequence[GroupView])


def _view_of(kpi: Kpi) -> KpiView:
    return KpiView(
        name=kpi.name,
        title=kpi.title,
        function=kpi.function,
        indicator=kpi.indicator,
        direction=kpi.direction,
        chart=kpi.chart,
        dimensions=list(kpi.dimensions),
        variants=[
            VariantView(
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
