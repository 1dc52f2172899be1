"""Answers with everything beside a KPI's value: its target, its coverage and warnings."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.ledger.status import LedgerRulesDiffer, LedgerStatus
from metrics_worker.queries.answer import AnswerBuilder
from metrics_worker.queries.query import KpiQuery
from metrics_worker.queries.result import MAX_ROWS
from metrics_worker.queries.sample import Sample
from metrics_worker.queries.schemas import AnswerRead
from metrics_worker.queries.sql import read
from metrics_worker.targets.lookup import TargetLookup
from service_kit.problems import Unavailable


async def answers_of(
    connection: AsyncConnection, queries: Sequence[KpiQuery], status: LedgerStatus, *, with_sample: bool = True
) -> list[AnswerRead]:
    """Return the answers with their targets and, by default, their coverage and warnings; all read together.

    Raise `Unprocessable` when one would be too large to be of use.
    """
    builders = [AnswerBuilder(query, status.reporting) for query in queries]
    samples = [Sample(query) for query in queries if with_sample]
    reads = [each for builder in builders for each in builder.reads]
    reads += [each for sample in samples for each in sample.reads]
    found = await read(connection, reads, limit=MAX_ROWS)
    targets = await TargetLookup.read(connection, queries, status.reporting)
    answers = [
        targets.annotated(await builder.answer(found, status.fresh_as_of), builder.query) for builder in builders
    ]
    if with_sample:
        answers = [sample.annotated(answer, found) for sample, answer in zip(samples, answers, strict=True)]
    return answers


@contextmanager
def readable() -> Iterator[None]:
    """Raise `Unavailable` in the place of `LedgerRulesDiffer`."""
    try:
        yield
    except LedgerRulesDiffer as error:
        raise Unavailable(f"The ledger has to be rebuilt: {error}.") from error
