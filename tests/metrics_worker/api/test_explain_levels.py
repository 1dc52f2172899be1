"""Semi-additive measures and percentiles are explained, also as of past moments, like all numbers."""

import csv
import io
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from metrics_worker.domain.histogram import bucket_of, seconds_of
from metrics_worker.ledger.aggregate import SubjectState, decode
from metrics_worker.queries import explain
from tests.metrics_worker.conftest import MARCH, Metrics
from tests.metrics_worker.facts import (
    MORNING,
    VILNIUS,
    check_in,
    deal,
    decoded,
    delivery,
    line,
    moment,
    record,
    survey,
    ticket,
)

HOUR = timedelta(hours=1)


def recorded(state: Any, sequence: int, hours: int) -> list[SubjectState]:
    """A state that its service recorded some hours after the morning."""
    return decode(record(state, sequence, recorded_time=MORNING + hours * HOUR), VILNIUS)


def at(hours: int) -> str:
    return (MORNING + hours * HOUR).isoformat().replace("+00:00", "Z")


def counted(body: Any) -> dict[str, int]:
    return {each["reason"]: each["count"] for each in body["exclusions"]}


def a_queue() -> list[SubjectState]:
    """One ticket of last month still open, one resolved after two hours, one merged after three, one reopened."""
    old, resolved, merged, reopened = (
        ticket(opened_at=moment("2026-02-10")), ticket(), ticket(region="APAC"), ticket(reopen_count=1),
    )  # fmt: skip
    done = {"status": "resolved", "resolved_at": MORNING + HOUR}
    return [
        *recorded(old, 1, 0),
        *recorded(resolved, 1, 1),
        *recorded(ticket(id=resolved.id, **done), 2, 2),
        *recorded(merged, 1, 1),
        *recorded(ticket(id=merged.id, region="APAC", merged_into=resolved.id), 2, 3),
        *recorded(ticket(id=reopened.id), 1, 1),
        *recorded(ticket(id=reopened.id, **done), 2, 2),
        *recorded(reopened, 3, 4),
        # After the period: no level of March knows it.
        *recorded(ticket(opened_at=moment("2026-04-02")), 1, 1),
    ]


async def test_a_semi_additive_measure_as_of_earlier_is_another(metrics: Metrics) -> None:
    await metrics.apply(a_queue())
    then = {hours: await metrics.value("backlog", as_of=at(hours)) for hours in range(5)}
    assert then == {0: "1", 1: "4", 2: "2", 3: "1", 4: "2"}
    two = await metrics.ask("backlog", as_of=at(2), group_by="region", interval="week")
    assert two["now"] == {"value": "2", "change": "0", "numerator": 2, "denominator": None}
    assert {group["key"]: group["value"] for group in two["groups"]} == {"EMEA": "1", "APAC": "1"}
    assert [point["value"] for point in two["series"]] == ["1", "1", "2", "2", "2", "2"]
    assert await metrics.value("backlog", as_of=at(1), region="EMEA", priority="normal") == "3"


async def test_a_semi_additive_measure_is_explained_by_all_postings_up_to_its_day(metrics: Metrics) -> None:
    await metrics.apply(a_queue())
    for as_of in ({}, {"as_of": at(2)}):
        body = await metrics.ask("backlog/explain", **as_of)
        assert sum(item["measures"]["ticket.backlog"] for item in body["items"]) == body["numerator"] == 2
        assert min(item["day"] for item in body["items"]) == "2026-02-10"
        assert max(item["day"] for item in body["items"]) <= "2026-03-31"
    assert counted(await metrics.ask("backlog/explain")) == {
        "unreadable": 0, "missing": 0, "merged": 1, "ended": 1,
    }  # fmt: skip
    since = await metrics.ask("backlog/explain", recorded_after=at(2))
    assert sum(item["measures"]["ticket.backlog"] for item in since["items"]) == 0
    assert len({item["event_id"] for item in since["items"]}) == 2
    rows = list(csv.DictReader(io.StringIO((await metrics.client.get(
        "/v1/kpis/backlog/explain", params=MARCH | {"format": "csv"}
    )).text)))  # fmt: skip
    assert sum(int(row["ticket.backlog"]) for row in rows) == 2
    opened = await metrics.ask("tickets_opened/explain")
    assert (opened["value"], counted(opened)["merged"], counted(opened)["taken-back"]) == ("2", 1, 0)


