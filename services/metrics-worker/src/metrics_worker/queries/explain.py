"""What a KPI's value is made of: the postings behind it, and what it leaves out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.domain.kinds import KINDS, Kind
from metrics_worker.domain.measure import Sum
from metrics_worker.domain.posting import Reporting
from metrics_worker.kpis.catalogue import ENDED
from metrics_worker.kpis.formula import Formula
from metrics_worker.ledger.tables import (
    CONSUMER,
    CUSTOMER,
    POSTING,
    dimension_value,
    ledger,
    sequence_gap,
    subject_state,
)
from metrics_worker.queries.answer import answer
from metrics_worker.queries.merged_values import NO_MERGES, Merges
from metrics_worker.queries.query import FilterValue, KpiQuery
from service_kit.consumer.dead_letters import dead_letter

POSTINGS_CHECKED: Final = 20_000
"""Newest postings of a kind that are checked for what cancels out: some 50 ms, however many there are."""
_ID_BITS, _DAY_BITS = 64, 32

Reason = Literal["unreadable", "missing", "merged", "taken-back", "ended", "not-counted", "recorded-later"]


@dataclass(frozen=True)
class Exclusion:
    """What a value leaves out, in words, and how often."""

    reason: Reason
    says: str
    count: int
    is_partial: bool = False
    """Whether only the newest postings were checked, and there are more."""


class Position(NamedTuple):
    """The position of a row among those behind a value."""

    kind: int
    day: date
    posting_id: int

    @property
    def packed(self) -> UUID:
        """Return it as a cursor holds it."""
        of_kind = (self.kind << _DAY_BITS) | self.day.toordinal()
        return UUID(int=(of_kind << _ID_BITS) | self.posting_id)

    @classmethod
    def of(cls, packed: UUID) -> "Position":
        """Return the position of a cursor."""
        of_kind, posting_id = divmod(packed.int, 1 << _ID_BITS)
        kind, day = divmod(of_kind, 1 << _DAY_BITS)
        return cls(kind, date.fromordinal(day), posting_id)


class Cancelled(NamedTuple):
    """How many subjects' postings cancel out."""

    merged: int = 0
    """Of those that were merged into another."""
    others: int = 0
    partial: bool = False
    """Whether there are postings that were not checked."""

    def with_more(self, merged: int, others: int, partial: bool) -> "Cancelled":
        """Return the sum with another kind."""
        return Cancelled(self.merged + merged, self.others + others, self.partial or partial)


