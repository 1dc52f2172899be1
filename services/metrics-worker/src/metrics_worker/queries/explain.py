"""GET /v1/kpis/{name}/explain: what a KPI's value is made of, down to the postings and events behind it."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from fastapi import Depends, Path, Query, Response
from pydantic import Field
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from metrics_worker.api.kpis import READERS, InBooks, filters
from metrics_worker.books.consumer import CONSUMER
from metrics_worker.books.tables import POSTING, sequence_gap, subject_state
from metrics_worker.domain.kinds import KINDS, RULES_VERSION, Kind
from metrics_worker.domain.measure import Sum
from metrics_worker.domain.period import Period
from metrics_worker.domain.posting import Reporting
from metrics_worker.kpis.catalogue import ENDED
from metrics_worker.kpis.formula import Formula
from metrics_worker.queries.answer import answer, snapshot
from metrics_worker.queries.export import neutralised
from metrics_worker.queries.figure import sum_shown
from metrics_worker.queries.query import (
    FirstDay,
    LastDay,
    Question,
    as_of_of,
    filters_of,
    kpi_named,
    period_of,
    variant_of,
)
from metrics_worker.queries.schemas import Amount, NowView
from service_kit.consumer.dead_letters import dead_letter
from service_kit.dependencies import async_dependency
from service_kit.fields import Moment, View
from service_kit.paging import Page, Paged
from service_kit.problems import Unprocessable
from service_kit.routing import Session, router

CSV_ROWS: Final = 10_000
"""Postings in one CSV at most; more are for GET /v1/exports/postings."""
LOOKED_AT: Final = 20_000
"""Newest postings of a kind that are looked at for what cancels out: some 50 ms, however many there are."""
_ID_BITS, _DAY_BITS = 64, 32

explanations = router("/kpis", "kpis")


class ExclusionView(View):
    """Something that the value leaves out, how often, and why."""

    reason: Literal["unreadable", "missing", "merged", "taken-back", "ended", "not-counted", "recorded-later"]
    says: str
    count: int
    partial: bool = False
    """Whether only the newest 20,000 postings of a kind on these days were looked at for it, and there are more."""


class ExplainedPostingView(View):
    """One posting: what one event added to, or took from, the measures that the value is made of."""

    kind: str
    subject: str
    event_id: UUID
    event_time: Moment
    recorded_time: Moment
    day: date
    dimensions: dict[str, str | None]
    measures: dict[str, Amount]
    """Money as a decimal string, all else as whole numbers."""


class ExplanationView(View):
    """A value, its definition, and what is behind it. Over all pages the items add up to the measures.

    With `recorded_after` they add up to what has come since.
    """

    kpi: str
    variant: str
    unit: str
    currency: str | None
    definition: str
    rules_version: int
    """Of the rules by which states become postings."""
    numerator_measures: list[str]
    denominator_measures: list[str]
    start: date = Field(serialization_alias="from")
    end: date = Field(serialization_alias="to")
    timezone: str
    as_of: Moment | None
    value: str | None
    numerator: Amount
    denominator: Amount
    now: NowView | None
    """Only with `as_of`."""
    exclusions: list[ExclusionView]
    fresh_as_of: Moment | None
    items: list[ExplainedPostingView]
    next_cursor: str | None


@explanations.get("/{name}/explain", dependencies=READERS, response_model=ExplanationView)
async def explain_kpi(
    name: Annotated[str, Path(max_length=64, examples=["revenue"])],
    session: Session,
    reporting: InBooks,
    page: Paged,
    given: Annotated[dict[str, str | None], Depends(async_dependency(filters))],
    start: FirstDay = None,
    end: LastDay = None,
    variant: Annotated[str | None, Query(max_length=64, description="Which definition; see GET /v1/kpis.")] = None,
    as_of: Annotated[Moment | None, Query(description="As the books stood then; now by default.")] = None,
    recorded_after: Annotated[
        Moment | None, Query(description="Only postings of events recorded after this: what has changed since then.")
    ] = None,
    form: Annotated[Literal["json", "csv"], Query(alias="format", description="csv: all postings at once.")] = "json",
) -> ExplanationView | Response:
    """A KPI's value with its definition, what it leaves out, and the postings and events that it is the sum of."""
    kpi = kpi_named(name)
    question = Question(
        kpi=kpi,
        variant=variant_of(kpi, variant),
        period=period_of(start, end, reporting),
        interval=None,
        group_by=None,
        filters=filters_of(kpi, given),
        with_previous=False,
        as_of=as_of_of(as_of),
    )
    connection = await snapshot(session)
    entries = Entries(question, recorded_after)
    if form == "csv":
        return await _as_csv(connection, entries, reporting)
    return await _explanation(session, connection, entries, reporting, page)


