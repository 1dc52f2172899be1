"""The answers of the API about a ledger of known facts, to the unit."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any

import msgspec
import pytest

from event_contracts.catalogue import State
from metrics_worker.kpis.catalogue import KPIS
from tests.metrics_worker.conftest import MARCH, Metrics, answers_to
from tests.metrics_worker.facts import (
    CUSTOMER,
    OTHER_REP,
    REP,
    VILNIUS,
    account,
    activity,
    check_in,
    deal,
    decoded,
    delivery,
    eur,
    interaction,
    lead,
    line,
    logged,
    maintenance,
    moment,
    quota,
    referral,
    review,
    survey,
    ticket,
    training,
    upsell,
)


def brief(answer: dict[str, Any]) -> tuple[str | None, Any, Any]:
    return answer["value"], answer["numerator"], answer["denominator"]


def by_key(answer: dict[str, Any]) -> dict[str | None, str | None]:
    return {group["key"]: group["value"] for group in answer["groups"]}


async def test_an_answer_has_this_form(metrics: Metrics) -> None:
    await metrics.ingest(*(deal(line("desk", 1, "10"), stage=stage) for stage in ("won", "lost", "won")))
    assert await metrics.ask("win_rate") == {
        "kpi": "win_rate",
        "variant": "count",
        "unit": "ratio",
        "currency": None,
        "from": "2026-03-01",
        "to": "2026-03-31",
        "timezone": "Europe/Vilnius",
        "filters": {},
        "teams": None,
        "names": {},
        "as_of": None,
        "now": None,
        "value": "0.666667",
        "numerator": 2,
        "denominator": 3,
        "previous": None,
        "series": None,
        "groups": None,
        "groups_add_up": None,
        "fresh_as_of": None,
        "target": None,
        "coverage": {"region": "1", "segment": "1", "product": "1", "channel": "1", "owner": "1", "team": "1"},
        "warnings": [{"code": "thin", "says": "It is based on 3 only; below 30, chance moves it."}],
    }


async def test_won_deals_count_as_volume_and_revenue(metrics: Metrics) -> None:
    one = deal(line("desk", 2, "100.10"), line("chair", 4, "50"), stage="won")
    two = deal(line("desk", 1, "60.05"), stage="won", region=None)
    lost, still_open = deal(line("desk", 1, "999"), stage="lost"), deal(line("desk", 1, "999"))
    await metrics.ingest((one, 3), two, (lost, 2), still_open)
    assert brief(await metrics.ask("sales_volume")) == ("2", 2, None)
    revenue = await metrics.ask("revenue")
    assert brief(revenue) == ("210.15", "210.15", None)
    assert (revenue["unit"], revenue["currency"]) == ("money", "EUR")
    assert brief(await metrics.ask("units_sold")) == ("7", 7, None)
    # 210.15 / 2 = 105.075: half to even.
    assert brief(await metrics.ask("average_deal_size")) == ("105.08", "210.15", 2)


async def test_a_deal_counts_once_under_each_product_and_once_in_everything_else(metrics: Metrics) -> None:
    both = deal(line("desk", 1, "100"), line("chair", 2, "20"), stage="won", region="EMEA")
    one = deal(line("desk", 1, "50"), stage="won", region="APAC")
    await metrics.ingest(both, one)
    volume = await metrics.ask("sales_volume", group_by="product")
    assert volume["value"] == "2"
    assert by_key(volume) == {"chair": "1", "desk": "2"}
    assert by_key(await metrics.ask("revenue", group_by="product")) == {"chair": "20.00", "desk": "150.00"}
    assert by_key(await metrics.ask("revenue", group_by="region")) == {"APAC": "50.00", "EMEA": "120.00"}
    # The same from the postings, where two dimensions are involved.
    assert by_key(await metrics.ask("revenue", group_by="product", region="EMEA")) == {
        "chair": "20.00",
        "desk": "100.00",
    }
    assert by_key(await metrics.ask("revenue", group_by="region", product="desk")) == {
        "APAC": "50.00",
        "EMEA": "100.00",
    }
    assert by_key(await metrics.ask("revenue", group_by="region", segment="smb")) == {"APAC": "50.00", "EMEA": "120.00"}
    assert await metrics.value("revenue", region="EMEA", segment="smb") == "120.00"
    assert await metrics.value("revenue", region="EMEA", product="desk") == "100.00"


async def test_conversion_by_cohort_and_by_period(metrics: Metrics) -> None:
    await metrics.ingest(
        (lead(converted_at=moment("2026-03-20")), 2),
        (lead(converted_at=moment("2026-05-01")), 2),
        lead(),
        (lead(created_at=moment("2026-02-01"), converted_at=moment("2026-03-02")), 2),
    )
    assert brief(await metrics.ask("lead_conversion_rate")) == ("0.666667", 2, 3)
    assert (await metrics.ask("lead_conversion_rate"))["variant"] == "cohort"
    assert brief(await metrics.ask("lead_conversion_rate", variant="period")) == ("0.666667", 2, 3)
    april = {"from": "2026-04-01", "to": "2026-05-31"}
    assert brief(await metrics.ask("lead_conversion_rate", variant="period", **april)) == (None, 1, 0)


async def test_quota_attainment_by_owner_and_part_of_a_period(metrics: Metrics) -> None:
    first, last = date(2026, 1, 1), date(2026, 12, 31)
    await metrics.ingest(
        quota(first, last, eur("36500")),
        deal(line("desk", 1, "1550"), stage="won", owner_id=REP),
        deal(line("desk", 1, "10"), stage="won", owner_id=OTHER_REP),
    )
    attainment = await metrics.ask("quota_attainment", group_by="owner")
    assert brief(attainment) == ("0.503226", "1560.00", "3100.00")
    assert by_key(attainment) == {str(REP): "0.5", str(OTHER_REP): None}


async def test_satisfaction_as_top_two_and_as_mean(metrics: Metrics) -> None:
    answers = [survey(answered_at=moment("2026-03-12"), score=score) for score in (5, 4, 3, 1)]
    await metrics.ingest(*((one, 2) for one in [*answers, survey()]))
    assert brief(await metrics.ask("csat")) == ("0.5", 2, 4)
    mean = await metrics.ask("csat", variant="mean")
    assert (mean["unit"], *brief(mean)) == ("score", "3.25", 13, 4)
    assert brief(await metrics.ask("survey_response_rate")) == ("0.8", 4, 5)


async def test_tickets_resolved_reopened_and_solved_at_first_contact(metrics: Metrics) -> None:
    done = moment("2026-03-12")
    await metrics.ingest(
        (ticket(resolved_at=done, inbound_count=1, priority="urgent"), 3),
        (ticket(resolved_at=done, inbound_count=2), 3),
        (ticket(resolved_at=done, inbound_count=1, reopen_count=2), 7),
        ticket(),
        (ticket(opened_at=moment("2026-02-01"), resolved_at=done), 2),
    )
    assert brief(await metrics.ask("resolution_rate")) == ("0.75", 3, 4)
    assert brief(await metrics.ask("resolution_rate", variant="period")) == ("1", 4, 4)
    assert brief(await metrics.ask("first_contact_resolution")) == ("0.5", 2, 4)
    assert brief(await metrics.ask("tickets_opened", priority="urgent")) == ("1", 1, None)
    assert brief(await metrics.ask("tickets_resolved", kind="problem")) == ("4", 4, None)
    assert brief(await metrics.ask("reopen_rate")) == ("0.25", 1, 4)
    assert brief(await metrics.ask("reopen_rate", variant="period")) == ("0.25", 1, 4)
    assert brief(await metrics.ask("reopen_count")) == ("2", 2, None)


async def test_handle_time_is_talk_hold_and_wrap_up(metrics: Metrics) -> None:
    contacts = [
        interaction(talk_seconds=100, hold_seconds=20, wrap_up_seconds=3),
        interaction(talk_seconds=10, hold_seconds=0, wrap_up_seconds=0, channel="email"),
        interaction(agent_id=None, talk_seconds=999),
    ]
    await metrics.ingest(*((logged(contact), 2) for contact in contacts))
    handle_time = await metrics.ask("average_handle_time", group_by="channel")
    assert (handle_time["unit"], *brief(handle_time)) == ("seconds", "66.5", 133, 2)
    assert by_key(handle_time) == {"email": "10", "phone": "123"}


async def test_what_has_no_value_is_a_group_of_its_own(metrics: Metrics) -> None:
    await metrics.ingest(*(lead(channel=channel) for channel in (None, "unknown", "unknown", "web")))
    assert by_key(await metrics.ask("leads_created", group_by="channel")) == {"unknown": "2", "web": "1", None: "1"}
    assert await metrics.value("leads_created", channel="") == "1"
    assert await metrics.value("leads_created", channel="", region="EMEA") == "1"
    assert await metrics.value("leads_created", channel="", region="") == "0"
    assert by_key(await metrics.ask("leads_created", channel="", group_by="region")) == {"EMEA": "1"}
    assert by_key(await metrics.ask("leads_created", group_by="region", channel="unknown")) == {"EMEA": "2"}


async def test_an_unknown_code_has_nothing(metrics: Metrics) -> None:
    await metrics.ingest(lead())
    assert brief(await metrics.ask("leads_created", channel="nowhere")) == ("0", 0, None)
    assert brief(await metrics.ask("lead_conversion_rate", channel="nowhere")) == (None, 0, 0)


async def test_a_series_shows_every_bucket(metrics: Metrics) -> None:
    days = ["2026-03-01T10:00", "2026-03-02T10:00", "2026-03-08T10:00", "2026-03-31T10:00"]
    leads = [lead(created_at=moment(day), converted_at=moment("2026-04-01")) for day in days]
    await metrics.ingest(*((one, 2) for one in leads))
    weeks = await metrics.ask("leads_created", interval="week")
    assert [(point["start"], point["value"]) for point in weeks["series"]] == [
        # 1 March 2026 is a Sunday: the first bucket is what the period has of its week.
        ("2026-03-01", "1"),
        ("2026-03-02", "2"),
        ("2026-03-09", "0"),
        ("2026-03-16", "0"),
        ("2026-03-23", "0"),
        ("2026-03-30", "1"),
    ]
    daily = await metrics.ask("lead_conversion_rate", interval="day")
    assert len(daily["series"]) == 31
    assert daily["series"][1] == {"start": "2026-03-02", "value": "1", "numerator": 1, "denominator": 1}
    assert daily["series"][2] == {"start": "2026-03-03", "value": None, "numerator": 0, "denominator": 0}
    assert brief(daily) == ("1", 4, 4)
    for interval in ("month", "quarter", "year"):
        coarse = await metrics.ask("leads_created", interval=interval)
        assert [(point["start"], point["value"]) for point in coarse["series"]] == [("2026-03-01", "4")]


async def test_each_group_has_its_own_series(metrics: Metrics) -> None:
    web, phone = lead(), lead(channel="phone", created_at=moment("2026-02-10"))
    await metrics.ingest(web, phone)
    answer = await metrics.ask("leads_created", interval="month", group_by="channel", **{"from": "2026-02-01"})
    assert {group["key"]: [point["value"] for point in group["series"]] for group in answer["groups"]} == {
        "phone": ["1", "0"],
        "web": ["0", "1"],
    }
    assert [point["value"] for point in answer["series"]] == ["1", "1"]


async def test_the_period_before_is_compared_with(metrics: Metrics) -> None:
    before = [deal(line("desk", 1, "1.10"), stage=stage, closed_at=moment("2026-02-10")) for stage in ("won", "lost")]
    now = [deal(line("desk", 1, "2.05"), stage="won") for _ in range(3)]
    await metrics.ingest(*before, *now)
    win_rate = await metrics.ask("win_rate", compare="previous", interval="week")
    assert win_rate["previous"] == {
        "from": "2026-01-29",
        "to": "2026-02-28",
        "value": "0.5",
        "change": "0.5",
        "numerator": 1,
        "denominator": 2,
    }
    assert (await metrics.ask("revenue", compare="previous"))["previous"]["change"] == "5.05"
    assert (await metrics.ask("csat", compare="previous"))["previous"]["change"] is None


@pytest.mark.clock
@pytest.mark.usefixtures("within_one_day")
async def test_without_a_period_the_last_30_days_count(metrics: Metrics) -> None:
    nothing = (await metrics.client.get("/v1/kpis/leads_created")).json()
    last = date.fromisoformat(nothing["to"])
    assert abs(last - datetime.now(VILNIUS.zone).date()) <= timedelta(days=1)
    assert nothing["from"] == str(last - timedelta(days=29))
    noons = [datetime.combine(last - timedelta(days=age), time(12), VILNIUS.zone) for age in (-1, 0, 29, 30)]
    await metrics.ingest(*(lead(created_at=noon) for noon in noons))
    assert (await metrics.client.get("/v1/kpis/leads_created", params={"to": str(last)})).json()["value"] == "2"


async def test_a_combination_agrees_with_a_count_by_hand(metrics: Metrics) -> None:
    regions, priorities, products = ["A", "B", None], ["low", "urgent"], ["x", None]
    tickets = [
        ticket(
            region=regions[number % 3],
            priority=priorities[number % 2],
            product=products[number % 5 % 2],
            resolved_at=moment("2026-03-15") if number % 7 else None,
        )
        for number in range(120)
    ]
    await metrics.ingest(*tickets)
    for region in ("A", ""):
        answer = await metrics.ask("resolution_rate", region=region, product="x", group_by="priority")
        chosen = [one for one in tickets if one.region == (region or None) and one.product == "x"]
        assert (answer["numerator"], answer["denominator"]) == (
            sum(one.resolved_at is not None for one in chosen),
            len(chosen),
        )
        assert {group["key"]: (group["numerator"], group["denominator"]) for group in answer["groups"]} == {
            priority: (
                sum(one.resolved_at is not None for one in chosen if one.priority == priority),
                sum(one.priority == priority for one in chosen),
            )
            for priority in {one.priority for one in chosen}
        }


async def test_a_semi_additive_measure_is_read_at_the_end(metrics: Metrics) -> None:
    tickets = [
        ticket(opened_at=moment("2026-01-05"), region=None),
        ticket(opened_at=moment("2026-01-05"), resolved_at=moment("2026-03-03")),
        ticket(
            opened_at=moment("2026-03-02"), resolved_at=moment("2026-04-02"), first_responded_at=moment("2026-03-04")
        ),
        ticket(opened_at=moment("2026-02-01"), resolved_at=moment("2026-02-02"), region="APAC"),
        ticket(opened_at=moment("2026-03-05")),
    ]
    await metrics.ingest(*tickets)
    days = {"from": "2026-03-02", "to": "2026-03-05", "interval": "day"}
    backlog = await metrics.ask("backlog", **days, group_by="region")
    assert brief(backlog) == ("3", 3, None)
    assert [point["value"] for point in backlog["series"]] == ["3", "2", "2", "3"]
    assert {group["key"]: [point["value"] for point in group["series"]] for group in backlog["groups"]} == {
        "EMEA": ["2", "1", "1", "2"],
        None: ["1", "1", "1", "1"],
    }
    unattended = await metrics.ask("unattended_now", **days, compare="previous")
    assert [point["value"] for point in unattended["series"]] == ["3", "2", "1", "2"]
    assert unattended["previous"]["value"] == "2"
    # Two dimensions: from the postings.
    assert brief(await metrics.ask("backlog", **days, region="EMEA", priority="normal")) == ("2", 2, None)
    assert brief(await metrics.ask("backlog", **{"from": "2026-04-02", "to": "2026-04-02"})) == ("2", 2, None)


async def test_a_reopened_ticket_never_left_the_backlog(metrics: Metrics) -> None:
    one = ticket(resolved_at=moment("2026-03-12"))
    await metrics.ingest((one, 2))
    week = {"from": "2026-03-09", "to": "2026-03-15"}
    assert await metrics.value("backlog", **week) == "0"
    await metrics.ingest((ticket(id=one.id, reopen_count=1), 3))
    assert await metrics.value("backlog", **week) == "1"


async def test_durations_have_a_median_and_a_p90_beside_the_mean(metrics: Metrics) -> None:
    def answered(minutes: int, **fields: Any) -> Any:
        return ticket(first_responded_at=ticket().opened_at + timedelta(minutes=minutes), **fields)

    tickets = [answered(minutes) for minutes in (10, 20, 30, 40, 50, 60, 70, 80, 90)]
    tickets.append(answered(1000, region="APAC", priority="urgent"))
    await metrics.ingest(*tickets)
    mean = await metrics.ask("first_response_minutes")
    assert (mean["unit"], *brief(mean)) == ("minutes", "145", 87_000, 10)
    for variant, minutes in (("median", 50), ("p90", 90)):
        found = await metrics.ask("first_response_minutes", variant=variant, interval="month")
        assert abs(float(found["value"]) - minutes) <= minutes * 0.02
        assert found["denominator"] == 10
        assert found["series"][0]["value"] == found["value"]
    by_region = await metrics.ask("first_response_minutes", variant="median", group_by="region")
    assert abs(float(by_key(by_region)["APAC"] or 0) - 1000) <= 20
    # Two dimensions, and the customer, are counted from the postings.
    both = await metrics.ask("first_response_minutes", variant="p90", region="APAC", priority="urgent")
    assert (both["value"], both["denominator"]) == (by_key(by_region)["APAC"], 1)
    by_customer = await metrics.ask("first_response_minutes", variant="median", group_by="customer")
    assert by_customer["groups"][0]["denominator"] == 10
    assert brief(await metrics.ask("first_response_minutes", variant="business_p90")) == (None, 0, 0)
    assert await metrics.value("answered_within_hour") == "0.6"


async def test_a_corrected_duration_leaves_its_histogram(metrics: Metrics) -> None:
    one = ticket(first_responded_at=moment("2026-03-10T20:00"))
    await metrics.apply(
        decoded(one, 2), decoded(ticket(id=one.id, first_responded_at=moment("2026-03-10T08:00:30")), 3)
    )
    assert brief(await metrics.ask("first_response_minutes", variant="p90")) == ("0.5", 30, 1)


async def test_promoters_less_detractors_are_points_of_a_hundred(metrics: Metrics) -> None:
    answers = [survey(answered_at=moment("2026-03-12"), recommendation=each) for each in (10, 9, 8, 3, 3, 0)]
    await metrics.ingest(*answers, survey())
    assert brief(await metrics.ask("nps")) == ("-16.666667", -1, 6)
    # None of them was asked how satisfied they are.
    assert brief(await metrics.ask("csat")) == (None, 0, 0)


async def test_the_pipeline_moves_as_fast_as_it_was_won(metrics: Metrics) -> None:
    opened, closed = moment("2026-03-01T10:00"), moment("2026-03-11T10:00")
    won = deal(line("desk", 1, "1000"), stage="won", opened_at=opened, closed_at=closed)
    lost = deal(line("desk", 1, "1000"), stage="lost", opened_at=opened, closed_at=closed)
    await metrics.ingest(won, lost, deal(line("desk", 1, "600")), deal())
    # 2 open deals x 1/2 won x 1000 / 10 days.
    assert await metrics.value("pipeline_velocity") == "100.00"
    assert await metrics.value("pipeline_value") == "600.00"
    assert await metrics.value("weighted_pipeline") == "480.00"
    assert brief(await metrics.ask("sales_cycle_days")) == ("10", 864_000, 1)
    assert by_key(await metrics.ask("pipeline_value", variant="deals", group_by="stage")) == {"negotiation": "2"}
    assert await metrics.value("pipeline_value", to="2026-03-09") == "2000.00"


async def test_rates_per_customer_count_the_remaining_customers(metrics: Metrics) -> None:
    customers = [account(registered_at=moment("2026-01-05")) for _ in range(3)]
    later = account(registered_at=moment("2026-05-05"), referred_by=CUSTOMER)
    calls = [logged(interaction(talk_seconds=600, hold_seconds=0, wrap_up_seconds=0)) for _ in range(2)]
    await metrics.ingest(*customers, later, referral(), review(score=5), review(score=2), *calls)
    assert brief(await metrics.ask("referral_rate")) == ("0.333333", 1, 3)
    assert brief(await metrics.ask("advocacy")) == ("0.666667", 2, 3)
    assert brief(await metrics.ask("cost_to_serve_minutes")) == ("6.666667", 1200, 3)
    assert brief(await metrics.ask("referral_customers", to="2026-05-31", variant="share")) == ("1", 1, 1)
    # Two of the three turn out to be one.
    await metrics.ingest((account(id=customers[0].id, merged_into=customers[1].id), 2))
    assert brief(await metrics.ask("referral_rate")) == ("0.5", 1, 2)


def _numbers(answers: Iterable[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (each["kpi"], each["variant"], *brief(each), {group["key"]: brief(group) for group in each["groups"] or ()})
        for each in answers
    ]


async def test_every_kpi_answers_after_a_merge_and_its_undoing_as_before_the_merge(metrics: Metrics) -> None:
    back, stays = account(segment="retail"), account(registered_at=moment("2026-02-01"))
    of_both: list[State | tuple[State, int]] = []
    for customer in (back.id, stays.id):
        contact = interaction(customer_id=customer)
        of_both += [
            deal(line("desk", 1, "100"), stage="won", account_id=customer, closed_at=moment("2026-03-04")),
            deal(line("lamp", 1, "30"), stage="won", account_id=customer, closed_at=moment("2026-03-20")),
            deal(line("lamp", 1, "40"), stage="lost", account_id=customer),
            deal(line("chair", 1, "50"), account_id=customer),
            lead(account_id=customer, converted_at=moment("2026-03-11"), status="converted"),
            activity(account_id=customer),
            referral(account_id=customer),
            ticket(customer_id=customer, kind="presales_question", opened_at=moment("2026-03-02")),
            ticket(customer_id=customer, reopened_at=moment("2026-03-12"), reopen_count=1),
            logged(contact, customer_id=customer),
            survey(customer_id=customer, answered_at=moment("2026-03-12"), score=1, recommendation=2, effort=5),
            training(customer_id=customer),
            check_in(customer_id=customer),
            maintenance(customer_id=customer),
            upsell(customer_id=customer),
            delivery(customer_id=customer),
            review(customer_id=customer),
        ]
    await metrics.ingest(back, stays, *of_both)
    questions = [
        (kpi.name, {"variant": variant, **asked})
        for kpi in KPIS.values()
        for variant in kpi.variants
        for asked in (
            {},
            *(
                ({"customer": str(back.id)}, {"customer": str(stays.id)}, {"group_by": "customer"})
                if "customer" in kpi.dimensions
                else ()
            ),
        )
    ]
    before = _numbers(await answers_to(questions, metrics.client, MARCH))
    assert sum(each[2] not in (None, "0") for each in before) > len(KPIS), "the history moves most of them"
    await metrics.ingest((msgspec.structs.replace(back, merged_into=stays.id), 2))
    merged = _numbers(await answers_to(questions, metrics.client, MARCH))
    assert {each[0] for each in before} > {each[0] for each in before if each not in merged} > set()
    await metrics.ingest((back, 3))
    assert _numbers(await answers_to(questions, metrics.client, MARCH)) == before


async def test_promises_kept_fall_back_to_null_where_nothing_was_promised(metrics: Metrics) -> None:
    await metrics.ingest(delivery(promise=None))
    assert brief(await metrics.ask("promises_kept")) == (None, 0, 0)
    await metrics.ingest(delivery(), delivery(price=eur(120)))
    assert brief(await metrics.ask("promises_kept")) == ("0.5", 1, 2)
    assert brief(await metrics.ask("promises_kept", variant="time")) == ("1", 2, 2)
