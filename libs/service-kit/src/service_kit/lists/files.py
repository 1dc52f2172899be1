"""The answers with exported lists: their headers, their documents, and the entry in the audit of who has taken what."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Annotated, Any, Final

import sqlalchemy as sa
from fastapi import Query, Request, Response

from service_kit.access import Access
from service_kit.audit.entries import noun_code
from service_kit.custom_fields.queries import fields_of
from service_kit.fields import ReadModel
from service_kit.identifiers import new_id
from service_kit.lists.exports import FORMAT, MEDIA_TYPES, SLOWEST_SECONDS, Format, documented, exported
from service_kit.lists.listing import Listing, ListQuery, View
from service_kit.routing import Begin, actor_of
from service_kit.streaming import Streamed
from service_kit.unit_of_work import UnitOfWork

Form = Annotated[Format, Query(alias=FORMAT.name, description=FORMAT.description)]
"""The form of the file, of lists that are computed."""
_DESCRIPTION: Final = (
    "Every record that the list has under these filters, in its order, as it was at one moment."
    " Texts that a spreadsheet would take for a formula begin with an apostrophe in CSV."
)


def file_route(read: type[ReadModel], words: str) -> dict[str, Any]:
    """Return what a route says of itself that answers with a file of such records."""
    return {
        "summary": f"Export {words}",
        "description": _DESCRIPTION,
        "response_class": Response,
        "responses": {200: {"content": documented(read)}},
    }


async def file_of_list(
    request: Request,
    work: UnitOfWork,
    access: Access,
    listing: Listing,
    asked: ListQuery,
    view: View,
    *conditions: sa.ColumnElement[bool],
    name: str,
) -> Response:
    """Return the file of a list's records that meet the conditions too. Raise as `Listing.matching` does."""
    form: Format = asked.given.get("format", "csv")
    matching = await listing.matching(work, access, asked, *conditions)
    noun = listing.custom_noun
    custom = [] if noun is None else [each.name for each in await fields_of(work, noun)]
    chunks = exported(request.app.state.engine, listing, asked, matching, view, form, custom)
    return await file_of(request, chunks, form, noun=noun_code(listing.table), name=name, given=asked.given)


async def pages_of(records: Sequence[ReadModel]) -> AsyncGenerator[Sequence[ReadModel], None]:
    """Yield records that are in memory as one page."""
    yield records


async def file_of(
    request: Request,
    chunks: AsyncGenerator[bytes, None],
    form: Format,
    *,
    noun: str,
    name: str,
    given: Mapping[str, Any],
) -> Response:
    """Return the file that the chunks are, after the audit says who takes which of the noun's records."""
    try:
        # Begun before the answer is, so that a database that is away is a 503 and not half a file.
        first = await anext(chunks) + await anext(chunks, b"")
        await _audit(request, noun, given)
    except BaseException:
        await chunks.aclose()
        raise
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"'}
    return Streamed(chunks, first=first, media_type=MEDIA_TYPES[form], headers=headers, slowest_seconds=SLOWEST_SECONDS)


async def _audit(request: Request, noun: str, given: Mapping[str, Any]) -> None:
    """Write down who has taken what, before they have it. What was searched for may be a name."""
    begin: Begin = request.app.state.begin
    async with begin(actor=actor_of(request)) as work:
        asked = {name: (None, value) for name, value in given.items() if name != "q" and value is not None}
        work.audit(f"{noun}-export", new_id(), "read", asked)
        await work.commit()
