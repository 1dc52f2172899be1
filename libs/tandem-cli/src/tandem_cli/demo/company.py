"""Who and what the simulated company has: products, teams, people, customers, currencies, quotas. Pure and seeded."""

import calendar
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random

from tandem_cli.requests import Ref, given

REGIONS = ("north", "south", "east", "west", "central", "islands")
SEGMENTS = ("homes", "housing", "hotels", "factories", "farms", "public")
CHANNELS = {
    # channel: (share of leads, chance that one of them is qualified)
    "online": (0.27, 0.34),
    "telemarketing": (0.22, 0.24),
    "door_to_door": (0.16, 0.16),
    "referral": (0.10, 0.58),
    "direct": (0.10, 0.28),
    "trade_show": (0.08, 0.45),
    "retail_store": (0.07, 0.52),
}

_FIRST = "Aistė Bruno Chloé Dario Elif Farid Greta Hana Ivo Jonas Kaja Luca Mila Noor Oskar Petra Rūta Sven Uwe".split()
_LAST = "Alves Berg Costa Dahl Eriksson Fabre Grau Horvat Ivanova Jansen Kovač Lind Moreau Novak Ozola Rossi".split()
_TRADE = "Bakery Clinic Dairy Foundry Garden Hotel Joinery Kindergarten Laundry Library Mill Nursery Pool".split()
_PLACE = "Alder Birch Cedar Dune Elm Fjord Granite Harbour Isle Juniper Kestrel Lagoon Meadow Old Pine Quay".split()


@dataclass(frozen=True)
class Product:
    """Something that is sold and serviced; `price` in euro."""

    code: str
    name: str
    price: int
    weight: float


PRODUCTS = (
    Product("heat-pump-6", "Heat pump, 6 kW", 6_400, 0.22),
    Product("heat-pump-12", "Heat pump, 12 kW", 9_900, 0.18),
    Product("solar-roof", "Solar roof, 10 kWp", 12_500, 0.16),
    Product("battery-10", "Battery, 10 kWh", 5_800, 0.16),
    Product("wallbox", "Wallbox, 11 kW", 1_150, 0.12),
    Product("controller", "Energy controller", 780, 0.08),
    Product("boiler-industrial", "Industrial boiler", 38_000, 0.03),
    Product("care-plan", "Care plan, three years", 1_900, 0.05),
)

CURRENCIES = {
    # currency: (euro for one, share of deals)
    "EUR": (Decimal(1), 0.58),
    "USD": (Decimal("0.92"), 0.14),
    "GBP": (Decimal("1.17"), 0.12),
    "SEK": (Decimal("0.088"), 0.10),
    "JPY": (Decimal("0.0061"), 0.06),
}

SALES_TEAMS = ("Sales north", "Sales south", "Key accounts")
SERVICE_TEAMS = ("First line", "Field service", "Customer care")
PLANNING_RULES: dict[Ref, dict[str, object]] = {
    Ref("sales/planning-rules", "call after a win"): {"trigger": "deal_won", "days": 14, "purpose": "after-win"},
    Ref("sales/planning-rules", "win back"): {
        "trigger": "deal_lost",
        "days": 90,
        "purpose": "win-back",
        "kind": "call",
        "assign_to": "account_owner",
    },
    Ref("sales/planning-rules", "visit factories"): {
        "trigger": "interval",
        "days": 90,
        "purpose": "regular-visit",
        "kind": "visit",
        "segment": "factories",
    },
    Ref("service/planning-rules", "how is it going"): {
        "trigger": "onboarding_ended",
        "days": 30,
        "purpose": "after-onboarding",
    },
    Ref("service/planning-rules", "call who is not content"): {
        "trigger": "bad_rating",
        "days": 2,
        "purpose": "bad-rating",
    },
    Ref("service/planning-rules", "call hotels"): {
        "trigger": "interval",
        "days": 60,
        "purpose": "regular-call",
        "segment": "hotels",
        "team_id": Ref("service/teams", "Customer care"),
    },
}
"""What plans itself from the moment on at which it is declared."""
ONBOARDING_STEPS: dict[str, dict[str, int]] = {
    "heat-pump-6": {"installation": -12, "set-up": -8, "training": -4},
    "heat-pump-12": {"installation": -12, "set-up": -8, "training": -4},
    "solar-roof": {"installation": -10, "grid-registration": -4},
    "battery-10": {"installation": -10, "set-up": -6},
    "wallbox": {"installation": -6},
    "controller": {"set-up": -8, "training": -4},
    "boiler-industrial": {"installation": -12, "safety-inspection": -7, "training": -3},
    "care-plan": {"first-visit": -2},
}
"""What brings each product into use: each step's days from the promised day until it is due."""
REPS = 12
AGENTS = 10
_QUOTA = 340
"""Euro a salesperson should sell in a month for each customer that the company had at first."""


