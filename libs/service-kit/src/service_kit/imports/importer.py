"""Imports rows: a request is one transaction, and each row is in it whole or not at all."""

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any, Final, Literal, NamedTuple
from uuid import UUID

import asyncpg
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError

from service_kit.fields import ReadModel, RecordId, described
from service_kit.imports import records
from service_kit.imports.operations import Caller, ImportableResource, Operation
from service_kit.imports.records import Imported
from service_kit.imports.rows import Row, Step, UnreadableRow
from service_kit.problems import Conflict, Problem, Unprocessable, sqlstate_of
from service_kit.references import ExternalRefTaken
from service_kit.unit_of_work import UnitOfWork

BLOCK: Final = 25
"""Rows that are tried together: their records and events then go to the database at once."""
_CONTRADICTIONS: Final = ("23503", "23505")
"""PostgreSQL's codes of a foreign key without its row, and of a key that is taken."""


class ImportedOtherwise(Conflict):
    """A record was imported before with other values; `existing_id` is its id."""

    slug, title = "imported-otherwise", "The record was imported before with other values"


class RowContradicts(Conflict):
    """A row gives two records the same reference, or refers to a record before it is created."""

    slug, title = "row-contradicts", "The row contradicts itself"


_PROBLEM = described(
    "Why it failed, in the form of all errors.",
    {
        "type": "urn:tandem:problem:unknown-reference",
        "title": "The request names something that does not exist",
        "status": 422,
        "detail": "See errors: each names the place and what is wrong.",
        "errors": [{"pointer": "#/record/owner_id", "detail": "names no rep"}],
    },
    rarely=True,
)


class ImportedRow(ReadModel):
    """The outcome of one row."""

    line: Annotated[int, described("The row's line in the body, from 1.", 2)]
    resource: Annotated[str, described("What it is a record of; null where it does not say.", "leads")] | None
    status: Literal["created", "continued", "existing", "failed"]
    """What became of it. `continued`: the record was there, and the new steps of its history were done."""
    id: RecordId | None = None
    at: (
        Annotated[
            str, described("Where in the row it failed: `#/record` or `#/history/{step}`.", "#/record", rarely=True)
        ]
        | None
    ) = None
    problem: Annotated[dict[str, Any], _PROBLEM] | None = None


class _Failed(Exception):
    def __init__(self, at: str, problem: Problem) -> None:
        super().__init__(at)
        self.at = at
        self.problem = problem


class _Outcome(NamedTuple):
    result: ImportedRow
    imported: dict[bytes, Imported]
    """What is to be stored of it, by its digest; nothing for a record without an `external_ref`."""


