"""Answers questions with all that is told beside a KPI's value: its target, and what it stands on."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from metrics_worker.answers.answering import ROWS_AT_MOST, Asked
from metrics_worker.answers.queries import read
from metrics_worker.answers.question import Question
from metrics_worker.answers.samples import Sample
from metrics_worker.answers.views import AnswerView
from metrics_worker.books.standing import Standing
from metrics_worker.targets.comparing import Aim


async def ask(
    session: AsyncSession, questions: Sequence[Question], standing: Standing, *, with_sample: bool = True
) -> list[AnswerView]:
    """The answers with their targets and, unless told otherwise, their coverage and warnings; all read together.

    Raises `Unprocessable` when one would be too large to be of use.
    """
    asked = [Asked(question, standing) for question in questions]
    aims = [Aim(question, standing.reporting) for question in questions]
    samples = [Sample(question) if with_sample else None for question in questions]
    wanted = [want for part in (*asked, *aims, *samples) if part is not None for want in part.wanted]
    found = await read(session, wanted, limit=ROWS_AT_MOST)
    answers = []
    for one, aim, sample in zip(asked, aims, samples, strict=True):
        answer = aim.told(found, await one.answer(found))
        answers.append(answer if sample is None else sample.told(found, answer))
    return answers
