"""The alert rules: conditions on the ledger, evaluated in one snapshot."""

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.alerts.schemas import AlertFactsRead, AlertRead, AlertRule, WeekRead, alert
from metrics_worker.alerts.trend import WEEKS, Trend, trend_of
from metrics_worker.customers.queries import survivors_of
from metrics_worker.domain.activity import ActivityMeasures
from metrics_worker.domain.care import CheckInMeasures, MaintenanceMeasures, TrainingMeasures
from metrics_worker.domain.kinds import KIND_BY_NAME
from metrics_worker.domain.onboarding_step import OnboardingStepMeasures
from metrics_worker.domain.period import DEFAULT_DAYS, Period
from metrics_worker.domain.posting import Reporting
from metrics_worker.domain.waiting import WaitReason
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.kpis.formula import Kpi, kind_of
from metrics_worker.ledger.status import fresh_as_of, history_read_at, is_caught_up
from metrics_worker.ledger.tables import open_wait, sequence_conflict, subject_state
from metrics_worker.queries.answer import answer
from metrics_worker.queries.coverage import carried_by, unasked
from metrics_worker.queries.query import KpiQuery
from metrics_worker.queries.result import MAX_ROWS
from metrics_worker.queries.sample import percent
from metrics_worker.queries.schemas import AnswerRead
from metrics_worker.queries.sql import Sums, read, values_of
from metrics_worker.targets.lookup import period_evaluated
from metrics_worker.targets.model import Target
from metrics_worker.waiting.queries import WaitQuery, policies_in_use
from service_kit.unit_of_work import UnitOfWork

MOST_WAITS: Final = 5_000
"""Waits over the limit that are read, the longest first."""
MOST_CONFLICTS: Final = 100
OVERDUE_DAYS: Final = 366
_NAMED_AT_MOST: Final = 5
_OPEN_WORK: Final = {
    "follow_ups_on_time": ActivityMeasures.open,
    "check_ins_on_time": CheckInMeasures.open,
    "maintenance_done_on_time": MaintenanceMeasures.open,
    "training_delivered": TrainingMeasures.open,
    "onboarding_steps_on_time": OnboardingStepMeasures.open,
}
"""By the KPI that it counts in."""
_WORDS: Final = {
    "follow_ups_on_time": "activities are",
    "check_ins_on_time": "check-ins are",
    "maintenance_done_on_time": "maintenance visits are",
    "training_delivered": "trainings are",
    "onboarding_steps_on_time": "steps of onboardings are",
}
_VARIANT_OF: Final = {"training_delivered": "on_time"}

_TICKET = KIND_BY_NAME["ticket"]


class _Kept(NamedTuple):
    rule: AlertRule
    kpi: str
    variant: str
    words: str
    do: str


_KEPT_WAITING: Final[dict[WaitReason, _Kept]] = {
    "rating": _Kept(
        "rating-waits",
        "waiting_now",
        "ratings",
        "an agent to speak with them about their bad rating",
        "Speak with them, and log it on the ticket, or record it: POST /v1/surveys/{id}/follow-up.",
    ),
    "promise": _Kept(
        "promise-waits",
        "waiting_now",
        "promises",
        "a delivery that was promised to them",
        "Deliver, and record it: POST /v1/deliveries. Until then, tell the customer when.",
    ),
    "call_back": _Kept(
        "call-back-waits",
        "answered_within_hour",
        "call_backs",
        "a call or visit that was agreed with them",
        "Call or visit them, or agree on another time: POST /v1/activities/{id}/done or …/move.",
    ),
}
"""What is alerted beside tickets: a lead is no customer yet."""

Sees = Callable[[UUID | str | None, UUID | str | None], bool]
"""Whether the reader sees what belongs to an owner and a team."""


async def alerts(work: UnitOfWork, reporting: Reporting, now: datetime, *, sees: Sees | None = None) -> list[AlertRead]:
    """Return every alert, in no order; while the ledger catches up or a history is loaded, only the alert about that.

    With `sees`, return those of tickets, planned work and targets of the owners and teams that a reader sees: the
    others are about the whole company.
    """
    connection = await work.connection()
    if not await is_caught_up(connection):
        # What contradicts the source now is no matter of waiting.
        conflicts = [] if sees is not None else await sequence_conflicts(connection)
        return [*conflicts, catching_up(await fresh_as_of(connection) or now)]
    if (read_at := await history_read_at(connection)) is not None:
        return [*([] if sees is not None else await sequence_conflicts(connection)), loading_history(read_at)]
    if sees is not None:
        return [
            *await unattended(work, now, sees),
            *await kept_waiting(work, now, sees),
            *await overdue_work(connection, reporting, now, sees),
            *await missed_targets(work, reporting, now, sees),
        ]
    return [
        *await sequence_conflicts(connection),
        *await unattended(work, now),
        *await kept_waiting(work, now),
        *await overdue_work(connection, reporting, now),
        *await missed_targets(work, reporting, now),
        *await adverse_trends(connection, reporting, now),
        *await thin_coverage(connection, reporting, now),
    ]


