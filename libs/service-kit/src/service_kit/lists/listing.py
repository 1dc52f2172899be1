"""A list of one noun's records: what can be asked of it, and its pages."""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qsl
from uuid import UUID

import sqlalchemy as sa
from fastapi import Request
from pydantic import BaseModel, Field, StringConstraints, create_model

from service_kit.access import Access, Within
from service_kit.custom_fields.listing import PREFIX, custom_filters, custom_sorts, names_custom
from service_kit.custom_fields.model import customized_noun
from service_kit.custom_fields.queries import fields_of
from service_kit.custom_fields.values import NAME_PATTERN
from service_kit.fields import Flag, Identifier, Moment, Name, ReadModel, described
from service_kit.lists.cursors import MAX_LENGTH, PAGE_PARAMETERS, CursorScope, WrongCursor
from service_kit.lists.filters import Compared, Filters, OneOf, filter_parameters
from service_kit.lists.includes import Include
from service_kit.lists.parameters import Defaulted, FilterParameter, Found, Parameter
from service_kit.lists.search import Search
from service_kit.lists.sorting import Position, Sort, sorts_of
from service_kit.paging import MAX_LIMIT, Limit, NextCursor
from service_kit.problems import Unprocessable
from service_kit.suggestions import known_names
from service_kit.tables import is_indexed
from service_kit.unit_of_work import UnitOfWork

NEWEST_FIRST: Final = "-id"
RELEVANCE: Final = "relevance"
"""The order of what was searched for, unless another is given."""
MAX_TOTAL: Final = 10_000
"""Up to which a total is counted; to count on would take time with the number of records."""
_LIMIT: Final = 50
_VIEW: Final = "view"
_NOT_SAVED: Final = PAGE_PARAMETERS - {"include"} | {_VIEW}

View = Callable[[Any], Any]
_CUSTOM_SORT: Final = {
    "type": "string",
    "pattern": rf"^-?custom\.{NAME_PATTERN}$",
    "examples": ["-custom.roof_square_metres"],
}
_CUSTOM_FILTERS: Final = {
    "name": "custom",
    "in": "query",
    "required": False,
    "style": "form",
    "explode": True,
    "description": "Filters by custom fields, each a parameter of its own. Of a text, choice, choices or url:"
    " `custom.site_region=north`, several times for one of several. Of a number: `custom.roof_square_metres_min`,"
    " `_max`. Of a date: `custom.installed_on`, `_from`, `_to`. Of a boolean: `custom.wants_newsletter=true`. Of any:"
    " `custom.site_region_is_null`. What is compared follows from the field (`GET /v1/custom-fields`).",
    "schema": {
        "type": "object",
        "propertyNames": {"pattern": rf"^custom\.{NAME_PATTERN}$"},
        "additionalProperties": {"type": "string"},
        "examples": [{"custom.site_region": "north"}],
    },
}
_Cursor = Annotated[
    str, StringConstraints(max_length=MAX_LENGTH), described("Where a page begins.", "AZgMjnozfWCPPFsfOwyaEDk0QnVd4g")
]
_Size = Annotated[Limit, described("So many records at most.", 50)]
_Words = Annotated[Name, described("Words, the last one as far as it is typed.", "baltic bak")]


class TotalRead(ReadModel):
    """How many records there are, as far as they are counted."""

    count: Annotated[int, described("The number of records, or as many as are counted at most.", 4711)]
    is_exact: Annotated[bool, described("False where there are more than that.")]


