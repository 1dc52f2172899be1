"""`POST /v1/imports`: many records with their histories at once, and a report by row."""

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request

from service_kit.fields import ReadModel, described
from service_kit.imports.importer import ImportedRow, Importer
from service_kit.imports.operations import Caller, importable_resources
from service_kit.imports.rows import CSV, NDJSON, read
from service_kit.problems import Problem, Unprocessable
from service_kit.routing import Work, media_type_of, router

Mode = Literal["all-or-nothing", "best-effort"]

IMPORTS_TAG: Final = {"imports": "Many records with their histories at once."}


class ImportRefused(Problem):
    """A row failed, so nothing was imported; `rows` names the failed rows and the reasons."""

    status, slug, title = 422, "import-refused", "Nothing was imported"


class ImportReport(ReadModel):
    """The outcome of the rows: their counts, and each in the order of their lines."""

    created: Annotated[int, described("Rows whose record is new.", 1)]
    continued: Annotated[int, described("Rows whose record was there, and whose new steps were done.", 0)]
    existing: Annotated[int, described("Rows that changed nothing, since all of it was there.", 0)]
    failed: Annotated[int, described("Rows of which nothing was imported.", 0)]
    rows: list[ImportedRow]
    """The outcome of each row, in the order of their lines."""


def imports_of(routers: Iterable[APIRouter]) -> APIRouter:
    """Return the route that imports what the given routers create. Each row needs the role that its operations need."""
    resources = importable_resources(routers)
    names = sorted(resources)
    imports = router("/imports", "imports")

    @imports.post(
        "",
        summary="Import records",
        responses={415: {"description": "The body is neither NDJSON nor CSV."}},
        openapi_extra={"requestBody": _documented(names)},
    )
    async def import_records(
        request: Request,
        work: Work,
        mode: Annotated[
            Mode, Query(description="When a row is bad: import nothing, or the good rows.")
        ] = "all-or-nothing",
        resource: Annotated[
            str | None,
            Query(description="The resource of rows that name none.", json_schema_extra={"enum": names}),
        ] = None,
        ids_of: Annotated[
            str | None,
            Query(
                description="Resources, with commas between: the report has the id of each row's record of these.",
                max_length=200,
                examples=[names[0]],
                pattern=f"^({'|'.join(names)})(,({'|'.join(names)}))*$",
            ),
        ] = None,
    ) -> ImportReport:
        """Import records with their histories, by the rules of the single requests.

        A record whose `external_ref` was imported before is left as it is; when its history has grown, the new steps
        are done. Each row is imported whole or not at all, and the report gives the outcome of each by its line.
        """
        if resource is not None and resource not in resources:
            raise Unprocessable.at("?resource", f"is none of: {', '.join(names)}")
        rows = read(await request.body(), media_type_of(request), resource, resources)
        done = await Importer(work, Caller(request), resources, ids_of.split(",") if ids_of else ()).run(rows)
        failed = [row for row in done if row.status == "failed"]
        if failed and mode == "all-or-nothing":
            raise ImportRefused(
                "Correct the rows that failed and send all again, or ask for mode=best-effort.",
                rows=[row.model_dump(mode="json", exclude_none=True) for row in failed],
            )
        return ImportReport(
            created=sum(row.status == "created" for row in done),
            continued=sum(row.status == "continued" for row in done),
            existing=sum(row.status == "existing" for row in done),
            failed=len(failed),
            rows=done,
        )

    return imports


def _documented(names: list[str]) -> dict[str, Any]:
    lines = (
        "A JSON object a line: `resource`, one of " + ", ".join(names) + "; `record`, the body of"
        " `POST /v1/{resource}`; and `history`, a list of steps, each with its `action`, the `body` of"
        " `POST /v1/{resource}/{id}/{action}`, and `of`, the resource that it is an action on, where that is another"
        " one that the record led to: the deals of a lead. The action `update` is `PATCH /v1/{resource}/{id}`, and"
        " `create` is `POST /v1/{of}`: an activity of the lead, on the way. In bodies of the history,"
        ' `{"id_of": "leads"}` is the id of the row\'s record of that resource.'
    )
    cells = (
        "A header with the record's fields, `lines.0.quantity` for those of a list, then a record a row;"
        " an empty cell is a field that is left out. The query's `resource` names the resource of all rows."
    )
    return {
        "required": True,
        "content": {
            NDJSON: {"schema": {"type": "string", "description": lines, "x-resources": names}},
            CSV: {"schema": {"type": "string", "description": cells}},
        },
    }
