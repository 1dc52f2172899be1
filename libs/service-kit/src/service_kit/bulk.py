"""`POST /v1/bulk`: one operation on many records, by the rules of the single requests, with a report by record."""

import contextlib
import re
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from service_kit.fields import Identifier, ReadModel, RecordId, StrictModel, Version, described, examples
from service_kit.imports.operations import Caller, Operation
from service_kit.problems import Problem, Unprocessable
from service_kit.routing import StrictRoute, Work, router
from service_kit.suggestions import known_names
from service_kit.versions import etag_of

BULK_TAG: Final = {"bulk": "One operation on many records at once, with a report by record."}
MAX_RECORDS: Final = 200
_ON_ONE: Final = re.compile(r"/v1/[a-z-]{1,40}/\{[a-z_]{1,40}_id\}(/[a-z-]{1,40})?")
_FIRST = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13"
_NAME = {"name": "Large proposals"}

_PROBLEM = described(
    "Why not, as a single request is answered.",
    {
        "type": "urn:tandem:problem:lead-already-assigned",
        "title": "The lead belongs to that salesperson already",
        "status": 409,
        "detail": "Name another salesperson.",
    },
    rarely=True,
)
_Body = Annotated[dict[str, Any], described("The operation's body, as a single request has it.", _NAME)]


class BulkRefused(Problem):
    """The operation failed for a record, so nothing was done; `records` names the failed ones and the reasons."""

    status, slug, title = 422, "bulk-refused", "Nothing was done"


class BulkRecord(StrictModel):
    """One of the records, and what is different for it."""

    model_config = examples({"id": _FIRST, "version": 3, "body": _NAME})

    id: Identifier
    """Of the record, as lists and answers have it."""
    version: Annotated[int, Field(strict=True, ge=1), described("Fails unless it is the current one.", 3)] | None = None
    body: _Body | None = None
    """In the place of the body that is for all."""


class BulkRequest(StrictModel):
    """An operation, and the records that it is done with."""

    model_config = examples(
        {
            "operation": "change_view",
            "records": [{"id": _FIRST, "version": 3, "body": _NAME}],
            "body": _NAME,
            "mode": "all-or-nothing",
        }
    )

    operation: Annotated[str, Field(max_length=64), described("The operation's id in this document.", "change_view")]
    records: Annotated[list[BulkRecord], Field(min_length=1, max_length=MAX_RECORDS)]
    """200 at most; done in the order of their ids, so that two requests never wait for each other."""
    body: _Body | None = None
    """For the records that have none of their own."""
    mode: Literal["all-or-nothing", "best-effort"] = "all-or-nothing"
    """When a record fails: do nothing, or the others."""


class BulkRecordRead(ReadModel):
    """What became of one record."""

    id: RecordId
    status: Literal["done", "failed"]
    """Whether the operation was done with it; it is as before otherwise."""
    version: Version | None = None
    problem: Annotated[dict[str, Any], _PROBLEM] | None = None


class BulkRead(ReadModel):
    """The outcome by record, in their order."""

    done: Annotated[int, described("Records that the operation was done with.", 1)]
    failed: Annotated[int, described("Records that are as before.", 0)]
    records: list[BulkRecordRead]
    """Each of them, in the order given."""


def bulk_of(routers: Iterable[APIRouter], *, singly: frozenset[str] = frozenset()) -> APIRouter:
    """Return the route that does what the given routers do with one record, but for what is done `singly`.

    Those are operations whose answer is what they are for: a report has none of it.
    """
    operations = {name: each for name, each in _operations(routers) if name not in singly}
    bulk = router("/bulk", "bulk")

    @bulk.post("", summary="Do an operation with many records")
    async def do_in_bulk(body: BulkRequest, request: Request, work: Work) -> BulkRead:
        """Change, assign, close … many records at once: any operation on one record, by its rules and rights.

        Each record is changed whole or not at all, and reported.
        """
        operation = operations.get(body.operation)
        if operation is None:
            names = known_names(body.operation, operations)
            raise Unprocessable.at("#/operation", f"is no operation on one record; {names}")
        # Two that change the same records in opposite orders would deadlock, and try again until they give up.
        in_order = sorted(enumerate(body.records), key=lambda each: each[1].id)
        done = [
            (place, await _outcome(operation, request, work, one, one.body or body.body)) for place, one in in_order
        ]
        outcomes = [outcome for _, outcome in sorted(done, key=itemgetter(0))]
        failed = [one for one in outcomes if one.status == "failed"]
        if failed and body.mode == "all-or-nothing":
            raise BulkRefused(
                "Correct the records that failed and send all again, or ask for mode best-effort.",
                records=[one.model_dump(mode="json", exclude_none=True) for one in failed],
            )
        return BulkRead(done=len(outcomes) - len(failed), failed=len(failed), records=outcomes)

    return bulk


def _operations(routers: Iterable[APIRouter]) -> Iterable[tuple[str, Operation]]:
    for route in (each for one in routers for each in one.routes if isinstance(each, StrictRoute)):
        if not route.is_public and route.methods in ({"POST"}, {"PATCH"}) and _ON_ONE.fullmatch(route.path):
            # What needs more than the request is done one by one.
            with contextlib.suppress(TypeError):
                yield route.name, Operation(route)


async def _outcome(
    operation: Operation, request: Request, work: Work, record: BulkRecord, body: Mapping[str, Any] | None
) -> BulkRecordRead:
    expected = {} if record.version is None else {"if-match": etag_of(record.version)}
    try:
        async with work.savepoint():
            answer: BaseModel = await operation.run(Caller(request, expected), body=body or {}, identity=record.id)
    except Problem as problem:
        if problem.status >= 500:
            raise
        return BulkRecordRead(id=record.id, status="failed", problem=problem.fields())
    version = getattr(answer, "version", None) if getattr(answer, "id", None) == record.id else None
    return BulkRecordRead(id=record.id, status="done", version=version)
