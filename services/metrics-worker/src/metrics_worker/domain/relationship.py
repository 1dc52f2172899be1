"""What a customer's whole story contributes: first and repeated purchases, loyalty, risk and health.

Only sales and service together tell it. A story is what every event so far told of one customer and of those merged
into it; `postings_for` is as pure as every other kind's, and levels that end by time alone are posted with their end on
the day to come.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from metrics_worker.domain.customer_facts import AccountFact, CustomerFact, DealFact, Fact, SurveyFact, TicketFact
from metrics_worker.domain.customer_merges import survivor_of
from metrics_worker.domain.measure import Measure, Measures
from metrics_worker.domain.posting import LATEST_DAY, Posting, Reporting
from metrics_worker.domain.step_function import Level

YEAR_DAYS: Final = 365
"""How long a purchase makes an active customer."""
ASKED_WITHIN: Final = timedelta(days=180)
"""How long before a deal is closed a question counts as asked for it."""
BAD_RATING_DAYS: Final = 90
"""How long a bad rating puts a customer at risk, unless it is revised."""
WHOLE_SCORE: Final = 100

BREACHED, REOPENED, BADLY_RATED = "sla-breached", "reopened", "badly-rated"
NOT_LATELY, NOT_FOR_LONG = "no-purchase-180-days", "no-purchase-365-days"
WEIGHTS: Final = {BREACHED: 30, REOPENED: 20, BADLY_RATED: 20, NOT_LATELY: 15, NOT_FOR_LONG: 15}
"""What each reason takes from a customer's health; all of them together take everything."""
RISKS: Final = (BREACHED, REOPENED, BADLY_RATED)
LATELY_DAYS: Final = 180

_LAST: Final = LATEST_DAY.toordinal()


class RelationshipDimensions(NamedTuple):
    """What stories are told apart by. Purchases have the deal's, frozen; all else the account's as it is now."""

    region: str | None
    segment: str | None
    product: str | None
    channel: str | None
    owner: str | None
    team: str | None
    customer: str | None


PRODUCT = ("product",)


class RelationshipMeasures(Measures, kind="relationship"):
    """What is summed of customers' stories."""

    new_won: Measure = Measure("customers' first won deals, on the day they were closed")
    new_revenue: Measure = Measure(
        "what customers' first won deals are worth, on the day they were closed", unit="money"
    )
    repeat_won: Measure = Measure("won deals after a customer's first, on the day they were closed")
    repeat_revenue: Measure = Measure(
        "what won deals after a customer's first are worth, on the day they were closed", unit="money"
    )
    assisted_closed: Measure = Measure(
        "deals closed within 180 days of a question that the customer asked service before the purchase, on the "
        "day they were closed"
    )
    assisted_won: Measure = Measure("of these, the won ones")
    unassisted_closed: Measure = Measure("deals closed without such a question, on the day of that")
    unassisted_won: Measure = Measure("of these, the won ones")
    buyers: Measure = Measure("customers who bought at least once", semi_additive=True, not_by=PRODUCT)
    repeat_buyers: Measure = Measure("customers who bought at least twice", semi_additive=True, not_by=PRODUCT)
    active: Measure = Measure("customers who bought within the last 365 days", semi_additive=True, not_by=PRODUCT)
    lapsed: Measure = Measure("customers, on the day on which their last purchase was 365 days ago", not_by=PRODUCT)
    active_before: Measure = Measure(
        "customers who bought in the 365 days that ended 365 days ago", semi_additive=True, not_by=PRODUCT
    )
    retained: Measure = Measure(
        "of these, those who bought within the last 365 days too", semi_additive=True, not_by=PRODUCT
    )
    revenue_before: Measure = Measure(
        "revenue of the 365 days that ended 365 days ago", unit="money", semi_additive=True, not_by=PRODUCT
    )
    revenue_retained: Measure = Measure(
        "revenue of the last 365 days from customers who had bought in the 365 days before them",
        unit="money",
        semi_additive=True,
        not_by=PRODUCT,
    )
    at_risk: Measure = Measure("customers at risk, for whichever reason", semi_additive=True, not_by=PRODUCT)
    breached: Measure = Measure(
        "customers with an unresolved ticket whose agreement was breached", semi_additive=True, not_by=PRODUCT
    )
    reopened: Measure = Measure(
        "customers with a reopened ticket that is not resolved again", semi_additive=True, not_by=PRODUCT
    )
    badly_rated: Measure = Measure(
        "customers who gave 1 or 2 of 5 within the last 90 days", semi_additive=True, not_by=PRODUCT
    )
    revenue_at_risk: Measure = Measure(
        "revenue of the last 365 days from customers at risk", unit="money", semi_additive=True, not_by=PRODUCT
    )
    pipeline_at_risk: Measure = Measure(
        "what open deals of customers at risk are worth", unit="money", semi_additive=True, not_by=PRODUCT
    )
    health: Measure = Measure(
        "the health scores of customers who bought at least once", unit="score", semi_additive=True, not_by=PRODUCT
    )


