"""GET /v1/scorecard: sales and service side by side, on the questions that people ask of the two."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Final, Literal
from urllib.parse import urlencode

from fastapi import Query
from pydantic import Field

from metrics_worker.api.answers import answers_of
from metrics_worker.api.limits import Limits, limits_of
from metrics_worker.api.parameters import FirstDay, LastDay, Status
from metrics_worker.domain.period import Period
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.queries.fields import (
    BetterDirection,
    Denominator,
    Explain,
    FirstDayRead,
    FreshAsOf,
    KpiName,
    LastDayRead,
    MoneyCurrency,
    Numerator,
    SeveralTeams,
    TimeZone,
    Unit,
    Value,
    VariantName,
)
from metrics_worker.queries.query import KpiQuery, period_of
from metrics_worker.queries.schemas import AnswerRead, PreviousRead, TargetFigureRead
from metrics_worker.targets.model import is_met
from service_kit.fields import ReadModel, described
from service_kit.routing import CallersAccess, Work, router

scorecard = router("/scorecard", "kpis")

Reply = Literal["yes", "no", "unknown"]


@dataclass(frozen=True)
class Cell:
    """One KPI on the scorecard, and the query of it."""

    kpi: str
    variant: str | None = None
    filters: tuple[tuple[str, str], ...] = ()
    due: str | None = None
    """What it has to reach where no target is set: its denominator is a target already."""


@dataclass(frozen=True)
class Row:
    """One question and each function's reply."""

    name: str
    asks: str
    by: Literal["count", "target"]
    """Yes where anything is counted, or where there is a target and it is met."""
    sales: tuple[Cell, ...]
    service: tuple[Cell, ...]


BEFORE_PURCHASE: Final = (("kind", "presales_question"),)
PROBLEMS: Final = (("kind", "problem"),)
COMPLAINTS: Final = (("kind", "complaint"),)

ROWS: Final = (
    Row(
        "new-customers",
        "Who brings new customers?",
        "count",
        sales=(Cell("new_customers"), Cell("new_revenue"), Cell("leads_created"), Cell("lead_conversion_rate")),
        service=(Cell("presales_assisted_win_rate"),),
    ),
    Row(
        "referred-customers",
        "Who brings indirect customers, referred by others?",
        "count",
        sales=(Cell("referral_customers"), Cell("referral_customers", "share")),
        service=(Cell("referral_rate"), Cell("advocacy"), Cell("review_score", "good")),
    ),
    Row(
        "sales-target",
        "Has it a sales target, and is it met?",
        "target",
        sales=(Cell("revenue"), Cell("sales_volume"), Cell("quota_attainment", due="1")),
        service=(Cell("upsell_revenue"), Cell("upsell_from_service")),
    ),
    Row(
        "happy-customer-target",
        "Has it a target of happy customers, and is it met?",
        "target",
        sales=(Cell("promises_kept"), Cell("onboarding_days"), Cell("customer_retention")),
        service=(Cell("csat"), Cell("nps"), Cell("ces"), Cell("customer_health"), Cell("customers_at_risk")),
    ),
    Row(
        "contact-before",
        "Is there contact before the purchase?",
        "count",
        sales=(Cell("activities_completed"), Cell("lead_response_minutes"), Cell("qualification_rate")),
        service=(Cell("pre_sales_questions"), Cell("reply_minutes", None, BEFORE_PURCHASE)),
    ),
    Row(
        "questions-after",
        "Are there questions and problems after the purchase?",
        "count",
        sales=(Cell("follow_ups_on_time"), Cell("upsell_revenue", "share")),
        service=(
            Cell("tickets_opened", None, PROBLEMS),
            Cell("tickets_opened", None, COMPLAINTS),
            Cell("resolution_rate"),
            Cell("first_contact_resolution"),
            Cell("answered_within_hour", "service"),
        ),
    ),
)


class ScoreRead(ReadModel):
    """One KPI with its sums, its target and its `explain` address."""

    kpi: KpiName
    variant: VariantName
    title: Annotated[str, described("What people call the KPI.", "Win rate")]
    filters: Annotated[
        dict[str, str], described("What it is of, by dimension; empty for the whole.", {"segment": "smb"})
    ]
    teams: SeveralTeams | None
    unit: Unit
    currency: MoneyCurrency | None
    direction: BetterDirection
    value: Value | None
    numerator: Numerator
    denominator: Denominator
    previous: PreviousRead | None
    """The same number of days, directly before; only where requested."""
    target: TargetFigureRead | None
    """What is due over these days; null without a target."""
    explain: Explain


