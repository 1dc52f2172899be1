"""GET /v1/customers/{id}/health."""

from datetime import UTC, date, datetime
from typing import Annotated
from uuid import UUID

from event_contracts.fields import DECIMAL_PLACES
from metrics_worker.api.names import Named
from metrics_worker.api.parameters import LedgerReporting
from metrics_worker.customers.queries import account_of, relationship_of
from metrics_worker.domain.customer_health import HealthReason, health_of
from metrics_worker.domain.kinds import KIND_BY_NAME
from metrics_worker.domain.relationship import BADLY_RATED, BREACHED, BROKEN, NOT_FOR_LONG, NOT_LATELY, REOPENED
from metrics_worker.ledger.status import fresh_as_of
from metrics_worker.ledger.tables import CUSTOMER
from metrics_worker.queries.fields import FreshAsOf, NamesRead, ReportingCurrencyRead, TimeZone
from metrics_worker.queries.figure import decimal_text
from metrics_worker.waiting.queries import waiting_since
from service_kit.fields import Moment, ReadModel, described
from service_kit.problems import NotFound
from service_kit.routing import CallersAccess, Work, router

customers = router("/customers", "customers")

_SAYS = {
    BREACHED: "a ticket has waited longer than its service-level agreement allows, and is not resolved",
    REOPENED: "a ticket was reopened, and is not resolved again",
    BADLY_RATED: "an answer of 1 or 2 of 5 within the last 90 days",
    BROKEN: "what was promised is not delivered, and its day is over",
    NOT_LATELY: "the last purchase was 180 days ago or longer",
    NOT_FOR_LONG: "the last purchase was 365 days ago or longer",
}

_UNTIL = described("When it ends by time alone; null for what ends by hand.", "2026-06-22", rarely=True)
_BEHIND = described(
    "The tickets, surveys, steps of onboardings and deals that it comes from.",
    ["tickets/019ca869-5000-7000-8000-0000000000c2"],
)
_MERGED_INTO = described(
    "The customer that this one was merged into; all other fields are about that one.",
    "019ca869-5000-7000-8000-0000000000b1",
    rarely=True,
)
_SCORE = described("100 less the points of all reasons; null for a customer who has not bought yet.", 70)


class HealthReasonRead(ReadModel):
    """A reason that takes points from the score, or will after the first purchase."""

    reason: Annotated[str, described("Why, as a code.", "sla-breached")]
    says: Annotated[str, described("The same in words.", _SAYS[BREACHED])]
    points: Annotated[int, described("What it takes from the score.", 30)]
    since: Annotated[date, described("The day on which it began.", "2026-03-24")]
    until: (
        Annotated[date, described("When it ends by time alone; null for what ends by hand.", "2026-06-22", rarely=True)]
        | None
    )
    behind: Annotated[list[str], _BEHIND]


class CustomerHealthRead(ReadModel):
    """A customer's health today, with the reasons for the score. Money is in the reporting currency."""

    customer_id: Annotated[UUID, described("The customer of the address.", "019ca869-5000-7000-8000-0000000000a1")]
    merged_into: Annotated[UUID, _MERGED_INTO] | None
    names: NamesRead
    today: Annotated[date, described("The day that it is true of, in the reporting time zone.", "2026-03-24")]
    timezone: TimeZone
    score: Annotated[int, _SCORE] | None
    at_risk: bool
    """Whether a ticket, a rating or a broken promise says that the customer may leave."""
    at_risk_since: Moment | None
    """When the first of these reasons began; null without one."""
    reasons: list[HealthReasonRead]
    """What takes points from the score."""
    waiting_since: Moment | None
    """Since when they have been waiting for us, for whatever they wait longest; null while they do not."""
    currency: ReportingCurrencyRead
    revenue_365_days: Annotated[str, described("Won in the last 365 days, in the reporting currency.", "1190.00")]
    open_deals: Annotated[str, described("Worth of the open deals, in the reporting currency.", "0.00")]
    fresh_as_of: FreshAsOf | None


@customers.get("/{customer_id}/health")
async def get_customer_health(
    customer_id: UUID, work: Work, reporting: LedgerReporting, access: CallersAccess, named: Named
) -> CustomerHealthRead:
    """Return a customer's health today with its reasons: one customer's part in `customer_health` and
    `revenue_at_risk`.

    A salesperson sees the customers that are theirs, their team's or of a team below, an agent those of their region.
    """
    connection = await work.connection()
    found = await relationship_of(connection, customer_id, reporting)
    if not found.known or not await access.includes(work, await account_of(connection, found.survivor)):
        raise NotFound("The ledger has no customer with this id, or not yet.")
    now = datetime.now(UTC)
    today = reporting.day_of(now)
    health = health_of(found.relationship, today)
    of_survivor = {CUSTOMER: str(found.survivor)}
    places = DECIMAL_PLACES[reporting.currency]
    return CustomerHealthRead(
        customer_id=customer_id,
        merged_into=None if found.survivor == customer_id else found.survivor,
        names=(await named.of(connection, [of_survivor])).of(of_survivor),
        today=today,
        timezone=reporting.zone.key,
        score=health.score,
        at_risk=health.at_risk_since is not None,
        at_risk_since=health.at_risk_since,
        reasons=[_view_of(reason) for reason in health.reasons],
        waiting_since=await waiting_since(connection, found.survivor, now),
        currency=reporting.currency,
        revenue_365_days=decimal_text(health.revenue, places),
        open_deals=decimal_text(health.pipeline, places),
        fresh_as_of=await fresh_as_of(connection),
    )


def _view_of(reason: HealthReason) -> HealthReasonRead:
    return HealthReasonRead(
        reason=reason.name,
        says=_SAYS[reason.name],
        points=reason.points,
        since=reason.since,
        until=reason.until,
        behind=sorted(f"{KIND_BY_NAME[each.kind].subject_kind}/{each.subject_id}" for each in reason.behind),
    )
