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
from service_kit.imports.operations import CREATE, Caller, ImportableResource, Operation
from service_kit.imports.records import Imported
from service_kit.imports.row_records import RowRecords
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


_IDS = described(
    "The ids of what `ids_of` asks for: records that it led to, or that its history created.",
    {"deals": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13"},
    rarely=True,
)


class ImportedRow(ReadModel):
    """The outcome of one row."""

    line: Annotated[int, described("The row's line in the body, from 1.", 2)]
    resource: Annotated[str, described("What it is a record of; null where it does not say.", "leads")] | None
    status: Literal["created", "continued", "existing", "failed"]
    """What became of it. `continued`: the record was there, and the new steps of its history were done."""
    id: RecordId | None = None
    ids: Annotated[dict[str, UUID], _IDS] | None = None
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

    def __init__(
        self,
        work: UnitOfWork,
        caller: Caller,
        resources: Mapping[str, ImportableResource],
        ids_of: Sequence[str] = (),
    ) -> None:
        """`ids_of` are the resources of which each row's record is reported."""
        self._work = work
        self._caller = caller
        self._resources = resources
        self._ids_of = ids_of
        self._known: dict[bytes, Imported] = {}
        self._new: dict[bytes, Imported] = {}

    async def run(self, rows: Sequence[Row | UnreadableRow]) -> list[ImportedRow]:
        """Import the rows, and return the outcome of each in the order of their lines."""
        readable = [row for row in rows if isinstance(row, Row)]
        digests = {
            digest
            for row in readable
            for one in (row, *_created_by(row, len(row.history)))
            if (digest := records.digest_of(one)) is not None
        }
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
                    found = self._records_of(row, UUID(failure.problem.extra["existing_id"]))
                    return await self._result(row, "existing", found)
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
        before = self._imported(row)
        if before is None:
            answer = await _at("#/record", self._resources[row.resource].create.run(self._caller, body=row.record))
            found = self._records_of(row, getattr(answer, "id", None))
            found.take(answer)
            imported = await self._continue(row, found, 0)
        else:
            found = self._records_of(row, before.record_id)
            if len(row.history) < before.steps or records.fingerprint_of(row, before.steps) != before.fingerprint:
                raise _Failed(
                    "#", ImportedOtherwise("It is left as it is; correct it by itself.", existing_id=str(found.own_id))
                )
            for created in _created_by(row, before.steps):
                known = self._imported(created)
                if known is not None:
                    found.add(created.resource, known.record_id)
            if len(row.history) == before.steps:
                return _Outcome(await self._result(row, "existing", found), {})
            imported = await self._continue(row, found, before.steps)
        if digest is not None and found.own_id is not None:
            steps = len(row.history)
            imported[digest] = Imported(found.own_id, steps, records.fingerprint_of(row, steps))
        return _Outcome(await self._result(row, "created" if before is None else "continued", found), imported)

    async def _continue(self, row: Row, found: RowRecords, done: int) -> dict[bytes, Imported]:
        """Do the steps of a row's history after the first `done`. Return what is to be stored of what they created."""
        imported: dict[bytes, Imported] = {}
        for number, step in enumerate(row.history[done:], done):
            at = f"#/history/{number}"
            operation = self._operation(row, step, at)
            try:
                body = await found.filled(step.body, f"{at}/body")
            except Problem as problem:
                raise _Failed(at, problem) from None
            identity = None
            if step.action != CREATE:
                of = step.of or row.resource
                identity = await found.id_of(of)
                if identity is None:
                    raise _Failed(at, Unprocessable.at(f"{at}/of", f"the record has none of {of}"))
            answer = await _at(f"{at}/body", operation.run(self._caller, body=body, identity=identity), place=at)
            if step.action == CREATE and (created_id := getattr(answer, "id", None)) is not None:
                created = _row_of(row, step)
                found.add(created.resource, created_id)
                if (digest := records.digest_of(created)) is not None:
                    imported[digest] = Imported(created_id, 0, records.fingerprint_of(created, 0))
            else:
                found.take(answer)
        return imported

    def _operation(self, row: Row, step: Step, at: str) -> Operation:
        resource = self._resources.get(step.of or row.resource)
        if resource is None:
            raise _Failed(at, Unprocessable.at(f"{at}/of", f"is none of: {', '.join(sorted(self._resources))}"))
        if step.action == CREATE and step.of is None:
            raise _Failed(at, Unprocessable.at(f"{at}/of", "is required: it names the resource of which to create one"))
        if step.action not in resource.actions:
            known = ", ".join(sorted(resource.actions))
            raise _Failed(
                at, Unprocessable.at(f"{at}/action", f"is none of what can be done with {resource.name}: {known}")
            )
        return resource.actions[step.action]

    def _records_of(self, row: Row, record_id: UUID | None) -> RowRecords:
        async def read(identity: UUID) -> BaseModel | None:
            operation = self._resources[row.resource].read
            return None if operation is None else await operation.run(self._caller, identity=identity)

        return RowRecords(row.resource, record_id, self._resources, read)

    def _imported(self, row: Row) -> Imported | None:
        digest = records.digest_of(row)
        return None if digest is None else self._new.get(digest) or self._known.get(digest)

    async def _result(
        self, row: Row, status: Literal["created", "continued", "existing"], found: RowRecords
    ) -> ImportedRow:
        ids = {name: identity for name in self._ids_of if (identity := await found.id_of(name)) is not None}
        return ImportedRow(
            line=row.line, resource=row.resource, status=status, id=found.own_id, ids=ids if self._ids_of else None
        )


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


def _created_by(row: Row, steps: int) -> Iterator[Row]:
    """Yield what the first steps of a row's history create, as rows of their own."""
    return (_row_of(row, step) for step in row.history[:steps] if step.action == CREATE and step.of is not None)


def _row_of(row: Row, step: Step) -> Row:
    return Row(line=row.line, resource=step.of or row.resource, record=step.body)


def _failed(row: Row | UnreadableRow, at: str, problem: Problem) -> ImportedRow:
    return ImportedRow(line=row.line, resource=row.resource, status="failed", at=at, problem=problem.fields())