async def sequence_conflicts(connection: AsyncConnection) -> list[AlertRead]:
    """Return one alert for each subject whose newest event has the sequence of another."""
    is_newest = sa.and_(
        sequence_conflict.c.kind == subject_state.c.kind,
        sequence_conflict.c.subject_id == subject_state.c.id,
        sequence_conflict.c.epoch == subject_state.c.epoch,
        sequence_conflict.c.sequence == subject_state.c.sequence,
    )
    rows = await connection.execute(
        sa.select(subject_state.c.kind, subject_state.c.id, sa.func.min(sequence_conflict.c.noticed_at).label("since"))
        .join(sequence_conflict, is_newest)
        .group_by(subject_state.c.kind, subject_state.c.id)
        .order_by("since")
        .limit(MOST_CONFLICTS)
    )
    return [
        alert(
            "sequence-conflict",
            "critical",
            f"{KIND_BY_NAME[row.kind].subject_kind}/{row.id}",
            "Two different events have the same sequence; the first one counts, and the service may have the other.",
            AlertFactsRead(rule="sequence-conflict"),
            since=row.since,
            do="Find out whether the service's database was restored, or lost commits in a failover; then republish: "
            "that corrects what was published. If it was not, look for a second writer of its topic.",
            explain="/v1/alerts?kind=sequence-conflict",
        )
        for row in rows
    ]


def catching_up(complete_until: datetime) -> AlertRead:
    """Return the alert that there are no others yet."""
    return alert(
        "books-being-read",
        "info",
        "books",
        "The ledger is being read from the log: until it has caught up, nothing is evaluated.",
        AlertFactsRead(rule="books-being-read"),
        since=complete_until,
        do="Wait: alerts come by themselves. If this lasts, see whether metrics-consumer runs, and how far it lags.",
        explain="/v1/dead-letters/halts",
    )


def loading_history(read_at: datetime) -> AlertRead:
    """Return the alert that there are no others yet, since much of what comes in happened long ago."""
    return alert(
        "books-being-read",
        "info",
        "books",
        "A history is being loaded: until all of it is there, nothing is evaluated.",
        AlertFactsRead(rule="history-being-loaded"),
        since=read_at,
        do="Wait: alerts come by themselves, seconds after the last of it.",
        explain="/v1/alerts?kind=books-being-read",
    )


async def unattended(work: UnitOfWork, now: datetime, sees: Sees | None = None) -> list[AlertRead]:
    """Return one alert for each customer who has waited for an answer for longer than the limit."""
    over = await _over_limit(work, now, sees, open_wait.c.kind == _TICKET.name)
    return [
        alert(
            "unattended",
            "critical",
            f"customers/{customer}",
            "This customer has waited for an answer for longer than the limit.",
            AlertFactsRead(rule="unattended", dimension="customer", dimension_value=str(customer)),
            since=min(wait.since for wait in waits),
            do="Reply on each of these tickets, or assign them to colleagues who do: POST /v1/tickets/{id}/assign.",
            tickets=[wait.subject_id for wait in sorted(waits, key=lambda each: each.id)],
            kpi="unattended_now",
            explain=_explain("unattended_now", customer=str(customer)),
        )
        for customer, waits in over.items()
    ]


async def kept_waiting(work: UnitOfWork, now: datetime, sees: Sees | None = None) -> list[AlertRead]:
    """Return one alert for each customer and reason besides tickets and leads that is over the limit.

    What was agreed with a lead who is no customer yet has an alert of its own.
    """
    return [
        _kept_waiting(reason, kept, key, waits)
        for reason, kept in _KEPT_WAITING.items()
        for key, waits in (await _over_limit(work, now, sees, open_wait.c.reason == reason)).items()
    ]


def _kept_waiting(reason: WaitReason, kept: _Kept, key: UUID, waits: list[Any]) -> AlertRead:
    is_customer = waits[0].customer is not None
    record = f"{KIND_BY_NAME[waits[0].kind].subject_kind}/{waits[0].subject_id}"
    whose = {"customer": str(key)} if is_customer else {}
    facts = AlertFactsRead(
        rule=kept.rule,
        variant=kept.variant,
        dimension="customer" if is_customer else None,
        dimension_value=whose.get("customer"),
    )
    return alert(
        "kept-waiting",
        "critical",
        f"customers/{key}" if is_customer else record,
        f"For longer than the limit, this {'customer' if is_customer else 'lead'} has waited for {kept.words}.",
        facts,
        since=min(wait.since for wait in waits),
        do=f"{kept.do} GET /v1/waiting?{urlencode({'reason': reason} | whose)} lists what for.",
        kpi=kept.kpi,
        explain=_explain(kept.kpi, kept.variant, None, **whose),
        aspect=reason,
    )


