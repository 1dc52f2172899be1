"""Dead letters over HTTP."""

from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import Depends

from metrics_worker.answers.routes import InBooks
from metrics_worker.books.keeping import CONSUMER
from metrics_worker.dead_letters import use_cases
from metrics_worker.dead_letters.schemas import Discard, LetterView, Mend, WholeLetterView, view_of, whole_view_of
from service_kit.auth import Principal, requires
from service_kit.consumer_tables import dead_letter
from service_kit.fields import Code, Identifier
from service_kit.filters import equal
from service_kit.paging import Paged, PageView
from service_kit.routing import Session, router

dead_letters = router("/dead-letters", "dead-letters")

READERS = [Depends(requires("analyst"))]
Admin = Annotated[Principal, Depends(requires("admin"))]


@dead_letters.get("", dependencies=READERS)
async def list_dead_letters(
    session: Session,
    page: Paged,
    status: Literal["open", "sent", "discarded"] | None = None,
    reason: Code | None = None,
    topic: Code | None = None,
) -> PageView[LetterView]:
    """Records that the books could not take, newest first."""
    query: sa.Select[Any] = sa.select(dead_letter).where(
        dead_letter.c.consumer == CONSUMER,
        *equal(dead_letter.c, {"status": status, "reason": reason, "topic": topic}),
    )
    return await page.of(session, query, dead_letter.c.id, view_of)


@dead_letters.get("/{letter_id}", dependencies=READERS)
async def get_dead_letter(letter_id: Identifier, session: Session) -> WholeLetterView:
    """One record as it came, with what it was mended to."""
    return whole_view_of(await use_cases.get_letter(session, letter_id))


@dead_letters.post("/{letter_id}/mend")
async def mend_dead_letter(
    letter_id: Identifier, body: Mend, _: Admin, session: Session, reporting: InBooks
) -> WholeLetterView:
    """Says what shall be sent in the original's place; refused while the books could not take it either."""
    return whole_view_of(await use_cases.mend_letter(session, letter_id, body, reporting))


@dead_letters.post("/{letter_id}/send")
async def send_dead_letter(letter_id: Identifier, session: Session, reporting: InBooks, by: Admin) -> WholeLetterView:
    """Sends it to its topic again. However often this is asked for, it counts once."""
    return whole_view_of(await use_cases.send_letter(session, letter_id, by, reporting))


@dead_letters.post("/{letter_id}/discard")
async def discard_dead_letter(letter_id: Identifier, body: Discard, session: Session, by: Admin) -> WholeLetterView:
    """Settles that it shall never count. Its bytes are kept."""
    return whole_view_of(await use_cases.discard_letter(session, letter_id, body, by))
