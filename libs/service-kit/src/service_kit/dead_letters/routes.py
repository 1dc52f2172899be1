"""Dead letters over HTTP; each service names its consumers and a check of values."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from service_kit.audit.queries import OF_ONE_RECORD, audit_of
from service_kit.audit.schemas import AuditEntryRead
from service_kit.consumer.dead_letters import dead_letter
from service_kit.dead_letters import use_cases
from service_kit.dead_letters.schemas import (
    DeadLetterDetailRead,
    DeadLetterDiscardRequest,
    DeadLetterMendRequest,
    DeadLetterRead,
    HaltsRead,
    halt_of,
    view_of,
    whole_view_of,
)
from service_kit.dead_letters.use_cases import Consumers, Readable
from service_kit.fields import Code, Identifier
from service_kit.lists.listing import Listing, ListQuery
from service_kit.paging import Paged, PageRead, page_of
from service_kit.routing import By, CallersAccess, Work, router

DEAD_LETTERS_TAG: Final = {
    "dead-letters": "Records that a consumer could not process: read, mended, sent again or discarded."
}


_LISTING = Listing(
    dead_letter,
    DeadLetterRead,
    filters={"status": Literal["open", "sent", "discarded"], "reason": Code, "topic": Code, "consumer": Code},
    is_small=True,
)
_ASKS = _LISTING.query_of()


def dead_letter_routes(
    consumers: Consumers, *, readable: Callable[..., Awaitable[Readable]], with_names: Consumers = ()
) -> APIRouter:
    """Return the routes under `/v1/dead-letters` for the dead letters of these consumers.

    `readable` is a dependency. The content of those of `with_names` is shown only to who may mend them.
    """
    routes = router("/dead-letters", "dead-letters")
    Reading = Annotated[Readable, Depends(readable)]  # noqa: N806 -- a type

    @routes.get("", response_model=_LISTING.page_model, openapi_extra=_ASKS.document())
    async def list_dead_letters(
        work: Work, access: CallersAccess, asked: Annotated[ListQuery, Depends(_ASKS)]
    ) -> BaseModel:
        """Records that a consumer could not process, the newest first."""
        return await _LISTING.page(work, access, asked, view_of, dead_letter.c.consumer.in_(consumers))

    @routes.get("/halts")
    async def list_halts(work: Work) -> HaltsRead:
        """Consumers that wait for their dead letters to be settled, because nearly all records were bad."""
        return HaltsRead(items=[halt_of(row) for row in await use_cases.halts(work, consumers)])

    @routes.get("/{letter_id}")
    async def get_dead_letter(letter_id: Identifier, work: Work, access: CallersAccess) -> DeadLetterDetailRead:
        """One record as it arrived, with what it was mended to."""
        letter = await use_cases.get_dead_letter(work, consumers, letter_id)
        if letter.consumer in with_names:
            access.of("mend_dead_letter")
        return whole_view_of(letter)

    @routes.get("/{letter_id}/audit", description=OF_ONE_RECORD, response_model=page_of(AuditEntryRead))
    async def get_dead_letter_audit(
        letter_id: Identifier, work: Work, page: Paged, access: CallersAccess
    ) -> PageRead[AuditEntryRead]:
        letter = await use_cases.get_dead_letter(work, consumers, letter_id)
        return await audit_of(work, page, access, dead_letter, letter)

    @routes.post("/{letter_id}/mend")
    async def mend_dead_letter(
        letter_id: Identifier, body: DeadLetterMendRequest, work: Work, reading: Reading
    ) -> DeadLetterDetailRead:
        """Replace what is sent; refused when the consumer could not process the replacement either."""
        return whole_view_of(await use_cases.mend_dead_letter(work, consumers, letter_id, body, reading))

    @routes.post("/{letter_id}/send")
    async def send_dead_letter(letter_id: Identifier, work: Work, reading: Reading, by: By) -> DeadLetterDetailRead:
        """Send it to its topic again. However often it is sent, it counts once."""
        return whole_view_of(await use_cases.send_dead_letter(work, consumers, letter_id, by, reading))

    @routes.post("/{letter_id}/discard")
    async def discard_dead_letter(
        letter_id: Identifier, body: DeadLetterDiscardRequest, work: Work, by: By
    ) -> DeadLetterDetailRead:
        """Discard it, so that it never counts. Its bytes are kept."""
        return whole_view_of(await use_cases.discard_dead_letter(work, consumers, letter_id, body, by))

    return routes
