"""Olist's leads and deals, imported through the API, give the KPIs that the files themselves give, to the unit.

Everything expected here is counted from the CSVs with the standard library; nothing of the importer is used.
"""

import csv
import gzip
import subprocess
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

import httpx
import pytest

from tests.e2e.conftest import Imports, Kpis, real_files

FIRST, LAST = "2017-01-01", "2018-12-31"
EUROS_FOR_ONE_REAL = Decimal("0.2321")
CENT = Decimal("0.01")


@dataclass(frozen=True)
class Lead:
    created: datetime
    origin: str | None


@dataclass(frozen=True)
class Won:
    at: datetime
    segment: str | None
    product: str
    reais: int

    @property
    def euros(self) -> Decimal:
        return (self.reais * EUROS_FOR_ONE_REAL).quantize(CENT, ROUND_HALF_EVEN)


@dataclass(frozen=True)
class Olist:
    """The two files, read plainly."""

    leads: dict[str, Lead]
    won: dict[str, Won]
    imported: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def olist(imports: Imports) -> Olist:
    leads_file, deals_file = real_files("olist_leads.csv.gz", "olist_closed_deals.csv.gz")
    leads, won = {}, {}
    with gzip.open(leads_file, "rt", encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            created = datetime.strptime(row["first_contact_date"], "%d-%m-%Y")  # noqa: DTZ007 - the file has no zone
            leads[row["mql_id"]] = Lead(created, row["origin"] or None)
    with gzip.open(deals_file, "rt", encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            won[row["mql_id"]] = Won(
                datetime.strptime(row["won_date"], "%d-%m-%Y %H:%M"),  # noqa: DTZ007
                row["business_segment"] or None,
                row["lead_type"] or "unspecified",
                int(row["declared_monthly_revenue"]),
            )
    return Olist(leads, won, imports.olist)


def month(day: datetime) -> str:
    return f"{day:%Y-%m}-01"


def by_month(answer_or_group: dict[str, object], member: str = "numerator") -> dict[str, object]:
    """The series without its empty months."""
    series = answer_or_group["series"]
    assert isinstance(series, list)
    return {point["start"]: point[member] for point in series if point[member] not in (0, "0.00")}


def test_every_row_is_imported_and_reported(olist: Olist) -> None:
    assert olist.imported.returncode == 0, olist.imported.stdout + olist.imported.stderr
    assert "8000 leads imported, 0 completed, 0 were there already, 0 failed" in olist.imported.stdout


async def test_leads_by_origin(olist: Olist, kpis: Kpis) -> None:
    answer = await kpis.ask("leads_created", FIRST, LAST, group_by="channel")
    assert {group["key"]: group["numerator"] for group in answer["groups"]} == Counter(
        lead.origin for lead in olist.leads.values()
    )
    assert answer["numerator"] == 8_000
    published: dict[str | None, int] = {
        "organic_search": 2_296,
        "paid_search": 1_586,
        "social": 1_350,
        "unknown": 1_099,
        "direct_traffic": 499,
        "email": 493,
        "referral": 284,
        "other": 150,
        "display": 118,
        "other_publicities": 65,
        None: 60,
    }
    assert {group["key"]: group["numerator"] for group in answer["groups"]} == published


async def test_won_deals_by_month(olist: Olist, kpis: Kpis) -> None:
    answer = await kpis.ask("sales_volume", FIRST, LAST, interval="month")
    assert by_month(answer) == Counter(month(won.at) for won in olist.won.values())
    assert answer["numerator"] == 842


async def test_won_deals_by_segment_and_month(olist: Olist, kpis: Kpis) -> None:
    answer = await kpis.ask("sales_volume", FIRST, LAST, interval="month", group_by="segment")
    expected: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
    for won in olist.won.values():
        expected[won.segment][month(won.at)] += 1
    assert {group["key"]: by_month(group) for group in answer["groups"]} == expected


async def test_won_deals_by_lead_type(olist: Olist, kpis: Kpis) -> None:
    answer = await kpis.ask("sales_volume", FIRST, LAST, group_by="product")
    found = {group["key"]: group["numerator"] for group in answer["groups"]}
    assert found == Counter(won.product for won in olist.won.values())
    published = {"online_medium": 332, "online_big": 126, "industry": 123, "offline": 104, "online_small": 77}
    assert found == published | {"online_beginner": 57, "online_top": 14, "other": 3, "unspecified": 6}


async def test_revenue_by_month(olist: Olist, kpis: Kpis) -> None:
    answer = await kpis.ask("revenue", FIRST, LAST, interval="month")
    expected: Counter[str] = Counter()
    for won in olist.won.values():
        expected[month(won.at)] += won.euros  # type: ignore[assignment]
    assert {start: Decimal(str(value)) for start, value in by_month(answer, "value").items()} == {
        start: euros for start, euros in expected.items() if euros
    }
    assert sum(won.reais for won in olist.won.values()) == 61_784_006
    assert Decimal(answer["value"]) == sum(won.euros for won in olist.won.values())
    assert answer["currency"] == "EUR"


@pytest.mark.parametrize("dimension", ["segment", "product"])
async def test_revenue_by_segment_and_by_lead_type(olist: Olist, kpis: Kpis, dimension: str) -> None:
    answer = await kpis.ask("revenue", FIRST, LAST, group_by=dimension)
    expected: defaultdict[str | None, Decimal] = defaultdict(Decimal)
    for won in olist.won.values():
        expected[getattr(won, dimension)] += won.euros
    assert {group["key"]: Decimal(group["value"]) for group in answer["groups"]} == expected


async def test_conversion_by_cohort_month(olist: Olist, kpis: Kpis) -> None:
    answer = await kpis.ask("lead_conversion_rate", FIRST, LAST, interval="month")
    created = Counter(month(lead.created) for lead in olist.leads.values())
    converted = Counter(month(olist.leads[reference].created) for reference in olist.won)
    assert by_month(answer, "denominator") == created
    assert by_month(answer, "numerator") == converted
    assert (answer["numerator"], answer["denominator"], answer["value"]) == (842, 8_000, "0.10525")


async def test_conversions_by_month_of_conversion(olist: Olist, kpis: Kpis) -> None:
    answer = await kpis.ask("lead_conversion_rate", FIRST, LAST, interval="month", variant="period")
    assert by_month(answer, "numerator") == Counter(month(won.at) for won in olist.won.values())


async def test_a_lead_keeps_the_times_and_names_of_the_file(olist: Olist, sales: httpx.AsyncClient) -> None:
    reference, won = next(iter(olist.won.items()))
    page = (await sales.get("/v1/leads", params={"external_ref": f"olist:{reference}"})).json()
    (lead,) = page["items"]
    deal = (await sales.get(f"/v1/deals/{lead['deal_id']}")).json()
    assert lead["status"] == "converted"
    assert lead["created_at"] == f"{olist.leads[reference].created:%Y-%m-%dT%H:%M:%SZ}"
    assert deal["closed_at"] == lead["converted_at"] == f"{won.at:%Y-%m-%dT%H:%M:%SZ}"
    assert (deal["stage"], deal["segment"], deal["channel"]) == ("won", won.segment, olist.leads[reference].origin)