class Version(msgspec.Struct, frozen=True, array_like=True):
    """What one event made of one subject, as far as it matters to the story."""

    recorded_time: datetime
    event_id: UUID
    time: datetime
    customer: UUID
    """The one that the subject itself names, whatever was merged since."""
    kind: str
    subject_id: UUID
    sequence: int
    fact: Fact | None
    """None when the subject has come to say nothing that matters."""


Key = tuple[str, UUID, UUID]
Story = Mapping[Key, Version]
"""The newest version of each subject, by its kind, its id and the customer that it names."""


def key_of(version: Version) -> Key:
    """The subject, and the customer that it names."""
    return (version.kind, version.subject_id, version.customer)


Purchases = dict[tuple[int, UUID, bool, bool], list[Posting]]
"""What closed deals contribute, so that of a long story only what changed is made anew: by the identity of the fact,
the customer, whether it was the first purchase, and whether it was assisted. Holds as long as the facts themselves."""


def postings_for(story: Story, reporting: Reporting, known: Purchases | None = None) -> list[Posting]:
    """The whole contribution of a story, which may be that of several customers that are to become one.

    `known` is filled for the next call about the same story.
    """
    known = {} if known is None else known
    return [
        posting
        for customer, versions in by_survivor(story.values()).items()
        for posting in Relationship(customer, versions, reporting).postings(known)
    ]


def by_survivor(versions: Iterable[Version]) -> dict[UUID, list[Version]]:
    """The versions that say something, by the customer that they count for."""
    told = [version for version in versions if version.fact is not None]
    merged_into = {
        version.customer: UUID(version.fact.merged_into)
        for version in told
        if isinstance(version.fact, AccountFact) and version.fact.merged_into is not None
    }
    found: dict[UUID, list[Version]] = {}
    for version in told:
        survivor = survivor_of(version.customer, merged_into) if merged_into else version.customer
        found.setdefault(survivor, []).append(version)
    return found


class Closed(NamedTuple):
    """One closed deal of a customer, in the order of their closing."""

    closed_at: datetime
    deal_id: UUID
    fact: DealFact


class Reason(NamedTuple):
    """Something that a subject makes hold from one day until another."""

    name: str
    kind: str
    subject_id: UUID
    since: datetime
    first_day: int
    end_day: int | None


