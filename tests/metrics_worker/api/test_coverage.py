"""Coverage: what carries which dimension, which values have no answers, and the warnings beside a value."""

from typing import Any
from uuid import UUID

import pytest

from metrics_worker.queries.sample import one_sided
from tests.metrics_worker.conftest import MARCH, Metrics
from tests.metrics_worker.facts import MORNING, account, deal, lead, line, moment, survey, ticket
from tests.service_kit.conftest import assert_problem


async def a_lopsided_business(metrics: Metrics) -> None:
    """Two regions; four tickets in each, answers only from one; a customer of a third that is never heard of."""
    early = moment("2025-01-01")
    customers = [account(region=region, registered_at=early) for region in ("EMEA", "APAC", "LATAM", None)]
    deals = [
        deal(line("desk", 1, "10"), line("chair", 1, "10"), stage="won"),
        deal(stage="lost", region=None),
    ]
    leads = [lead(), lead(region=None), lead(region=None, owner_id=None)]
    tickets = [ticket(region=region) for region in ("EMEA", "APAC") for _ in range(4)]
    surveys = [survey(answered_at=MORNING, score=5) for _ in range(3)]
    surveys += [survey(region="APAC"), survey(answered_at=moment("2026-04-02"), score=1, region="APAC")]
    states: list[Any] = [*customers, *deals, *leads, *tickets, *surveys]
    await metrics.ingest(*states)


async def test_coverage_shows_what_carries_each_dimension_and_which_values_have_no_answers(metrics: Metrics) -> None:
    await a_lopsided_business(metrics)
    body = await metrics.get("/v1/coverage", **MARCH)
    shares = {
        (row["dimension"], each["subject"]): (each["numerator"], each["denominator"], each["value"])
        for row in body["dimensions"]
        for each in row["subjects"]
    }
    assert shares["region", "customers"] == (3, 4, "0.75")
    assert shares["region", "leads"] == (1, 3, "0.333333")
    assert shares["owner", "leads"] == (2, 3, "0.666667")
    # A deal with two products carries one, and counts once.
    assert shares["product", "deals"] == (1, 2, "0.5")
    assert shares["region", "answers"] == (3, 3, "1")
    assert ("product", "customers") not in shares
    assert {row["dimension"]: row["thin"] for row in body["dimensions"]} | {"team": False, "kind": False} == {
        "region": True, "segment": True, "product": True, "channel": True, "owner": True, "team": False,
        "priority": False, "kind": False,
    }  # fmt: skip
    unasked = {row["dimension"]: row for row in body["unasked"]}
    apac, latam = unasked["region"]["values"]
    assert (apac["value"], apac["customers"], apac["tickets"], apac["surveys_sent"], apac["surveys_answered"]) == (
        "APAC", 1, 4, 2, 0,
    )  # fmt: skip
    assert (latam["value"], latam["customers"], latam["surveys_sent"]) == ("LATAM", 1, 0)
    assert {each["value"] for each in unasked["product"]["values"]} == {"chair", "desk"}
    assert unasked["segment"] == {"dimension": "segment", "count": 0, "values": []}


async def test_the_kpi_of_coverage_is_asked_for_like_any_other(metrics: Metrics) -> None:
    await a_lopsided_business(metrics)
    region = await metrics.ask("coverage", variant="region")
    # 3 of 4 customers, 1 of 3 leads, 1 of 2 deals, 8 of 8 tickets and 3 of 3 answers.
    assert (region["value"], region["numerator"], region["denominator"]) == ("0.8", 16, 20)
    product = await metrics.ask("coverage", variant="product")
    assert (product["numerator"], product["denominator"]) == (12, 16)
    # The same from the postings, whatever is filtered or grouped by.
    filtered = await metrics.ask("coverage", variant="region", channel="web", segment="smb")
    assert (filtered["numerator"], filtered["denominator"]) == (2, 5)
    by_region = await metrics.ask("coverage", variant="region", group_by="region")
    assert {each["key"]: each["value"] for each in by_region["groups"]} == {
        "APAC": "1", "EMEA": "1", "LATAM": "1", None: "0",
    }  # fmt: skip
    of_none = await metrics.ask("coverage", variant="region", region="")
    assert (of_none["numerator"], of_none["denominator"]) == (0, 4)
    months = await metrics.ask("coverage", variant="region", interval="month", **{"from": "2026-02-01"})
    assert [point["denominator"] for point in months["series"]] == [4, 20]


