"""An incident log, imported through the API, gives the KPIs that the file itself gives, to the unit.

Everything expected here is counted from the CSV with the standard library; nothing of the importer is used.
"""

import csv
import gzip
import subprocess
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime

import httpx
import pytest

from tests.e2e.conftest import Imports, Kpis, real_files

FIRST, LAST = "2016-01-01", "2017-12-31"
PRIORITIES = {"1 - Critical": "urgent", "2 - High": "high", "3 - Moderate": "normal", "4 - Low": "low"}


@dataclass(frozen=True)
class Incident:
    opened: datetime
    resolved: datetime
    priority: str
    category: str | None
    reopenings: int


@dataclass(frozen=True)
class Log:
    """The file, read plainly: each incident as its rows leave it."""

    incidents: dict[str, Incident]
    imported: subprocess.CompletedProcess[str]


def instant(cell: str) -> datetime:
    return datetime.strptime(cell, "%d-%m-%Y %H:%M")  # noqa: DTZ007 - the file has no zone


@pytest.fixture(scope="module")
def log(imports: Imports) -> Log:
    (path,) = real_files("incident_log_sample.csv.gz")
    changes: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            changes[row["number"]].append(row)
    incidents = {}
    for number, rows in changes.items():
        rows.sort(key=lambda row: int(row["sys_mod_count"]))
        resolved = rows[-1]["resolved_at"]
        if resolved == "?":  # then the log itself has the time of the change
            resolved = next(row["sys_updated_at"] for row in rows if row["incident_state"] == "Resolved")
        categories = [row["category"] for row in rows if row["category"] != "?"]
        incidents[number] = Incident(
            opened=instant(rows[0]["opened_at"]),
            resolved=instant(resolved),
            priority=PRIORITIES[rows[0]["priority"]],
            category=categories[0].lower().replace(" ", "-") if categories else None,
            reopenings=max(int(row["reopen_count"]) for row in rows),
        )
    return Log(incidents, imports.incidents)


def by_month(answer_or_group: dict[str, object]) -> dict[str, object]:
    series = answer_or_group["series"]
    assert isinstance(series, list)
    return {point["start"]: point["numerator"] for point in series if point["numerator"]}


def months_by_priority(log: Log, member: str) -> dict[str, dict[str, int]]:
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for incident in log.incidents.values():
        found[incident.priority][f"{getattr(incident, member):%Y-%m}-01"] += 1
    return {priority: dict(months) for priority, months in found.items()}


def test_every_incident_is_imported_and_reported(log: Log) -> None:
    assert log.imported.returncode == 0, log.imported.stdout + log.imported.stderr
    assert "890 tickets imported, 0 completed, 0 were there already, 0 failed" in log.imported.stdout


async def test_tickets_opened_by_month_and_priority(log: Log, kpis: Kpis) -> None:
    answer = await kpis.ask("tickets_opened", FIRST, LAST, interval="month", group_by="priority")
    assert {group["key"]: by_month(group) for group in answer["groups"]} == months_by_priority(log, "opened")
    assert answer["numerator"] == 890


async def test_tickets_resolved_by_month_and_priority(log: Log, kpis: Kpis) -> None:
    answer = await kpis.ask("tickets_resolved", FIRST, LAST, interval="month", group_by="priority")
    assert {group["key"]: by_month(group) for group in answer["groups"]} == months_by_priority(log, "resolved")


async def test_reopen_counts(log: Log, kpis: Kpis) -> None:
    answer = await kpis.ask("reopen_count", FIRST, LAST, interval="month")
    expected: Counter[str] = Counter()
    for incident in log.incidents.values():
        expected[f"{incident.opened:%Y-%m}-01"] += incident.reopenings
    assert by_month(answer) == {start: count for start, count in expected.items() if count}
    assert answer["numerator"] == 11
    rate = await kpis.ask("reopen_rate", FIRST, LAST)
    assert (rate["numerator"], rate["denominator"]) == (10, 890)


async def test_resolution_rate_by_cohort_and_by_period(log: Log, kpis: Kpis) -> None:
    by_cohort = await kpis.ask("resolution_rate", FIRST, LAST)
    assert (by_cohort["numerator"], by_cohort["denominator"], by_cohort["value"]) == (890, 890, "1")
    resolved = Counter(f"{incident.resolved:%Y-%m}" for incident in log.incidents.values())
    opened = Counter(f"{incident.opened:%Y-%m}" for incident in log.incidents.values())
    march = await kpis.ask("resolution_rate", "2016-03-01", "2016-03-31", variant="period")
    assert (march["numerator"], march["denominator"]) == (resolved["2016-03"], opened["2016-03"])


async def test_tickets_by_category(log: Log, kpis: Kpis) -> None:
    answer = await kpis.ask("tickets_opened", FIRST, LAST, group_by="product")
    assert {group["key"]: group["numerator"] for group in answer["groups"]} == Counter(
        incident.category for incident in log.incidents.values()
    )


async def test_a_reopened_ticket_keeps_its_whole_history(log: Log, service: httpx.AsyncClient) -> None:
    page = (await service.get("/v1/tickets", params={"external_ref": "incidents:INC0000715"})).json()
    (ticket,) = page["items"]
    assert (ticket["status"], ticket["reopen_count"]) == ("closed", 2)
    assert ticket["opened_at"] == "2016-03-01T13:03:00Z"
    assert ticket["reopened_at"] == "2016-03-10T12:47:00Z"
    assert ticket["resolved_at"] == "2016-03-10T15:36:00Z"
    assert ticket["closed_at"] == "2016-03-24T18:50:00Z"