async def test_what_has_ended_is_counted_over_the_queried_days(metrics: Metrics) -> None:
    def one(opened: str, closed: str | None, **fields: Any) -> Any:
        stage = {} if closed is None else {"stage": "won", "closed_at": moment(closed)}
        return deal(line("desk", 1, "9"), opened_at=moment(opened), **stage, **fields)

    deals = [
        one("2026-01-10", "2026-02-10"), one("2026-01-10", "2026-03-10"), one("2026-01-10", "2026-04-02"),
        one("2026-03-10", "2026-03-11", region="APAC"), one("2026-03-10", None),
    ]  # fmt: skip
    await metrics.ingest(*deals)

    async def ended(kpi: str, **filters: str) -> int | None:
        return counted(await metrics.ask(f"{kpi}/explain", **filters)).get("ended")

    assert await ended("pipeline_value") == await ended("pipeline_velocity") == 2
    assert await ended("pipeline_value", region="APAC", segment="smb") == 1
    assert await ended("pipeline_value", stage="negotiation") is None, "closing deals are not broken down by it"
    assert await ended("customers_at_risk") is None


async def test_of_what_was_taken_back_the_newest_is_checked(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in ("2026-03-03", "2026-03-20"):
        won = deal(line("desk", 1, "9"), stage="won", opened_at=moment("2026-03-01"), closed_at=moment(day))
        lost = deal(line("desk", 1, "9"), stage="lost", id=won.id, closed_at=moment(day), opened_at=won.opened_at)
        await metrics.apply(decoded(won), decoded(lost, 2))

    async def taken_back() -> tuple[int, bool]:
        [found] = [
            each for each in (await metrics.ask("sales_volume/explain"))["exclusions"] if each["reason"] == "taken-back"
        ]
        return found["count"], found["partial"]

    assert await taken_back() == (2, False)
    async with metrics.engine.connect() as connection:
        of_last = await connection.scalar(sa.text("SELECT count(*) FROM deal_posting WHERE day = '2026-03-20'"))
    monkeypatch.setattr(explain, "POSTINGS_CHECKED", of_last)
    assert await taken_back() == (1, True)


async def test_the_pipeline_was_worth_what_was_known_then(metrics: Metrics) -> None:
    first = deal(line("desk", 1, "100"))
    await metrics.apply(
        recorded(first, 1, 1),
        recorded(deal(line("desk", 1, "60"), id=first.id), 2, 2) + recorded(deal(line("desk", 1, "7")), 1, 2),
        recorded(deal(line("desk", 1, "60"), id=first.id, stage="won", closed_at=MORNING + HOUR), 3, 3),
    )
    values = [await metrics.value("pipeline_value", as_of=at(hours)) for hours in range(4)]
    assert values == ["0.00", "100.00", "67.00", "7.00"]
    body = await metrics.ask("pipeline_value/explain", as_of=at(2))
    assert sum(float(item["measures"]["deal.pipeline_value"]) for item in body["items"]) == 67
    win_rate = await metrics.ask("win_rate/explain")
    assert [each["count"] for each in win_rate["exclusions"] if each["reason"] == "not-counted"] == [1]


async def test_percentiles_are_answered_as_of_a_moment_and_explained_by_their_durations(metrics: Metrics) -> None:
    slow = uuid4()
    quick = [ticket(first_responded_at=MORNING + timedelta(minutes=minutes)) for minutes in range(1, 10)]
    await metrics.apply(
        [entry for each in quick for entry in recorded(each, 1, 1)],
        recorded(ticket(id=slow, first_responded_at=MORNING + 5 * HOUR), 1, 2),
        # Its response was entered wrongly, and is corrected.
        recorded(ticket(id=slow, first_responded_at=MORNING + timedelta(minutes=10)), 2, 3),
        recorded(ticket(), 1, 3),
    )
    ten, five_hours = (seconds_of(bucket_of(minutes * 60)) for minutes in (10, 300))
    nine = seconds_of(bucket_of(9 * 60))

    async def p90(**parameters: str) -> tuple[int, int]:
        body = await metrics.ask("first_response_minutes", variant="p90", **parameters)
        return body["numerator"], body["denominator"]

    assert [await p90(as_of=at(hours)) for hours in (0, 1, 2, 3)] == [(0, 0), (nine, 9), (nine, 10), (nine, 10)]
    assert await p90() == (nine, 10)
    median = await metrics.ask("first_response_minutes", variant="median", as_of=at(2), group_by="region")
    assert median["groups"][0]["numerator"] == seconds_of(bucket_of(5 * 60))
    longest = {"variant": "p90", "region": "EMEA", "customer": str(quick[0].customer_id), "as_of": at(2)}
    assert (await metrics.ask("first_response_minutes", **longest))["numerator"] == nine
    body = await metrics.ask("first_response_minutes/explain", variant="p90")
    assert (body["numerator"], body["denominator"]) == (nine, 10)
    counts = [item["measures"]["ticket.first_responded"] for item in body["items"]]
    seconds = [item["measures"]["ticket.first_response_seconds"] for item in body["items"]]
    assert (sum(counts), sum(seconds)) == (10, sum(range(1, 11)) * 60)
    assert (min(seconds), max(seconds)) == (-18_000, 18_000)
    assert [each["count"] for each in body["exclusions"] if each["reason"] == "not-counted"] == [1]
    early = await metrics.ask("first_response_minutes/explain", variant="p90", as_of=at(2), region="EMEA")
    assert (early["denominator"], counted(early)["recorded-later"]) == (10, 2)
    assert five_hours > ten > nine


async def test_a_value_at_the_start_is_explained_by_earlier_postings_alone(metrics: Metrics) -> None:
    def won(on: str) -> Any:
        return deal(
            line("desk", 1, "9"), stage="won", opened_at=moment("2024-01-01"), closed_at=moment(on), account_id=uuid4()
        )

    # One lapses on the 10th of March 2026, one has long lapsed, one stays and one comes during the month.
    days = ("2025-03-10", "2024-02-01", "2025-06-01", "2026-03-05")
    await metrics.ingest(*(won(day) for day in days))
    body = await metrics.ask("churn/explain", variant="period")
    assert (body["numerator"], body["denominator"]) == (1, 2)
    for measure, amount in (("relationship.lapsed", 1), ("relationship.active", 2)):
        assert sum(item["measures"][measure] for item in body["items"]) == amount
    rows = csv.DictReader(io.StringIO((await metrics.client.get(
        "/v1/kpis/churn/explain", params=MARCH | {"variant": "period", "format": "csv"}
    )).text))  # fmt: skip
    assert sum(int(row["relationship.active"]) for row in rows) == 2


async def test_what_a_variant_counts_itself_it_does_not_leave_out(metrics: Metrics) -> None:
    await metrics.ingest(check_in(), check_in(due_on=MORNING.date()))
    every = await metrics.ask("check_ins_completed/explain")
    assert (every["numerator"], "not-counted" in counted(every)) == (2, False)
    in_time = await metrics.ask("check_ins_completed/explain", variant="on_time")
    assert (in_time["denominator"], counted(in_time)["not-counted"]) == (1, 1)


async def test_what_a_kpi_leaves_out_is_counted_under_the_same_filters(metrics: Metrics) -> None:
    states: list[Any] = [
        delivery(), delivery(promise=None), delivery(promise=None, region="APAC"),
        survey(), survey(answered_at=MORNING, score=5), survey(answered_at=MORNING, recommendation=9),
    ]  # fmt: skip
    await metrics.ingest(*states)

    async def left_out(kpi: str, **filters: str) -> dict[str, int]:
        body = await metrics.ask(f"{kpi}/explain", **filters)
        return {each["says"]: each["count"] for each in body["exclusions"] if each["reason"] == "not-counted"}

    without = "accepted deliveries of deals without a promise"
    assert await left_out("promises_kept") == {without: 2}
    assert await left_out("promises_kept", region="APAC") == {without: 1}
    assert await left_out("promises_kept", as_of="2026-03-10T07:00:00Z") == {without: 0}
    assert list((await left_out("csat")).values()) == [1, 1]
    assert await left_out("win_rate", product="desk") == {}, "open deals are not broken down by product"
