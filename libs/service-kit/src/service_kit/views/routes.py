"""The routes of saved views; the same in every API that has lists."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from service_kit.access import AccessTable
from service_kit.auth import Principal
from service_kit.fields import Code, Flag, Identifier
from service_kit.identifiers import new_id
from service_kit.lists.listing import Listing
from service_kit.locking import absent
from service_kit.problems import Conflict, Forbidden, Unprocessable
from service_kit.resources import Resource
from service_kit.routing import By, Work
from service_kit.suggestions import known_names
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import Expected, ExpectedVersion
from service_kit.views.model import SavedView
from service_kit.views.schemas import ViewCreate, ViewRead, ViewUpdate

VIEWS_TAG: Final = {"views": "Saved filters and orders of lists, one's own and shared ones."}


class ViewNameTaken(Conflict):
    """The caller has a view of this name for the list; `existing_id` is its id."""

    slug, title = "view-name-taken", "You have a view of this name"


class ViewedList(NamedTuple):
    """A list that views can be saved of."""

    listing: Listing
    operation: str
    """The id of the operation that lists it."""
    address: str
    """That of a list within a record has the record's parameter."""


Lists = Mapping[str, ViewedList]
"""By the name that views have them by."""


def views_of(
    entity: type[SavedView], resources: Iterable[Resource[Any]], within: Iterable[ViewedList] = ()
) -> APIRouter:
    """Return the routes of the views of these nouns' lists, which are kept in the entity's table.

    `within` are lists within records.
    """
    of_nouns = (ViewedList(each.listing, each.list_operation, each.routes.prefix) for each in resources)
    lists = {name: one for one in (*of_nouns, *within) if (name := one.listing.viewed_as) is not None}

    def show(row: Any, by: Principal) -> ViewRead:
        members = {name: getattr(row, name) for name in ("id", "version", "updated_at", "list", "name", "query")}
        return ViewRead(
            **members,
            is_shared=row.is_shared,
            is_own=row.subject == by.subject,
            address=f"{lists[row.list].address}?view={row.id}",
        )

    table = entity.table
    views = Resource(
        "/views/{view_id}",
        table,
        ViewRead,
        filters={"list": Code, "is_shared": Flag},
        sorts=("name",),
        is_small=True,
        has_views=False,
        view_for=lambda request: lambda row: show(row, request.state.principal),
        sees=lambda request: _seen(table, lists, request),
    )
    views.read_routes(list_as="list_views", get_as="get_view", exports=False)

    async def own(work: UnitOfWork, view_id: Any, expected: ExpectedVersion, by: Principal) -> SavedView:
        """Return a view that the caller may change. Raise `NotFound`, `Forbidden` and `PreconditionFailed`."""
        view = await work.edit(entity, view_id)
        if view is None or not (view.is_of(by) or view.is_shared):
            raise absent(entity, view_id, is_hidden=view is not None)
        if not view.is_of(by) and "admin" not in by.roles:
            raise Forbidden("Only who made a view, and admins, may change it. Save one of your own with its query.")
        expected.check(view.version)
        return view

    async def require_new_name(work: UnitOfWork, name: str, of_list: str, by: Principal) -> None:
        same = [table.c.subject == by.subject, table.c.list == of_list, table.c.name == name]
        if existing := await work.find(entity, *same):
            raise ViewNameTaken("Change that one, or choose another name.", existing_id=str(existing[0].id))

    @views.routes.post("", status_code=201, summary="Save a view")
    async def create_view(body: ViewCreate, work: Work, request: Request, response: Response, by: By) -> ViewRead:
        """Save what a list is asked for, under a name. The list takes it as `view`."""
        await _require_query(work, lists, body.list, body.query, request)
        await require_new_name(work, body.name, body.list, by)
        view = entity(id=new_id(), version=1, subject=by.subject, **dict(body))
        work.add(view)
        return views.show_created(response, view, lambda row: show(row, by))

    @views.routes.patch("/{view_id}", summary="Change a view")
    async def change_view(
        view_id: Identifier,
        body: ViewUpdate,
        work: Work,
        request: Request,
        response: Response,
        by: By,
        expected: Expected,
    ) -> ViewRead:
        """Rename a view of one's own, or replace its query."""
        view = await own(work, view_id, expected, by)
        if "query" in body.model_fields_set:
            await _require_query(work, lists, view.list, body.query, request)
        if "name" in body.changed_from(view):
            await require_new_name(work, body.name, view.list, by)
        body.apply_to(view)
        return views.show(response, view, lambda row: show(row, by))

    @views.routes.post("/{view_id}/share", summary="Share a view")
    async def share_view(view_id: Identifier, work: Work, response: Response, by: By, expected: Expected) -> ViewRead:
        """Let everybody use a view of one's own. It shows each what they may see."""
        return await set_shared(await own(work, view_id, expected, by), response, by, is_shared=True)

    @views.routes.post("/{view_id}/unshare", summary="Stop sharing a view")
    async def unshare_view(view_id: Identifier, work: Work, response: Response, by: By, expected: Expected) -> ViewRead:
        """Keep a view of one's own to oneself again."""
        return await set_shared(await own(work, view_id, expected, by), response, by, is_shared=False)

    async def set_shared(view: SavedView, response: Response, by: Principal, *, is_shared: bool) -> ViewRead:
        if view.is_shared != is_shared:
            view.is_shared = is_shared
            view.version += 1
            view.touch()
        return views.show(response, view, lambda row: show(row, by))

    @views.routes.delete("/{view_id}", status_code=204, summary="Delete a view")
    async def delete_view(view_id: Identifier, work: Work, by: By, expected: Expected) -> None:
        """Delete a view of one's own."""
        await work.delete(await own(work, view_id, expected, by))

    return views.routes


def _read_by(by: Principal, lists: Lists, access: AccessTable) -> list[str]:
    return [name for name, one in lists.items() if access.rule_of(one.operation).scope_of(by.roles)]


def _seen(table: sa.Table, lists: Lists, request: Request) -> sa.ColumnElement[bool]:
    """Return what the views meet that the caller can use: their own and shared ones, of lists that they may read."""
    by: Principal = request.state.principal
    read = _read_by(by, lists, request.app.state.access)
    return sa.and_(table.c.list.in_(read), sa.or_(table.c.subject == by.subject, table.c.is_shared))


async def _require_query(work: UnitOfWork, lists: Lists, name: str, query: str, request: Request) -> None:
    """Raise `Unprocessable` (422) for what is no list that the caller may read, or what the list does not take."""
    read = _read_by(request.state.principal, lists, request.app.state.access)
    if name not in read:
        raise Unprocessable.at("#/list", f"is no list that you may read; {known_names(name, read)}")
    if wrong := await lists[name].listing.wrong_in(work, query):
        raise Unprocessable.several(("#/query", said) for said in wrong)