@dataclass(frozen=True)
class Account:
    """A customer that the company had from the start or from a day of the year on."""

    ref: Ref
    name: str
    region: str
    segment: str
    channel: str
    rep: Ref
    since: datetime


class Company:
    """The company that a seed makes. `accounts` is how many customers it has before the year begins.

    The same arguments give the same company, today and on any other day.
    """

    def __init__(self, seed: int, accounts: int) -> None:
        self.seed = seed
        self.reps = [Ref("sales/reps", f"rep-{number}") for number in range(REPS)]
        self.agents = [Ref("service/agents", f"agent-{number}") for number in range(AGENTS)]
        self.accounts = [self._account(number) for number in range(accounts)]

    def random(self, *key: object) -> Random:
        """A stream of chance of its own for each key, so that no draw depends on the order of others."""
        return Random(":".join(str(part) for part in (self.seed, *key)))

    def reference(self, key: str) -> str:
        """The external_ref of something of this company."""
        return f"demo-{self.seed}:{key}"

    def skill(self, person: Ref) -> float:
        """How good a person is, around 1."""
        return self.random("skill", person.key).uniform(0.75, 1.3)

    def things(self) -> Iterator[tuple[Ref, dict[str, object]]]:
        """What must be there before anything happens, in an order in which nothing refers to a later one."""
        for product in PRODUCTS:
            yield Ref("sales/products", product.code), {"code": product.code, "name": product.name}
        sales_teams = [Ref("sales/teams", name) for name in SALES_TEAMS]
        service_teams = [Ref("service/teams", name) for name in SERVICE_TEAMS]
        for team in (*sales_teams, *service_teams):
            yield team, {"name": team.key}
        for number, rep in enumerate(self.reps):
            yield rep, self._member(rep, "rep", number, sales_teams)
        for number, agent in enumerate(self.agents):
            yield agent, self._member(agent, "agent", number, service_teams)

        yield from self._promises()

    def plans(self) -> Iterator[tuple[Ref, dict[str, object]]]:
        """What plans itself once the company is at work, by rules and templates: history has plans of its own."""
        for rule, body in PLANNING_RULES.items():
            yield rule, body | {"name": self.reference(rule.key)}
        for product, days_of in ONBOARDING_STEPS.items():
            template = Ref("service/onboarding-templates", product)
            steps = [{"step": step, "days": days} for step, days in days_of.items()]
            yield template, {"name": self.reference(product), "product": product, "steps": steps}

    def _promises(self) -> Iterator[tuple[Ref, dict[str, object]]]:
        """What the company promises those who ask: how soon they are answered and helped, in business hours."""
        office = Ref("service/business-calendars", "office hours")
        hours = [{"weekday": day, "opens": "07:00", "closes": "19:00"} for day in range(1, 6)]
        yield office, {"name": self.reference(office.key), "timezone": "Europe/Vilnius", "hours": hours}
        for priority, answered, solved in (("urgent", 1, 8), ("high", 3, 20), ("normal", 6, 48), ("low", 12, 96)):
            policy = Ref("service/sla-policies", f"{priority} tickets")
            body: dict[str, object] = {
                "name": self.reference(policy.key),
                "priority": priority,
                "first_response_seconds": answered * 3600,
                "resolution_seconds": solved * 3600,
                "calendar_id": office,
            }
            yield policy, body

    def registrations(self) -> Iterator[tuple[Ref, dict[str, object]]]:
        """The customers of the company's first days."""
        for account in self.accounts:
            yield (
                account.ref,
                given(
                    name=account.name,
                    region=account.region,
                    segment=account.segment,
                    channel=account.channel,
                    owner_id=account.rep,
                    occurred_at=moment(account.since),
                ),
            )

    def exchange_rates(self, month: date) -> Iterator[tuple[Ref, dict[str, object]]]:
        """The rates from the first day of a month on; they wander a little."""
        for currency, (rate, _) in CURRENCIES.items():
            if currency == "EUR":
                continue
            drift = Decimal(self.random("rate", currency, month).randint(-300, 300)).scaleb(-4)
            ref = Ref("sales/exchange-rates", f"{currency}@{month}")
            yield ref, {"currency": currency, "on": month.isoformat(), "rate": f"{rate * (1 + drift):.6f}"}

    def quotas(self, month: date) -> Iterator[tuple[Ref, dict[str, object]]]:
        """What each salesperson is to sell in a month; set five days before."""
        end = month.replace(day=calendar.monthrange(month.year, month.month)[1])
        for rep in self.reps:
            target = round(self.random("quota", rep.key).uniform(0.85, 1.2) * self.quota, -2)
            body: dict[str, object] = {
                "rep_id": rep,
                "period_start": month.isoformat(),
                "period_end": end.isoformat(),
                "target": f"{target:.2f}",
                "occurred_at": moment(datetime.combine(month, time(9), UTC) - timedelta(days=5)),
            }
            yield Ref("sales/quotas", f"{rep.key}@{month}"), body

    @property
    def quota(self) -> int:
        """What one salesperson is to sell in a month, about: euros."""
        return _QUOTA * len(self.accounts)

    def company_name(self, random: Random) -> str:
        """A name for a customer."""
        return f"{random.choice(_PLACE)} {random.choice(_TRADE)} {random.randint(2, 999)}"

    def _account(self, number: int) -> Account:
        random = self.random("account", number)
        # Long before the first simulated day, whenever that is: a customer's age does not move with the calendar.
        since = datetime(2021, 1, 4, 8, tzinfo=UTC) + timedelta(minutes=random.randrange(3 * 365 * 24 * 60))
        return Account(
            ref=Ref("sales/accounts", f"account-{number}"),
            name=self.company_name(random),
            region=pick(random, dict(zip(REGIONS, (0.28, 0.22, 0.18, 0.16, 0.12, 0.04), strict=True))),
            segment=pick(random, dict(zip(SEGMENTS, (0.34, 0.22, 0.14, 0.12, 0.1, 0.08), strict=True))),
            channel=pick(random, {channel: share for channel, (share, _) in CHANNELS.items()}),
            rep=random.choice(self.reps),
            since=since,
        )

    def _member(self, ref: Ref, kind: str, number: int, teams: Sequence[Ref]) -> dict[str, object]:
        # A token with this subject sees what is theirs.
        subject = self.reference(ref.key)
        return {"name": self._person(kind, number), "team_id": teams[number % len(teams)], "subject": subject}

    def _person(self, kind: str, number: int) -> str:
        random = self.random("person", kind, number)
        return f"{random.choice(_FIRST)} {random.choice(_LAST)}"


def pick(random: Random, weights: dict[str, float]) -> str:
    """One of the keys, by weight."""
    return random.choices(list(weights), list(weights.values()))[0]


def moment(instant: datetime) -> str:
    """An instant as the APIs read it."""
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