class Importer:
    """The import of one request, within its transaction."""

    def __init__(self, work: UnitOfWork, caller: Caller, resources: Mapping[str, ImportableResource]) -> None:
        self._work = work
        self._caller = caller
        self._resources = resources
        self._known: dict[bytes, Imported] = {}
        self._new: dict[bytes, Imported] = {}

    async def run(self, rows: Sequence[Row | UnreadableRow]) -> list[ImportedRow]:
        """Import the rows, and return the outcome of each in the order of their lines."""
        readable = [row for row in rows if isinstance(row, Row)]
        digests = {digest for row in readable if (digest := records.digest_of(row)) is not None}
        self._known = await records.imported(self._work, digests)
        results = [_failed(row, "#", row.problem) for row in rows if isinstance(row, UnreadableRow)]
        for block in _blocks(readable):
            results += await self._block(block)
        await records.store(self._work, self._new)
        return sorted(results, key=lambda result: result.line)

    async def _block(self, rows: Sequence[Row]) -> list[ImportedRow]:
        try:
            async with self._work.savepoint():
                done = [await self._row(row) for row in rows]
        except (_Failed, DBAPIError, asyncpg.PostgresError) as error:
            if not isinstance(error, _Failed) and sqlstate_of(error) not in _CONTRADICTIONS:
                raise
            # One of them cannot be imported: now each alone.
            return [await self._alone(row) for row in rows]
        return [self._note(one) for one in done]

    async def _alone(self, row: Row) -> ImportedRow:
        # Twice: what it met may have been committed by another request meanwhile, and is found then.
        for _ in range(2):
            try:
                async with self._work.savepoint():
                    done = await self._row(row)
                return self._note(done)
            except _Failed as failure:
                if failure.at == "#/record" and isinstance(failure.problem, ExternalRefTaken):
                    return _result(row, "existing", UUID(failure.problem.extra["existing_id"]))
                return _failed(row, failure.at, failure.problem)
            except (DBAPIError, asyncpg.PostgresError) as error:
                if sqlstate_of(error) not in _CONTRADICTIONS:
                    raise
        return _failed(
            row,
            "#",
            RowContradicts(
                "It gives two records the same reference, or refers to one before it is created. Correct the row."
            ),
        )

    def _note(self, outcome: _Outcome) -> ImportedRow:
        self._new |= outcome.imported
        return outcome.result

    async def _row(self, row: Row) -> _Outcome:
        digest = records.digest_of(row)
        before = None if digest is None else self._new.get(digest) or self._known.get(digest)
        if before is None:
            answer = await _at("#/record", self._resources[row.resource].create.run(self._caller, body=row.record))
            record_id: UUID | None = getattr(answer, "id", None)
            await self._continue(row, record_id, answer, 0)
        else:
            record_id = before.record_id
            if len(row.history) < before.steps or records.fingerprint_of(row, before.steps) != before.fingerprint:
                raise _Failed(
                    "#", ImportedOtherwise("It is left as it is; correct it by itself.", existing_id=str(record_id))
                )
            if len(row.history) == before.steps:
                return _Outcome(_result(row, "existing", record_id), {})
            await self._continue(row, record_id, None, before.steps)
        imported = {}
        if digest is not None and record_id is not None:
            steps = len(row.history)
            imported[digest] = Imported(record_id, steps, records.fingerprint_of(row, steps))
        return _Outcome(_result(row, "created" if before is None else "continued", record_id), imported)

    async def _continue(self, row: Row, record_id: UUID | None, record: BaseModel | None, done: int) -> None:
        """Do the steps of a row's history after the first `done`. `record` is the record as last answered."""
        for number, step in enumerate(row.history[done:], done):
            at = f"#/history/{number}"
            operation = self._operation(row, step, at)
            identity = record_id
            if step.of is not None and step.of != row.resource:
                record = record or await self._read(row, record_id)
                identity = getattr(record, self._resources[step.of].member, None)
            if identity is None:
                raise _Failed(at, Unprocessable.at(f"{at}/of", f"the record has none of {step.of or row.resource}"))
            answer = await _at(f"{at}/body", operation.run(self._caller, body=step.body, identity=identity), place=at)
            if identity == record_id and hasattr(answer, "id") and answer.id == record_id:
                record = answer

    def _operation(self, row: Row, step: Step, at: str) -> Operation:
        resource = self._resources.get(step.of or row.resource)
        if resource is None:
            raise _Failed(at, Unprocessable.at(f"{at}/of", f"is none of: {', '.join(sorted(self._resources))}"))
        if step.action not in resource.actions:
            known = ", ".join(sorted(resource.actions)) or "nothing"
            raise _Failed(
                at, Unprocessable.at(f"{at}/action", f"is none of what can be done with {resource.name}: {known}")
            )
        return resource.actions[step.action]

    async def _read(self, row: Row, record_id: UUID | None) -> BaseModel | None:
        read = self._resources[row.resource].read
        return None if read is None else await read.run(self._caller, identity=record_id)


async def _at(pointer: str, working: Awaitable[BaseModel], place: str | None = None) -> BaseModel:
    """Return the answer of an operation whose body is at `pointer` in the row. Raise `_Failed`."""
    try:
        return await working
    except Problem as problem:
        if problem.status >= 500:
            raise
        for error in problem.extra.get("errors", ()):
            error["pointer"] = pointer + error["pointer"].removeprefix("#")
        raise _Failed(place or pointer, problem) from None


def _blocks(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield the rows of one resource in blocks: what others refer to must be in the database before them."""
    for _, same in groupby(rows, key=lambda row: row.resource):
        waiting = list(same)
        yield from (waiting[first : first + BLOCK] for first in range(0, len(waiting), BLOCK))


def _result(row: Row, status: Literal["created", "continued", "existing"], record_id: UUID | None) -> ImportedRow:
    return ImportedRow(line=row.line, resource=row.resource, status=status, id=record_id)


def _failed(row: Row | UnreadableRow, at: str, problem: Problem) -> ImportedRow:
    return ImportedRow(line=row.line, resource=row.resource, status="failed", at=at, problem=problem.fields())
