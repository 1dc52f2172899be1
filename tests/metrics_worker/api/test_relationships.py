"""The KPIs over customers' timelines, over HTTP."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from event_contracts.catalogue import State
from metrics_worker.ledger.aggregate import SubjectState, decode
from tests.metrics_worker.conftest import MARCH, Metrics
from tests.metrics_worker.facts import (
    CUSTOMER,
    MORNING,
    REP,
    VILNIUS,
    account,
    deal,
    line,
    moment,
    record,
    survey,
    ticket,
)

HOUR = timedelta(hours=1)
OTHER = UUID(int=77)


def recorded(state: State, sequence: int = 1, hours: int = 0) -> list[SubjectState]:
    return decode(record(state, sequence, recorded_time=MORNING + hours * HOUR), VILNIUS)


def won(on: str, amount: str, **fields: Any) -> State:
    return deal(line("desk", 1, amount), stage="won", opened_at=moment("2024-01-01"), closed_at=moment(on), **fields)


async def test_loyalty_follows_from_two_years_of_purchases(metrics: Metrics) -> None:
    # One stays and spends half as much again, one leaves, one comes.
    await metrics.apply(
        [*recorded(won("2024-06-01", "200")), *recorded(won("2025-06-01", "300"))],
        recorded(won("2024-07-01", "100", account_id=REP)),
        recorded(won("2026-03-02", "70", account_id=OTHER)),
    )
    assert await metrics.value("customer_retention") == "0.5"
    assert await metrics.value("churn") == "0.5"
    assert await metrics.value("net_revenue_retention") == "1"
    assert await metrics.value("repeat_purchase_rate") == "0.333333"
    assert await metrics.value("new_revenue") == "70.00"
    assert await metrics.value("new_customers") == "1"
    # Over the year in which the second one lapsed, two were active when it began.
    lapsed = {"variant": "period", "from": "2025-01-01", "to": "2025-12-31"}
    assert (await metrics.value("churn", **lapsed), await metrics.value("customer_retention", **lapsed)) == (
        "0.5",
        "0.5",
    )


async def test_a_merge_makes_the_second_first_purchase_a_repeated_one_and_as_of_shows_both(metrics: Metrics) -> None:
    await metrics.apply(
        [*recorded(account(id=CUSTOMER)), *recorded(account(id=OTHER)), *recorded(won("2026-03-05", "30"), 1, 1)],
        # The merge is recorded last of all, and read before one of the deals.
        recorded(account(id=OTHER, merged_into=CUSTOMER), 2, 3),
        recorded(won("2026-03-04", "70", account_id=OTHER), 1, 2),
    )
    before, after = ({"as_of": (MORNING + hours * HOUR).isoformat()} for hours in (2, 3))
    assert await metrics.value("new_revenue") == "70.00"
    assert await metrics.value("repeat_revenue") == "30.00"
    assert await metrics.value("new_revenue", **before) == "100.00"
    assert await metrics.value("repeat_revenue", **after) == "30.00"
    assert await metrics.value("revenue", customer=str(CUSTOMER)) == "100.00"
    assert await metrics.value("revenue", customer=str(OTHER)) == "0.00"
    assert await metrics.value("revenue", customer=str(OTHER), **before) == "70.00"
    assert await metrics.value("revenue", customer=str(CUSTOMER), region="EMEA", **after) == "100.00"
    assert await metrics.value("revenue") == "100.00"


async def test_whats_at_risk_is_explained_by_the_events_of_both_functions(metrics: Metrics) -> None:
    bought = recorded(won("2026-03-01", "80"))
    breached = recorded(ticket(sla_breached_at=moment("2026-03-12")), 1, 1)
    rated = recorded(survey(score=1, answered_at=moment("2026-03-20")), 1, 2)
    await metrics.apply(rated, breached, bought)
    assert await metrics.value("revenue_at_risk") == "80.00"
    assert await metrics.value("customers_at_risk") == "1"
    assert await metrics.value("customers_at_risk", variant="badly_rated") == "1"
    assert await metrics.value("customer_health") == "50"
    answer = await metrics.client.get("/v1/kpis/revenue_at_risk/explain", params=MARCH)
    [posting] = answer.json()["items"]
    assert posting["event_id"] == str(breached[0].event_id)
    assert posting["subject"] == f"relationships/{CUSTOMER}"
    assert posting["measures"] == {"relationship.revenue_at_risk": "80.00", "relationship.pipeline_at_risk": "0.00"}
    earlier = {"as_of": (MORNING + HOUR / 2).isoformat()}
    assert await metrics.value("revenue_at_risk", **earlier) == "0.00"