class PostingsBehind:
    """The postings behind a query's value, of all kinds that its formula reads."""

    def __init__(self, query: KpiQuery, recorded_after: datetime | None = None, merges: Merges = NO_MERGES) -> None:
        self.query = query
        self.merges = merges
        self.as_of = query.as_of
        self.recorded_after = recorded_after

    @property
    def formula(self) -> Formula:
        return self.query.formula

    def rows(self) -> sa.Subquery:
        """Return rows of kind, id, subject, event, times, day, dimensions and measures, in no order."""
        parts = [self._rows(kind) for kind in self.formula.kinds]
        return (parts[0] if len(parts) == 1 else sa.union_all(*parts)).subquery()

    async def newest(self, connection: AsyncConnection, limit: int, after: "Position | None" = None) -> list[Any]:
        """Return up to `limit` of the same rows, kind by kind, the latest day first, from after a position on."""
        found: list[Any] = []
        for kind in sorted(self.formula.kinds, key=KINDS.index, reverse=True):
            number, table = KINDS.index(kind), POSTING[kind]
            if len(found) == limit or (after is not None and number > after.kind):
                continue
            query = self._rows(kind)
            if after is not None and number == after.kind:
                place = sa.tuple_(sa.literal(after.day), sa.literal(after.posting_id))
                query = query.where(table.c.day <= after.day, sa.tuple_(table.c.day, table.c.id) < place)
            # By days, which have an index: most postings are later than a query of long ago.
            query = query.order_by(table.c.day.desc(), table.c.id.desc()).limit(limit - len(found))
            found += (await connection.execute(query)).all()
        return found

    async def cancelled(self, connection: AsyncConnection, *, semi_additive: bool) -> "Cancelled":
        """Return how many subjects' postings to additive, or to semi-additive, measures cancel out, of all kinds.

        Only the newest postings of each kind on the days are checked.
        """
        found = Cancelled()
        for kind, names in self.formula.kinds.items():
            of_sort = [name for name in names if kind.measure_named(name).semi_additive == semi_additive]
            if of_sort:
                found = found.with_more(*(await connection.execute(self._cancelled(kind, of_sort))).one())
        return found

    def _cancelled(self, kind: Kind, names: list[str]) -> sa.Select[Any]:
        table = POSTING[kind]
        days, counted = self._days(kind, table.c, names), [*self._counted(kind, table.c, names)]
        customer = self.query.single_filters.get("customer")
        if customer is not None:
            # This one has an index that leads to few.
            days.append(_carries(table.c.customer, customer))
        rows = sa.select(table.c.subject_id, sa.and_(*counted).label("counted"), *(table.c[name] for name in names))
        newest = rows.where(*days).order_by(table.c.day.desc(), table.c.id.desc()).limit(POSTINGS_CHECKED).cte()
        net = (
            sa.select(newest.c.subject_id)
            .where(newest.c.counted)
            .group_by(newest.c.subject_id)
            .having(*(sa.func.coalesce(sa.func.sum(newest.c[name]), 0) == 0 for name in names))
            .subquery()
        )
        merged: sa.ColumnElement[bool] = sa.false()
        subjects: sa.FromClause = net
        if "merged_into" in kind.state.__struct_fields__:
            of_net = sa.and_(subject_state.c.kind == kind.name, subject_state.c.id == net.c.subject_id)
            subjects = net.outerjoin(subject_state, of_net)
            state = sa.cast(sa.func.convert_from(subject_state.c.state, "UTF8"), JSONB)
            merged = sa.func.coalesce(state["merged_into"].astext, "") != ""
        return sa.select(
            sa.func.count().filter(merged),
            sa.func.count().filter(~merged),
            sa.select(sa.func.count() == POSTINGS_CHECKED).select_from(newest).scalar_subquery(),
        ).select_from(subjects)

    async def recorded_later(self, connection: AsyncConnection) -> int:
        """Return the number of postings that came after the moment asked for."""
        found = 0
        for kind, names in self.formula.kinds.items():
            table = POSTING[kind]
            days = self._days(kind, table.c, names)
            counted = self._counted(kind, table.c, names, recorded=False)
            later = table.c.recorded_time > self.as_of
            query = sa.select(sa.func.count()).select_from(table).where(*days, *counted, later)
            found += (await connection.execute(query)).scalar_one()
        return found

    def conditions(self, kind: Kind) -> list[sa.ColumnElement[bool]]:
        """Return which postings count: to a semi-additive measure, all up to the day it is read."""
        columns, names = POSTING[kind].c, self.formula.kinds[kind]
        return [*self._days(kind, columns, names), *self._counted(kind, columns, names)]

    def _days(self, kind: Kind, columns: Any, names: Sequence[str]) -> list[sa.ColumnElement[bool]]:
        """Return the days of these measures as a condition of their own, so that the index on days can be used."""
        period = self.query.period
        is_balance = any(kind.measure_named(name).semi_additive for name in names)
        return [columns.day <= period.end, *([] if is_balance else [columns.day >= period.start])]

    def _when(self, kind: Kind, columns: Any, names: Sequence[str]) -> list[tuple[str, sa.ColumnElement[bool]]]:
        """Return these measures, and the days on which each counts."""
        period, found = self.query.period, []
        terms = {
            (term.measure.column, term.measure.semi_additive, term.at_start)
            for term in self.formula.terms
            if term.measure.kind == kind.name and term.measure.column in names
        }
        for name, semi_additive, at_start in sorted(terms):
            over = [columns.day < self._today] if kind.measure_named(name).elapsed_only else []
            until = columns.day < period.start if at_start else columns.day <= period.end
            found.append((name, until if semi_additive else sa.and_(until, columns.day >= period.start, *over)))
        return found

    @property
    def _today(self) -> sa.ScalarSelect[Any]:
        """Return the day in the ledger's time zone, now or as of the moment: the first one that is not over."""
        moment = sa.func.now() if self.as_of is None else sa.literal(self.as_of, sa.DateTime(timezone=True))
        day = sa.cast(sa.func.timezone(ledger.c.timezone, moment), sa.Date)
        return sa.select(day).scalar_subquery()

    def _counted(
        self, kind: Kind, columns: Any, names: Sequence[str], *, recorded: bool = True
    ) -> list[sa.ColumnElement[bool]]:
        """Return which of them contribute to these measures on their days, under the question's filters."""
        counted = [sa.and_(columns[name] != 0, days) for name, days in self._when(kind, columns, names)]
        conditions: list[sa.ColumnElement[bool]] = [
            sa.or_(*counted),
            *(
                _carries(columns[name], self.merges.filter(kind, name, value))
                for name, value in self.query.filters.items()
            ),
        ]
        if kind.split_by is not None:
            # Shares when the split dimension is asked about, wholes when not: never both.
            conditions.append(columns.split == sa.literal(kind.split_by in self.query.filters))
        if recorded and self.as_of is not None:
            conditions.append(columns.recorded_time <= self.as_of)
        return conditions

    def _rows(self, kind: Kind) -> sa.Select[Any]:
        table = POSTING[kind]
        dimensions = [part for name in kind.dimensions for part in (sa.literal(name), _value_of(table.c[name]))]
        # A posting may have flows and balances, of which the formula reads different days. As text: a sum of money may
        # exceed the whole numbers of JSON readers.
        measures = []
        for name, days in self._when(kind, table.c, self.formula.kinds[kind]):
            amount = sa.case((days, sa.func.coalesce(table.c[name], 0)), else_=0)
            measures += [sa.literal(name), sa.cast(amount, sa.Text)]
        return sa.select(
            sa.literal(KINDS.index(kind)).label("kind"),
            table.c.id,
            table.c.subject_id,
            table.c.event_id,
            table.c.event_time,
            table.c.recorded_time,
            table.c.day,
            sa.func.jsonb_build_object(*dimensions).label("dimensions"),
            sa.func.jsonb_build_object(*measures).label("measures"),
        ).where(
            *self.conditions(kind),
            *([] if self.recorded_after is None else [table.c.recorded_time > self.recorded_after]),
        )


