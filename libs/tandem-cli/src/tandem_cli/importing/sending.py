"""Sends a plan: first what records refer to, then the records, many at once, each one's steps in their order."""

import hashlib
from collections import ChainMap
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tandem_cli.api import Answer, Api, Refused
from tandem_cli.importing.plan import Needed, Plan, Record
from tandem_cli.importing.tables import RowError
from tandem_cli.problem import StackProblem
from tandem_cli.requests import Ref, Step, filled
from tandem_cli.together import each


@dataclass
class Outcome:
    """What came of an import so far."""

    new: int = 0
    continued: int = 0
    """Records that an earlier run had begun."""
    there: int = 0
    """Records that were complete already."""
    errors: list[RowError] = field(default_factory=list)

    @property
    def done(self) -> int:
        return self.new + self.continued + self.there + len(self.errors)


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

    async def run(self) -> None:
        """Send everything. Raises StackProblem when the APIs refuse the token or stay away; what was sent stays."""
        for layer in _layers(self.plan.needed.values()):
            await each(layer, self._make, at_once=self.concurrency)
        await each(self.plan.records, self._send, at_once=self.concurrency)

    async def _make(self, needed: Needed) -> None:
        api, collection = needed.ref.noun.split("/")
        reference = f"{self.plan.name}:{needed.ref.key}"[:200]
        body = dict(filled(needed.body, self._ids.__getitem__))
        if not needed.by_code:
            body["external_ref"] = reference
        try:
            key = _ascii(f"import:{self.plan.name}:{needed.ref.noun}:{needed.ref.key}")
            identity = (await self.apis[api].post(collection, body, key=key)).body.get("id", needed.ref.key)
        except Refused as refusal:
            # It was made before, perhaps of other rows: records need only that it is there.
            if refusal.slug not in ("external-ref-taken", "idempotency-key-reused", "product-code-taken"):
                raise StackProblem(f"{collection} {needed.ref.key!r} cannot be made: {_explained(refusal)}") from None
            identity = needed.ref.key if needed.by_code else await self._existing(api, collection, reference)
        self._ids[needed.ref] = identity

    async def _existing(self, api: str, collection: str, reference: str) -> str:
        page = await self.apis[api].get(collection, {"external_ref": reference})
        if not page["items"]:
            raise StackProblem(
                f"{collection} {reference!r} was made by an import and is gone since; import under another name."
            )
        return str(page["items"][0]["id"])

    async def _send(self, record: Record) -> None:
        """Do the steps of one record, and count what came of it."""
        answers = 0
        replays = 0
        try:
            async for replayed in self._steps(record):
                answers += 1
                replays += replayed
        except _Failed as failure:
            self.outcome.errors.append(failure.error)
        else:
            self.outcome.new += replays == 0
            self.outcome.continued += 0 < replays < answers
            self.outcome.there += replays == answers
        self.progress(self.outcome)

    async def _steps(self, record: Record) -> AsyncIterator[bool]:
        """Each step that is done: whether an earlier run had done it. Raises _Failed."""
        names: dict[Ref, str] = {}
        skip = 0
        for number, step in enumerate(record.steps):
            if 0 < number <= skip:
                yield True
                continue
            try:
                answer = await self._step(record, step, names)
            except Refused as refusal:
                if refusal.status in (401, 403):
                    raise StackProblem(f"{self.apis[step.api].url} refuses the token: {refusal}") from None
                if refusal.slug == "external-ref-taken" and number == 0:
                    view = await self._view(record, str(refusal.problem["existing_id"]))
                    skip = _steps_done(record, view)
                elif step.done_when and refusal.slug == step.done_when:
                    view = await self._view(record, names[next(iter(names))])
                else:
                    raise _Failed(_row_error(record, step, refusal)) from None
                answer = Answer(200, view, replayed=True)
            names |= {Ref("self", name): str(answer.body[member]) for name, member in step.gives.items()}
            yield answer.replayed

    async def _step(self, record: Record, step: Step, names: dict[Ref, str]) -> Answer:
        identity = ChainMap(names, self._ids).__getitem__
        path = "/".join(filled(step.path, identity))
        key = f"import:{self.plan.name}:{record.noun}:{record.reference}:{step.name}"
        return await self.apis[step.api].post(path, filled(step.body, identity), key=_ascii(key))

    async def _view(self, record: Record, identity: str) -> Any:
        """The record as it stands."""
        return await self.apis[record.steps[0].api].get(f"{record.noun}/{identity}")


class _Failed(Exception):
    """A record cannot be imported, or not to its end."""

    def __init__(self, error: RowError) -> None:
        super().__init__(error.reason)
        self.error = error


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


def _steps_done(record: Record, view: Mapping[str, Any]) -> int:
    """How many steps after the creation an earlier run has done, for a record whose keys are forgotten.

    A ticket's version counts its changes, each step being one. A lead's steps say by their refusals that they were
    done. Raises _Failed when somebody else has changed the ticket before its import was complete.
    """
    if record.standing is None:
        return 0
    done = int(view["version"]) - 1
    if done >= len(record.steps) - 1:
        return len(record.steps) - 1
    if record.standing(done) != (view["status"], view["reopen_count"]):
        reason = "was changed by somebody after a part of it was imported; it is left as it is"
        raise _Failed(RowError(record.row.file, record.row.line, "", reason, record.reference))
    return done


def _row_error(record: Record, step: Step, refusal: Refused) -> RowError:
    row = record.row
    column = ""
    if refusal.slug == "idempotency-key-reused":
        reason = "was imported before with other values; it is left as it is"
    else:
        reason = _explained(refusal)
        for pointer, _ in refusal.errors:
            column = column or step.columns.get(pointer.rsplit("/", 1)[-1], "")
        if refusal.slug == "exchange-rate-missing":
            column = step.columns.get("currency", "")
    return RowError(row.file, row.line, column, f"{step.name}: {reason}", record.reference)


def _explained(refusal: Refused) -> str:
    if refusal.errors:
        return "; ".join(f"{pointer.removeprefix('#/')} {detail}" for pointer, detail in refusal.errors)
    return str(refusal)


def _ascii(key: str) -> str:
    """A key that the header may carry; one that is too long or not ASCII is replaced by its digest."""
    if len(key) <= 255 and key.isascii() and key.isprintable():
        return key
    return "import:" + hashlib.sha256(key.encode()).hexdigest()
