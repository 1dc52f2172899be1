"""Cursor paging of the audit, and of lists that are computed, which `Listing` does not read from one table."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import Depends, Query, Request
from pydantic import Field, create_model
from sqlalchemy import ColumnElement, Select

from service_kit.dependencies import async_dependency
from service_kit.fields import ReadModel, described, plain_digits
from service_kit.problems import Unprocessable
from service_kit.unit_of_work import UnitOfWork

MAX_LIMIT = 200
_CHECK_BYTES = 6

Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT), plain_digits]
"""In this order, the bounds are in the API's document."""

NextCursor = Annotated[
    str, described("The `cursor` of the next page; null on the last one.", "AZgMjnozfWCPPFsfOwyaEDk0QnVd4g==")
]
Item = TypeVar("Item")


class PageRead(ReadModel, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    """The records of this page, in the list's order."""
    next_cursor: NextCursor | None


def page_of(read: type[Item]) -> type[PageRead[Item]]:
    """Return the schema of a page of such records: `DealPage` of `DealRead`."""
    name = f"{read.__name__.removesuffix('Read')}Page"
    base: type[PageRead[Item]] = PageRead.__class_getitem__(read)  # type: ignore[assignment]  # what pydantic makes
    return create_model(name, __base__=base, __doc__=PageRead.__doc__)


class Page:
    """A request's `limit` and `cursor`. A cursor is valid for the address and filters that it was issued for."""

    def __init__(
        self,
        request: Request,
        limit: Annotated[Limit, Query(description="How many records to return at most.", examples=[50])] = 50,
        cursor: Annotated[
            str | None,
            Query(
                max_length=100,
                description="The `next_cursor` of the page before, unchanged, with the same filters.",
                examples=["AZgMjnozfWCPPFsfOwyaEDk0QnVd4g=="],
            ),
        ] = None,
    ) -> None:
        self.limit = limit
        filters = sorted((name, value) for name, value in request.query_params.multi_items() if name not in _OWN)
        self._scope = repr((request.url.path, filters)).encode()
        self.after = None if cursor is None else self._read(cursor)

    def _check(self, last: bytes) -> bytes:
        return hashlib.blake2b(self._scope + last, digest_size=_CHECK_BYTES).digest()

    def _read(self, cursor: str) -> UUID:
        try:
            raw = base64.b64decode(cursor, altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        last, check = raw[:16], raw[16:]
        if len(last) != 16 or check != self._check(last):
            raise Unprocessable.at("?cursor", "is not a cursor of this list with these filters; start without a cursor")
        return UUID(bytes=last)

    def cursor_after(self, last: UUID) -> str:
        """Return the cursor of the page that begins after an item."""
        return base64.urlsafe_b64encode(last.bytes + self._check(last.bytes)).decode()

    async def of(
        self,
        work: UnitOfWork,
        query: Select[*tuple[Any, ...]],
        key: ColumnElement[UUID],
        view: Callable[[Any], Item],
        *,
        conditions: Sequence[ColumnElement[bool]] = (),
    ) -> PageRead[Item]:
        """Return one page of a Core query, the newest first by `key`, a UUIDv7 column that is selected as `id`."""
        query = query.where(*conditions) if self.after is None else query.where(*conditions, key < self.after)
        rows: Sequence[Any] = (await work.execute(query.order_by(key.desc()).limit(self.limit + 1))).all()
        shown = rows[: self.limit]
        more = len(rows) > self.limit
        return PageRead(
            items=[view(row) for row in shown], next_cursor=self.cursor_after(shown[-1].id) if more and shown else None
        )


_OWN = ("limit", "cursor")
Paged = Annotated[Page, Depends(async_dependency(Page))]
