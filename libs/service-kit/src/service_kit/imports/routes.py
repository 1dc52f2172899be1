"""`POST /v1/imports`: many records with their histories at once, and a report by row."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request

from service_kit.auth import requires
from service_kit.fields import ReadModel
from service_kit.imports.importing import ImportedRow, Importing
from service_kit.imports.operations import Caller, resources_of
from service_kit.imports.rows import CSV, NDJSON, read
from service_kit.problems import Problem, Unprocessable
from service_kit.routing import Work, media_type_of, router

Mode = Literal["all-or-nothing", "best-effort"]


class ImportRefused(Problem):
    """A row failed, and all were to be imported or none; `rows` lists which and why."""

    status, slug, title = 422, "import-refused", "Nothing was imported"


class ImportReport(ReadModel):
    """What became of the rows, counted and one by one in the order of their lines."""

    created: int
    continued: int
    existing: int
    failed: int
    rows: list[ImportedRow]


def imports_of(routers: Iterable[APIRouter], allowed: requires) -> APIRouter:
    """The route that imports what the given routers create, for who is allowed to create all of it."""
    resources = resources_of(routers)
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
        _: Annotated[Any, Depends(allowed)],
        mode: Annotated[
            Mode, Query(description="What becomes of the good rows when one is bad: nothing, or they are imported.")
        ] = "all-or-nothing",
        resource: Annotated[
            str | None,
            Query(description="The resource of the rows that do not name one.", json_schema_extra={"enum": names}),
        ] = None,
    ) -> ImportReport:
        """Enters records, each with all that happened to it, by the rules of the requests that do the same one by one.

        A record whose `external_ref` was imported before is left as it is; when its history has grown, the new steps
        are done. Each row is imported whole or not at all, and the report gives each line's outcome.
        """
        if resource is not None and resource not in resources:
            raise Unprocessable.at("?resource", f"is none of: {', '.join(names)}")
        rows = read(await request.body(), media_type_of(request), resource, resources)
        done = await Importing(work, Caller(request), resources).run(rows)
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
        " `POST /v1/{resource}`; and `history`, a list of what happened since, each with its `action`, the `body` of"
        " `POST /v1/{resource}/{id}/{action}`, and `of`, the resource that it happened to, where that is another one"
        " that came of the record: the deals of a lead."
    )
    cells = (
        "A header of the names of the record's fields, `lines.0.quantity` for those of a list, then a record a row;"
        " an empty cell is a field that is left out. The query's `resource` is what the rows are."
    )
    return {
        "required": True,
        "content": {
            NDJSON: {"schema": {"type": "string", "description": lines}},
            CSV: {"schema": {"type": "string", "description": cells}},
        },
    }