async def _over_limit(
    work: UnitOfWork, now: datetime, sees: Sees | None, condition: sa.ColumnElement[bool]
) -> dict[UUID, list[Any]]:
    """Return the waits over their limit of each customer, of what the reader sees."""
    book = await policies_in_use(work)
    connection = await work.connection()
    query = WaitQuery(now, book, conditions=[condition])
    waiting: dict[UUID, list[Any]] = {}
    for wait in await query.page(connection, state="over", after=None, limit=MOST_WAITS):
        if sees is None or sees(wait.owner, wait.team):
            waiting.setdefault(wait.customer or wait.subject_id, []).append(wait)
    # A record keeps the name of a customer who was merged since.
    survivors = await survivors_of(connection, waiting)
    by_survivor: dict[UUID, list[Any]] = {}
    for customer, waits in waiting.items():
        by_survivor.setdefault(survivors[customer], []).extend(waits)
    return by_survivor


async def overdue_work(
    connection: AsyncConnection, reporting: Reporting, now: datetime, sees: Sees | None = None
) -> list[AlertRead]:
    """Return one alert for each kind of planned work of which some is not done and its due day is over.

    Of the last `OVERDUE_DAYS`: what is overdue for longer is in the services' lists.
    """
    today = reporting.day_of(now)
    period = Period(today - timedelta(days=OVERDUE_DAYS), today)
    by = () if sees is None else ("owner", "team")
    wanted = {
        kpi: Sums(kind_of(measure), (measure.column,), period, "day", by, elapsed_only=True)
        for kpi, measure in _OPEN_WORK.items()
    }
    read_now = await read(connection, wanted.values(), limit=MAX_ROWS)
    found = []
    for kpi, sums in wanted.items():
        days: Counter[date] = Counter()
        for (day, key), (amount,) in (await read_now.cells_in_turns(sums)).items():
            owner, team = (None, None) if sees is None else values_of(key, by)
            if day is not None and (sees is None or sees(owner, team)):
                days[day] += amount
        overdue = sorted(day for day, amount in days.items() if amount > 0)
        if overdue:
            count, first = sum(days[day] for day in overdue), overdue[0]
            since = Period(first, today)
            found.append(
                alert(
                    "overdue",
                    "warning",
                    sums.kind.subject_kind,
                    f"Planned {_WORDS[kpi]} overdue: {count}, the first due on {first}.",
                    AlertFactsRead(rule="overdue-work", variant=_VARIANT_OF.get(kpi), overdue_count=count),
                    since=reporting.end_of(first),
                    do="Do it, move it, or cancel what is not needed: lists of sales and service have overdue=true.",
                    kpi=kpi,
                    explain=_explain(kpi, _VARIANT_OF.get(kpi), since),
                )
            )
    return found


async def missed_targets(
    work: UnitOfWork, reporting: Reporting, now: datetime, sees: Sees | None = None
) -> list[AlertRead]:
    """Return one alert for each target that was missed at its last evaluation."""
    found = []
    for target in await work.find(Target, Target.table.c.missed.is_(True)):
        whose = {target.dimension: target.dimension_value}
        if sees is not None and not sees(whose.get("owner"), whose.get("team")):
            continue
        period = period_evaluated(target, reporting.day_of(now))
        if period is None:
            continue
        kpi = KPIS[target.kpi]
        unit = kpi.variants[target.variant].unit
        of_whom = "" if target.dimension is None else f" of {target.dimension} {target.dimension_value or 'none'}"
        filters = {} if target.dimension is None else {target.dimension: target.dimension_value or ""}
        found.append(
            alert(
                "target-missed",
                "warning",
                f"targets/{target.id}",
                f"{kpi.title}{of_whom} has fallen short of its target of {target.value:f}."
                if kpi.direction == "up"
                else f"{kpi.title}{of_whom} has passed its target of {target.value:f}.",
                AlertFactsRead(
                    rule="target-missed",
                    variant=target.variant,
                    unit=unit,
                    currency=reporting.currency if unit == "money" else None,
                    direction=kpi.direction,
                    target=target.value,
                    dimension=target.dimension,
                    dimension_value=target.dimension_value,
                ),
                since=target.missed_since or target.set_at,
                do="See what it is made of and who can turn it, or set a target that can be met.",
                kpi=kpi.name,
                explain=_explain(kpi.name, target.variant, period, **filters),
            )
        )
    return found


