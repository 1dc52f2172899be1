"""What a request asks of a timeline."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal, cast, get_args

import sqlalchemy as sa
from fastapi import Request
from pydantic import StringConstraints

from service_kit.fields import Moment, described
from service_kit.lists.cursors import MAX_LENGTH, CursorScope, WrongCursor
from service_kit.lists.parameters import Defaulted, Found, Parameter
from service_kit.lists.sorting import Position, Sort
from service_kit.paging import Limit
from service_kit.problems import Unprocessable
from service_kit.timeline.schemas import Source

_NEWEST_FIRST: Final = Sort(
    "-occurred_at", "occurred_at", sa.column("occurred_at", sa.DateTime(timezone=True)), False, True
)
_LIMIT: Final = 50
_Size = Annotated[Limit, described("So many entries at most.", 50)]
_Cursor = Annotated[
    str, StringConstraints(max_length=MAX_LENGTH), described("Where a page begins.", "AZgMjnozfWCPPFsfOwyaEDk0QnVd4g")
]


@dataclass(frozen=True)
class TimelineQuery:
    """A page of a timeline; None of a filter lets everything through."""

    scope: CursorScope
    limit: int
    after: Position | None
    kinds: frozenset[str] | None
    sources: frozenset[str] | None
    since: datetime | None
    before: datetime | None

    def cursor_after(self, occurred_at: datetime, event_id: Any) -> str:
        """Return the cursor of the page that begins after an entry."""
        return self.scope.write(_NEWEST_FIRST.name, Position(occurred_at, event_id))


class TimelineRequest:
    """The dependency that reads a timeline's query; `parameters` are those that it takes, by name."""

    def __init__(self, kinds: Sequence[str]) -> None:
        known: Any = Literal[tuple(kinds)]  # made of the declaration
        several = "given several times, one of these."
        parameters = (
            Defaulted("limit", _Size, "How many entries to return at most.", default=_LIMIT),
            Parameter("cursor", _Cursor, "The next_cursor of the page before, unchanged, with the same filters."),
            Parameter("kind", known, f"Only what happened so: an event's type; {several}", len(kinds)),
            Parameter("source", Source, f"Only what this function did; {several}", len(get_args(Source))),
            Parameter("occurred_at_from", Moment, "Only what happened at this time or later."),
            Parameter("occurred_at_before", Moment, "Only what happened before this time."),
        )
        self.parameters: dict[str, Parameter] = {each.name: each for each in parameters}

    async def __call__(self, request: Request) -> TimelineQuery:
        """Return what is asked. Raise `Unprocessable` (422) with all that is wrong with it."""
        wrong: Found = []
        given = {name: request.query_params.getlist(name) for name in self.parameters}
        read = {name: self.parameters[name].read(texts, wrong) for name, texts in given.items() if texts}
        scope = CursorScope.of(request.url.path, {name: texts for name, texts in given.items() if texts})
        after = None
        if read.get("cursor") is not None:
            try:
                after = scope.read(read["cursor"], {_NEWEST_FIRST.name: _NEWEST_FIRST}, _NEWEST_FIRST.name)
            except WrongCursor as problem:
                wrong.append(("cursor", str(problem)))
        if wrong:
            raise Unprocessable.several((f"?{name}", said) for name, said in wrong)
        return TimelineQuery(
            scope=scope,
            limit=read.get("limit", _LIMIT),
            after=after,
            kinds=_chosen(read.get("kind")),
            sources=_chosen(read.get("source")),
            since=read.get("occurred_at_from"),
            before=read.get("occurred_at_before"),
        )

    def document(self) -> dict[str, Any]:
        """Return what a route's `openapi_extra` has to say of the parameters."""
        return {"parameters": [each.document() for each in self.parameters.values()]}


def _chosen(values: Any) -> frozenset[str] | None:
    return None if values is None else frozenset(cast("list[str]", values))
