"""What a customer's timeline contributes: first and repeated purchases, loyalty, risk and health.

It takes the events of sales and of service together. `postings_for` is as pure as that of every other kind: a balance
that ends by time alone is posted with its end on the day to come.
"""

from bisect import bisect_left
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Final, NamedTuple
from uuid import UUID

from event_contracts.calendar import LAST_DAY
from metrics_worker.domain.customer_facts import (
    AccountFact,
    CustomerFact,
    DealFact,
    PromiseFact,
    SurveyFact,
    TicketFact,
)
from metrics_worker.domain.customer_timeline import Timeline, TimelineEntry, by_survivor
from metrics_worker.domain.measure import Measure, Measures
from metrics_worker.domain.posting import Posting, Reporting
from metrics_worker.domain.step_function import StepFunction

YEAR_DAYS: Final = 365
"""How long a purchase makes an active customer."""
ASKED_WITHIN: Final = timedelta(days=180)
"""How long before a deal is closed a question counts as asked for it."""
BAD_RATING_DAYS: Final = 90
"""How long a bad rating puts a customer at risk, unless it is revised."""
WHOLE_SCORE: Final = 100

BREACHED, REOPENED, BADLY_RATED, BROKEN = "sla-breached", "reopened", "badly-rated", "promise-broken"
NOT_LATELY, NOT_FOR_LONG = "no-purchase-180-days", "no-purchase-365-days"
WEIGHTS: Final = {BREACHED: 30, REOPENED: 20, BADLY_RATED: 20, BROKEN: 20, NOT_LATELY: 15, NOT_FOR_LONG: 15}
"""The points that each reason takes from a customer's health, which is never less than 0."""
RISKS: Final = (BREACHED, REOPENED, BADLY_RATED, BROKEN)
LATELY_DAYS: Final = 180

_LAST: Final = LAST_DAY.toordinal()


class RelationshipDimensions(NamedTuple):
    """Of purchases these are the deal's, frozen; of all else the account's as it is now."""

    region: str | None
    segment: str | None
    product: str | None
    channel: str | None
    owner: str | None
    team: str | None
    customer: str | None


PRODUCT = ("product",)
CLOSER = "the owner of the deal"


class RelationshipMeasures(Measures, kind="relationship", credit="the account's owner now"):
    """The measures of customers' timelines."""

    new_won: Measure = Measure("customers' first won deals, by closing day", credit=CLOSER)
    new_revenue: Measure = Measure(
        "value of customers' first won deals, by closing day", unit="money", is_shared=True, credit=CLOSER
    )
    repeat_won: Measure = Measure("won deals after a customer's first, by closing day", credit=CLOSER)
    repeat_revenue: Measure = Measure(
        "value of won deals after a customer's first, by closing day", unit="money", is_shared=True, credit=CLOSER
    )
    assisted_closed: Measure = Measure(
        "deals closed within 180 days of a presales question by the customer, by closing day", credit=CLOSER
    )
    assisted_won: Measure = Measure("of these, won deals", credit=CLOSER)
    unassisted_closed: Measure = Measure("deals closed without such a question, by closing day", credit=CLOSER)
    unassisted_won: Measure = Measure("of these, won deals", credit=CLOSER)
    buyers: Measure = Measure("customers with at least one purchase", semi_additive=True, not_by=PRODUCT)
    repeat_buyers: Measure = Measure("customers with at least two purchases", semi_additive=True, not_by=PRODUCT)
    active: Measure = Measure("customers with a purchase in the last 365 days", semi_additive=True, not_by=PRODUCT)
    lapsed: Measure = Measure("customers, by the day their last purchase turned 365 days old", not_by=PRODUCT)
    active_before: Measure = Measure(
        "customers with a purchase in the 365 days before the last 365", semi_additive=True, not_by=PRODUCT
    )
    retained: Measure = Measure(
        "of these, those with a purchase in the last 365 days too", semi_additive=True, not_by=PRODUCT
    )
    revenue_before: Measure = Measure(
        "revenue of the 365 days before the last 365", unit="money", semi_additive=True, not_by=PRODUCT
    )
    revenue_retained: Measure = Measure(
        "revenue of the last 365 days from customers with a purchase in the 365 days before",
        unit="money",
        semi_additive=True,
        not_by=PRODUCT,
    )
    at_risk: Measure = Measure("customers at risk for any reason", semi_additive=True, not_by=PRODUCT)
    breached: Measure = Measure(
        "customers with an unresolved ticket that breached its SLA policy", semi_additive=True, not_by=PRODUCT
    )
    reopened: Measure = Measure(
        "customers with a reopened ticket that is not resolved again", semi_additive=True, not_by=PRODUCT
    )
    badly_rated: Measure = Measure(
        "customers with a rating of 1 or 2 of 5 in the last 90 days", semi_additive=True, not_by=PRODUCT
    )
    revenue_at_risk: Measure = Measure(
        "revenue of the last 365 days from customers at risk", unit="money", semi_additive=True, not_by=PRODUCT
    )
    pipeline_at_risk: Measure = Measure(
        "value of open deals of customers at risk", unit="money", semi_additive=True, not_by=PRODUCT
    )
    health: Measure = Measure(
        "health scores of customers with at least one purchase", unit="score", semi_additive=True, not_by=PRODUCT
    )
    promise_broken: Measure = Measure(
        "customers who wait for a delivery whose promised day is over", semi_additive=True, not_by=PRODUCT
    )


