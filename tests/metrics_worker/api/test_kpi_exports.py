"""A KPI as a file: whatever column is summed, no wrong number comes out of it."""

import csv
import io
import json
from decimal import Decimal
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from service_kit.audit.entries import audit_entry
from tests.metrics_worker.conftest import MARCH, Metrics
from tests.metrics_worker.facts import REP, deal, line, moment, ticket
from tests.service_kit.conftest import assert_problem

Rows = list[dict[str, str]]


async def export(client: httpx.AsyncClient, kpi: str, **asked: str) -> Rows:
    answer = await client.get(f"/v1/exports/kpis/{kpi}", params=MARCH | asked)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


def total(rows: Rows, column: str) -> Decimal:
    """Return what a spreadsheet makes of a column: empty fields are nothing."""
    return sum((Decimal(row[column]) for row in rows if row[column]), Decimal(0))


def some_deals() -> list[Any]:
    desk, chair = line("desk", 1, "100"), line("chair", 2, "20")
    return [
        deal(desk, chair, stage="won", region="EMEA"),
        deal(desk, stage="lost", region="EMEA"),
        deal(chair, stage="won", region="APAC"),
        deal(desk, stage="won", region=None),
    ]


async def test_values_that_add_up_are_apart_from_those_that_do_not(metrics: Metrics) -> None:
    await metrics.ingest(*some_deals())
    client = metrics.client
    revenue = await export(client, "revenue", group_by="region,product")
    assert total(revenue, "additive_value") == Decimal(await metrics.value("revenue") or 0)
    assert {row["adds_up"] for row in revenue} == {"value"}
    assert {row["row_kind"] for row in revenue} == {"group"}, "no row is a total"
    assert [(row["region"], row["product"], row["product_name"]) for row in revenue][:2] == [
        ("APAC", "chair", ""), ("EMEA", "chair", "")
    ]  # fmt: skip
    rate = await export(client, "win_rate", group_by="region")
    assert total(rate, "additive_value") == 0
    whole = await metrics.ask("win_rate")
    assert {row["adds_up"] for row in rate} == {"parts"}
    assert (total(rate, "numerator"), total(rate, "denominator")) == (whole["numerator"], whole["denominator"])
    assert [row["nonadditive_value"] for row in rate] == ["1", "0.5", "1"]
    # A deal of two products is in two groups.
    for kpi in ("sales_volume", "win_rate"):
        by_product = await export(client, kpi, group_by="product")
        assert {row["adds_up"] for row in by_product} == {"nothing"}
        assert total(by_product, "additive_value") == 0
    median = await export(client, "sales_cycle_days", variant="median", group_by="region")
    assert {row["adds_up"] for row in median} == {"nothing"}


async def test_wholes_and_shares_are_files_of_their_own(metrics: Metrics) -> None:
    await metrics.ingest(*some_deals())
    (whole,) = await export(metrics.client, "revenue", part="whole")
    assert (whole["row_kind"], whole["additive_value"], "share" in whole) == ("whole", "240.00", False)
    (rate,) = await export(metrics.client, "win_rate", part="whole", group_by="region")
    assert (rate["nonadditive_value"], rate["numerator"], rate["denominator"]) == ("0.75", "3", "4")
    assert "region" not in rate
    shares = await export(metrics.client, "revenue", part="shares", group_by="region")
    assert [(row["region"], row["share"], row["share_numerator"], row["share_denominator"]) for row in shares] == [
        ("APAC", "0.083333", "20.00", "240.00"),
        ("EMEA", "0.5", "120.00", "240.00"),
        ("", "0.416667", "100.00", "240.00"),
    ]
    assert "additive_value" not in shares[0]
    for kpi, asked in (("win_rate", {"group_by": "region"}), ("sales_volume", {"group_by": "product"})):
        answer = await metrics.client.get(f"/v1/exports/kpis/{kpi}", params=MARCH | {"part": "shares", **asked})
        assert_problem(answer, 422, "invalid-request")
    answer = await metrics.client.get("/v1/exports/kpis/revenue", params=MARCH)
    assert_problem(answer, 422, "invalid-request")


async def test_all_others_are_a_row_of_their_own_kind(metrics: Metrics) -> None:
    await metrics.ingest(*some_deals())
    rows = await export(metrics.client, "revenue", group_by="region", top="1")
    assert [(row["row_kind"], row["region"], row["additive_value"]) for row in rows] == [
        ("group", "EMEA", "120.00"), ("others", "", "120.00")
    ]  # fmt: skip


async def test_balances_of_several_moments_are_not_added(metrics: Metrics) -> None:
    await metrics.ingest(ticket(region="EMEA", opened_at=moment("2026-02-10")), ticket(region="APAC"))
    at_once = await export(metrics.client, "backlog", group_by="region")
    assert {row["adds_up"] for row in at_once} == {"value"}
    assert total(at_once, "additive_value") == 2
    by_month = await export(metrics.client, "backlog", group_by="region", interval="month", **{"from": "2026-02-01"})
    assert [(row["start"], row["region"], row["nonadditive_value"]) for row in by_month] == [
        ("2026-02-01", "APAC", "0"), ("2026-03-01", "APAC", "1"),
        ("2026-02-01", "EMEA", "1"), ("2026-03-01", "EMEA", "1"),
    ]  # fmt: skip
    assert total(by_month, "additive_value") == 0
    flow = {"group_by": "region", "interval": "month", "from": "2026-02-01"}
    opened = await export(metrics.client, "tickets_opened", **flow)
    assert total(opened, "additive_value") == 2


@pytest.mark.parametrize("part", ["groups", "whole", "shares"])
async def test_both_forms_hold_the_same(part: str, metrics: Metrics) -> None:
    await metrics.ingest(*some_deals())
    asked = {"part": part, "group_by": "owner", "interval": "month"}
    rows = await export(metrics.client, "revenue", **asked)
    answer = await metrics.client.get("/v1/exports/kpis/revenue", params=MARCH | asked | {"format": "ndjson"})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"] == (
        f'attachment; filename="revenue-{part}-2026-03-01-2026-03-31.ndjson"'
    )
    items = [json.loads(text) for text in answer.text.splitlines()]
    as_fields = [{name: "" if value is None else str(value) for name, value in each.items()} for each in items]
    assert as_fields == rows
    assert list(items[0]) == list(rows[0])
    assert (items[0]["start"], items[0].get("owner")) == ("2026-03-01", None if part == "whole" else str(REP))


async def test_an_export_is_on_record(metrics: Metrics) -> None:
    await export(metrics.client, "revenue", part="whole", region="EMEA")
    async with metrics.engine.connect() as connection:
        (entry,) = (await connection.execute(sa.select(audit_entry))).all()
    assert (entry.operation, entry.action, entry.changes["kpi"]) == ("export_kpi", "read", [None, "revenue"])
    assert entry.changes["region"] == [None, "EMEA"]
