"""Every number is explained by the postings and events behind it, also as of any past moment."""

import csv
import io
from datetime import timedelta
from typing import Any

from metrics_worker.ledger.aggregate import SubjectState, decode
from tests.metrics_worker.conftest import MARCH, Metrics
from tests.metrics_worker.facts import MORNING, VILNIUS, deal, lead, line, moment, record, ticket
from tests.service_kit.conftest import assert_problem

HOUR = timedelta(hours=1)


def recorded(state: Any, sequence: int, hours: int) -> list[SubjectState]:
    """A state that its service recorded some hours after the morning."""
    return decode(record(state, sequence, recorded_time=MORNING + hours * HOUR), VILNIUS)


def a_deal_that_was_amended_and_lost() -> list[SubjectState]:
    """Worth 100 after an hour, 60 after two, and won no longer after three; another one of 7 stays."""
    first = deal(line("desk", 1, "100"), stage="won")
    steps = [
        first,
        deal(line("desk", 1, "60"), stage="won", id=first.id),
        deal(line("desk", 1, "60"), stage="lost", id=first.id),
    ]
    entries = [entry for number, state in enumerate(steps, 1) for entry in recorded(state, number, number)]
    return entries + recorded(deal(line("chair", 1, "7"), stage="won"), 1, 1)


def at(hours: float) -> str:
    return (MORNING + hours * HOUR).isoformat().replace("+00:00", "Z")


async def test_the_postings_add_up_to_the_number(metrics: Metrics) -> None:
    entries = a_deal_that_was_amended_and_lost()
    await metrics.apply(entries)
    body = await metrics.ask("win_rate/explain")
    assert (body["value"], body["numerator"], body["denominator"]) == ("0.5", 1, 2)
    assert body["definition"]
    for measure in ("deal.won", "deal.lost"):
        assert sum(item["measures"][measure] for item in body["items"]) == 1
    # Amending changed neither side of the win rate, so that its event is not behind it.
    assert {item["event_id"] for item in body["items"]} == {str(entries[number].event_id) for number in (0, 2, 3)}
    assert {item["subject"].partition("/")[0] for item in body["items"]} == {"deals"}
    counts = {each["reason"]: each["count"] for each in body["exclusions"]}
    assert counts == {"unreadable": 0, "missing": 0, "taken-back": 0, "not-counted": 0}
    revenue = await metrics.ask("revenue/explain")
    assert (revenue["value"], revenue["denominator"]) == ("7.00", None)
    assert {each["reason"]: each["count"] for each in revenue["exclusions"]}["taken-back"] == 1


async def test_the_ledger_as_of_a_moment_does_not_depend_on_batches(metrics: Metrics) -> None:
    # All in one batch, as a replay reads it.
    await metrics.apply(a_deal_that_was_amended_and_lost())
    found = {}
    for hours in (0.5, 1, 2, 3):
        body = await metrics.ask("revenue/explain", as_of=at(hours))
        found[hours] = body["value"]
        assert (body["now"]["value"], body["as_of"]) == ("7.00", at(hours))
    assert found == {0.5: "0.00", 1: "107.00", 2: "67.00", 3: "7.00"}
    early = await metrics.ask("revenue/explain", as_of=at(1))
    assert early["now"]["change"] == "-100.00"
    assert {each["reason"]: each["count"] for each in early["exclusions"]}["recorded-later"] == 2
    by_product = await metrics.ask("revenue/explain", as_of=at(2), product="desk")
    assert by_product["value"] == "60.00"


async def test_any_answer_can_be_asked_for_as_of_a_moment(metrics: Metrics) -> None:
    await metrics.apply(a_deal_that_was_amended_and_lost())
    asked = MARCH | {"as_of": at(2), "group_by": "product", "interval": "month"}
    then = (await metrics.client.get("/v1/kpis/revenue", params=asked)).json()
    assert (then["value"], then["as_of"]) == ("67.00", at(2))
    assert then["now"] == {"value": "7.00", "change": "-60.00", "numerator": "7.00", "denominator": None}
    assert [(group["key"], group["value"]) for group in then["groups"]] == [("chair", "7.00"), ("desk", "60.00")]
    assert [point["value"] for point in then["series"]] == ["67.00"]
    today = (await metrics.client.get("/v1/kpis/revenue", params=MARCH)).json()
    assert (today["value"], today["as_of"], today["now"]) == ("7.00", None, None)


async def test_pages_hold_each_posting_once(metrics: Metrics) -> None:
    won = [entry for number in range(7) for entry in recorded(deal(line("desk", 1, "1"), stage="won"), 1, number)]
    leads = [entry for number in range(3) for entry in recorded(lead(), 1, number)]
    await metrics.apply(won + leads)
    for kpi, count in (("revenue", 7), ("leads_created", 3)):
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = await metrics.ask(f"{kpi}/explain", limit="2", **cursor)
            seen += [item["event_id"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert len(seen) == len(set(seen)) == count


async def test_pages_go_from_day_to_day_and_from_kind_to_kind(metrics: Metrics) -> None:
    days = [moment(f"2026-03-{day:02}T10:00") for day in (5, 20, 5, 11, 20, 20, 2)]
    deals = [deal(line("desk", 1, "1"), stage="won", opened_at=days[-1], closed_at=day) for day in days]
    asked = [ticket(opened_at=day, first_responded_at=None, resolved_at=None) for day in days]
    await metrics.ingest(*deals, *asked)
    seen: list[tuple[str, str, str]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await metrics.ask("coverage/explain", variant="region", limit="3", **cursor)
        seen += [(item["kind"], item["day"], item["subject"]) for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    in_order = ["2026-03-20"] * 3 + ["2026-03-11"] + ["2026-03-05"] * 2 + ["2026-03-02"]
    assert [(kind, day) for kind, day, _ in seen] == [(kind, day) for kind in ("ticket", "deal") for day in in_order]
    assert len(set(seen)) == len(seen)


async def test_as_csv_nothing_is_a_formula(metrics: Metrics) -> None:
    entries = a_deal_that_was_amended_and_lost()
    odd = entries[-1]
    dimensions = [posting._replace(dimensions=("=1+1", *posting.dimensions[1:])) for posting in odd.postings]
    await metrics.apply([*entries[:-1], odd._replace(postings=dimensions)])
    answer = await metrics.client.get("/v1/kpis/revenue/explain", params=MARCH | {"format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert sorted(row["deal.revenue"] for row in rows) == ["-40.00", "-60.00", "100.00", "7.00"]
    assert {row["region"] for row in rows} == {"EMEA", "'=1+1"}
    assert {row["event_id"] for row in rows} == {str(entry.event_id) for entry in entries}


async def test_what_cannot_be_explained_is_refused(metrics: Metrics) -> None:
    assert_problem(await metrics.client.get("/v1/kpis/nothing/explain"), 404, "unknown-kpi")
    later = await metrics.client.get("/v1/kpis/revenue/explain", params={"as_of": "2199-01-01T00:00:00Z"})
    assert_problem(later, 422, "invalid-request")
    without_zone = await metrics.client.get("/v1/kpis/revenue/explain", params={"as_of": "2026-01-01T00:00:00"})
    assert_problem(without_zone, 422, "invalid-request")
