"""Answers questions with all that is told beside a KPI's value: its target, and what it stands on."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from metrics_worker.books.status import LedgerRulesDiffer, LedgerStatus
from metrics_worker.domain.posting import Reporting
from metrics_worker.queries.answer import ROWS_AT_MOST, Asked
from metrics_worker.queries.query import Question
from metrics_worker.queries.sample import Sample
from metrics_worker.queries.schemas import AnswerView
from metrics_worker.queries.sql import Found, Read, read
from metrics_worker.targets.lookup import Aim
from service_kit.problems import Unavailable


async def ask(
    session: AsyncSession, questions: Sequence[Question], status: LedgerStatus, *, with_sample: bool = True
) -> list[AnswerView]:
    """The answers with their targets and, unless told otherwise, their coverage and warnings; all read together.

    Raises `Unprocessable` when one would be too large to be of use.
    """
    inquiry = _Inquiry(questions, status.reporting, with_sample=with_sample)
    found = await read(session, inquiry.wanted, limit=ROWS_AT_MOST)
    return await inquiry.answers(found, status.fresh_as_of)


@contextmanager
def readable() -> Iterator[None]:
    """Raises `Unavailable` in the place of `LedgerRulesDiffer`."""
    try:
        yield
    except LedgerRulesDiffer as error:
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
