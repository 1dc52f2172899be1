"""Alerts: customers without an answer, missed targets, adverse trends, and thin coverage."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts.sales import ActivityCompleted, ActivityPlanned
from event_contracts.service import MaintenancePlanned
from metrics_worker.jobs.targets import TargetEvaluator
from metrics_worker.ledger.aggregate import decode
from metrics_worker.ledger.status import HISTORY_QUIET_SECONDS, open_ledger
from metrics_worker.settings import MetricsSettings
from tandem_cli.issuer import Issuer
from tests.metrics_worker.conftest import ingest, moved
from tests.metrics_worker.facts import (
    VILNIUS,
    account,
    activity,
    all_decoded,
    deal,
    decoded,
    lead,
    line,
    maintenance,
    record,
    survey,
    ticket,
)

pytestmark = pytest.mark.clock


def ago(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)


def this_monday() -> datetime:
    """Return the beginning of the week in the reporting time zone."""
    today = datetime.now(VILNIUS.zone).date()
    return datetime.combine(today - timedelta(days=today.weekday()), datetime.min.time(), VILNIUS.zone)


@pytest.fixture(autouse=True)
async def _caught_up(engine: AsyncEngine) -> None:
    await moved(engine)


async def get_alerts(client: httpx.AsyncClient, **parameters: str) -> list[dict[str, Any]]:
    answer = await client.get("/v1/alerts", params=parameters)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_a_customer_left_alone_for_more_than_an_hour_is_named_with_the_tickets(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    alone, answered, merged = UUID(int=101), UUID(int=102), uuid4()
    long, recent = ticket(customer_id=alone, opened_at=ago(days=400)), ticket(customer_id=alone, opened_at=ago(hours=2))
    states: list[tuple[Any, int]] = [
        (long, 1),
        (recent, 1),
        (ticket(customer_id=alone, opened_at=ago(minutes=30)), 1),
        (ticket(customer_id=answered, opened_at=ago(hours=3), first_responded_at=ago(hours=1)), 2),
        (ticket(customer_id=answered, opened_at=ago(hours=3), resolved_at=ago(hours=1)), 2),
        (ticket(customer_id=answered, opened_at=ago(hours=3), closed_at=ago(hours=1), status="closed"), 2),
        (ticket(customer_id=answered, opened_at=ago(hours=3), id=merged), 1),
    ]
    await ingest(engine, all_decoded(states), all_decoded([(ticket(id=merged, merged_into=long.id), 2)]))
    [found] = await get_alerts(client, kind="unattended")
    assert (found["subject"], found["severity"]) == (f"customers/{alone}", "critical")
    assert found["tickets"] == [str(long.id), str(recent.id)]
    assert datetime.fromisoformat(found["since"]) == long.opened_at
    explained = (await client.get(found["explain"])).json()
    assert (explained["kpi"], explained["value"]) == ("unattended_now", "3")


async def test_merged_customers_left_alone_are_one_alert_that_leads_to_all_of_their_tickets(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    gone, remains = UUID(int=101), UUID(int=102)
    earlier, later = ticket(customer_id=gone, opened_at=ago(days=3)), ticket(customer_id=remains, opened_at=ago(days=2))
    accounts: list[tuple[Any, int]] = [(account(id=gone), 1), (account(id=remains), 1)]
    await ingest(
        engine,
        all_decoded([*accounts, (earlier, 1), (later, 1)]),
        all_decoded([(account(id=gone, merged_into=remains), 2)]),
    )
    [found] = await get_alerts(client, kind="unattended")
    assert (found["subject"], found["tickets"]) == (f"customers/{remains}", [str(earlier.id), str(later.id)])
    assert (await client.get(found["explain"])).json()["value"] == "2"


async def test_for_tickets_that_waited_for_years_only_their_customers_are_read(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    alone, answered = UUID(int=101), UUID(int=102)
    long = ticket(customer_id=alone, opened_at=ago(days=1200))
    old = [ticket(customer_id=answered, opened_at=ago(days=900), first_responded_at=ago(days=899)) for _ in range(9)]
    await ingest(engine, all_decoded([(one, 1) for one in (long, *old)]))
    async with engine.begin() as connection:
        # Only a scan of the whole table would find these.
        spoilt = "UPDATE ticket_posting SET unattended = 1 WHERE customer = :customer"
        await connection.execute(sa.text(spoilt), {"customer": answered})
    [found] = await get_alerts(client, kind="unattended")
    assert (found["subject"], found["tickets"]) == (f"customers/{alone}", [str(long.id)])


async def test_a_missed_target_is_an_alert_from_its_evaluation_on(
    client: httpx.AsyncClient, engine: AsyncEngine, issuer: Issuer, settings: MetricsSettings
) -> None:
    headers = {"Authorization": f"Bearer {issuer.token(['sales-manager'])}"}
    await client.put("/v1/targets/revenue?region=EMEA", json={"value": "9", "period": "year"}, headers=headers)
    made = await client.put("/v1/targets/revenue", json={"value": "100", "since": "2020-01-01"}, headers=headers)
    assert made.status_code == 201
    assert await get_alerts(client, kind="target-missed") == []
    before = datetime.now(UTC)
    await TargetEvaluator(engine, settings.reporting).run_once()
    found = {each["subject"]: each for each in await get_alerts(client, kind="target-missed")}
    whole = found[f"targets/{made.json()['id']}"]
    assert whole["says"] == "Revenue has fallen short of its target of 100."
    facts = whole["facts"]
    assert (facts["rule"], facts["target"], facts["direction"]) == ("target-missed", "100", "up")
    assert (facts["unit"], facts["currency"]) == ("money", settings.reporting.currency)
    assert {(each["facts"]["dimension"], each["facts"]["dimension_value"]) for each in found.values()} == {
        (None, None),
        ("region", "EMEA"),
    }
    assert before <= datetime.fromisoformat(whole["since"]) <= datetime.now(UTC)
    for each in found.values():
        assert (await client.get(each["explain"])).json()["kpi"] == "revenue"
    await client.put("/v1/targets/revenue", json={"value": "0", "since": "2020-01-01"}, headers=headers)
    await TargetEvaluator(engine, settings.reporting).run_once()
    assert whole["subject"] not in {each["subject"] for each in await get_alerts(client, kind="target-missed")}


@pytest.mark.usefixtures("within_one_day")
async def test_a_leading_kpi_that_turns_is_named_with_its_weeks(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    monday = this_monday()
    leads = []
    for weeks_ago, count in enumerate([1, 2, 3, 6, 5, 6, 5, 6, 5, 6, 5, 6, 5, 6, 5], start=1):
        leads += [lead(created_at=monday - timedelta(weeks=weeks_ago) + timedelta(hours=12)) for _ in range(count)]
    await ingest(engine, all_decoded([(each, 1) for each in leads]))
    [found] = [each for each in await get_alerts(client, kind="kpi-turning") if each["kpi"] == "leads_created"]
    # 6 at most and 5 at least until then; 2.66 below the mean of 5.5 begins with the second of the three weeks.
    assert found["says"] == "Leads created is beyond what was usual over the twelve weeks before: 2, 1 (count)."
    facts = found["facts"]
    assert (facts["rule"], facts["unit"]) == ("beyond-usual-spread", "count")
    weeks = [(monday - timedelta(weeks=ago)).date().isoformat() for ago in (2, 1)]
    assert facts["weeks"] == [{"start": week, "value": value} for week, value in zip(weeks, ("2", "1"), strict=True)]
    assert datetime.fromisoformat(found["since"]) == monday - timedelta(weeks=2)
    assert (await client.get(found["explain"])).json()["value"] == "3"


@pytest.mark.usefixtures("within_one_day")
async def test_a_share_that_is_yet_to_grow_does_not_seem_to_turn(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    monday = this_monday()
    leads = []
    for weeks_ago in range(1, 18):
        came = monday - timedelta(weeks=weeks_ago) + timedelta(hours=12)
        # As good as ever: each is found worth pursuing a week after it came, one of every other week's excepted.
        for number in range(6):
            worth = weeks_ago > 1 and number >= weeks_ago % 2
            qualified_at = came + timedelta(weeks=1) if worth else None
            leads.append(lead(created_at=came, contacted_at=came, qualified_at=qualified_at))
    await ingest(engine, all_decoded([(each, 1) for each in leads]))
    week = {"from": str((monday - timedelta(weeks=1)).date()), "to": str((monday - timedelta(days=1)).date())}
    assert (await client.get("/v1/kpis/qualification_rate", params=week)).json()["value"] == "0"
    assert await get_alerts(client, kind="kpi-turning") == []


async def test_thin_and_unasked_values_are_alerts(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    customers = [account(registered_at=ago(days=900), region=region) for region in ("EMEA", None, None, "APAC")]
    states: list[Any] = [*customers, survey(sent_at=ago(days=1), answered_at=ago(hours=1), score=5)]
    await ingest(engine, all_decoded([(state, 1) for state in states]))
    found = {each["says"]: each["facts"] for each in await get_alerts(client, kind="thin-coverage", severity="info")}
    thin = found["The region is missing too often: only 50 % of customers carry it."]
    assert (thin["rule"], thin["dimension"]) == ("missing-dimension", "region")
    assert [(each["subject"], each["value"]) for each in thin["shares"]] == [("customers", "0.5")]
    silent = found["No survey was answered from region APAC."]
    assert (silent["rule"], silent["values"], silent["values_count"]) == ("unasked-values", ["APAC"], 1)
    assert await get_alerts(client, kind="thin-coverage", severity="critical") == []


async def test_the_gravest_and_oldest_come_first_and_pages_hold_each_once(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    waiting = [ticket(customer_id=uuid4(), opened_at=ago(hours=2 + number % 3)) for number in range(5)]
    await ingest(engine, all_decoded([(each, 1) for each in [*waiting, account(region=None)]]))
    whole = await get_alerts(client)
    assert [each["kind"] for each in whole[:5]] == ["unattended"] * 5
    assert whole[5:]
    order = [(each["severity"], each["since"]) for each in whole]
    assert order == sorted(order, key=lambda each: (["critical", "warning", "info"].index(each[0]), each[1]))
    paged: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await client.get("/v1/alerts", params={"limit": "2"} | cursor)).json()
        paged += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert [each["id"] for each in paged] == [each["id"] for each in whole]
    assert len({each["id"] for each in whole}) == len(whole)


async def test_while_the_ledger_catches_up_there_is_no_alert_but_that(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await ingest(engine, all_decoded([(ticket(opened_at=ago(hours=3)), 1)]))
    assert [each["kind"] for each in await get_alerts(client, severity="critical")] == ["unattended"]
    async with engine.begin() as connection:
        await connection.execute(sa.text("UPDATE consumer_offset SET next_offset = 0, log_end = 2"))
    [found] = await get_alerts(client)
    assert (found["kind"], found["severity"], found["subject"]) == ("books-being-read", "info", "books")
    await moved(engine)
    assert [each["kind"] for each in await get_alerts(client)] == ["books-being-read"]
    await moved(engine)
    assert [each["kind"] for each in await get_alerts(client, severity="critical")] == ["unattended"]


async def test_while_a_history_is_loaded_there_is_no_alert_but_that(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await ingest(engine, all_decoded([(ticket(opened_at=ago(hours=3)), 1)]))
    read = sa.text(
        "INSERT INTO freshness (topic, partition, history_read_at) VALUES ('t', 0, now() - make_interval(secs => :ago))"
        " ON CONFLICT (topic, partition) DO UPDATE SET history_read_at = excluded.history_read_at"
    )
    async with engine.begin() as connection:
        await connection.execute(read, {"ago": HISTORY_QUIET_SECONDS - 5})
    [found] = await get_alerts(client)
    assert (found["kind"], found["facts"]["rule"]) == ("books-being-read", "history-being-loaded")
    async with engine.begin() as connection:
        await connection.execute(read, {"ago": HISTORY_QUIET_SECONDS + 1})
    await moved(engine)
    assert [each["kind"] for each in await get_alerts(client, severity="critical")] == ["unattended"]


async def test_a_sequence_conflict_is_alarmed_until_the_next_event_of_its_subject(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    lost = deal(line("desk", 1, "100"), stage="lost")
    won = deal(line("desk", 1, "100"), stage="won", id=lost.id)
    await ingest(engine, decoded(lost, 2), decode(record(won, 2, event_id=uuid4()), VILNIUS))
    [found] = await get_alerts(client, kind="sequence-conflict")
    assert (found["subject"], found["severity"]) == (f"deals/{lost.id}", "critical")
    await ingest(engine, decoded(won, 3))
    assert await get_alerts(client, kind="sequence-conflict") == []


async def test_planned_work_that_is_overdue_is_one_alert_a_kind(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    await open_ledger(engine, VILNIUS)
    today = VILNIUS.day_of(datetime.now(UTC))
    noon = datetime.combine(today, datetime.min.time(), VILNIUS.zone) + timedelta(hours=12)
    not_done: dict[str, Any] = {"status": "planned", "planned_at": ago(days=90)}
    call = msgspec.structs.asdict(activity()) | not_done | {"completed_at": None}
    visit = msgspec.structs.asdict(maintenance()) | not_done | {"performed_at": None}
    late = ActivityPlanned(**(call | {"id": uuid4(), "due_at": noon - timedelta(days=9)}))
    states: list[Any] = [
        late,
        ActivityPlanned(**(call | {"id": uuid4(), "due_at": noon - timedelta(days=2)})),
        ActivityPlanned(**(call | {"id": uuid4(), "due_at": noon})),
        MaintenancePlanned(**(visit | {"due_on": today + timedelta(days=1)})),
    ]
    await ingest(engine, all_decoded(states))
    [found] = await get_alerts(client, kind="overdue")
    first = today - timedelta(days=9)
    assert (found["subject"], found["kpi"], found["severity"]) == ("activities", "follow_ups_on_time", "warning")
    assert found["says"] == f"Planned activities are overdue: 2, the first due on {first}."
    assert (found["facts"]["rule"], found["facts"]["overdue_count"]) == ("overdue-work", 2)
    explained = await client.get(found["explain"])
    assert explained.json()["denominator"] == 2
    done = ActivityCompleted(**(msgspec.structs.asdict(late) | {"status": "done", "completed_at": ago(days=1)}))
    await ingest(engine, all_decoded([(done, 2)]))
    [found] = await get_alerts(client, kind="overdue")
    assert found["says"].endswith(f"1, the first due on {today - timedelta(days=2)}.")