async def test_every_answer_shows_its_sample(metrics: Metrics) -> None:
    await a_lopsided_business(metrics)
    win_rate = await metrics.ask("win_rate")
    assert win_rate["coverage"]["region"] == win_rate["coverage"]["product"] == "0.5"
    assert {each["code"] for each in win_rate["warnings"]} == {"thin", "incomplete"}
    filtered = await metrics.ask("win_rate", region="EMEA")
    assert filtered["coverage"] == win_rate["coverage"], "how much a filter leaves out does not depend on the filter"
    csat = await metrics.ask("csat")
    assert [each["says"] for each in csat["warnings"] if each["code"] == "one-sided"] == [
        "Those heard: no region APAC (50 % of the tickets); too much region EMEA (100 % of this, 50 % of the tickets)."
    ]
    assert not [each for each in (await metrics.ask("csat", region="EMEA"))["warnings"] if "region" in each["says"]]
    tickets = await metrics.ask("tickets_opened")
    assert (tickets["coverage"]["priority"], tickets["warnings"]) == ("1", [])
    nothing = await metrics.ask("win_rate", **{"from": "2025-03-01", "to": "2025-03-02"})
    assert (nothing["coverage"], nothing["warnings"]) == (None, [])
    then = await metrics.ask("win_rate", as_of="2026-05-01T00:00:00Z")
    assert (then["coverage"], [each["code"] for each in then["warnings"]]) == (None, ["thin"])


async def test_a_denominator_at_the_start_has_the_coverage_of_that_day(metrics: Metrics) -> None:
    regions = {UUID(int=70): "EMEA", UUID(int=71): None}
    bought = {
        id_: deal(
            line("desk", 1, "9"), stage="won", account_id=id_, opened_at=moment("2025-01-01"), closed_at=moment(day)
        )
        for id_, day in zip(regions, ("2025-06-01", "2026-03-05"), strict=True)
    }
    accounts = [account(id=id_, region=region) for id_, region in regions.items()]
    await metrics.ingest(*accounts, *bought.values())
    # Who came during the month is no part of what is divided by.
    churn = await metrics.ask("churn", variant="period")
    assert (churn["denominator"], churn["coverage"]["region"]) == (1, "1")


@pytest.mark.parametrize(
    ("heard", "there", "says"),
    [
        ({"a": 50, "b": 50}, {"a": 60, "b": 40}, None),
        ({"a": 1}, {"a": 91, "b": 9}, None),
        ({"a": 1}, {"a": 90, "b": 10}, "no region b (10 % of the tickets)"),
        ({"a": 76, "b": 24}, {"a": 50, "b": 50}, "too much region a (76 % of this, 50 % of the tickets)"),
        ({"a": 75, "b": 25}, {"a": 50, "b": 50}, None),
        ({}, {"a": 1}, None),
        ({"a": 1}, {}, None),
    ],
)
def test_who_is_heard_out_of_proportion_is_named(
    heard: dict[str, int], there: dict[str, int], says: str | None
) -> None:
    found = one_sided("region", heard, there, "tickets")
    assert (found and found.says) == (f"Those heard: {says}." if says else None)


async def test_days_that_cannot_be_are_refused(metrics: Metrics) -> None:
    answer = await metrics.client.get("/v1/coverage", params={"from": "2026-03-02", "to": "2026-03-01"})
    assert_problem(answer, 422, "invalid-request")
