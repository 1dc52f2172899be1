"""Histories of one customer as entries of a timeline, made up from a seed."""

import random
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

from metrics_worker.domain.customer_facts import AccountFact, DealFact, Fact, PromiseFact, SurveyFact, TicketFact
from metrics_worker.domain.customer_timeline import TimelineEntry

CUSTOMER: Final = uuid5(NAMESPACE_URL, "customer")
BEGAN: Final = datetime(2024, 1, 1, tzinfo=UTC)


def history_of_a_customer(length: int, seed: int) -> list[TimelineEntry]:
    """Return so many entries in the order of recording, eight a day: deals, breached tickets, bad ratings, promises.

    Every second history has risks of one kind only: what that kind alone decides is hidden by the others.
    """
    chance, numbers = random.Random(seed), count()
    found: list[TimelineEntry] = []

    def add(kind: str, subject_id: UUID, sequence: int, fact: Fact | None) -> None:
        at = BEGAN + timedelta(hours=3 * len(found))
        event_id = uuid5(NAMESPACE_URL, f"{seed} {len(found)}")
        found.append(TimelineEntry(at, event_id, at, CUSTOMER, kind, subject_id, sequence, fact))

    add("account", CUSTOMER, 1, AccountFact("north", "retail", "web", None, None))
    weights = {"deal": 60, "ticket": 27, "survey": 8, "promise": 4, "account": 1}
    if seed % 2 == 0:
        risk = chance.choice(("ticket", "survey", "promise"))
        weights = {"deal": 60, risk: 39, "account": 1}
    while len(found) < length:
        at = BEGAN + timedelta(hours=3 * len(found))
        day, subject_id = at.toordinal(), uuid5(NAMESPACE_URL, f"{seed} subject {next(numbers)}")
        match chance.choices([*weights], [*weights.values()])[0]:
            case "deal":
                worth, won = chance.randint(1, 1000), chance.random() < 0.7
                opened = DealFact("north", "retail", "web", None, None, [(day, None)], worth)
                add("deal", subject_id, 1, opened)
                shares: list[tuple[str | None, int]] = [("lamp", worth if won else 0)]
                add("deal", subject_id, 2, _closed(opened, at, won=won, shares=shares))
                if chance.random() < 0.1:
                    add("deal", subject_id, 3, opened)
            case "ticket":
                asked = at if chance.random() < 0.3 else None
                add("ticket", subject_id, 1, TicketFact(asked, at, None, None, breached=(day, None)))
                done = day + chance.randint(0, 3)
                add("ticket", subject_id, 2, TicketFact(asked, at, None, at, breached=(day, done)))
            case "survey":
                add("survey", subject_id, 1, SurveyFact(str(subject_id), at, day))
                if chance.random() < 0.2:
                    add("survey", subject_id, 2, None)
            case "promise":
                since = at - timedelta(days=1)
                add("onboardingstep", subject_id, 1, PromiseFact(since, (day, None)))
                add("onboardingstep", subject_id, 2, PromiseFact(since, (day, day + chance.randint(0, 3))))
                if chance.random() < 0.2:
                    add("onboardingstep", subject_id, 3, None)
            case _:
                region = chance.choice(("north", "south"))
                add("account", CUSTOMER, len(found) + 1, AccountFact(region, "retail", "web", None, None))
    return found[:length]


def _closed(opened: DealFact, at: datetime, *, won: bool, shares: list[tuple[str | None, int]]) -> DealFact:
    return DealFact(
        opened.region,
        opened.segment,
        opened.channel,
        opened.owner,
        opened.team,
        [(opened.open[0][0], at.toordinal())],
        opened.worth,
        closed_at=at,
        closed_on=at.toordinal(),
        won=won,
        shares=shares,
    )