def _carries(column: sa.Column[Any], value: FilterValue) -> sa.ColumnElement[bool]:
    """Return which postings carry a value of a dimension."""
    if value is None:
        return column.is_(None)
    values = value if isinstance(value, tuple) else (value,)
    if column.name == CUSTOMER:
        return column.in_(list(map(UUID, values)))
    codes = sa.select(dimension_value.c.code).where(dimension_value.c.value.in_(values))
    return column == sa.any_(sa.func.array(codes.scalar_subquery()))


def _value_of(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """Return the value of a dimension that a posting carries. For few rows: it is looked up for each."""
    if column.name == CUSTOMER:
        return column
    return sa.select(dimension_value.c.value).where(dimension_value.c.code == column).scalar_subquery()


async def exclusions_of(connection: AsyncConnection, behind: PostingsBehind, reporting: Reporting) -> list[Exclusion]:
    """Return everything that the value leaves out, with a count that may be 0."""

    async def number(*queries: sa.Select[Any]) -> int:
        return sum([int((await connection.execute(query)).scalar_one()) for query in queries])

    unreadable = sa.select(sa.func.count()).where(dead_letter.c.consumer == CONSUMER, dead_letter.c.status == "open")
    missing = sa.select(
        sa.func.coalesce(sa.func.sum(sequence_gap.c.last_missing - sequence_gap.c.first_missing + 1), 0)
    ).where(sequence_gap.c.kind.in_([kind.name for kind in behind.formula.kinds]))
    found = [
        Exclusion(
            reason="unreadable",
            says="records of the log that the ledger could not process; see GET /v1/dead-letters",
            count=await number(unreadable),
        ),
        Exclusion(
            reason="missing",
            says="events that have not arrived, though later ones of their subject have",
            count=await number(missing),
        ),
    ]
    kinds = behind.formula.kinds
    flows, levels = (
        any(kind.measure_named(name).semi_additive == level for kind in kinds for name in kinds[kind])
        for level in (False, True)
    )
    cancelled = await behind.cancelled(connection, semi_additive=not flows)
    if any("merged_into" in kind.state.__struct_fields__ for kind in kinds):
        found.append(
            Exclusion(
                reason="merged",
                says="subjects that were merged into another, which counts in their place",
                count=cancelled.merged,
                is_partial=cancelled.partial,
            )
        )
    if flows:
        found.append(
            Exclusion(
                reason="taken-back",
                says="subjects that counted here once and no longer do: reopened, amended or moved",
                count=cancelled.others,
                is_partial=cancelled.partial,
            )
        )
    ended = await _ended(connection, behind, reporting) if levels else None
    if ended is not None:
        found.append(
            Exclusion(
                reason="ended",
                says="subjects that were here when these days began, or came since, and had left by their end",
                count=ended,
            )
        )
    for says, counted in behind.query.kpi.left_out_by(behind.query.variant).items():
        count = await _left_out(connection, behind.query, says, counted, reporting)
        if count is not None:
            found.append(Exclusion(reason="not-counted", says=says, count=count))
    if behind.as_of is not None:
        later = await behind.recorded_later(connection)
        found.append(Exclusion(reason="recorded-later", says="postings of events recorded after as_of", count=later))
    return found


async def _ended(connection: AsyncConnection, behind: PostingsBehind, reporting: Reporting) -> int | None:
    """Return how many subjects have ended; None where it cannot be counted under the query's filters."""
    ended = 0
    for kind, names in behind.formula.kinds.items():
        levels = [kind.measure_named(name) for name in names if name in kind.semi_additive]
        if levels:
            counted = ENDED.get(levels[0])
            count = None if counted is None else await _left_out(connection, behind.query, "ended", counted, reporting)
            if count is None:
                return None
            ended += count
    return ended


async def _left_out(
    connection: AsyncConnection, query: KpiQuery, says: str, counted: Sum, reporting: Reporting
) -> int | None:
    """Return how many there are of what is left out; None where it cannot be counted under the query's filters."""
    kpi = replace(query.kpi, variants={"left_out": Formula("count", counted, definition=says)}, leaves_out={})
    if not set(query.filters) <= set(kpi.dimensions):
        return None
    found = await answer(connection, replace(query, kpi=kpi, variant="left_out"), reporting)
    return int(found.numerator or 0)