@dataclass(frozen=True)
class ListQuery:
    """What a request asks of a list."""

    scope: CursorScope
    conditions: tuple[sa.ColumnElement[bool], ...] = ()
    columns: frozenset[str] = frozenset()
    """Those that decide which records there are, and in which order."""
    sort: Sort | None = None
    """None: by relevance."""
    text: str | None = None
    limit: int = _LIMIT
    after: Position | None = None
    wants_total: bool = False
    includes: tuple[str, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    """All values by parameter."""


@dataclass(frozen=True)
class Matching:
    """The conditions of a query, and what the caller may see."""

    conditions: list[sa.ColumnElement[bool]]
    within: Within | None

    @property
    def all(self) -> list[sa.ColumnElement[bool]]:
        """Return the conditions of both."""
        return self.conditions if self.within is None else [*self.conditions, self.within.condition()]


class Listing:
    """A noun's list: where its records are, how they are shown, and what can be asked of them.

    `filters` and `sorts` are columns, `more_filters` other conditions, `includes` the records that come along. What is
    searched follows from the table.
    `viewed_as` is the list's name in saved views, which may stand for parameters, see `service_kit.views`.
    Raise ValueError for a filter or an order without an index, unless the table `is_small`.
    """

    def __init__(
        self,
        table: sa.Table,
        read: type[ReadModel],
        *,
        filters: Filters,
        more_filters: Sequence[FilterParameter] = (),
        sorts: Sequence[str] = (),
        includes: Mapping[str, Include] | None = None,
        rows: sa.Select[Any] | None = None,
        is_small: bool = False,
        viewed_as: str | None = None,
    ) -> None:
        self.name: Final = table.name
        self.table = table
        self.read = read
        self.rows = sa.select(table) if rows is None else rows
        self.is_small: Final = is_small
        self.custom_noun: Final = customized_noun(table)
        self.viewed_as: Final = viewed_as
        self.includes: Final = dict(includes or {})
        self.search: Final = Search.of(table)
        recorded = ("updated_at",) if "updated_at" in table.c else ()
        self.sorts: Final = sorts_of(table, (*sorts, *recorded))
        self.filters: Final = {each.name: each for each in (*self._filters(filters), *more_filters)}
        self.page_model: Final = self._page_model()
        indexed = {*filters, *(sort.column for sort in self.sorts.values())}
        if missing := [] if is_small else sorted(name for name in indexed if not is_indexed(table, name)):
            raise ValueError(f"{table} has no index for {', '.join(missing)}")

    def _filters(self, declared: Filters) -> Iterator[FilterParameter]:
        yield OneOf("ids", Identifier, "Only those with these ids.", MAX_LIMIT, column=self.table.c.id)
        yield from filter_parameters(self.table, declared)
        if "updated_at" in self.table.c:
            yield Compared(
                "updated_since",
                Moment,
                "Only those that were recorded or changed at this time or later. With sort=updated_at, a copy is kept"
                " up to date: begin a minute before the last one that is known.",
                column=self.table.c.updated_at,
                compare=operator.ge,
            )

    def _page_model(self) -> type[BaseModel]:
        noun = self.read.__name__.removesuffix("Read")
        fields: dict[str, Any] = {
            "items": (list[self.read], Field(description="The records of this page, in the list's order.")),  # type: ignore[name-defined]
            "next_cursor": (NextCursor | None, ...),
            "total": (
                TotalRead | None,
                Field(default=None, description="How many there are in all; null unless asked."),
            ),
        }
        if self.includes:
            brought: dict[str, Any] = {
                name: (dict[UUID, each.read] | None, Field(default=None, description=_described(each)))  # type: ignore[name-defined]
                for name, each in self.includes.items()
            }
            doc = "What a page brings along; null where it was not asked for. Who may not read a record misses it."
            included = create_model(f"{noun}Included", __base__=ReadModel, __doc__=doc, **brought)
            fields["included"] = (
                included | None,
                Field(default=None, description="Records beside; null unless asked."),
            )
        return create_model(f"{noun}Page", __base__=ReadModel, __doc__="One page of a list.", **fields)

    def query_of(self, *, pages: bool = True, more: Sequence[Parameter] = ()) -> "ListRequest":
        """Return the dependency that reads a request's query; with `pages`, what pages are made of too."""
        return ListRequest(self, pages=pages, more=more)

    async def wrong_in(self, work: UnitOfWork, query: str) -> list[str]:
        """Return what is wrong with a query to be saved, part by part."""
        wrong: Found = []
        given = _texts(parse_qsl(query, keep_blank_values=True))
        parameters = (await self.query_of().known(work, given)).saved
        for name, texts in given.items():
            if name in parameters:
                parameters[name].read(texts, wrong)
            else:
                wrong.append((name, f"is not to be saved for this list; {known_names(name, parameters)}"))
        return [f"{name} {said}" for name, said in wrong]

    async def matching(
        self, work: UnitOfWork, access: Access, query: ListQuery, *conditions: sa.ColumnElement[bool]
    ) -> Matching:
        """Return what the records meet that the caller asks for and may see.

        Raise `Forbidden` (403) for what depends on fields that are hidden from the caller.
        """
        found = [*conditions, *query.conditions]
        order = None if query.sort is None else query.sort.column
        hides = await access.hides(work, self.table, query.columns, order=order)
        if hides is not None:
            found.append(hides.condition())
        return Matching(found, await access.within(work, self.table))

    async def page(
        self, work: UnitOfWork, access: Access, query: ListQuery, view: View, *conditions: sa.ColumnElement[bool]
    ) -> BaseModel:
        """Return one page of the records that meet the conditions too. Raise as `matching` does."""
        matching = await self.matching(work, access, query, *conditions)
        rows = (await work.execute(self.selected(query, matching, limit=query.limit + 1))).all()
        shown = rows[: query.limit]
        made: dict[str, Any] = {"items": [view(row) for row in shown], "next_cursor": None}
        if len(rows) > len(shown):
            made["next_cursor"] = query.scope.write(sort_name(query), Position(shown[-1].sort_value, shown[-1].id))
        if query.wants_total:
            made["total"] = await self._total(work, query, matching)
        if query.includes:
            made["included"] = {name: await self.includes[name].load(work, access, shown) for name in query.includes}
        return self.page_model(**made)

    def selected(self, query: ListQuery, matching: Matching, *, limit: int) -> sa.Select[Any]:
        """Return the query of so many records in their order, each with what it was sorted by as `sort_value`."""
        key = self.table.c.id
        if query.sort is None:
            assert self.search is not None  # noqa: S101 -- else there is no relevance
            assert query.text is not None  # noqa: S101
            ids = self.search.ranked(query.text, matching.all, query.after, limit)
        elif query.sort.is_newest_first and matching.within is not None and query.text is None:
            after = None if query.after is None else query.after.id
            newest = matching.within.newest(matching.conditions, after=after, limit=limit).subquery()
            ids = sa.select(newest.c.id, sa.null().label("sort_value"))
        else:
            conditions = matching.all
            if query.text is not None and self.search is not None:
                conditions = [*conditions, self.search.condition(query.text)]
            is_selective = self.is_selective(query, matching)
            ids = query.sort.ids(key, conditions, query.after, limit, is_selective=is_selective)
        found = ids.subquery("found")
        order = [found.c.sort_value.desc(), found.c.id.desc()] if query.sort is None else query.sort.order_of(found)
        # One look-up for each record of the page: a join would be free to read the whole table.
        record = self.rows.where(key == found.c.id).limit(1).lateral("record")
        query_of_page = sa.select(*record.c, found.c.sort_value).select_from(found.join(record, sa.true()))
        return query_of_page.order_by(*order).limit(limit)

    def is_selective(self, query: ListQuery, matching: Matching) -> bool:
        """Return whether the records are those of one person, customer or the like, which are few."""
        if matching.within is not None:
            return True
        of_ids = (self.table.c[name].type for name in query.given if name in self.table.c)
        return "ids" in query.given or any(isinstance(each, sa.Uuid) for each in of_ids)

    async def _total(self, work: UnitOfWork, query: ListQuery, matching: Matching) -> TotalRead:
        conditions = matching.all
        if query.text is not None and self.search is not None:
            conditions = [*conditions, self.search.condition(query.text)]
        some: sa.Select[Any] = (
            sa.select(sa.literal_column("1")).select_from(self.table).where(*conditions).limit(MAX_TOTAL + 1)
        )
        count = (await work.execute(sa.select(sa.func.count()).select_from(some.subquery()))).scalar_one()
        return TotalRead(count=min(count, MAX_TOTAL), is_exact=count <= MAX_TOTAL)


def _texts(items: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for name, value in items:
        texts.setdefault(name, []).append(value)
    return texts


def _unknown_custom(prefix: str, texts: Mapping[str, list[str]], known: "_Known") -> Iterator[tuple[str, str]]:
    for name in texts:
        if name.startswith(prefix) and name not in known.parameters:
            yield name, f"is no filter by a custom field; {known_names(name, known.filters)}"
    for sort in texts.get("sort", ()):
        if sort.removeprefix("-").startswith(prefix) and sort not in known.sorts:
            yield "sort", f"is no order by a custom field; {known_names(sort, known.sorts)}"


def _described(each: Include) -> str:
    if each.is_newest:
        return f"For each item's id, the newest whose {each.by} it is."
    return f"By the ids in {each.by}."


def sort_name(query: ListQuery) -> str:
    """Return the name of a query's order."""
    return RELEVANCE if query.sort is None else query.sort.name


@dataclass(frozen=True)
class _Known:
    """What a request may ask of a list, those of custom fields too where it names any."""

    parameters: Mapping[str, Parameter]
    filters: Mapping[str, FilterParameter]
    sorts: Mapping[str, Sort]

    @property
    def saved(self) -> dict[str, Parameter]:
        """Return the parameters that a saved view may have."""
        return {name: one for name, one in self.parameters.items() if name not in _NOT_SAVED}


class ListRequest:
    """The dependency that reads a list's query from a request; `parameters` are those that it takes, by name.

    Names that begin with the `prefix` are those of custom fields.
    """

    def __init__(self, listing: Listing, *, pages: bool, more: Sequence[Parameter]) -> None:
        self.listing: Final = listing
        self.prefix: Final = PREFIX if listing.custom_noun is not None else None
        self.parameters: dict[str, Parameter] = {each.name: each for each in (*self._common(pages=pages), *more)}

    def _common(self, *, pages: bool) -> Iterator[Parameter]:
        listing = self.listing
        if pages:
            yield Defaulted("limit", _Size, "How many records to return at most.", default=_LIMIT)
            yield Parameter("cursor", _Cursor, "The next_cursor of the page before, unchanged, with the same filters.")
        yield self._sort_parameter(listing.sorts)
        if listing.search is not None:
            words = ", ".join(name.replace("_", " ") for name in listing.search.columns)
            yield Parameter(
                "q",
                _Words,
                f"Words to find in {words}, the last one as far as it is typed; without regard to case and accents."
                " The best matches come first.",
            )
        if pages:
            yield Parameter("total", Flag, f"Whether to count them too, up to {MAX_TOTAL}.")
            if listing.includes:
                kinds = Literal[tuple(listing.includes)]  # type: ignore[valid-type]
                yield Parameter("include", kinds, "What to bring along; several by several.", len(listing.includes))
        if listing.viewed_as is not None:
            yield Parameter(
                _VIEW, Identifier, "A saved view, which gives the filters, words and order that are not given here."
            )
        yield from listing.filters.values()

    def _sort_parameter(self, sorts: Iterable[str]) -> Parameter:
        names = Literal[tuple(sorts)]  # type: ignore[valid-type]  # made of the declaration
        default = "the newest first" + (", or by relevance with q," if self.listing.search else "")
        return Parameter("sort", names, f"The order, with - the other way round; {default} unless given. Null is last.")

    async def known(self, work: UnitOfWork, texts: Mapping[str, list[str]]) -> _Known:
        """Return what these parameters may be: custom fields are read only where they are named."""
        listing = self.listing
        if listing.custom_noun is None or not names_custom(texts):
            return _Known(self.parameters, listing.filters, listing.sorts)
        fields = await fields_of(work, listing.custom_noun)
        filters = custom_filters(listing.table, fields)
        sorts = listing.sorts | custom_sorts(listing.table, fields)
        parameters = {**self.parameters, "sort": self._sort_parameter(sorts), **filters}
        return _Known(parameters, listing.filters | filters, sorts)

    async def __call__(self, request: Request) -> ListQuery:
        """Return what the request asks. Raise `Unprocessable` (422), naming each place."""
        listing, wrong, given = self.listing, Found(), dict[str, Any]()
        texts = _texts(request.query_params.multi_items())
        if _VIEW in texts and listing.viewed_as is not None:
            texts |= await self._viewed(request, texts, wrong)
        known = await self.known(request.state.work, texts)
        if self.prefix is not None:
            wrong += _unknown_custom(self.prefix, texts, known)
        refused = {name for name, _ in wrong}
        for name, parameter in known.parameters.items():
            if name in texts and name not in refused:
                given[name] = parameter.read(texts[name], wrong)
        scope = CursorScope.of(request.url.path, {name: texts[name] for name in texts if name != _VIEW})
        text, sort = given.get("q"), given.get("sort")
        chosen = None if text is not None and sort is None else known.sorts[sort or NEWEST_FIRST]
        after = None
        if not wrong and (cursor := given.get("cursor")) is not None:
            try:
                after = scope.read(cursor, known.sorts, RELEVANCE if chosen is None else chosen.name)
            except WrongCursor as reason:
                wrong.append(("cursor", str(reason)))
        if wrong:
            raise Unprocessable.several((f"?{name}", said) for name, said in wrong)
        used = [known.filters[name] for name in given if name in known.filters]
        columns = {str(each.column.name) for each in used}
        if text is not None and listing.search is not None:
            columns |= {*listing.search.columns}
        return ListQuery(
            scope=scope,
            conditions=tuple(each.condition(given[each.name]) for each in used),
            columns=frozenset(columns),
            sort=chosen,
            text=text,
            limit=given.get("limit", _LIMIT),
            after=after,
            wants_total=given.get("total", False),
            includes=tuple(dict.fromkeys(given.get("include", ()))),
            given=given,
        )

    async def _viewed(self, request: Request, texts: Mapping[str, list[str]], wrong: Found) -> dict[str, list[str]]:
        """Return what the view that is asked for gives beside the request's own parameters."""
        view_id = self.parameters[_VIEW].read(texts[_VIEW], wrong)
        if view_id is None:
            return {}
        table: sa.Table = request.app.state.saved_views
        work: UnitOfWork = request.state.work
        subject = request.state.principal.subject
        query = sa.select(table.c.list, table.c.query).where(
            table.c.id == view_id, sa.or_(table.c.subject == subject, table.c.is_shared)
        )
        view = (await work.execute(query)).one_or_none()
        of_list = self.listing.viewed_as
        if view is None:
            wrong.append((_VIEW, "is no view that you can use; GET /v1/views lists them"))
        elif view.list != of_list:
            wrong.append((_VIEW, f"is a view of {view.list}, not of {of_list}"))
        else:
            unreadable = Found()
            found = {name: each for name, each in _texts(parse_qsl(view.query)).items() if name not in texts}
            parameters = (await self.known(work, found)).saved
            for name, each in found.items():
                # The list may have changed since it was saved.
                if name in parameters:
                    parameters[name].read(each, unreadable)
            wrong += [(_VIEW, f"has a {name} that {said}: save it anew") for name, said in unreadable]
            return found if not unreadable else {}
        return {}

    def document(self) -> dict[str, Any]:
        """Return what a route's `openapi_extra` has to say of the parameters."""
        documents = [each.document() for each in self.parameters.values()]
        if self.prefix is not None:
            sort = next(each for each in documents if each["name"] == "sort")
            sort["schema"] = {"anyOf": [sort["schema"], _CUSTOM_SORT]}
            documents.append(_CUSTOM_FILTERS)
        return {"parameters": documents}