class Relationship:
    """Everything that stands between us and one customer, day by day."""

    def __init__(self, customer: UUID, versions: Iterable[Version], reporting: Reporting) -> None:
        self.customer = customer
        self._reporting = reporting
        self.closed: list[Closed] = []
        self.deals: list[tuple[UUID, DealFact]] = []
        self.risks: list[Reason] = []
        self._asked: list[datetime] = []
        self._account: AccountFact | None = None
        self._known: CustomerFact | None = None
        for version in versions:
            self._take(version)
        self.closed.sort(key=lambda closed: closed[:2])
        self._asked.sort()

    def _take(self, version: Version) -> None:
        fact = version.fact
        match fact:
            case DealFact():
                self.deals.append((version.subject_id, fact))
                if fact.closed_at is not None:
                    self.closed.append(Closed(fact.closed_at, version.subject_id, fact))
            case TicketFact():
                self._take_ticket(version, fact)
            case SurveyFact():
                since, first = fact.answered_at, fact.answered_on
                self.risks.append(
                    Reason(BADLY_RATED, "survey", version.subject_id, since, first, first + BAD_RATING_DAYS)
                )
            case AccountFact() if version.customer == self.customer:
                self._account = fact
            case CustomerFact() if version.customer == self.customer:
                self._known = fact

    def _take_ticket(self, version: Version, fact: TicketFact) -> None:
        if fact.asked_at is not None:
            self._asked.append(fact.asked_at)
        for name, since, span in (
            (BREACHED, fact.breached_at, fact.breached),
            (REOPENED, fact.reopened_at, fact.reopened),
        ):
            if since is not None and span is not None:
                self.risks.append(Reason(name, "ticket", version.subject_id, since, *span))

    @cached_property
    def won(self) -> list[Closed]:
        """The won deals; the first one made a customer."""
        return [closed for closed in self.closed if closed.fact.won]

    def postings(self, known: Purchases) -> list[Posting]:
        """What it contributes."""
        first = self.won[0].deal_id if self.won else None
        found = []
        for deal in self.closed:
            key = (id(deal.fact), self.customer, deal.deal_id == first, self.assisted(deal))
            purchase = known.get(key)
            if purchase is None:
                purchase = known[key] = _purchase(deal.fact, *key[1:])
            found += purchase
        return found + self._standing()

    def assisted(self, deal: Closed) -> bool:
        """Whether the customer asked service a question shortly before the deal was closed."""
        before = bisect_left(self._asked, deal.closed_at)
        return before > 0 and deal.closed_at <= self._asked[before - 1] + ASKED_WITHIN

    def _standing(self) -> list[Posting]:
        levels = self.levels()
        days: dict[int, dict[str, int]] = {}
        for name, level in levels.items():
            for day, change in level.changes.items():
                days.setdefault(day, {})[name] = change
        for day in self.active.ends():
            days.setdefault(day, {})["lapsed"] = 1
        if not days:
            return []
        dimensions = self.dimensions
        return [
            # What ends after the calendar does stands to its end.
            Posting(date.fromordinal(day), dimensions, RelationshipMeasures(**amounts))
            for day, amounts in days.items()
            if day <= _LAST
        ]

    def levels(self) -> dict[str, Level]:
        """What stands, by the measure's name; what never stands may be left out."""
        found: dict[str, Level] = {}
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
                found["repeat_buyers"] = Level([(self._day(1), 1)])
        if self.risks:
            found |= {
                "at_risk": self.at_risk,
                "breached": self.reasons[BREACHED],
                "reopened": self.reasons[REOPENED],
                "badly_rated": self.reasons[BADLY_RATED],
                "revenue_at_risk": self.revenue * self.at_risk,
                "pipeline_at_risk": self.pipeline * self.at_risk,
            }
        return found

    def _day(self, number: int) -> int:
        return self.won[number].fact.closed_on or 0

    @cached_property
    def buyers(self) -> Level:
        """1 from the first purchase on."""
        return Level([(self._day(0), 1)]) if self.won else Level()

    @cached_property
    def active(self) -> Level:
        """1 while a purchase is less than 365 days old."""
        return self.bought_within(YEAR_DAYS)

    def bought_within(self, days: int) -> Level:
        """1 while a purchase is less than so many days old."""
        bought = [deal.fact.closed_on or 0 for deal in self.won]
        return Level.covering((day, day + days) for day in bought)

    @cached_property
    def revenue(self) -> Level:
        """The revenue of the last 365 days, in minor units."""
        bought = [(deal.fact.closed_on or 0, deal.fact.worth) for deal in self.won]
        return Level.of(((day, day + YEAR_DAYS), worth) for day, worth in bought)

    @cached_property
    def pipeline(self) -> Level:
        """What its open deals are worth, in minor units."""
        return Level.of((span, fact.worth) for _, fact in self.deals for span in fact.open)

    @cached_property
    def reasons(self) -> dict[str, Level]:
        """1 while one of its subjects gives a reason to worry, by the name of the reason."""
        return {
            name: Level.covering((each.first_day, each.end_day) for each in self.risks if each.name == name)
            for name in RISKS
        }

    @cached_property
    def at_risk(self) -> Level:
        """1 while anything puts it at risk."""
        return Level.covering((each.first_day, each.end_day) for each in self.risks)

    @cached_property
    def health(self) -> Level:
        """Its score from 0 to 100, from the first purchase on."""
        score = self.buyers.times(WHOLE_SCORE)
        for name, level in self.worries().items():
            score -= level.times(WEIGHTS[name])
        return score

    def worries(self) -> dict[str, Level]:
        """1 while something takes from its health, by the name of the reason."""
        found = {name: level * self.buyers for name, level in self.reasons.items()} if self.risks else {}
        found[NOT_LATELY] = self.buyers - self.bought_within(LATELY_DAYS)
        found[NOT_FOR_LONG] = self.buyers - self.active
        return found

    @cached_property
    def dimensions(self) -> RelationshipDimensions:
        """What it is told apart by: the account's, else what service knows, else its newest deal's."""
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
