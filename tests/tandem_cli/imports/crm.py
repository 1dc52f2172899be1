"""A small CRM as four files that refer to one another, and what its deals add up to, computed from its own tables."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from tests.tandem_cli.imports.samples import written

MAPPING = """
name: small-crm
kind: crm
sources:
  deals: {delimiter: ";", unknown: ["", "0"]}
product:
  reference: {column: product, slug: true}
  name: product
  price: sales_price
rep:
  reference: agent
  team: [office, {column: manager, template: "Team of {}"}]
  manager: manager
  region: {column: office, slug: true}
account:
  name: account
  segment: {column: sector, slug: true}
  region: {column: country, slug: true}
  owner: account_manager
deal:
  reference: opportunity
  account: account
  owner: agent
  opened_at: {column: engaged, default: 2006-01-01}
  stage: {column: stage, values: {Prospecting: prospecting, Engaging: proposal, Won: won, Lost: lost}}
  closed_at: closed
  currency: {constant: EUR}
  lines:
    - {product: {column: product, slug: true, values: {BoilerPro: boiler-pro}}, unit_price: value}
"""

ACCOUNTS = [("Acme, Inc.", "Retail", "Japan"), ("Bluth", "Real Estate", "Spain"), ("Cyberdyne", "Technology", "Spain")]
PRODUCTS = [("Boiler", "550"), ("Boiler Pro", "4821.50"), ("Valve", "55.25")]
REPS = [("Ann", "Cy", "East"), ("Bob", "Cy", "East"), ("Dan", "Eve", "East"), ("Fay", "Gus", "West")]
STAGES = ("Won", "Lost", "Won", "Engaging", "Won", "Lost", "Prospecting")


@dataclass(frozen=True)
class Deal:
    """One row of the pipeline."""

    account: str
    product: str
    agent: str
    stage: str
    engaged: date | None
    closed: date | None
    value: Decimal | None

    @property
    def worth(self) -> Decimal:
        """Its value, or the product's price where it has none."""
        return self.value or Decimal(dict(PRODUCTS)[self.product])

    @property
    def days(self) -> int:
        """From its opening to its closing."""
        assert self.engaged is not None
        assert self.closed is not None
        return (self.closed - self.engaged).days


def deals() -> list[Deal]:
    """Forty deals of 2006."""
    made = []
    for n in range(40):
        stage = STAGES[n % len(STAGES)]
        engaged = None if stage == "Prospecting" else date(2006, 1, 1) + timedelta(n * 5 % 97)
        is_closed = stage in ("Won", "Lost")
        made.append(
            Deal(
                account=ACCOUNTS[n * 2 % 3][0],
                product=PRODUCTS[n // 2 % 3][0],
                agent=REPS[n * 3 % 4][0],
                stage=stage,
                engaged=engaged,
                closed=engaged + timedelta(3 + n * 7 % 90, 0) if engaged and is_closed else None,
                value=Decimal(100 + n * 13) / 4 if stage == "Won" else None,
            )
        )
    return made


def files(folder: Path) -> list[Path]:
    """The mapping and the four files; the pipeline spells two names otherwise."""
    lines = []
    for number, deal in enumerate(deals()):
        product = "BoilerPro" if deal.product == "Boiler Pro" and number % 2 else deal.product
        account = deal.account.upper().replace(",", "") if number % 3 else deal.account
        engaged = f"{deal.engaged:%d/%m/%Y}" if deal.engaged else ""
        closed = f"{deal.closed:%d/%m/%Y}" if deal.closed else ""
        cells = [f"O{number}", account, product, deal.agent, deal.stage, engaged, closed, str(deal.value or 0)]
        lines.append(";".join(cells))
    accounts = [f'"{name}",{sector},{country},Ann' for name, sector, country in ACCOUNTS]
    return [
        written(folder / "mapping.yaml", MAPPING),
        written(folder / "deals.csv", "opportunity;account;product;agent;stage;engaged;closed;value", *lines),
        written(folder / "accounts.csv", "account,sector,country,account_manager", *accounts),
        written(folder / "products.csv", "product,sales_price", *map(",".join, PRODUCTS)),
        written(folder / "reps.csv", "agent,manager,office", *map(",".join, REPS)),
    ]


def repeat_revenue(closed: list[Deal]) -> Decimal:
    """The worth of all won deals but the first of each account."""
    seen: set[str] = set()
    total = Decimal()
    for deal in sorted(closed, key=lambda deal: str(deal.closed)):
        if deal.stage == "Won":
            total += deal.worth if deal.account in seen else 0
            seen.add(deal.account)
    return total


def by(attribute: str, closed: list[Deal]) -> dict[str, Decimal]:
    """The revenue of won deals by an attribute."""
    found: Counter[str] = Counter()
    for deal in closed:
        if deal.stage == "Won":
            found[getattr(deal, attribute)] += deal.worth  # type: ignore[assignment]
    return dict(found)  # type: ignore[arg-type]
