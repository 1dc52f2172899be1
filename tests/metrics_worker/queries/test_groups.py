"""Groups by two dimensions at once, the highest ones with all others as one, and what adds up to the whole."""

from datetime import timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any

import pytest

from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.kpis.formula import Kpi
from tests.metrics_worker.conftest import Metrics
from tests.metrics_worker.facts import (
    AGENT,
    MORNING,
    OTHER_REP,
    REP,
    account,
    activity,
    deal,
    lead,
    line,
    moment,
    survey,
    ticket,
)

Pair = tuple[str | None, ...]


def values(answer: Any) -> dict[Pair, str]:
    """Return the values of groups by the values of their dimensions, in their order."""
    return {tuple((each["keys"] or {}).values()): each["value"] for each in answer["groups"]}


def some_deals() -> list[Any]:
    desk, chair = line("desk", 1, "100"), line("chair", 2, "20")
    return [
        deal(desk, chair, stage="won", region="EMEA"),
        deal(desk, stage="won", region="EMEA", owner_id=OTHER_REP),
        deal(chair, stage="lost", region="EMEA"),
        deal(chair, stage="won", region="APAC"),
        deal(desk, stage="won", region=None),
    ]


async def test_sums_by_two_dimensions_add_up_to_the_whole(metrics: Metrics) -> None:
    await metrics.ingest(*some_deals())
    answer = await metrics.ask("revenue", group_by="region,product")
    assert values(answer) == {
        ("APAC", "chair"): "20.00",
        ("EMEA", "chair"): "20.00",
        ("EMEA", "desk"): "200.00",
        (None, "desk"): "100.00",
    }
    assert [each["key"] for each in answer["groups"]] == [None] * 4
    assert answer["groups"][0]["keys"] == {"region": "APAC", "product": "chair"}
    assert answer["groups_add_up"]
    assert sum(map(Decimal, values(answer).values())) == Decimal(answer["value"])
    turned = await metrics.ask("revenue", group_by="product,region")
    assert values(turned) == {pair[::-1]: value for pair, value in sorted(values(answer).items(), key=_turned)}
    volume = await metrics.ask("sales_volume", group_by="region,product")
    # A deal of two products counts under each.
    assert values(volume)["EMEA", "desk"] == "2"
    assert not volume["groups_add_up"]
    assert (await metrics.ask("sales_volume", group_by="region,owner"))["groups_add_up"]
    rate = await metrics.ask("win_rate", group_by="region,owner")
    assert values(rate)["EMEA", str(REP)] == "0.5"
    assert not rate["groups_add_up"]
    assert (await metrics.ask("revenue"))["groups_add_up"] is None


def _turned(item: tuple[Pair, str]) -> list[tuple[bool, str]]:
    return [(value is None, value or "") for value in item[0][::-1]]


async def test_a_customer_can_be_one_of_two_dimensions(metrics: Metrics) -> None:
    deals = some_deals()
    await metrics.ingest(*deals)
    customer = str(deals[0].account_id)
    answer = await metrics.ask("revenue", group_by="customer,region", product="desk")
    assert values(answer) == {(customer, "EMEA"): "200.00", (customer, None): "100.00"}
    assert answer["groups"][1]["keys"] == {"customer": customer, "region": None}


async def test_balances_by_two_dimensions_are_as_of_each_end(metrics: Metrics) -> None:
    await metrics.ingest(
        ticket(region="EMEA", priority="low", opened_at=moment("2026-02-10")),
        ticket(region="EMEA", priority="urgent", opened_at=moment("2026-03-03")),
        ticket(region="APAC", priority="low", opened_at=moment("2026-03-20")),
    )
    answer = await metrics.ask("backlog", group_by="region,priority", interval="month", **{"from": "2026-02-01"})
    assert values(answer) == {("APAC", "low"): "1", ("EMEA", "low"): "1", ("EMEA", "urgent"): "1"}
    series = {tuple(each["keys"].values()): [point["value"] for point in each["series"]] for each in answer["groups"]}
    assert series == {("APAC", "low"): ["0", "1"], ("EMEA", "low"): ["1", "1"], ("EMEA", "urgent"): ["0", "1"]}


