"""One declaration a noun gives the reads of it: the list with its filters, the single record, 404, `ETag` and 304."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Generic, TypeVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import Depends, Path, Request, Response
from pydantic import BaseModel

from service_kit.access import Access
from service_kit.audit.queries import OF_ONE_RECORD, audit_of
from service_kit.audit.schemas import AuditEntryRead
from service_kit.custom_fields.model import customized_noun
from service_kit.fields import Identifier, ReadModel
from service_kit.history import queries as history
from service_kit.history.own_events import OwnEvents
from service_kit.history.request import HistoryRequest
from service_kit.history.schemas import HistoryEventRead
from service_kit.lists.boards import Board
from service_kit.lists.exports import FORMAT
from service_kit.lists.files import file_of_list, file_route
from service_kit.lists.filters import Filters
from service_kit.lists.includes import Include
from service_kit.lists.listing import Listing, ListQuery
from service_kit.lists.parameters import FilterParameter
from service_kit.paging import Paged, PageRead, page_of
from service_kit.problems import Forbidden, NotFound
from service_kit.routing import CallersAccess, Work, router
from service_kit.tables import noun_of
from service_kit.timeline.queries import OF_ONE_CUSTOMER, Timeline
from service_kit.timeline.request import TimelineQuery, TimelineRequest
from service_kit.timeline.schemas import TimelinePage
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import set_etag, unchanged

Read = TypeVar("Read", bound=ReadModel)
NO_FILTERS: Final[Filters] = {}


class Resource(Generic[Read]):
    """A noun of an API: where its records are, how they are shown, and what a list of them can be asked.

    `path` is the address of one record, with the name of its parameter. `view` shows a row, and an aggregate that has
    the same attributes; left out, it is `read.model_validate`. `view_for` returns the view where it depends on the
    request. `rows` selects what a view needs beyond the table. `filters`, `more_filters`, `sorts`, `includes` and
    `is_small` are those of `Listing`.
    `board` are the columns that the list can be put in. `own_events` are those that a record's history shows; None for
    a noun that publishes none. `sees` returns what records meet that the caller of a request can see, where the table
    of access does not say it. `has_views`: the list can be asked for by a saved view.
    `routes` is the noun's router: what else can be done with the noun is added to it.
    """

    def __init__(
        self,
        path: str,
        table: sa.Table,
        read: type[Read],
        *,
        filters: Filters = NO_FILTERS,
        more_filters: Sequence[FilterParameter] = (),
        sorts: Sequence[str] = (),
        includes: Mapping[str, Include] | None = None,
        view: Callable[[Any], Read] | None = None,
        view_for: Callable[[Request], Callable[[Any], Read]] | None = None,
        rows: sa.Select[*tuple[Any, ...]] | None = None,
        key: str = "id",
        tag: str | None = None,
        is_small: bool = False,
        board: Board | None = None,
        own_events: OwnEvents | None = None,
        sees: Callable[[Request], sa.ColumnElement[bool]] | None = None,
        has_views: bool = True,
    ) -> None:
        prefix, _, self._one = path.rpartition("/")
        self.routes = router(prefix, tag or prefix.removeprefix("/"))
        self._table = table
        if customized_noun(table) not in (None, prefix.removeprefix("/")):
            raise ValueError(f"{table} has the custom fields of another noun than {prefix}")
        self._read = read
        self._view = view or read.model_validate
        self._view_for = view_for or (lambda _: self._view)
        self._rows = sa.select(table) if rows is None else rows
        self._key = table.c[key]
        self._board = board
        self._get_as: str | None = None
        self.own_events: Final = own_events
        self._sees = sees or (lambda _: sa.true())
        self.list_operation = ""
        """The operation id of the list."""
        self.listing = Listing(
            table,
            read,
            filters=filters,
            more_filters=more_filters,
            sorts=sorts,
            includes=includes,
            rows=rows,
            is_small=is_small,
            viewed_as=prefix.removeprefix("/") if has_views else None,
        )

    def show(self, response: Response, record: Any, view: Callable[[Any], Read] | None = None) -> Read:
        """Return the view of a row or an aggregate, with its version as the answer's ETag."""
        set_etag(response, record.version)
        return (view or self._view)(record)

    def show_created(self, response: Response, record: Any, view: Callable[[Any], Read] | None = None) -> Read:
        """Return the view of a new record, with its address as the answer's Location."""
        response.headers["Location"] = f"{self.routes.prefix}/{getattr(record, self._key.name)}"
        return self.show(response, record, view)

    def read_routes(
        self,
        *,
        list_as: str,
        get_as: str | None = None,
        audit_as: str | None = None,
        key: Any = Identifier,
        exports: bool = True,
    ) -> None:
        """Add the list, the single record, its audit and its events to the routes, under these operation ids.

        With `exports` the list's export too, `export_deals` of `list_deals`, and its board if it has one.

        Without `get_as`, the list only, and the audit where `audit_as` is given: `get_deal` has `get_deal_audit`, and
        `get_deal_events` if the noun has events of its own.
        `key` is the type of the address's parameter.
        """
        self.list_operation = list_as
        reads_query = self.listing.query_of()
        Asked = Annotated[ListQuery, Depends(reads_query)]  # noqa: N806 -- a type

        async def list_records(work: Work, request: Request, access: CallersAccess, asked: Asked) -> BaseModel:
            view = await access.without_personal(work, self._table, self._view_for(request))
            return await self.listing.page(work, access, asked, view, self._sees(request))

        async def get_record(
            record_id: UUID, work: Work, request: Request, response: Response, access: CallersAccess
        ) -> Read | Response:
            row = await self._row(work, record_id, access, request)
            view = await access.without_personal(work, self._table, self._view_for(request))
            return unchanged(request, row.version) or self.show(response, row, view)

        async def get_record_audit(
            record_id: UUID, work: Work, request: Request, page: Paged, access: CallersAccess
        ) -> PageRead[AuditEntryRead]:
            return await audit_of(work, page, access, self._table, await self._row(work, record_id, access, request))

        self._get_as = get_as
        words = list_as.removeprefix("list_").replace("_", " ")
        # Before the single record, for whose key their names would be taken.
        if exports:
            self._export_route(f"export_{list_as.removeprefix('list_')}", words)
        if self._board is not None and get_as is not None:
            self._board_route(self._board, f"{get_as}_board", words)
        self.routes.get(
            "",
            name=list_as,
            summary=f"List {words}",
            description="Filters that are given must all be met; one that is left out lets everything through.",
            response_model=self.listing.page_model,
            openapi_extra=reads_query.document(),
        )(list_records)
        identity = Annotated[key, Path(alias=self._one.strip("{}"))]
        if get_as is not None:
            get_record.__annotations__["record_id"] = identity
            self.routes.get(
                f"/{self._one}",
                name=get_as,
                summary=f"Read one {noun_of(self._table)}",
                description="The record with its version as ETag; 304 when If-None-Match names that version.",
                response_model=self._read,
            )(get_record)
        if (audit_as := audit_as or (get_as and f"{get_as}_audit")) is not None:
            get_record_audit.__annotations__["record_id"] = identity
            self.routes.get(
                f"/{self._one}/audit",
                name=audit_as,
                summary=f"Read who changed one {noun_of(self._table)}",
                description=OF_ONE_RECORD,
                response_model=page_of(AuditEntryRead),
            )(get_record_audit)
        if get_as is not None and self.own_events is not None:
            self._events_route(self.own_events, f"{get_as}_events", identity)

    def _events_route(self, own: OwnEvents, name: str, identity: Any) -> None:
        reads_types = HistoryRequest(own)
        Asked = Annotated[list[str] | None, Depends(reads_types)]  # noqa: N806 -- a type

        async def get_record_events(
            record_id: UUID, work: Work, request: Request, page: Paged, access: CallersAccess, asked: Asked
        ) -> PageRead[HistoryEventRead]:
            row = await self._row(work, record_id, access, request)
            return await history.history_of(work, page, own, row, asked)

        get_record_events.__annotations__["record_id"] = identity
        self.routes.get(
            f"/{self._one}/events",
            name=name,
            summary=f"Read the events of one {noun_of(self._table)}",
            description=history.OF_ONE_RECORD,
            response_model=page_of(HistoryEventRead),
            openapi_extra=reads_types.document(),
        )(get_record_events)

    def timeline_route(self, timeline: Timeline, name: str) -> None:
        """Add the timeline of a customer, whom the records are, under this operation id."""
        reads_query = TimelineRequest(timeline.kinds)
        Asked = Annotated[TimelineQuery, Depends(reads_query)]  # noqa: N806 -- a type

        async def get_record_timeline(
            record_id: UUID, work: Work, request: Request, access: CallersAccess, asked: Asked
        ) -> TimelinePage:
            row = await self._row(work, record_id, access, request)
            return await timeline.page(work, access, asked, row.id)

        get_record_timeline.__annotations__["record_id"] = Annotated[Identifier, Path(alias=self._one.strip("{}"))]
        self.routes.get(
            f"/{self._one}/timeline",
            name=name,
            summary=f"Read the timeline of one {noun_of(self._table)}",
            description=OF_ONE_CUSTOMER,
            response_model=TimelinePage,
            openapi_extra=reads_query.document(),
        )(get_record_timeline)

    def _export_route(self, name: str, words: str) -> None:
        reads_query = self.listing.query_of(pages=False, more=[FORMAT])
        Asked = Annotated[ListQuery, Depends(reads_query)]  # noqa: N806 -- a type

        async def export_records(work: Work, request: Request, access: CallersAccess, asked: Asked) -> Response:
            view = await access.without_personal(work, self._table, self._view_for(request))
            file = self.routes.prefix.rpartition("/")[2]
            return await file_of_list(request, work, access, self.listing, asked, view, self._sees(request), name=file)

        self.routes.get("/export", name=name, openapi_extra=reads_query.document(), **file_route(self._read, words))(
            export_records
        )

    def _board_route(self, board: Board, name: str, words: str) -> None:
        reads_query = self.listing.query_of(pages=False, more=board.parameters)
        Asked = Annotated[ListQuery, Depends(reads_query)]  # noqa: N806 -- a type
        model = board.model(self.listing)

        async def read_board(work: Work, request: Request, access: CallersAccess, asked: Asked) -> BaseModel:
            view = await access.without_personal(work, self._table, self._view_for(request))
            return model(**await board.read(work, access, self.listing, asked, view))

        self.routes.get(
            "/board",
            name=name,
            summary=f"Read {words} in columns",
            description="The list in columns: how many records each has, their worth, and the first ones. The key of a"
            " column as a filter of the list goes on where they end; given here, it chooses the columns.",
            response_model=model,
            openapi_extra=reads_query.document(),
        )(read_board)

    async def is_shown(self, work: UnitOfWork, record_id: UUID, access: Access, fields: Iterable[str] = ()) -> bool:
        """Return whether a caller, who does something else, may read a record with these fields of it."""
        assert self._get_as is not None  # noqa: S101 -- what is shown has an address
        try:
            reading = access.of(self._get_as)
        except Forbidden:
            return False
        row = (await work.execute(self._rows.where(self._table.c.id == record_id))).one_or_none()
        if row is None or not await reading.covers(work, row, self._table):
            return False
        return (await reading.hidden_fields(work, row, self._table)).isdisjoint(fields)

    async def _row(self, work: UnitOfWork, record_id: Any, access: Access, request: Request) -> Any:
        """Return a record that the caller may read, and do this with. Raise `NotFound`."""
        found = self._rows.where(self._key == record_id, self._sees(request))
        row = (await work.execute(found)).one_or_none()
        is_seen = row is not None and await access.covers(work, row, self._table)
        if not is_seen or not await access.sees(work, row, self._table):
            problem = NotFound(f"There is no {noun_of(self._table)} {record_id}.")
            problem.forbids_replay = row is not None
            raise problem
        return row
