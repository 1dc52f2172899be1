"""Sends a plan by bulk imports: first what records refer to, then the records with their histories."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from tandem_cli.api import Api, Refused
from tandem_cli.concurrency import each
from tandem_cli.imports.plan import Needed, Plan, Record
from tandem_cli.imports.tables import Row, RowError
from tandem_cli.problem import StackProblem
from tandem_cli.requests import Ref, filled, refs_in

Item = TypeVar("Item")

STEPS_AT_ONCE: Final = 200
"""Records and steps of their histories in one request."""
_PLACE: Final = re.compile(r"^#/(record|history/\d+/body)?/?")


@dataclass
class Outcome:
    """What came of an import so far."""

    new: int = 0
    continued: int = 0
    """Records that an earlier run had begun."""
    there: int = 0
    """Records that were complete already."""
    made: Counter[str] = field(default_factory=Counter)
    """What is new of what records refer to, by its noun."""
    failed: int = 0
    errors: list[RowError] = field(default_factory=list)
    """Of records, and of rows that they refer to."""

    @property
    def done(self) -> int:
        """The number of records that it is through with."""
        return self.new + self.continued + self.there + self.failed


class Sender:
    """Carries out one plan against the two APIs."""

    def __init__(
        self,
        plan: Plan,
        apis: Mapping[str, Api],
        outcome: Outcome,
        *,
        concurrency: int,
        progress: Callable[[Outcome], None],
    ) -> None:
        self.plan = plan
        self.apis = apis
        self.concurrency = concurrency
        self.progress = progress
        self.outcome = outcome
        self._ids: dict[Ref, str] = {}
        self._failed: dict[Ref, RowError] = {}

    async def run(self) -> None:
        """Send everything. Raises StackProblem when the APIs refuse the token or stay away; what was sent stays."""
        for layer in _layers(self.plan.needed.values()):
            await each(_portions(layer, lambda _: 1), self._make, at_once=self.concurrency)
        portions = _portions(self.plan.records, lambda record: len(record.steps))
        await each(portions, self._send, at_once=self.concurrency)

    async def _make(self, needed: Sequence[Needed]) -> None:
        ready = [one for one in needed if not self._refer_to_failed(one.ref, one.row, one.body)]
        if not ready:
            return
        nouns = [one.ref.noun.split("/") for one in ready]
        rows = [
            {"resource": collection, "record": self._needed_body(one)}
            for one, (_, collection) in zip(ready, nouns, strict=True)
        ]
        for one, result in zip(ready, await _import(self.apis[nouns[0][0]], rows), strict=True):
            identity = result["id"]
            if refusal := _refusal(result):
                identity = refusal.problem.get("existing_id")
                # It was made before, perhaps of other rows: records need only that it is there.
                if refusal.slug not in ("imported-otherwise", "product-code-taken", "list-value-taken"):
                    if one.row is None:
                        raise StackProblem(f"{one.ref.noun} {one.ref.key!r} cannot be made: {_explained(refusal)}")
                    self._fail(one.ref, _needed_error(one, one.row, refusal))
                    continue
            elif result["status"] == "created":
                self.outcome.made[result["resource"]] += 1
            self._ids[one.ref] = one.ref.key if one.by_code else str(identity)

    def _refer_to_failed(self, ref: Ref | None, row: Row | None, *bodies: Mapping[str, Any]) -> bool:
        """Whether what a row makes refers to what could not be made, and so cannot be made itself."""
        if not self._failed:
            return False
        missing = next((one for one in refs_in(bodies) if one in self._failed), None)
        if missing is None or row is None:
            return False
        cause = self._failed[missing]
        what = (
            f"refers to {missing.noun.partition('/')[2]} {missing.key!r}, which failed: {cause.file} row {cause.line}"
        )
        self._fail(ref, RowError(row.file, row.line, "", what, ref.key if ref else ""))
        return True

    def _fail(self, ref: Ref | None, reason: RowError) -> None:
        self.outcome.errors.append(reason)
        if ref is not None:
            self._failed[ref] = reason

    def _needed_body(self, needed: Needed) -> dict[str, Any]:
        body = dict(filled(needed.body, self._ids.__getitem__))
        if not needed.by_code and "external_ref" not in body:
            body["external_ref"] = f"{self.plan.name}:{needed.ref.key}"[:200]
        return body

    async def _send(self, records: Sequence[Record]) -> None:
        """Import some records, and count what came of them."""
        ready = [one for one in records if not self._refer_to_failed(None, one.row, *(step.body for step in one.steps))]
        self.outcome.failed += len(records) - len(ready)
        api = self.apis[records[0].steps[0].api]
        results = await _import(api, [self._row(one) for one in ready]) if ready else []
        for record, result in zip(ready, results, strict=True):
            if refusal := _refusal(result):
                self.outcome.errors.append(_row_error(record, result["at"], refusal))
            self.outcome.failed += result["status"] == "failed"
            self.outcome.new += result["status"] == "created"
            self.outcome.continued += result["status"] == "continued"
            self.outcome.there += result["status"] == "existing"
        self.progress(self.outcome)

    def _row(self, record: Record) -> dict[str, Any]:
        first, *later = record.steps
        history = [
            {"action": step.path[-1], "of": step.path[0], "body": filled(step.body, self._ids.__getitem__)}
            for step in later
        ]
        body = filled(first.body, self._ids.__getitem__)
        return {"resource": record.noun, "record": body, "history": history}


async def _import(api: Api, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    try:
        return await api.import_rows(rows)
    except Refused as refusal:
        # Rows are refused one by one; this is the token, or the API as a whole.
        raise StackProblem(f"{api.url} takes no imports: {refusal}") from None


def _refusal(result: Mapping[str, Any]) -> Refused | None:
    return Refused(result["problem"]["status"], result["problem"]) if result["status"] == "failed" else None


def _portions(items: Iterable[Item], steps: Callable[[Item], int]) -> Iterator[list[Item]]:
    """So many at a time that a request takes well under a second."""
    portion: list[Item] = []
    taken = 0
    for item in items:
        if portion and taken + steps(item) > STEPS_AT_ONCE:
            yield portion
            portion, taken = [], 0
        portion.append(item)
        taken += steps(item)
    if portion:
        yield portion


def _layers(needed: Iterable[Needed]) -> list[list[Needed]]:
    """What must exist first, so that each layer refers to earlier ones only."""
    layers: dict[int, list[Needed]] = {}
    depth: dict[Ref, int] = {}
    waiting = list(needed)
    while waiting:
        later = []
        for one in waiting:
            refs = [value for value in one.body.values() if isinstance(value, Ref)]
            if all(ref in depth for ref in refs):
                depth[one.ref] = max((depth[ref] + 1 for ref in refs), default=0)
                layers.setdefault(depth[one.ref], []).append(one)
            else:
                later.append(one)
        waiting = later
    return [layers[number] for number in sorted(layers)]


def _needed_error(needed: Needed, row: Row, refusal: Refused) -> RowError:
    reason = f"{needed.ref.noun.partition('/')[2]}: {_explained(refusal)}"
    return RowError(row.file, row.line, _column(needed.columns, refusal), reason, needed.ref.key)


def _column(columns: Mapping[str, str], refusal: Refused) -> str:
    """The column of the first field that is wrong."""
    names = (pointer.rsplit("/", 1)[-1] for pointer, _ in refusal.errors)
    return next((columns[name] for name in names if name in columns), "")


def _row_error(record: Record, at: str, refusal: Refused) -> RowError:
    row = record.row
    column = ""
    if refusal.slug == "imported-otherwise":
        reason = "was imported before with other values; it is left as it is"
    else:
        # `#/record`, or the number in `#/history/0`.
        number = int(at.removeprefix("#/history/")) + 1 if at.startswith("#/history/") else 0
        step = record.steps[number]
        column = _column(step.columns, refusal)
        if refusal.slug == "exchange-rate-missing":
            column = step.columns.get("currency", "")
        reason = f"{step.name}: {_explained(refusal)}"
    return RowError(row.file, row.line, column, reason, record.reference)


def _explained(refusal: Refused) -> str:
    if refusal.errors:
        return "; ".join(f"{_PLACE.sub('', pointer)} {detail}" for pointer, detail in refusal.errors)
    return str(refusal)
