"""GET /v1/exports/kpis/{name}: a KPI's groups, their shares, or the whole, as a file."""

from dataclasses import replace
from typing import Annotated, Final

import msgspec
from fastapi import Query, Request, Response

from metrics_worker.api.answers import answers_of
from metrics_worker.api.exports import audit_export
from metrics_worker.api.kpis import Asked
from metrics_worker.api.names import Named
from metrics_worker.api.parameters import Status
from metrics_worker.queries.kpi_rows import Part, columns_of, rows_of
from metrics_worker.queries.sql import AT_ONCE
from service_kit import csv_rows
from service_kit.concurrency import cooperative_chunks
from service_kit.lists.exports import MEDIA_TYPES, Format
from service_kit.problems import Unprocessable
from service_kit.routing import Work, router

_CSV_SHOWN: Final = (
    "kpi,variant,unit,currency,from,to,row_kind,region,adds_up,additive_value,nonadditive_value,numerator,denominator\r\n"
    "win_rate,count,ratio,,2026-01-01,2026-03-31,group,EMEA,parts,,0.7,7,10\r\n"
    "win_rate,count,ratio,,2026-01-01,2026-03-31,others,,parts,,0.4,2,5\r\n"
)
_NDJSON_SHOWN: Final = (
    '{"kpi":"win_rate","variant":"count","unit":"ratio","currency":null,"from":"2026-01-01","to":"2026-03-31",'
    '"row_kind":"group","region":"EMEA","adds_up":"parts","additive_value":null,"nonadditive_value":"0.7",'
    '"numerator":7,"denominator":10}\n'
)


kpi_exports = router("/exports/kpis", "exports")


@kpi_exports.get(
    "/{name}",
    response_class=Response,
    responses={
        200: {
            "description": "The rows, each with all columns.",
            "content": {
                MEDIA_TYPES["csv"]: {"schema": {"type": "string"}, "example": _CSV_SHOWN},
                MEDIA_TYPES["ndjson"]: {"schema": {"type": "string"}, "example": _NDJSON_SHOWN},
            },
        }
    },
)
async def export_kpi(
    request: Request,
    work: Work,
    status: Status,
    named: Named,
    query: Asked,
    part: Annotated[
        Part,
        Query(
            description="`groups`: a row each, or with an interval one for each of its days, weeks or months; `shares`:"
            " what part of the whole each is, where groups add up; `whole`: the total, which is in no other file."
        ),
    ] = "groups",
    form: Annotated[Format, Query(alias="format", description="The form of the file.")] = "csv",
) -> Response:
    """Return a KPI as a file whose columns can be summed without harm.

    No row is the total of others. `additive_value` is filled where values may be summed over all rows, and
    `nonadditive_value` where they may not. `adds_up` says what may be: `value`; `parts`, the numerators and the
    denominators, to be divided then; or `nothing`, where groups overlap, balances are of several moments, or values are
    percentiles. Texts that a spreadsheet would take for a formula begin with an apostrophe in CSV.
    """
    if part != "whole" and not query.group_by:
        raise Unprocessable.at("?group_by", "names the dimensions of the groups; part=whole has none")
    if part == "shares" and not query.formula.adds_up_by(query.group_by):
        raise Unprocessable.at("?part", "shares are of groups that add up to the whole; these do not: take groups")
    if part == "whole":
        query = replace(query, group_by=(), top=None)
    connection = await work.connection()
    [answer] = await answers_of(connection, [query], status, with_sample=False)
    answer = await named.added_to(connection, answer)
    columns = columns_of(query, part)
    chunks = [csv_rows.lines([columns])] if form == "csv" else []
    async for rows in cooperative_chunks(list(rows_of(query, answer, part)), AT_ONCE):
        if form == "csv":
            chunks.append(csv_rows.lines([csv_rows.field(row.get(name)) for name in columns] for row in rows))
        else:
            chunks += [msgspec.json.encode({name: row.get(name) for name in columns}) + b"\n" for row in rows]
    asked = {name: str(value) for name, value in request.query_params.items()}
    await audit_export(request, {"kpi": query.kpi.name, **asked})
    file = f"{query.kpi.name}-{part}-{query.period.start}-{query.period.end}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{file}"'}
    return Response(b"".join(chunks), media_type=MEDIA_TYPES[form], headers=headers)
