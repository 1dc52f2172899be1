"""Dead letters over HTTP; each service names its consumers and a check of values."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response

from service_kit.consumer.dead_letters import DeadLetterStatus, dead_letter
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
from service_kit.fields import Code, Identifier, Moment
from service_kit.resources import Resource
from service_kit.routing import By, CallersAccess, Work
from service_kit.versions import Expected, set_etag, unchanged

DEAD_LETTERS_TAG: Final = {
    "dead-letters": "Records that a consumer could not process: read, mended, sent again or discarded."
}


def dead_letters_of(
    consumers: Consumers, *, readable: Callable[..., Awaitable[Readable]], with_names: Consumers = ()
) -> Resource[DeadLetterRead]:
    """Return the dead letters of these consumers, under `/v1/dead-letters`.

    `readable` is a dependency. The content of those of `with_names` is shown only to who may mend them.
    """
    letters = Resource(
        "/dead-letters/{letter_id}",
        dead_letter,
        DeadLetterRead,
        filters={
            "status": DeadLetterStatus,
            "reason": Code,
            "topic": Code,
            "consumer": Code,
            "recorded_at": Moment,
            "settled_at": Moment,
        },
        sorts=("recorded_at", "settled_at"),
        view=view_of,
        sees=lambda _: dead_letter.c.consumer.in_(consumers),
        is_small=True,
    )
    letters.read_routes(list_as="list_dead_letters", audit_as="get_dead_letter_audit")
    routes = letters.routes
    Reading = Annotated[Readable, Depends(readable)]  # noqa: N806 -- a type

    def shown(response: Response, letter: Any) -> DeadLetterDetailRead:
        set_etag(response, letter.version)
        return whole_view_of(letter)

    @routes.get("/halts")
    async def list_halts(work: Work) -> HaltsRead:
        """Consumers that wait for their dead letters to be settled, because nearly all records were bad."""
        return HaltsRead(items=[halt_of(row) for row in await use_cases.halts(work, consumers)])

    @routes.get("/{letter_id}", response_model=DeadLetterDetailRead)
    async def get_dead_letter(
        letter_id: Identifier, work: Work, request: Request, response: Response, access: CallersAccess
    ) -> DeadLetterDetailRead | Response:
        """One record as it arrived, with what it was mended to."""
        letter = await use_cases.get_dead_letter(work, consumers, letter_id)
        if letter.consumer in with_names:
            access.of("mend_dead_letter")
        return unchanged(request, letter.version) or shown(response, letter)

    @routes.post("/{letter_id}/mend")
    async def mend_dead_letter(
        letter_id: Identifier,
        body: DeadLetterMendRequest,
        work: Work,
        response: Response,
        reading: Reading,
        expected: Expected,
    ) -> DeadLetterDetailRead:
        """Replace what is sent; refused when the consumer could not process the replacement either."""
        return shown(response, await use_cases.mend_dead_letter(work, consumers, letter_id, body, reading, expected))

    @routes.post("/{letter_id}/send")
    async def send_dead_letter(
        letter_id: Identifier, work: Work, response: Response, reading: Reading, by: By, expected: Expected
    ) -> DeadLetterDetailRead:
        """Send it to its topic again. However often it is sent, it counts once."""
        return shown(response, await use_cases.send_dead_letter(work, consumers, letter_id, by, reading, expected))

    @routes.post("/{letter_id}/discard")
    async def discard_dead_letter(
        letter_id: Identifier,
        body: DeadLetterDiscardRequest,
        work: Work,
        response: Response,
        by: By,
        expected: Expected,
    ) -> DeadLetterDetailRead:
        """Discard it, so that it never counts. Its bytes are kept."""
        return shown(response, await use_cases.discard_dead_letter(work, consumers, letter_id, body, by, expected))

    return letters
