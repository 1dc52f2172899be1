"""Quotas over HTTP: one target a salesperson and day."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from event_contracts.sales import QuotaSet
from tests.sales_api.sales import ABSENT, Sales, pointers, reference
from tests.service_kit.conftest import assert_problem

QUARTER = {"period_start": "2026-01-01", "period_end": "2026-03-31", "target": "250000"}


async def test_a_quota_is_set_and_changed(sales: Sales) -> None:
    rep = await sales.rep()
    body = QUARTER | {"rep_id": rep["id"], "occurred_at": "2025-12-20T00:00:00Z"}
    answer = await sales.send("POST", "/v1/quotas", body)
    quota = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/quotas/{quota['id']}")
    assert (quota["target"], quota["currency"], quota["team_id"]) == ("250000.00", "EUR", rep["team_id"])
    path = f"/v1/quotas/{quota['id']}"
    raised = await sales.patch(path, {"target": "300000.50", "occurred_at": "2026-02-01T00:00:00Z"})
    assert (raised["target"], raised["version"]) == ("300000.50", 2)
    assert await sales.get(path) == raised
    first, second = await sales.events_of(quota["id"])
    assert isinstance(first.data, QuotaSet)
    assert isinstance(second.data, QuotaSet)
    assert first.data.change.previous_target is None
    assert first.data.target == second.data.change.previous_target
    assert second.data.target.amount == Decimal("300000.50")
    assert second.data.set_at == second.time == datetime(2026, 2, 1, tzinfo=UTC)
    assert (second.data.rep_id, second.data.period_end.isoformat()) == (UUID(rep["id"]), "2026-03-31")
    assert [event.sequence for event in (first, second)] == [1, 2]


async def test_the_same_target_again_changes_nothing(sales: Sales) -> None:
    quota = await sales.post("/v1/quotas", QUARTER | {"rep_id": (await sales.rep())["id"]}, status=201)
    assert await sales.patch(f"/v1/quotas/{quota['id']}", {"target": "250000.0"}) == quota
    assert len(await sales.events_of(quota["id"])) == 1


@pytest.mark.parametrize(
    "days",
    [
        ("2026-01-01", "2026-03-31"),
        ("2025-12-01", "2026-01-01"),
        ("2026-03-31", "2026-04-30"),
        ("2026-02-01", "2026-02-02"),
        ("2025-12-31", "2026-12-31"),
    ],
)
async def test_periods_of_one_salesperson_do_not_overlap(sales: Sales, days: tuple[str, str]) -> None:
    rep = await sales.rep()
    quota = await sales.post("/v1/quotas", QUARTER | {"rep_id": rep["id"]}, status=201)
    other = {"rep_id": rep["id"], "period_start": days[0], "period_end": days[1], "target": "1"}
    refusal = assert_problem(await sales.send("POST", "/v1/quotas", other), 409, "quota-overlaps")
    assert refusal["existing_id"] == quota["id"]
    await sales.post("/v1/quotas", other | {"rep_id": (await sales.rep())["id"]}, status=201)


async def test_periods_may_follow_each_other_without_a_gap(sales: Sales) -> None:
    rep = await sales.rep()
    for start, end in (("2026-01-01", "2026-01-31"), ("2026-02-01", "2026-02-28"), ("2025-12-31", "2025-12-31")):
        body = {"rep_id": rep["id"], "period_start": start, "period_end": end, "target": "0"}
        await sales.post("/v1/quotas", body, status=201)
    assert len((await sales.get(f"/v1/quotas?rep_id={rep['id']}"))["items"]) == 3
    assert len((await sales.get(f"/v1/quotas?team_id={rep['team_id']}&period_start=2026-01-01"))["items"]) == 1


async def test_the_same_quota_many_times_at_once_is_set_once(sales: Sales) -> None:
    body = QUARTER | {"rep_id": (await sales.rep())["id"]}
    answers = await asyncio.gather(*(sales.send("POST", "/v1/quotas", body) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"period_end": "2025-12-31"}, "#/period_end"),
        ({"period_end": "2027-01-02"}, "#/period_end"),
        ({"target": "0.001"}, "#/target"),
        ({"target": "-1"}, "#/target"),
        ({"rep_id": ABSENT}, "#/rep_id"),
    ],
)
async def test_an_impossible_quota_is_refused(sales: Sales, change: dict[str, Any], pointer: str) -> None:
    body = QUARTER | {"rep_id": (await sales.rep())["id"]} | change
    problem = assert_problem(await sales.send("POST", "/v1/quotas", body), 422)
    assert pointers(problem) == [pointer]


async def test_a_leap_year_fits(sales: Sales) -> None:
    year = {"period_start": "2028-01-01", "period_end": "2028-12-31", "target": "1"}
    await sales.post("/v1/quotas", year | {"rep_id": (await sales.rep())["id"]}, status=201)


async def test_an_external_reference_belongs_to_one_quota(sales: Sales) -> None:
    ref = reference()
    body = QUARTER | {"rep_id": (await sales.rep())["id"], "external_ref": ref}
    quota = await sales.post("/v1/quotas", body, status=201)
    refusal = assert_problem(await sales.send("POST", "/v1/quotas", body), 409, "external-ref-taken")
    assert refusal["existing_id"] == quota["id"]
    assert (await sales.get(f"/v1/quotas?external_ref={ref}"))["items"] == [quota]


async def test_a_sales_rep_does_not_set_targets(sales: Sales) -> None:
    rep = await sales.rep(subject=reference())
    quota = await sales.post("/v1/quotas", QUARTER | {"rep_id": rep["id"]}, status=201)
    change = await sales.send("PATCH", f"/v1/quotas/{quota['id']}", {"target": "1"}, role="sales-rep")
    assert_problem(change, 403, "forbidden")
    path = f"/v1/quotas/{quota['id']}"
    assert (await sales.send("GET", path, role="sales-rep", subject=rep["subject"])).status_code == 200