class SideRead(ReadModel):
    """One function's reply to a question.

    For a question of counting, `yes` when any of its KPIs counts something in the period. For a question of targets,
    `yes` when at least one of its KPIs has a target and each that has one meets it, `no` when one is missed, and
    `unknown` when none is set or there is nothing to compare. A quota is a target too.
    """

    reply: Annotated[Reply, described("The function's reply to the question.", "yes", schema="Reply")]
    has_target: bool
    """Whether any of its KPIs has one."""
    figures: list[ScoreRead]
    """The KPIs that the reply follows from."""


class RowRead(ReadModel):
    """One question with both replies."""

    question: Annotated[str, described("What is compared, as a code.", "sales-target")]
    asks: Annotated[str, described("The same in words.", "Has it a sales target, and is it met?")]
    sales: SideRead
    """What is true of the sales function."""
    service: SideRead
    """What is true of the service function."""


class ScorecardRead(ReadModel):
    """The two functions side by side."""

    start: FirstDayRead = Field(serialization_alias="from")
    end: LastDayRead = Field(serialization_alias="to")
    timezone: TimeZone
    rows: list[RowRead]
    """One entry a question."""
    fresh_as_of: FreshAsOf | None


@scorecard.get("")
async def get_scorecard(
    work: Work,
    status: Status,
    access: CallersAccess,
    start: FirstDay = None,
    end: LastDay = None,
    compare: Annotated[
        Literal["previous"] | None, Query(description="Adds the same number of days directly before.")
    ] = None,
) -> ScorecardRead:
    """Return sales and service side by side: new customers, targets met, contact before and after the purchase.

    A salesperson or agent gets that of their teams and of all below, without the KPIs that are not kept by owner and
    team.
    """
    limits = await limits_of(access, work)
    period = period_of(start, end, status.reporting)
    cells = [
        cell
        for cell in dict.fromkeys(cell for row in ROWS for cell in (*row.sales, *row.service))
        if limits.covers_dimensions(KPIS[cell.kpi])
    ]
    queries = [_query(cell, period, limits, with_previous=compare is not None) for cell in cells]
    answers = await answers_of(await work.connection(), queries, status, with_sample=False)
    figures = {cell: _figure(cell, query, answer) for cell, query, answer in zip(cells, queries, answers, strict=True)}
    return ScorecardRead(
        start=period.start,
        end=period.end,
        timezone=status.reporting.zone.key,
        rows=[
            RowRead(
                question=row.name,
                asks=row.asks,
                sales=side([figures[cell] for cell in row.sales if cell in figures], row.by),
                service=side([figures[cell] for cell in row.service if cell in figures], row.by),
            )
            for row in ROWS
        ],
        fresh_as_of=status.fresh_as_of,
    )


def side(figures: list[ScoreRead], by: Literal["count", "target"]) -> SideRead:
    """Return the reply of a function, from its figures."""
    targets = [each.target for each in figures if each.target is not None]
    reply: Reply
    if by == "count":
        reply = "yes" if any(Decimal(each.numerator or 0) for each in figures) else "no"
    elif any(target.met is False for target in targets):
        reply = "no"
    elif any(target.met for target in targets):
        reply = "yes"
    else:
        reply = "unknown"
    return SideRead(reply=reply, has_target=bool(targets), figures=figures)


def _query(cell: Cell, period: Period, limits: Limits, *, with_previous: bool) -> KpiQuery:
    kpi = KPIS[cell.kpi]
    return KpiQuery(
        kpi=kpi,
        variant=cell.variant or kpi.default_variant,
        period=period,
        interval=None,
        group_by=(),
        filters=limits.filters(kpi, dict(cell.filters)),
        with_previous=with_previous,
    )


def _figure(cell: Cell, query: KpiQuery, answer: AnswerRead) -> ScoreRead:
    kpi, period = query.kpi, query.period
    target = answer.target
    if target is None and cell.due is not None and answer.value is not None:
        met = is_met(Decimal(answer.value), Fraction(cell.due), kpi.direction)
        target = TargetFigureRead(value=cell.due, met=met)
    # Several teams are those that the caller's scope forces on the explanation too.
    filters = {dimension: value or "" for dimension, value in query.single_filters.items()}
    parameters = {"variant": query.variant, "from": period.start, "to": period.end, **filters}
    return ScoreRead(
        kpi=kpi.name,
        variant=query.variant,
        title=kpi.title,
        filters=filters,
        teams=query.teams,
        unit=answer.unit,
        currency=answer.currency,
        direction=kpi.direction,
        value=answer.value,
        numerator=answer.numerator,
        denominator=answer.denominator,
        previous=answer.previous,
        target=target,
        explain=f"/v1/kpis/{kpi.name}/explain?{urlencode(parameters)}",
    )
