"""Reads who waits for us now, and by which policies."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.domain.waiting import SALES_REASONS
from metrics_worker.ledger.tables import account_merge, open_wait
from metrics_worker.waiting.model import DEFAULT_TERMS, PolicyBook, PublishedWait, WaitingPolicy, WaitState, WaitTerms
from service_kit.unit_of_work import UnitOfWork

_WAIT = open_wait.c
_PUBLISHED = PublishedWait.table.c
_FUNCTION: sa.ColumnElement[str] = sa.case((_WAIT.reason.in_(sorted(SALES_REASONS)), "sales"), else_="service")


Value = TypeVar("Value")


async def policies_in_use(work: UnitOfWork) -> PolicyBook:
    """Return the policies that are active."""
    return PolicyBook(await work.find(WaitingPolicy, WaitingPolicy.table.c.active))


class WaitQuery:
    """Who waits at a moment: the conditions that are asked for, and how far each wait has come by its policy."""

    def __init__(self, now: datetime, book: PolicyBook, *, conditions: Sequence[sa.ColumnElement[bool]] = ()) -> None:
        self.now = now
        self._book = book
        # What is to begin yet is no wait.
        self._conditions = [_WAIT.since <= now, *conditions]

    def narrowed(self, *, state: WaitState | None = None) -> list[sa.ColumnElement[bool]]:
        """Return the conditions of waits in a state; of all without one."""
        if state is None:
            return self._conditions
        over, due = self._since("over"), self._since("warning")
        within = {
            "over": [_WAIT.since <= over],
            "warning": [_WAIT.since > over, _WAIT.since <= due],
            "fine": [_WAIT.since > due],
        }
        return [*self._conditions, *within[state]]

    def next_step_due(self, within: timedelta) -> sa.ColumnElement[bool]:
        """Return the condition of waits that have steps left, for `page` alone.

        Of a wait without any step yet, the limit was reached no longer ago than `within`, or is still to come.
        """
        recent = _WAIT.since > WaitQuery(self.now - within, self._book)._since("over")
        steps = self._by_policy(lambda terms: sa.literal(len(terms.steps)))
        return sa.or_(sa.and_(_PUBLISHED.step.is_(None), recent), _PUBLISHED.step < steps)

    def _since(self, state: WaitState) -> sa.ColumnElement[datetime]:
        """Return SQL for the last moment since which a row's wait is in a state or a worse one, by its own policy.

        Time that counts only grows, so that one moment for each policy stands for a computation of each row.
        """
        return self._by_policy(
            lambda terms: sa.literal(terms.begun_before(state, self.now), sa.DateTime(timezone=True))
        )

    def _by_policy(self, value_of: Callable[[WaitTerms], sa.ColumnElement[Value]]) -> sa.ColumnElement[Value]:
        """Return SQL for a value of the policy that holds for a row's wait."""
        cases: list[tuple[sa.ColumnElement[bool], sa.ColumnElement[Value]]] = []
        default = value_of(DEFAULT_TERMS)
        for policy, terms in self._book:
            if policy is None:
                break
            covered = [] if policy.reason is None else [_WAIT.reason == policy.reason]
            covered += [] if policy.team_id is None else [_WAIT.team == policy.team_id]
            cases.append((sa.and_(sa.true(), *covered), value_of(terms)))
        return sa.case(*cases, else_=default) if cases else default

    async def page(
        self, connection: AsyncConnection, *, state: WaitState | None, after: UUID | None, limit: int
    ) -> Sequence[Any]:
        """Return so many waits, the longest first; their ids are in that order."""
        conditions = self.narrowed(state=state)
        if after is not None:
            conditions.append(_WAIT.id > after)
        query = (
            sa.select(
                open_wait,
                _FUNCTION.label("function"),
                _PUBLISHED.step,
                _PUBLISHED.action,
                _PUBLISHED.told_id,
                _PUBLISHED.judged_at,
            )
            .outerjoin_from(
                open_wait, PublishedWait.table, sa.and_(_PUBLISHED.id == _WAIT.id, _PUBLISHED.ended_at.is_(None))
            )
            .where(*conditions)
            .order_by(_WAIT.id)
            .limit(limit)
        )
        return (await connection.execute(query)).all()

    async def totals(self, connection: AsyncConnection) -> Any:
        """Return how many wait, by state and function, since when the first and the median one."""
        count = sa.func.count()
        over, due = self._since("over"), self._since("warning")
        seconds = sa.func.extract("epoch", sa.literal(self.now, sa.DateTime(timezone=True)) - _WAIT.since)
        query = sa.select(
            count.label("waiting"),
            count.filter(_WAIT.since <= over).label("over"),
            count.filter(sa.and_(_WAIT.since > over, _WAIT.since <= due)).label("warning"),
            count.filter(_FUNCTION == "sales").label("sales"),
            sa.func.max(seconds).label("longest"),
            sa.func.percentile_cont(0.5).within_group(seconds).label("median"),
        ).where(*self._conditions)
        return (await connection.execute(query)).one()


async def waiting_since(connection: AsyncConnection, customer: UUID, now: datetime) -> datetime | None:
    """Return since when a customer, or one that was merged into it, waits for us; None while none does."""
    since = sa.select(sa.func.min(_WAIT.since)).where(_WAIT.since <= now, *filtered({"customer": customer}))
    found: datetime | None = (await connection.execute(since)).scalar_one()
    return found


def filtered(given: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    """Return the conditions of filters by column; None is for what has no value. A customer is all that merged."""
    found: list[sa.ColumnElement[bool]] = []
    for name, value in given.items():
        if name == "function":
            found.append(value == _FUNCTION)
        elif name == "customer" and value is not None:
            found.append(_WAIT.customer.in_(_merged_into(value)))
        else:
            found.append(_WAIT[name].is_not_distinct_from(value))
    return found


def _merged_into(customer: UUID) -> sa.Select[tuple[UUID]]:
    """Return SQL for a customer and all that were merged into it, over any number of merges."""
    known = sa.select(sa.literal(customer, sa.Uuid).label("customer")).cte("merged", recursive=True)
    onward = account_merge.alias()
    known = known.union(sa.select(onward.c.customer).where(onward.c.merged_into == known.c.customer))
    return sa.select(known.c.customer)
