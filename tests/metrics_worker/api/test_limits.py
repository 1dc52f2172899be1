"""What a salesperson or an agent sees of the numbers: their own, their team's and those below, and of no other."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts.catalogue import SALES_DIRECTORY_TOPIC
from event_contracts.directory import SalesDirectoryEntrySet
from tandem_cli.issuer import Issuer
from tests.metrics_worker.conftest import MARCH, Metrics, client_of
from tests.metrics_worker.directories import entry, keep
from tests.metrics_worker.facts import AGENT, CUSTOMER, OTHER_REP, REP, TEAM, account, deal, line, ticket
from tests.service_kit.conftest import assert_problem
from tests.support import eventually

STRANGER, OTHER_TEAM, ELSEWHERE = UUID(int=71), UUID(int=72), UUID(int=73)
DEPARTMENT, BRANCH = UUID(int=74), UUID(int=75)
Client = Callable[..., Any]


@pytest.fixture
async def metrics(metrics: Metrics) -> Metrics:
    """Sales of two salespeople of a team, of one of them in another, and of a stranger there."""
    await metrics.consume(
        account(id=CUSTOMER, owner_id=REP, team_id=TEAM, region="south"),
        account(id=ELSEWHERE, owner_id=STRANGER, team_id=OTHER_TEAM, region="north"),
        deal(line("desk", 1, "100"), stage="won"),
        deal(line("desk", 1, "30"), stage="won", owner_id=OTHER_REP),
        deal(line("desk", 1, "5"), stage="won", team_id=OTHER_TEAM),
        deal(line("desk", 1, "1000"), stage="won", owner_id=STRANGER, team_id=OTHER_TEAM, account_id=ELSEWHERE),
    )
    return metrics


@pytest.fixture
async def seen_by(app: FastAPI, metrics: Metrics, issuer: Issuer) -> AsyncIterator[Client]:
    """Call it with a path: what the holder of a token with these claims is answered."""
    async with client_of(app, issuer, "analyst") as http:

        async def ask(path: str, *, role: str = "sales-rep", claims: Any = None, **query: str) -> httpx.Response:
            given = {"person": REP, "teams": [TEAM]} if claims is None else claims
            headers = {"Authorization": f"Bearer {issuer.token([role], **given)}"}
            return await http.get(path, params=query, headers=headers)

        yield ask


async def revenue(seen_by: Client, **asked: Any) -> tuple[str, dict[str, str]]:
    answer = await seen_by("/v1/kpis/revenue", **(MARCH | asked))
    assert answer.status_code == 200, answer.text
    return answer.json()["value"], answer.json()["filters"]


async def test_without_a_filter_the_numbers_are_those_of_the_only_team(seen_by: Client) -> None:
    assert await revenue(seen_by) == ("130.00", {"team": str(TEAM)})
    assert await revenue(seen_by, team=str(TEAM)) == ("130.00", {"team": str(TEAM)})
    assert await revenue(seen_by, role="service-agent") == ("130.00", {"team": str(TEAM)})


async def test_what_is_ones_own_is_ones_own_in_every_team(seen_by: Client) -> None:
    assert await revenue(seen_by, owner=str(REP)) == ("105.00", {"owner": str(REP)})
    assert (await revenue(seen_by, owner=str(REP), team=str(OTHER_TEAM)))[0] == "5.00"
    assert await revenue(seen_by, claims={"person": REP}) == ("105.00", {"owner": str(REP)})
    two = {"person": REP, "teams": [TEAM, OTHER_TEAM]}
    assert await revenue(seen_by, claims=two) == ("1135.00", {})
    assert (await revenue(seen_by, claims=two, team=str(OTHER_TEAM)))[0] == "1005.00"


async def test_of_another_owner_only_what_they_did_in_ones_team_is_seen(seen_by: Client) -> None:
    assert (await revenue(seen_by, owner=str(OTHER_REP)))[0] == "30.00"
    assert (await revenue(seen_by, owner=str(STRANGER)))[0] == "0.00"
    assert (await revenue(seen_by, customer=str(ELSEWHERE)))[0] == "0.00"
    assert_problem(await seen_by("/v1/kpis/revenue", claims={"person": REP}, owner=str(OTHER_REP)), 404, "not-found")


@pytest.mark.parametrize("path", ["/v1/kpis/revenue", "/v1/kpis/revenue/explain", "/v1/stream"])
@pytest.mark.parametrize("team", [str(OTHER_TEAM), ""])
async def test_another_team_is_absent(seen_by: Client, path: str, team: str) -> None:
    kpis = {"kpis": "revenue"} if path == "/v1/stream" else {}
    assert_problem(await seen_by(path, team=team, **kpis), 404, "not-found")


async def test_a_token_without_person_and_teams_sees_no_numbers(seen_by: Client) -> None:
    assert_problem(await seen_by("/v1/kpis/revenue", claims={}), 403, "forbidden")


async def test_groups_are_those_in_sight_and_add_up_to_the_value(seen_by: Client) -> None:
    by_owner = (await seen_by("/v1/kpis/revenue", group_by="owner", **MARCH)).json()
    assert {each["key"]: each["value"] for each in by_owner["groups"]} == {str(REP): "100.00", str(OTHER_REP): "30.00"}
    by_team = (await seen_by("/v1/kpis/revenue", group_by="team", compare="previous", interval="month", **MARCH)).json()
    assert [each["key"] for each in by_team["groups"]] == [str(TEAM)]
    assert by_team["series"][0]["value"] == "130.00"
    assert by_team["coverage"] is None


async def test_an_explanation_shows_the_postings_in_sight_only(seen_by: Client) -> None:
    shown = (await seen_by("/v1/kpis/revenue/explain", **MARCH)).json()
    assert (shown["value"], shown["filters"]) == ("130.00", {"team": str(TEAM)})
    assert {item["dimensions"]["team"] for item in shown["items"]} == {str(TEAM)}
    file = (await seen_by("/v1/kpis/revenue/explain", format="csv", **MARCH)).text
    assert str(OTHER_REP) in file
    assert str(STRANGER) not in file


async def test_who_sees_all_numbers_gets_what_they_ask_for(seen_by: Client) -> None:
    for role in ("sales-manager", "service-manager", "analyst", "importer", "admin"):
        assert await revenue(seen_by, role=role) == ("1135.00", {})


async def test_who_leads_a_team_sees_it_and_all_teams_below_as_the_directory_has_them(
    seen_by: Client, metrics: Metrics
) -> None:
    """A department has a team, and that a branch; both belong to the department, until the team moves elsewhere."""
    leader = {"claims": {"person": UUID(int=76), "teams": [DEPARTMENT]}}
    await metrics.consume(deal(line("desk", 1, "7"), stage="won", owner_id=OTHER_REP, team_id=BRANCH))
    assert await revenue(seen_by, **leader) == ("0.00", {"team": str(DEPARTMENT)})

    await teams_below(metrics, {TEAM: DEPARTMENT, BRANCH: TEAM, OTHER_TEAM: None})
    below = sorted(map(str, (DEPARTMENT, TEAM, BRANCH)))
    answer = (await seen_by("/v1/kpis/revenue", group_by="team", interval="month", **leader, **MARCH)).json()
    assert (answer["value"], answer["filters"], answer["teams"]) == ("137.00", {}, below)
    assert {each["key"]: each["value"] for each in answer["groups"]} == {str(TEAM): "130.00", str(BRANCH): "7.00"}
    assert [each["value"] for each in answer["series"]] == ["137.00"]
    # From the postings, as two dimensions are: of another owner, and grouped by them.
    assert (await revenue(seen_by, owner=str(OTHER_REP), **leader)) == ("37.00", {"owner": str(OTHER_REP)})
    by_owner = (await seen_by("/v1/kpis/revenue", group_by="owner", **leader, **MARCH)).json()["groups"]
    assert {each["key"]: each["value"] for each in by_owner} == {str(REP): "100.00", str(OTHER_REP): "37.00"}
    assert (await seen_by("/v1/kpis/sales_cycle_days", variant="median", **leader, **MARCH)).json()["denominator"] == 3
    # One of them by itself, but no other.
    assert await revenue(seen_by, team=str(BRANCH), **leader) == ("7.00", {"team": str(BRANCH)})
    assert_problem(await seen_by("/v1/kpis/revenue", team=str(OTHER_TEAM), **leader), 404, "not-found")

    shown = (await seen_by("/v1/kpis/revenue/explain", **leader, **MARCH)).json()
    assert (shown["value"], shown["teams"]) == ("137.00", below)
    assert {item["dimensions"]["team"] for item in shown["items"]} == {str(TEAM), str(BRANCH)}
    card = (await seen_by("/v1/scorecard", **leader, **MARCH)).json()
    (sold,) = [each for each in card["rows"][2]["sales"]["figures"] if each["kpi"] == "revenue"]
    assert (sold["value"], sold["teams"]) == ("137.00", below)
    explain = urlsplit(sold["explain"])
    behind = (await seen_by(explain.path, **leader, **dict(parse_qsl(explain.query)))).json()
    assert (behind["value"], behind["teams"]) == ("137.00", below)
    assert (await seen_by(f"/v1/customers/{CUSTOMER}/health", **leader)).status_code == 200
    assert_problem(await seen_by(f"/v1/customers/{ELSEWHERE}/health", **leader), 404, "not-found")

    waits = ticket(opened_at=datetime.now(UTC) - timedelta(hours=3), team_id=BRANCH)
    await metrics.consume(waits)
    alerts = (await seen_by("/v1/alerts", role="service-agent", kind="unattended", **leader)).json()["items"]
    assert [each["tickets"] for each in alerts] == [[str(waits.id)]]

    # Who belongs to a team below sees no more than before, and what moves away is no longer seen.
    assert await revenue(seen_by, claims={"teams": [BRANCH]}) == ("7.00", {"team": str(BRANCH)})
    await teams_below(metrics, {TEAM: OTHER_TEAM}, sequence=2)
    assert await revenue(seen_by, **leader) == ("0.00", {"team": str(DEPARTMENT)})


async def test_teams_in_a_circle_are_all_below_each_other(seen_by: Client, metrics: Metrics) -> None:
    """No service lets them be so; two that are moved at once may be, in two directories."""
    await teams_below(metrics, {TEAM: OTHER_TEAM, OTHER_TEAM: TEAM})
    assert await revenue(seen_by) == ("1135.00", {})


async def teams_below(metrics: Metrics, above: dict[UUID, UUID | None], *, sequence: int = 1) -> None:
    """Say in the directory which team is above each."""
    entries = [
        SalesDirectoryEntrySet(id=team, kind="team", name="A team", parent_id=parent) for team, parent in above.items()
    ]
    records = [(SALES_DIRECTORY_TOPIC, each.id, entry(each, sequence=sequence)) for each in entries]
    await keep(metrics.engine, *records)


async def test_a_kpi_that_is_not_kept_by_team_is_not_for_them(seen_by: Client) -> None:
    listed = [each["name"] for each in (await seen_by("/v1/kpis")).json()["items"]]
    assert "revenue" in listed
    assert "advocacy" not in listed
    assert_problem(await seen_by("/v1/kpis/advocacy"), 403, "forbidden")
    everything = [each["name"] for each in (await seen_by("/v1/kpis", role="analyst")).json()["items"]]
    hidden = {"advocacy", "cost_to_serve_minutes", "review_score", "upsell_from_service", "waits_per_customer"}
    assert set(everything) - set(listed) == hidden


async def test_the_scorecard_is_that_of_the_team(seen_by: Client) -> None:
    card = (await seen_by("/v1/scorecard", **MARCH)).json()
    figures = [each for row in card["rows"] for side in ("sales", "service") for each in row[side]["figures"]]
    assert {each["filters"]["team"] for each in figures} == {str(TEAM)}
    assert all(f"team={TEAM}" in each["explain"] for each in figures)
    (sold,) = [each["value"] for each in figures if each["kpi"] == "revenue"]
    assert sold == "130.00"


async def test_a_customers_health_is_for_whose_customer_it_is(seen_by: Client) -> None:
    agent = {"role": "service-agent", "claims": {"regions": ["south"]}}
    for asked in ({}, agent, {"role": "analyst"}):
        assert (await seen_by(f"/v1/customers/{CUSTOMER}/health", **asked)).status_code == 200
    for asked in ({}, agent):
        hidden = await seen_by(f"/v1/customers/{ELSEWHERE}/health", **asked)
        absent = await seen_by(f"/v1/customers/{UUID(int=999)}/health", **asked)
        assert_problem(hidden, 404, "not-found")
        assert hidden.json() == absent.json()


async def test_alerts_are_those_of_ones_own_tickets_and_targets(seen_by: Client, metrics: Metrics) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=3)
    mine = ticket(opened_at=long_ago)
    other = ticket(opened_at=long_ago, customer_id=ELSEWHERE, agent_id=STRANGER, team_id=OTHER_TEAM)
    await metrics.consume(mine, other)

    async def alerts(**asked: Any) -> list[list[str]]:
        found = (await seen_by("/v1/alerts", kind="unattended", **asked)).json()["items"]
        return [each["tickets"] for each in found]

    claims = {"person": AGENT, "teams": [TEAM]}
    assert await alerts(role="service-agent", claims=claims) == [[str(mine.id)]]
    assert await alerts(role="service-agent", claims={"person": STRANGER}) == [[str(other.id)]]
    assert len(await alerts(role="service-manager")) == 2
    kinds = {each["kind"] for each in (await seen_by("/v1/alerts", role="service-agent")).json()["items"]}
    assert kinds == {"unattended"}


async def test_a_stream_shows_the_team_also_by_a_ticket(
    app: FastAPI, engine: AsyncEngine, metrics: Metrics, issuer: Issuer, reading: Callable[..., Any]
) -> None:
    token = issuer.token(["sales-rep"], person=REP, teams=[TEAM])
    async with client_of(app, issuer, "analyst") as http:
        issued = await http.post("/v1/stream-tickets", headers={"Authorization": f"Bearer {token}"})
    for given in ({"token": token}, {"anonymous": True, "ticket": issued.json()["ticket"]}):
        async with reading("revenue", alerts="true", **given) as stream:
            await eventually(lambda: {event["event"] for event in stream.events} >= {"kpi", "alerts"})
            (sent,) = [json.loads(event["data"]) for event in stream.events if event["event"] == "kpi"]
            assert (sent["value"], sent["filters"], sent["coverage"]) == ("130.00", {"team": str(TEAM)}, None)