async def adverse_trends(connection: AsyncConnection, reporting: Reporting, now: datetime) -> list[AlertRead]:
    """Return one alert for each leading KPI that became worse over the last complete weeks."""
    this_monday = _monday(reporting.day_of(now))
    weeks = Period(this_monday - timedelta(weeks=WEEKS), this_monday - timedelta(days=1))
    found = []
    for kpi in KPIS.values():
        # A share that keeps growing is always lowest in its last weeks.
        variant = next((name for name, formula in kpi.variants.items() if not formula.ripens), None)
        if kpi.indicator != "leading" or variant is None:
            continue
        query = KpiQuery(
            kpi=kpi,
            variant=variant,
            period=weeks,
            interval="week",
            group_by=(),
            filters={},
            with_previous=False,
        )
        found_answer = await answer(connection, query, reporting)
        values = [None if point.value is None else Fraction(point.value) for point in found_answer.series or []]
        trend = trend_of(values, kpi.direction)
        if trend is not None:
            found.append(_trend_alert(kpi, variant, trend, found_answer, reporting))
    return found


def _trend_alert(kpi: Kpi, variant: str, trend: Trend, found: AnswerRead, reporting: Reporting) -> AlertRead:
    points = (found.series or [])[-trend.weeks :]
    values = ", ".join(str(point.value) for point in points)
    way = "falling" if kpi.direction == "up" else "rising"
    unit = found.currency or found.unit
    says = (
        f"{kpi.title} has been {way} for three weeks: {values} ({unit})."
        if trend.rule == "three-weeks-in-a-row"
        else f"{kpi.title} is beyond what was usual over the twelve weeks before: {values} ({unit})."
    )
    return alert(
        "kpi-turning",
        "warning",
        f"kpis/{kpi.name}",
        says,
        AlertFactsRead(
            rule=trend.rule,
            variant=variant,
            unit=found.unit,
            currency=found.currency,
            direction=kpi.direction,
            weeks=[WeekRead(start=point.start, value=point.value) for point in points],
        ),
        since=reporting.start_of(points[0].start),
        do="It leads the results: look by region, product and team where it comes from, and act before they follow.",
        kpi=kpi.name,
        explain=_explain(kpi.name, variant, Period(points[0].start, found.end)),
    )


async def thin_coverage(connection: AsyncConnection, reporting: Reporting, now: datetime) -> list[AlertRead]:
    """Return alerts for dimensions that are often missing, and for those with values without surveys, over 30 days."""
    today = reporting.day_of(now)
    period = Period(today - timedelta(days=DEFAULT_DAYS - 1), today)
    since = reporting.start_of(period.start)
    explain = f"/v1/coverage?{urlencode({'from': period.start, 'to': period.end})}"
    found = []
    for row in await carried_by(connection, period):
        if row.thin:
            thin = [each for each in row.subjects if each.thin]
            shares = [f"{percent(Fraction(each.numerator, each.denominator))} of {each.subject}" for each in thin]
            found.append(
                alert(
                    "thin-coverage",
                    "info",
                    f"dimensions/{row.dimension}",
                    f"The {row.dimension} is missing too often: only {' and '.join(shares)} carry it.",
                    AlertFactsRead(rule="missing-dimension", dimension=row.dimension, shares=thin),
                    since=since,
                    do=f"Have the {row.dimension} filled in: numbers by {row.dimension} leave out what carries none.",
                    kpi="coverage",
                    explain=explain,
                )
            )
    for silent in await unasked(connection, period):
        if silent.count:
            first = [each.name or each.value for each in silent.values[:_NAMED_AT_MOST]]
            names = ", ".join(first)
            more = f" and {silent.count - _NAMED_AT_MOST} more" if silent.count > _NAMED_AT_MOST else ""
            found.append(
                alert(
                    "thin-coverage",
                    "info",
                    f"dimensions/{silent.dimension}",
                    f"No survey was answered from {silent.dimension} {names}{more}.",
                    AlertFactsRead(
                        rule="unasked-values", dimension=silent.dimension, values=first, values_count=silent.count
                    ),
                    since=since,
                    do="Ask there too: customers elsewhere are not like them.",
                    kpi="survey_response_rate",
                    explain=explain,
                    aspect="unasked",
                )
            )
    return found


def _explain(kpi: str, variant: str | None = None, period: Period | None = None, **filters: str) -> str:
    parameters: dict[str, Any] = dict(filters)
    if variant is not None:
        parameters["variant"] = variant
    if period is not None:
        parameters |= {"from": period.start, "to": period.end}
    return f"/v1/kpis/{kpi}/explain?{urlencode(parameters)}"


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
