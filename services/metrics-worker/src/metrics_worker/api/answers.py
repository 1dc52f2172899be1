"""Answers questions with all that is told beside a KPI's value: its target, and what it stands on."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from metrics_worker.answers.answering import ROWS_AT_MOST, Asked, snapshot
from metrics_worker.answers.queries import Found, Parameters, Read, are_one_statement, read
from metrics_worker.answers.question import Question
from metrics_worker.answers.samples import Sample
from metrics_worker.answers.views import AnswerView
from metrics_worker.books.opening import BooksKeptOtherwise
from metrics_worker.books.standing import STANDING, Standing, told_standing
from metrics_worker.domain.posting import Reporting
from metrics_worker.targets.lookup import Aim
from service_kit.problems import Unavailable

ATTEMPTS: Final = 3
"""So often an answer is made before the books are said to change too fast."""


class LastSeen:
    """What the books were kept by when an answer was last made; before the first one, what the settings say."""

    def __init__(self, reporting: Reporting) -> None:
        self.reporting = reporting


class StandingRead(NamedTuple):
    """How the books stand, read along with what is asked of them."""

    @property
    def scans(self) -> bool:
        """See `Read`."""
        return False

    def branch(self, param: Parameters, limit: int) -> str:
        """See `Read`."""
        return STANDING

    def of(self, found: Found, unopened: Reporting) -> Standing:
        """What was found. Raises `BooksKeptOtherwise`."""
        [row] = found.rows[self]
        return told_standing(row.key, row.numbers, unopened)


async def ask(
    session: AsyncSession, questions: Sequence[Question], standing: Standing, *, with_sample: bool = True
) -> list[AnswerView]:
    """The answers with their targets and, unless told otherwise, their coverage and warnings; all read together.

    Raises `Unprocessable` when one would be too large to be of use.
    """
    inquiry = _Inquiry(questions, standing.reporting, with_sample=with_sample)
    found = await read(session, inquiry.wanted, limit=ROWS_AT_MOST)
    return await inquiry.answers(found, standing.fresh_as_of)


async def ask_at_once(
    session: AsyncSession, question_by: Callable[[Reporting], Question], last_seen: LastSeen, unopened: Reporting
) -> AnswerView:
    """One answer as `ask` gives it, in a single statement if it can be.

    What the books are kept by, which the question depends on, is taken to be what it was, and read along. Should it
    be another by now, the question is put again. Raises `Unavailable` while the books cannot be read.
    """
    how = StandingRead()
    for _ in range(ATTEMPTS):
        inquiry = _Inquiry([question_by(last_seen.reporting)], last_seen.reporting)
        wanted = [how, *inquiry.wanted]
        if are_one_statement(wanted):
            await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        else:
            await snapshot(session)
        found = await read(session, wanted, limit=ROWS_AT_MOST)
        with readable():
            standing = how.of(found, unopened)
        if standing.reporting == last_seen.reporting:
            [answer] = await inquiry.answers(found, standing.fresh_as_of)
            return answer
        last_seen.reporting = standing.reporting
        await session.rollback()
    raise Unavailable("The books are being changed. Ask again shortly.")


@contextmanager
def readable() -> Iterator[None]:
    """Raises `Unavailable` in the place of `BooksKeptOtherwise`."""
    try:
        yield
    except BooksKeptOtherwise as error:
        raise Unavailable(f"The books wait to be rebuilt: {error}.") from error


class _Inquiry:
    """Questions with what belongs to their answers, by books that are kept in one way."""

    def __init__(self, questions: Iterable[Question], reporting: Reporting, *, with_sample: bool = True) -> None:
        self._parts = [
            (Asked(question, reporting), Aim(question, reporting), Sample(question) if with_sample else None)
            for question in questions
        ]

    @property
    def wanted(self) -> list[Read]:
        """What has to be read."""
        return [want for parts in self._parts for part in parts if part is not None for want in part.wanted]

    async def answers(self, found: Found, fresh_as_of: datetime | None) -> list[AnswerView]:
        """What was asked. Raises `Unprocessable` when an answer would be too large to be of use."""
        answers = []
        for asked, aim, sample in self._parts:
            answer = aim.told(found, await asked.answer(found, fresh_as_of))
            answers.append(answer if sample is None else sample.told(found, answer))
        return answers