async def test_the_highest_groups_come_first_and_all_others_as_one(metrics: Metrics) -> None:
    amounts = {"A": "10", "B": "30", "C": "20", "D": "5"}
    await metrics.ingest(
        *(deal(line("desk", 1, amount), stage="won", region=region) for region, amount in amounts.items()),
        deal(line("desk", 1, "1"), stage="lost", region="D"),
        deal(line("desk", 1, "1"), stage="lost", region="A"),
        deal(line("desk", 1, "1"), stage="lost", region="A"),
    )
    top = await metrics.ask("revenue", group_by="region", top="2", interval="month")
    assert [(each["key"], each["value"], each["groups"]) for each in top["groups"]] == [
        ("B", "30.00", 1), ("C", "20.00", 1), (None, "15.00", 2),
    ]  # fmt: skip
    assert top["groups"][-1]["keys"] is None
    assert [point["value"] for point in top["groups"][-1]["series"]] == ["15.00"]
    # Computed of the sums of all others, and not of their ratios: 2 of 5, where the mean of 1/3 and 1/2 is more.
    rate = await metrics.ask("win_rate", group_by="region", top="2")
    assert [(each["key"], each["value"]) for each in rate["groups"]] == [("B", "1"), ("C", "1"), (None, "0.4")]
    assert (rate["groups"][-1]["numerator"], rate["groups"][-1]["denominator"]) == (2, 5)
    everything = await metrics.ask("revenue", group_by="region", top="9")
    assert [each["key"] for each in everything["groups"]] == ["B", "C", "A", "D"]
    pairs = await metrics.ask("revenue", group_by="region,owner", top="1")
    assert [each["keys"] for each in pairs["groups"]] == [{"region": "B", "owner": str(REP)}, None]


async def test_the_median_of_all_others_is_theirs(metrics: Metrics) -> None:
    waits = {"A": [60], "B": [10, 10, 10], "C": [30]}
    await metrics.ingest(
        *(
            ticket(region=region, opened_at=MORNING, first_responded_at=MORNING + timedelta(minutes=minutes))
            for region, several in waits.items()
            for minutes in several
        )
    )
    answer = await metrics.ask("first_response_minutes", variant="median", group_by="region", top="1")
    first, others = answer["groups"]
    assert (first["key"], others["groups"], others["denominator"]) == ("A", 2, 4)
    assert abs(Decimal(others["value"]) - 10) < 1


def everything() -> list[Any]:
    """Some of all that the KPIs count, under several values of each dimension, and some without."""
    found: list[Any] = []
    for number in range(12):
        codes = {"region": ("EMEA", "APAC", None)[number % 3], "segment": ("smb", "large")[number % 2]}
        owner = {"owner_id": (REP, OTHER_REP)[number % 2]}
        customer = account(**codes, **owner)
        lines = (line("desk", 1, "100"), line("chair", 2, "20"))[: 1 + number % 2]
        stage = ("won", "lost", "won", "negotiation")[number % 4]
        found += [
            customer,
            lead(channel=("web", None)[number % 2], **codes, **owner),
            deal(*lines, stage=stage, account_id=customer.id, **codes, **owner),
            activity(**codes, **owner),
            ticket(
                priority=("low", "urgent")[number % 2],
                customer_id=customer.id,
                agent_id=(AGENT, None)[number % 2],
                first_responded_at=moment("2026-03-10T09:00"),
                **({"status": "resolved", "resolved_at": moment("2026-03-11T09:00")} if number % 4 else {}),
                **codes,
            ),
            survey(answered_at=moment("2026-03-12"), score=1 + number % 5, customer_id=customer.id, **codes),
        ]
    return found


@pytest.mark.parametrize("name", ["revenue", "win_rate", "pipeline_value", "csat", "backlog", "resolution_hours"])
async def test_each_pair_has_what_its_two_filters_have(name: str, metrics: Metrics) -> None:
    await metrics.ingest(*everything())
    kpi: Kpi = KPIS[name]
    tried = 0
    for variant in kpi.variants:
        for pair in combinations(kpi.dimensions, 2):
            answer = await metrics.ask(name, variant=variant, group_by=",".join(pair))
            if answer["groups_add_up"]:
                assert sum(Decimal(each["value"]) for each in answer["groups"]) == Decimal(answer["value"])
            for group in answer["groups"][:2]:
                asked = {dimension: value or "" for dimension, value in group["keys"].items()}
                alone = await metrics.ask(name, variant=variant, **asked)
                parts = ("value", "numerator", "denominator")
                assert [group[part] for part in parts] == [alone[part] for part in parts], asked
                tried += 1
    assert tried > 5


@pytest.mark.parametrize("kpi", KPIS.values(), ids=lambda kpi: kpi.name)
async def test_every_pair_of_dimensions_can_be_asked_for(kpi: Kpi, metrics: Metrics) -> None:
    for pair in list(combinations(kpi.dimensions, 2))[::4]:
        answer = await metrics.ask(kpi.name, group_by=",".join(pair), top="3")
        assert answer["groups"] == []