class Position(NamedTuple):
    """Where a row stands among those behind a value."""

    kind: int
    day: date
    posting_id: int

    @property
    def packed(self) -> UUID:
        """As a cursor holds it."""
        of_kind = (self.kind << _DAY_BITS) | self.day.toordinal()
        return UUID(int=(of_kind << _ID_BITS) | self.posting_id)

    @classmethod
    def of(cls, packed: UUID) -> "Position":
        """The one that was packed."""
        of_kind, posting_id = divmod(packed.int, 1 << _ID_BITS)
        kind, day = divmod(of_kind, 1 << _DAY_BITS)
        return cls(kind, date.fromordinal(day), posting_id)


class Cancelled(NamedTuple):
    """How many subjects' postings cancel out."""

    merged: int = 0
    """Of those that were merged into another."""
    others: int = 0
    partial: bool = False
    """Whether there are postings that were not looked at."""

    def with_more(self, merged: int, others: int, partial: bool) -> "Cancelled":
        """Together with those of another kind."""
        return Cancelled(self.merged + merged, self.others + others, self.partial or partial)


class Entries:
    """The postings behind a question's value, of all kinds that its formula reads."""

    def __init__(self, question: Question, recorded_after: datetime | None = None) -> None:
        self.question = question
        self.as_of = question.as_of
        self.recorded_after = recorded_after

    @property
    def formula(self) -> Formula:
        return self.question.formula

    def query(self) -> sa.Subquery:
        """Rows of kind, id, subject, event, times, day, dimensions and measures; nothing ordered."""
        parts = [self._rows(kind) for kind in self.formula.kinds]
        return (parts[0] if len(parts) == 1 else sa.union_all(*parts)).subquery()

    async def newest(self, connection: AsyncConnection, limit: int, after: "Position | None" = None) -> list[Any]:
        """So many of the same rows, kind by kind, the latest day first; from after a position on."""
        found: list[Any] = []
        for kind in sorted(self.formula.kinds, key=KINDS.index, reverse=True):
            number, table = KINDS.index(kind), POSTING[kind]
            if len(found) == limit or (after is not None and number > after.kind):
                continue
            query = self._rows(kind)
            if after is not None and number == after.kind:
                place = sa.tuple_(sa.literal(after.day), sa.literal(after.posting_id))
                query = query.where(table.c.day <= after.day, sa.tuple_(table.c.day, table.c.id) < place)
            # By days, which have an index: what is asked of long ago has most of the postings after it.
            query = query.order_by(table.c.day.desc(), table.c.id.desc()).limit(limit - len(found))
            found += (await connection.execute(query)).all()
        return found

    async def cancelled(self, connection: AsyncConnection, *, level: bool) -> "Cancelled":
        """How many subjects' postings to what happens, or to what stands, cancel out, of all kinds together.

        Of each kind the newest postings of the days are looked at, however many there are before them.
        """
        found = Cancelled()
        for kind, names in self.formula.kinds.items():
            of_sort = [name for name in names if kind.measure_named(name).semi_additive == level]
            if of_sort:
                found = found.with_more(*(await connection.execute(self._cancelled(kind, of_sort))).one())
        return found

    def _cancelled(self, kind: Kind, names: list[str]) -> sa.Select[Any]:
        table = POSTING[kind]
        days, counted = self._days(kind, table.c, names), [*self._counted(kind, table.c, names)]
        customer = self.question.filters.get("customer")
        if customer is not None:
            # This one has an index that leads to few.
            days.append(table.c.customer == customer)
        newest = sa.select(table.c.subject_id, sa.and_(*counted).label("counted"), *(table.c[name] for name in names))
        looked_at = newest.where(*days).order_by(table.c.day.desc(), table.c.id.desc()).limit(LOOKED_AT).cte()
        net = (
            sa.select(looked_at.c.subject_id)
            .where(looked_at.c.counted)
            .group_by(looked_at.c.subject_id)
            .having(*(sa.func.coalesce(sa.func.sum(looked_at.c[name]), 0) == 0 for name in names))
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
            sa.select(sa.func.count() == LOOKED_AT).select_from(looked_at).scalar_subquery(),
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
        """Which postings count: of a level, all up to when it is read."""
        columns, names = POSTING[kind].c, self.formula.kinds[kind]
        return [*self._days(kind, columns, names), *self._counted(kind, columns, names)]

    def _days(self, kind: Kind, columns: Any, names: Sequence[str]) -> list[sa.ColumnElement[bool]]:
        """The days of these measures, said by themselves, so that the index on days can be used."""
        period = self.question.period
        stands = any(kind.measure_named(name).semi_additive for name in names)
        return [columns.day <= period.end, *([] if stands else [columns.day >= period.start])]

    def _when(self, kind: Kind, columns: Any, names: Sequence[str]) -> list[tuple[str, sa.ColumnElement[bool]]]:
        """These measures, and on which days each of them counts."""
        period, found = self.question.period, []
        terms = {
            (term.measure.column, term.measure.semi_additive, term.at_start)
            for term in self.formula.terms
            if term.measure.kind == kind.name and term.measure.column in names
        }
        for name, level, at_start in sorted(terms):
            until = columns.day < period.start if at_start else columns.day <= period.end
            found.append((name, until if level else sa.and_(until, columns.day >= period.start)))
        return found

    def _counted(
        self, kind: Kind, columns: Any, names: Sequence[str], *, recorded: bool = True
    ) -> list[sa.ColumnElement[bool]]:
        """Return which of them contribute to these measures on their days, under the question's filters."""
        counted = [sa.and_(columns[name] != 0, days) for name, days in self._when(kind, columns, names)]
        conditions: list[sa.ColumnElement[bool]] = [
            sa.or_(*counted),
            *(
                columns[name].is_(None) if value is None else columns[name] == value
                for name, value in self.question.filters.items()
            ),
        ]
        if kind.split_by is not None:
            # Shares when the split dimension is asked about, wholes when not: never both.
            conditions.append(columns.split == sa.literal(kind.split_by in self.question.filters))
        if recorded and self.as_of is not None:
            conditions.append(columns.recorded_time <= self.as_of)
        return conditions

    def _rows(self, kind: Kind) -> sa.Select[Any]:
        table = POSTING[kind]
        dimensions = [part for name in kind.dimensions for part in (sa.literal(name), table.c[name])]
        # One posting may tell of what stands and of what happens, of which the formula reads other days. As text: a sum
        # of money may be more than JSON's readers take for a whole number.
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


async def _explanation(
    session: AsyncSession, connection: AsyncConnection, entries: Entries, reporting: Reporting, page: Page
) -> ExplanationView:
    formula = entries.formula
    answered = await answer(session, entries.question, reporting)
    shown, more = await _page(connection, entries, page)
    same = {
        name: getattr(answered, name) for name in ExplanationView.model_fields if name in type(answered).model_fields
    }
    return ExplanationView(
        **same,
        definition=formula.definition,
        rules_version=RULES_VERSION,
        numerator_measures=list(map(str, formula.numerator_terms)),
        denominator_measures=list(map(str, formula.denominator_terms)),
        exclusions=await _exclusions(session, connection, entries, reporting),
        items=[_view_of(row, reporting.currency) for row in shown],
        next_cursor=page.cursor_after(Position(shown[-1].kind, shown[-1].day, shown[-1].id).packed) if more else None,
    )


async def _page(connection: AsyncConnection, entries: Entries, page: Page) -> tuple[Sequence[Any], bool]:
    """The page's rows, the latest day first within each kind, and whether there are more."""
    after = None if page.after is None else Position.of(page.after)
    found = await entries.newest(connection, page.limit + 1, after)
    return found[: page.limit], len(found) > page.limit


async def _exclusions(
    session: AsyncSession, connection: AsyncConnection, entries: Entries, reporting: Reporting
) -> list[ExclusionView]:
    async def number(*queries: sa.Select[Any]) -> int:
        return sum([int((await connection.execute(query)).scalar_one()) for query in queries])

    unreadable = sa.select(sa.func.count()).where(dead_letter.c.consumer == CONSUMER, dead_letter.c.status == "open")
    missing = sa.select(
        sa.func.coalesce(sa.func.sum(sequence_gap.c.last_missing - sequence_gap.c.first_missing + 1), 0)
    ).where(sequence_gap.c.kind.in_([kind.name for kind in entries.formula.kinds]))
    found = [
        ExclusionView(
            reason="unreadable",
            says="records of the log that the books could not read; see GET /v1/dead-letters",
            count=await number(unreadable),
        ),
        ExclusionView(
            reason="missing",
            says="events that have not arrived, though later ones of their subject have",
            count=await number(missing),
        ),
    ]
    kinds = entries.formula.kinds
    flows, levels = (
        any(kind.measure_named(name).semi_additive == level for kind in kinds for name in kinds[kind])
        for level in (False, True)
    )
    cancelled = await entries.cancelled(connection, level=not flows)
    if any("merged_into" in kind.state.__struct_fields__ for kind in kinds):
        found.append(
            ExclusionView(
                reason="merged",
                says="subjects that were merged into another, which tells of the same",
                count=cancelled.merged,
                partial=cancelled.partial,
            )
        )
    if flows:
        found.append(
            ExclusionView(
                reason="taken-back",
                says="subjects that counted here once and no longer do: reopened, amended or moved",
                count=cancelled.others,
                partial=cancelled.partial,
            )
        )
    ended = await _ended(session, entries, reporting) if levels else None
    if ended is not None:
        found.append(
            ExclusionView(
                reason="ended",
                says="subjects that stood here when these days began, or came since, and no longer did at their end",
                count=ended,
            )
        )
    for says, counted in entries.question.kpi.left_out_by(entries.question.variant).items():
        count = await _left_out(session, entries.question, says, counted, reporting)
        if count is not None:
            found.append(ExclusionView(reason="not-counted", says=says, count=count))
    if entries.as_of is not None:
        later = await entries.recorded_later(connection)
        found.append(
            ExclusionView(reason="recorded-later", says="postings of events recorded after as_of", count=later)
        )
    return found


async def _ended(session: AsyncSession, entries: Entries, reporting: Reporting) -> int | None:
    """How many subjects no longer stand; None where nothing counts them as the question tells them apart."""
    ended = 0
    for kind, names in entries.formula.kinds.items():
        levels = [kind.measure_named(name) for name in names if name in kind.levels]
        if levels:
            counted = ENDED.get(levels[0])
            count = None if counted is None else await _left_out(session, entries.question, "ended", counted, reporting)
            if count is None:
                return None
            ended += count
    return ended


async def _left_out(
    session: AsyncSession, question: Question, says: str, counted: Sum, reporting: Reporting
) -> int | None:
    """How many there are of what is left out; None where it cannot be counted by what is filtered by."""
    kpi = replace(question.kpi, variants={"left_out": Formula("count", counted, definition=says)}, leaves_out={})
    if not set(question.filters) <= set(kpi.dimensions):
        return None
    found = await answer(session, replace(question, kpi=kpi, variant="left_out"), reporting)
    return int(found.numerator or 0)


def _view_of(row: Any, currency: str) -> ExplainedPostingView:
    kind = KINDS[row.kind]
    return ExplainedPostingView(
        kind=kind.name,
        subject=f"{kind.subject_kind}/{row.subject_id}",
        event_id=row.event_id,
        event_time=row.event_time,
        recorded_time=row.recorded_time,
        day=row.day,
        dimensions=row.dimensions,
        measures={
            f"{kind.name}.{name}": sum_shown(int(amount), kind.measure_named(name).unit, currency)
            for name, amount in row.measures.items()
        },
    )


async def _as_csv(connection: AsyncConnection, entries: Entries, reporting: Reporting) -> Response:
    found = await entries.newest(connection, CSV_ROWS + 1)
    if len(found) > CSV_ROWS:
        raise Unprocessable(
            f"More than {CSV_ROWS} postings are behind this value. Ask for fewer days, filter, or use "
            "GET /v1/exports/postings."
        )
    kinds = entries.formula.kinds
    dimensions = list(dict.fromkeys(name for kind in kinds for name in kind.dimensions))
    measures = [f"{kind.name}.{name}" for kind, names in kinds.items() for name in names]
    plain = ["kind", "subject", "event_id", "event_time", "recorded_time", "day"]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*plain, *dimensions, *measures])
    for row in found:
        view = _view_of(row, reporting.currency).model_dump(mode="json")
        writer.writerow(
            [
                *(view[name] for name in plain),
                # Codes come from people, and a spreadsheet must not take one for a formula.
                *(neutralised(view["dimensions"].get(name) or "") for name in dimensions),
                *(view["measures"].get(name, "") for name in measures),
            ]
        )
    period: Period = entries.question.period
    file = f"{entries.question.kpi.name}-{period.start}-{period.end}.csv"
    return Response(
        text.getvalue(), media_type="text/csv", headers={"Content-Disposition": f'attachment; filename="{file}"'}
    )
