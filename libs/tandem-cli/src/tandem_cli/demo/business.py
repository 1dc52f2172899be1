"""What happens when: seasons, weekdays, good and bad weeks, and the scenarios of each day. Pure and seeded."""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from tandem_cli.demo.company import Company
from tandem_cli.demo.sales_scenarios import deal_scenario, lead_scenario
from tandem_cli.demo.scenario import Scenario, Script
from tandem_cli.demo.ticket_scenarios import care_scenario, ticket_scenario

_SEASON = (0.8, 0.9, 1.1, 1.15, 1.1, 1.0, 0.75, 0.7, 1.1, 1.25, 1.2, 0.9)
_WEEKDAY = (1.2, 1.2, 1.15, 1.1, 1.0, 0.35, 0.2)
_COLD = (1.4, 1.3, 1.1, 0.9, 0.8, 0.8, 0.8, 0.8, 0.9, 1.1, 1.2, 1.4)
"""Tickets follow the cold, sales the season."""

# A day's scenarios for each customer of the company.
_LEADS, _DEALS, _TICKETS, _CARE = 0.020, 0.011, 0.020, 0.006
_LIVE = ("lead", "deal", "ticket", "ticket", "care")


class Business:
    """The company at work. The same day always has the same scenarios."""

    def __init__(self, company: Company) -> None:
        self.company = company

    def mood(self, day: date) -> float:
        """How well a week goes, around 1: below 0.8 is a bad week, above 1.2 a good one."""
        year, week, _ = day.isocalendar()
        return min(1.45, max(0.6, self.company.random("mood", year, week).gauss(1.0, 0.2)))

    def day(self, day: date) -> list[Scenario]:
        """Return the scenarios that begin on a day, in UTC."""
        size = len(self.company.accounts) * _WEEKDAY[day.weekday()]
        mood = self.mood(day)
        counts = {
            "lead": size * _LEADS * _SEASON[day.month - 1] * mood,
            "deal": size * _DEALS * _SEASON[day.month - 1] * mood,
            "ticket": size * _TICKETS * _COLD[day.month - 1] / mood,
            "care": size * _CARE,
        }
        random = self.company.random("day", day)
        scenarios = []
        for kind, expected in counts.items():
            for number in range(_whole(expected, random.random)):
                begins = datetime(day.year, day.month, day.day, tzinfo=UTC)
                begins += timedelta(seconds=random.triangular(6 * 3600, 21 * 3600, 11 * 3600))
                scenarios.append(self._scenario(kind, f"{day}:{kind}:{number}", begins, mood))
        return scenarios

    def live(self, number: int, begins: datetime) -> Scenario:
        """Return the live scenario of that number. `begins` changes its times only."""
        kind = self.company.random("live", number).choice(_LIVE)
        mood = self.company.random("live-mood", number // 50).uniform(0.7, 1.3)
        return self._scenario(kind, f"live:{number}", begins, mood)

    def scenario(self, key: str, now: datetime) -> Scenario:
        """Return the scenario of a key again. Raises KeyError when the business never had it."""
        first, _, number = key.partition(":")
        if first == "live":
            return self.live(int(number), now)
        return {scenario.key: scenario for scenario in self.day(date.fromisoformat(first))}[key]

    def _scenario(self, kind: str, key: str, begins: datetime, mood: float) -> Scenario:
        random = self.company.random("story", key)
        script = Script(key, random, begins)
        if kind == "lead":
            return lead_scenario(self.company, script, mood)
        account = random.choice(self.company.accounts)
        play = {"deal": deal_scenario, "ticket": ticket_scenario, "care": care_scenario}[kind]
        return play(self.company, script, mood, account)


def _whole(expected: float, chance: Callable[[], float]) -> int:
    """A count that is `expected` on average."""
    return math.floor(expected) + (chance() < expected % 1)
