"""The simulated business is the same for the same seed, and lives by the rules of the APIs."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from event_contracts.fields import DECIMAL_PLACES
from tandem_cli.demo.business import Business
from tandem_cli.demo.company import CURRENCIES, ONBOARDING_STEPS, PRODUCTS, Company
from tandem_cli.demo.scenario import Scenario, timed
from tandem_cli.requests import Ref

YEAR = [date(2026, 1, 1) + timedelta(days=day) for day in range(365)]


@pytest.fixture(scope="module")
def business() -> Business:
    return Business(Company(7, 60))


@pytest.fixture(scope="module")
def scenarios(business: Business) -> list[Scenario]:
    return [scenario for day in YEAR for scenario in business.day(day)]


def actions(scenario: Scenario) -> list[str]:
    return [action.step.name.partition("-")[2] for action in scenario.actions]


def test_a_seed_is_a_business_and_another_seed_another() -> None:
    day = date(2026, 3, 4)
    assert Business(Company(7, 60)).day(day) == Business(Company(7, 60)).day(day)
    assert Business(Company(7, 60)).day(day) != Business(Company(8, 60)).day(day)
    assert list(Company(7, 60).registrations()) == list(Company(7, 60).registrations())


def test_a_day_does_not_depend_on_which_days_were_asked_for_before(business: Business) -> None:
    asked_alone = Business(business.company).day(YEAR[200])
    assert [business.day(day) for day in YEAR[190:201]][-1] == asked_alone


def test_every_scenario_follows_from_its_key(business: Business, scenarios: list[Scenario]) -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    assert business.scenario(scenarios[17].key, now) == scenarios[17]
    assert business.scenario("live:5", now) == business.live(5, now)
    assert len({scenario.key for scenario in scenarios}) == len(scenarios)


def test_a_live_scenario_is_the_same_whenever_it_begins(business: Business) -> None:
    morning, evening = datetime(2026, 6, 1, 8, tzinfo=UTC), datetime(2026, 7, 1, 20, tzinfo=UTC)
    for number in range(40):
        early, late = business.live(number, morning), business.live(number, evening)
        assert [action.step for action in early.actions] == [action.step for action in late.actions]


def test_time_runs_forwards_in_every_scenario(scenarios: list[Scenario]) -> None:
    for scenario in scenarios:
        assert all(earlier.at <= later.at for earlier, later in pairwise(scenario.actions))


def test_nothing_is_referred_to_before_it_is_there(business: Business, scenarios: list[Scenario]) -> None:
    company = business.company
    known = {ref for ref, _ in [*company.things(), *company.registrations()]}
    for scenario in scenarios:
        given = set(known)
        for action in scenario.actions:
            refs = [part for part in [*action.step.path, *action.step.body.values()] if isinstance(part, Ref)]
            assert given.issuperset(refs), scenario.key
            given |= {Ref("self", name) for name in action.step.gives}


def test_leads_and_deals_go_the_way_that_sales_allows(scenarios: list[Scenario]) -> None:
    for scenario in scenarios:
        if ":ticket:" in scenario.key:
            continue
        names = actions(scenario)
        assert names.count("convert") <= 1
        if "disqualify" in names:
            assert names[-1] == "disqualify"
            assert "convert" not in names
        is_closed = False
        for action in names:
            if action == "close":
                assert not is_closed, scenario.key
                is_closed = True
            elif action in ("reopen", "amend"):
                assert is_closed, scenario.key
                is_closed = action != "reopen"
            elif action in ("qualification", "presentation", "proposal", "negotiation"):
                assert not is_closed, scenario.key


def test_tickets_go_the_way_that_service_allows(scenarios: list[Scenario]) -> None:
    for scenario in scenarios:
        if ":ticket:" not in scenario.key:
            continue
        status = "open"
        for action in actions(scenario):
            if action in ("resolve", "reopen", "close", "survey"):
                needed = {"resolve": "open", "reopen": "resolved", "close": "resolved", "survey": "resolved"}[action]
                assert status == needed, scenario.key
                status = {"resolve": "resolved", "reopen": "open", "close": "closed"}.get(action, status)
            if action in ("answer", "revise"):
                assert "survey" in actions(scenario)


def test_a_few_records_are_misfiled_and_corrected(scenarios: list[Scenario]) -> None:
    corrections = [
        (scenario, action) for scenario in scenarios for action in scenario.actions if action.step.method == "PATCH"
    ]
    assert {action.step.path[0] for _, action in corrections} == {"tickets", "deals"}
    tickets = [scenario for scenario in scenarios if ":ticket:" in scenario.key]
    misfiled = [scenario for scenario, action in corrections if action.step.path[0] == "tickets"]
    assert 0.01 < len(misfiled) / len(tickets) < 0.06
    # Some are only noticed when they are solved.
    assert {"resolve" in actions(scenario)[: actions(scenario).index("correct")] for scenario in misfiled} == {
        True,
        False,
    }


def test_what_is_planned_to_be_maintained_is_maintained_again_and_again(scenarios: list[Scenario]) -> None:
    plans = [scenario for scenario in scenarios if actions(scenario)[0] == "plan"]
    for scenario in plans:
        visits = [action.at for action in scenario.actions[1:]]
        assert visits[-1] - visits[0] > timedelta(days=2 * 365), scenario.key
        assert all(timedelta(days=150) < later - earlier for earlier, later in pairwise(visits)), scenario.key
    assert plans


def test_what_is_won_is_brought_into_use_by_the_steps_of_its_products_and_some_are_late(
    scenarios: list[Scenario],
) -> None:
    products = {product.code for product in PRODUCTS}
    late, on_time = 0, 0
    for scenario in scenarios:
        planned: list[tuple[object, object]] = []
        due = date.max
        for action in scenario.actions:
            match action.step.path:
                case ("onboarding-steps",):
                    body = timed(action.step.body, action.at)
                    planned.append((body["product"], body["step"]))
                    due = date.fromisoformat(body["due_on"])
                case ("onboarding-steps", _, "done"):
                    late += action.at.date() > due
                    on_time += action.at.date() <= due
        assert len(set(planned)) == len(planned), scenario.key
        for product in {product for product, _ in planned}:
            assert [step for of, step in planned if of == product] == [*ONBOARDING_STEPS[str(product)]]
    assert set(ONBOARDING_STEPS) == products
    assert 0.05 < late / (late + on_time) < 0.5


def test_prices_have_no_more_places_than_their_currency(scenarios: list[Scenario]) -> None:
    codes = {product.code for product in PRODUCTS}
    deals = [
        body
        for scenario in scenarios
        for action in scenario.actions
        if "lines" in (body := action.step.body.get("deal", action.step.body)) and "currency" in body
    ]
    assert {deal["currency"] for deal in deals} == set(CURRENCIES)
    for deal in deals:
        for line in deal["lines"]:
            assert len(line["unit_price"].partition(".")[2]) <= DECIMAL_PLACES[deal["currency"]]
            assert line["product"] in codes
            assert line["quantity"] >= 1


def test_the_year_has_seasons_weekends_and_good_and_bad_weeks(business: Business) -> None:
    counts = {day: len(business.day(day)) for day in YEAR}
    assert sum(counts[day] for day in YEAR if day.weekday() == 6) * 3 < sum(
        counts[day] for day in YEAR if day.weekday() == 0
    )
    moods = {business.mood(day) for day in YEAR}
    assert min(moods) < 0.8
    assert max(moods) > 1.2
    assert len({business.mood(day) for day in YEAR[4:11]}) == 1  # a week from Monday to Sunday


def test_leads_from_referrals_convert_better_than_those_from_the_doorstep() -> None:
    business = Business(Company(7, 400))
    converted: dict[str, list[bool]] = {"referral": [], "door_to_door": []}
    for day in YEAR[:180]:
        for scenario in business.day(day):
            channel = scenario.actions[0].step.body.get("channel")
            if ":lead:" in scenario.key and channel in converted:
                converted[channel].append("convert" in actions(scenario))
    rates = {channel: sum(found) / len(found) for channel, found in converted.items()}
    assert rates["referral"] > 2 * rates["door_to_door"] > 0


def test_a_problem_that_comes_back_costs_satisfaction() -> None:
    business = Business(Company(7, 400))
    scores: dict[bool, list[int]] = {True: [], False: []}
    for day in YEAR[:180]:
        for scenario in business.day(day):
            given = [action.step.body["score"] for action in scenario.actions if action.step.name.endswith("answer")]
            if given:
                scores["reopen" in actions(scenario)].append(given[0])
    means = {reopened: sum(found) / len(found) for reopened, found in scores.items()}
    assert means[False] > means[True] + 0.5
