"""GET /v1/exports/postings: the postings as a file."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Annotated, Any, Final

from fastapi import Query, Request, Response

from metrics_worker.api.parameters import FirstDay, LastDay, LedgerReporting
from metrics_worker.domain.kinds import KIND_BY_NAME, KINDS
from metrics_worker.queries.export import MEDIA_TYPES, Format, export
from metrics_worker.queries.query import period_of
from service_kit.identifiers import new_id
from service_kit.problems import RETRY_AFTER_SECONDS, Problem, Unprocessable
from service_kit.routing import Begin, actor_of, router
from service_kit.streaming import Streamed

AT_ONCE: Final = 2
"""Exports that one process makes at the same moment: each holds a connection for as long as it takes."""
SLOWEST_SECONDS: Final = 20.0

KIND_NAMES: Final = [kind.name for kind in KINDS if kind.has_postings]

_CSV_SHOWN: Final = (
    "event_id,subject_id,event_time,recorded_time,day,region,won\r\n"
    "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a21,01980c8e-7a33-7d60-8f3c-5b1f3b0c9a18,"
    "2026-03-31T21:00:00Z,2026-03-31T21:00:00.120000Z,2026-03-31,EMEA,1\r\n"
)
exports = router("/exports", "exports")


class TooManyExports(Problem):
    """This process makes as many exports as it may."""

    status, slug, title = 503, "too-many-exports", "Too many exports are under way"


@exports.get(
    "/postings",
    response_class=Response,
    responses={
        200: {
            "description": "The postings, one a row.",
            "content": {
                MEDIA_TYPES["csv"]: {"schema": {"type": "string"}, "example": _CSV_SHOWN},
                MEDIA_TYPES["parquet"]: {"schema": {"type": "string", "contentMediaType": MEDIA_TYPES["parquet"]}},
            },
        }
    },
)
async def export_postings(
    request: Request,
    reporting: LedgerReporting,
    kind: Annotated[
        str,
        Query(
            max_length=64,
            description="The kind of subject.",
            json_schema_extra={"enum": KIND_NAMES},
        ),
    ],
    start: FirstDay = None,
    end: LastDay = None,
    form: Annotated[Format, Query(alias="format", description="The form of the file.")] = "csv",
) -> Response:
    """Return every posting of a period, corrections included. Their sums are those of the KPIs."""
    if kind not in KIND_NAMES:
        raise Unprocessable.at("?kind", f"must be one of: {', '.join(KIND_NAMES)}")
    period = period_of(start, end, reporting)
    free: asyncio.Semaphore = request.app.state.exports_free
    if free.locked():
        raise TooManyExports(
            "Send the same request again when one has ended.", headers={"Retry-After": str(RETRY_AFTER_SECONDS)}
        )
    await free.acquire()
    chunks = _giving_back(free, export(request.app.state.engine, KIND_BY_NAME[kind], period, form))
    try:
        # Begun before the answer is, so that a database that is away is a 503 and not half a file.
        first = await anext(chunks)
        await audit_export(request, {"kind": kind, "from": period.start, "to": period.end, "format": form})
    except BaseException:
        await chunks.aclose()
        raise
    return Streamed(
        chunks,
        first=first,
        media_type=MEDIA_TYPES[form],
        headers={"Content-Disposition": f'attachment; filename="{kind}-postings-{period.start}-{period.end}.{form}"'},
        slowest_seconds=SLOWEST_SECONDS,
    )


async def audit_export(request: Request, parameters: Mapping[str, Any]) -> None:
    """Write down who has taken what, before they have it."""
    begin: Begin = request.app.state.begin
    async with begin(actor=actor_of(request)) as work:
        given = {name: (None, value) for name, value in parameters.items()}
        work.audit("export", new_id(), "read", given)
        await work.commit()


async def _giving_back(free: asyncio.Semaphore, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        await chunks.aclose()
        free.release()