Purchases = dict[tuple[int, UUID, bool, bool], list[Posting]]
"""The postings of closed deals, so that of a long timeline only what changed is computed again: by the identity of the
fact, the customer, whether it was the first purchase, and whether it was assisted. Valid as long as the facts exist."""


def postings_for(timeline: Timeline, reporting: Reporting, known: Purchases | None = None) -> list[Posting]:
    """Return the whole contribution of a timeline, which may belong to several customers that a merge makes one.

    `known` is filled for the next call about the same timeline.
    """
    known = {} if known is None else known
    return [
        posting
        for customer, entries in by_survivor(timeline.values()).items()
        for posting in Relationship(customer, entries, reporting).postings(known)
    ]


class ClosedDeal(NamedTuple):
    """A closed deal. They sort by their closing."""

    closed_at: datetime
    deal_id: UUID
    fact: DealFact


class Reason(NamedTuple):
    """A reason to worry about a customer: it begins on one day, and may end on another."""

    name: str
    kind: str
    subject_id: UUID
    since: datetime
    first_day: int
    end_day: int | None


class Relationship:
    """Purchases, risk and health of one customer, day by day."""

    def __init__(self, customer: UUID, entries: Iterable[TimelineEntry], reporting: Reporting) -> None:
        self.customer = customer
        self._reporting = reporting
        self.closed: list[ClosedDeal] = []
        self.deals: list[tuple[UUID, DealFact]] = []
        self.risks: list[Reason] = []
        self._asked: list[datetime] = []
        self._account: AccountFact | None = None
        self._known: CustomerFact | None = None
        for entry in entries:
            self._add(entry)
        self.closed.sort(key=lambda closed: closed[:2])
        self._asked.sort()

    def _add(self, entry: TimelineEntry) -> None:
        fact = entry.fact
        match fact:
            case DealFact():
                self.deals.append((entry.subject_id, fact))
                if fact.closed_at is not None:
                    self.closed.append(ClosedDeal(fact.closed_at, entry.subject_id, fact))
            case TicketFact():
                self._add_ticket(entry, fact)
            case SurveyFact():
                since, first = fact.answered_at, fact.answered_on
                self.risks.append(
                    Reason(BADLY_RATED, "survey", entry.subject_id, since, first, first + BAD_RATING_DAYS)
                )
            case PromiseFact():
                self.risks.append(Reason(BROKEN, entry.kind, entry.subject_id, fact.since, *fact.broken))
            case AccountFact() if entry.customer == self.customer:
                self._account = fact
            case CustomerFact() if entry.customer == self.customer:
                self._known = fact

    def _add_ticket(self, entry: TimelineEntry, fact: TicketFact) -> None:
        if fact.asked_at is not None:
            self._asked.append(fact.asked_at)
        for name, since, span in (
            (BREACHED, fact.breached_at, fact.breached),
            (REOPENED, fact.reopened_at, fact.reopened),
        ):
            if since is not None and span is not None:
                self.risks.append(Reason(name, "ticket", entry.subject_id, since, *span))

    @cached_property
    def won(self) -> list[ClosedDeal]:
        """Return the won deals. The first made the customer a buyer."""
        return [closed for closed in self.closed if closed.fact.won]

    def postings(self, known: Purchases) -> list[Posting]:
        """Return its whole contribution."""
        first = self.won[0].deal_id if self.won else None
        found = []
        for deal in self.closed:
            key = (id(deal.fact), self.customer, deal.deal_id == first, self.assisted(deal))
            purchase = known.get(key)
            if purchase is None:
                purchase = known[key] = _purchase(deal.fact, *key[1:])
            found += purchase
        return found + self._balances()

    def assisted(self, deal: ClosedDeal) -> bool:
        """Return whether the customer asked service a question shortly before the deal was closed."""
        before = bisect_left(self._asked, deal.closed_at)
        return before > 0 and deal.closed_at <= self._asked[before - 1] + ASKED_WITHIN

    def _balances(self) -> list[Posting]:
        balances = self.balances()
        days: dict[int, dict[str, int]] = {}
        for name, balance in balances.items():
            for day, change in balance.changes.items():
                days.setdefault(day, {})[name] = change
        for day in self.active.ends():
            days.setdefault(day, {})["lapsed"] = 1
        if not days:
            return []
        dimensions = self.dimensions
        return [
            # A balance that ends after the calendar does has no end in the ledger.
            Posting(date.fromordinal(day), dimensions, RelationshipMeasures(**amounts))
            for day, amounts in days.items()
            if day <= _LAST
        ]

    def balances(self) -> dict[str, StepFunction]:
        """Return the semi-additive measures by name. One that is always 0 may be left out."""
        found: dict[str, StepFunction] = {}
        if self.won:
            before = self.active.later(YEAR_DAYS)
            found |= {
                "buyers": self.buyers,
                "active": self.active,
                "active_before": before,
                "retained": self.active * before,
                "revenue_before": self.revenue.later(YEAR_DAYS),
                "revenue_retained": self.revenue * before,
                "health": self.health,
            }
            if len(self.won) > 1:
                found["repeat_buyers"] = StepFunction([(self._day(1), 1)])
        if self.risks:
            found |= {
                "at_risk": self.at_risk,
                "breached": self.reasons[BREACHED],
                "reopened": self.reasons[REOPENED],
                "badly_rated": self.reasons[BADLY_RATED],
                "promise_broken": self.reasons[BROKEN],
                "revenue_at_risk": self.revenue * self.at_risk,
                "pipeline_at_risk": self.pipeline * self.at_risk,
            }
        return found

    def _day(self, number: int) -> int:
        return self.won[number].fact.closed_on or 0

    @cached_property
    def buyers(self) -> StepFunction:
        """Return 1 from the first purchase on."""
        return StepFunction([(self._day(0), 1)]) if self.won else StepFunction()

    @cached_property
    def active(self) -> StepFunction:
        """Return 1 while a purchase is less than 365 days old."""
        return self.bought_within(YEAR_DAYS)

    def bought_within(self, days: int) -> StepFunction:
        """Return 1 while a purchase is less than so many days old."""
        bought = [deal.fact.closed_on or 0 for deal in self.won]
        return StepFunction.covering((day, day + days) for day in bought)

    @cached_property
    def revenue(self) -> StepFunction:
        """Return the revenue of the last 365 days, in minor units."""
        bought = [(deal.fact.closed_on or 0, deal.fact.worth) for deal in self.won]
        return StepFunction.of(((day, day + YEAR_DAYS), worth) for day, worth in bought)

    @cached_property
    def pipeline(self) -> StepFunction:
        """Return the worth of its open deals, in minor units."""
        return StepFunction.of((span, fact.worth) for _, fact in self.deals for span in fact.open)

    @cached_property
    def reasons(self) -> dict[str, StepFunction]:
        """Return, for each reason by its name, 1 while a subject gives it."""
        return {
            name: StepFunction.covering((each.first_day, each.end_day) for each in self.risks if each.name == name)
            for name in RISKS
        }

    @cached_property
    def at_risk(self) -> StepFunction:
        """Return 1 while anything puts the customer at risk."""
        return StepFunction.covering((each.first_day, each.end_day) for each in self.risks)

    @cached_property
    def health(self) -> StepFunction:
        """Return the score from 0 to 100, from the first purchase on."""
        score = self.buyers.times(WHOLE_SCORE)
        for name, deduction in self.deductions().items():
            score -= deduction.times(WEIGHTS[name])
        # Without a broken promise, all reasons together take all of it.
        return score.at_least_zero() if self.reasons[BROKEN] else score

    def deductions(self) -> dict[str, StepFunction]:
        """Return, for each reason by its name, 1 while it takes points from the health."""
        found = {name: reason * self.buyers for name, reason in self.reasons.items()} if self.risks else {}
        found[NOT_LATELY] = self.buyers - self.bought_within(LATELY_DAYS)
        found[NOT_FOR_LONG] = self.buyers - self.active
        return found

    @cached_property
    def dimensions(self) -> RelationshipDimensions:
        """Return its dimensions: the account's, else those that service knows, else its newest deal's."""
        region = segment = channel = owner = team = None
        if self._account is not None:
            account = self._account
            region, segment, channel = account.region, account.segment, account.channel
            owner, team = account.owner, account.team
        elif self._known is not None:
            region, segment = self._known.region, self._known.segment
        elif self.deals:
            _, newest = max(self.deals, key=lambda deal: ([span[0] for span in deal[1].open], deal[0]))
            region, segment, channel = newest.region, newest.segment, newest.channel
            owner, team = newest.owner, newest.team
        return RelationshipDimensions(region, segment, None, channel, owner, team, str(self.customer))


def _purchase(fact: DealFact, customer: UUID, is_first: bool, assisted: bool) -> list[Posting]:
    whole = RelationshipDimensions(fact.region, fact.segment, None, fact.channel, fact.owner, fact.team, str(customer))
    day = date.fromordinal(fact.closed_on or 0)
    return [
        Posting(day, whole, _closing(fact, fact.worth, is_first, assisted)),
        *(
            Posting(day, whole._replace(product=product), _closing(fact, worth, is_first, assisted), True)
            for product, worth in fact.shares
        ),
    ]


def _closing(fact: DealFact, worth: int, is_first: bool, assisted: bool) -> RelationshipMeasures:
    new, repeat = int(fact.won and is_first), int(fact.won and not is_first)
    return RelationshipMeasures(
        new_won=new,
        new_revenue=new * worth,
        repeat_won=repeat,
        repeat_revenue=repeat * worth,
        assisted_closed=int(assisted),
        assisted_won=int(assisted and fact.won),
        unassisted_closed=int(not assisted),
        unassisted_won=int(not assisted and fact.won),
    )
