"""What selling refers to: teams, salespeople, products and exchange rates."""

import asyncio
from uuid import UUID

import pytest

from event_contracts.directory import SalesDirectoryEntrySet, SalesProductEntrySet
from tests.sales_api.sales import ABSENT, Sales, pointers, reference
from tests.service_kit.conftest import assert_problem


async def test_teams_and_salespeople_are_named_in_the_directory_only(sales: Sales) -> None:
    team = await sales.post("/v1/teams", {"name": "Iberia"}, status=201)
    rep = await sales.rep(name="Ana", team_id=team["id"])
    for made, kind, name in ((team, "team", "Iberia"), (rep, "rep", "Ana")):
        (event,) = await sales.events_of(made["id"])
        assert event.data == SalesDirectoryEntrySet(id=UUID(made["id"]), kind=kind, name=name)  # type: ignore[arg-type]
        assert (event.event_type.topic, event.partition_key) == ("sales.directory", made["id"])
        path = f"/v1/{kind}s/{made['id']}"
        assert await sales.get(path) == made
        assert (await sales.send("GET", path, If_None_Match='"1"')).status_code == 304


async def test_a_product_is_named_in_the_directory_by_its_code(sales: Sales) -> None:
    made = await sales.post("/v1/products", {"code": "heat-pump-9", "name": "Heat pump"}, status=201)
    path = "/v1/products/heat-pump-9"
    await sales.patch(path, {"active": False})
    await sales.patch(path, {"name": "Heat pump, 9 kW"})
    first, renamed = await sales.events_of(made["id"], "directory")
    assert (first.event_type.name, first.event_type.topic) == ("sales.product-entry-set", "sales.directory")
    assert (first.partition_key, first.sequence, renamed.sequence) == (made["id"], 1, 3)
    assert renamed.data == SalesProductEntrySet(
        id=UUID(made["id"]), kind="product", code="heat-pump-9", name="Heat pump, 9 kW"
    )


async def test_a_salesperson_changes_name_team_and_activity(sales: Sales) -> None:
    rep, team = await sales.rep(), await sales.team()
    path = f"/v1/reps/{rep['id']}"
    moved = await sales.patch(path, {"team_id": team["id"], "active": False})
    assert (moved["team_id"], moved["active"], moved["version"], moved["name"]) == (team["id"], False, 2, rep["name"])
    assert len(await sales.events_of(rep["id"], "directory")) == 1
    renamed = await sales.send("PATCH", path, {"name": "Ana Souza"}, If_Match='"2"')
    assert renamed.headers["etag"] == '"3"'
    entry = (await sales.events_of(rep["id"], "directory"))[-1]
    assert isinstance(entry.data, SalesDirectoryEntrySet)
    assert (entry.data.name, entry.sequence) == ("Ana Souza", 3)
    assert_problem(await sales.send("PATCH", path, {"name": "B"}, If_Match='"2"'), 412, "stale-version")
    assert (await sales.patch(path, {"team_id": None}))["team_id"] is None
    assert await sales.patch(path, {"active": False}) == await sales.get(path)


async def test_a_salesperson_belongs_to_a_team_that_exists(sales: Sales) -> None:
    new = await sales.send("POST", "/v1/reps", {"name": "Ana", "team_id": ABSENT})
    assert_problem(new, 422, "unknown-reference")
    path = f"/v1/reps/{(await sales.rep())['id']}"
    assert_problem(await sales.send("PATCH", path, {"team_id": ABSENT}), 422, "unknown-reference")


async def test_salespeople_and_teams_are_listed_and_found_by_reference(sales: Sales) -> None:
    team = await sales.post("/v1/teams", {"name": "Found", "external_ref": reference()}, status=201)
    active = await sales.rep(team_id=team["id"], external_ref=reference())
    gone = await sales.rep(team_id=team["id"], active=False)
    assert (await sales.get(f"/v1/teams?external_ref={team['external_ref']}"))["items"] == [team]
    assert (await sales.get(f"/v1/reps?external_ref={active['external_ref']}"))["items"] == [active]
    assert (await sales.get(f"/v1/reps?team_id={team['id']}"))["items"] == [gone, active]
    assert (await sales.get(f"/v1/reps?team_id={team['id']}&active=false"))["items"] == [gone]
    again = {"name": "Again", "external_ref": team["external_ref"]}
    refusal = assert_problem(await sales.send("POST", "/v1/teams", again), 409, "external-ref-taken")
    assert refusal["existing_id"] == team["id"]
    again["external_ref"] = active["external_ref"]
    assert_problem(await sales.send("POST", "/v1/reps", again), 409, "external-ref-taken")


async def test_a_product_is_known_by_its_code(sales: Sales) -> None:
    body = {"code": f"pump-{reference()}", "name": "Pump"}
    answer = await sales.send("POST", "/v1/products", body)
    product = answer.json()
    path = f"/v1/products/{body['code']}"
    assert (answer.status_code, answer.headers["location"], product["active"]) == (201, path, True)
    assert_problem(await sales.send("POST", "/v1/products", body), 409, "product-code-taken")
    changed = await sales.patch(path, {"active": False})
    assert (changed["active"], changed["name"], changed["version"]) == (False, "Pump", 2)
    assert await sales.get(path) == changed
    assert (await sales.send("GET", path, If_None_Match='"2"')).status_code == 304
    assert changed in (await sales.get("/v1/products?active=false&limit=200"))["items"]
    assert_problem(await sales.send("PATCH", path, {"name": "P"}, If_Match='"1"'), 412, "stale-version")


async def test_the_same_product_many_times_at_once_is_added_once(sales: Sales) -> None:
    body = {"code": f"race-{reference()}", "name": "Race"}
    answers = await asyncio.gather(*(sales.send("POST", "/v1/products", body) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    for answer in answers:
        if answer.status_code == 409:
            assert_problem(answer, 409, "product-code-taken")


async def test_a_days_rate_is_set_and_replaced(sales: Sales) -> None:
    first = await sales.post("/v1/exchange-rates", {"currency": "CHF", "on": "2026-01-05", "rate": "1.07"})
    second = await sales.post("/v1/exchange-rates", {"currency": "CHF", "on": "2026-01-05", "rate": "1.0800"})
    assert (first["rate"], second["rate"], second["id"]) == ("1.07", "1.08", first["id"])
    other = await sales.post("/v1/exchange-rates", {"currency": "CHF", "on": "2026-01-06", "rate": "0.0000000001"})
    assert other["rate"] == "0.0000000001"
    assert (await sales.get("/v1/exchange-rates?currency=CHF"))["items"] == [other, second]
    assert (await sales.get("/v1/exchange-rates?currency=CHF&on=2026-01-05"))["items"] == [second]


async def test_a_rate_is_corrected_by_its_version(sales: Sales) -> None:
    day = {"currency": "HUF", "on": "2026-01-05"}
    rate = await sales.post("/v1/exchange-rates", day | {"rate": "0.0025"})
    path = f"/v1/exchange-rates/{rate['id']}"
    first = await sales.send("GET", path)
    assert (first.json(), first.headers["etag"], rate["version"]) == (rate, '"1"', 1)
    corrected = await sales.send("PATCH", path, {"rate": "0.0026"}, If_Match='"1"')
    assert (corrected.status_code, corrected.headers["etag"]) == (200, '"2"')
    assert (corrected.json()["rate"], corrected.json()["version"]) == ("0.0026", 2)
    late = await sales.send("PATCH", path, {"rate": "0.0027"}, If_Match='"1"')
    assert_problem(late, 412, "stale-version")
    # Setting the day's rate again is a new version too, unless it is the same rate.
    for rate_again, version in (("0.0028", 3), ("0.00280", 3)):
        assert (await sales.post("/v1/exchange-rates", day | {"rate": rate_again}))["version"] == version
    same = await sales.send("PATCH", path, {"rate": "0.0028"})
    assert same.json()["version"] == 3
    refused = await sales.send("PATCH", path, {"rate": "0.0028", "on": "2026-01-06"})
    assert pointers(assert_problem(refused, 422, "invalid-request")) == ["#/on"]
    audit = await sales.send("GET", f"{path}/audit", role="sales-manager")
    assert [entry["version"] for entry in audit.json()["items"]] == [3, 2, 1]


async def test_the_same_rate_many_times_at_once_is_one_rate(sales: Sales) -> None:
    body = {"currency": "NOK", "on": "2026-01-05", "rate": "0.085"}
    answers = await asyncio.gather(*(sales.send("POST", "/v1/exchange-rates", body) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len((await sales.get("/v1/exchange-rates?currency=NOK"))["items"]) == 1


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"currency": "EUR"}, "#/currency"),
        ({"currency": "XXX"}, "#/currency"),
        ({"rate": "0"}, "#/rate"),
        ({"rate": "0.00"}, "#/rate"),
        ({"rate": "-1"}, "#/rate"),
        ({"on": "2026-02-30"}, "#/on"),
    ],
)
async def test_an_impossible_rate_is_refused(sales: Sales, change: dict[str, str], pointer: str) -> None:
    body = {"currency": "CAD", "on": "2026-01-05", "rate": "0.66"} | change
    problem = assert_problem(await sales.send("POST", "/v1/exchange-rates", body), 422, "invalid-request")
    assert pointers(problem) == [pointer]


@pytest.mark.parametrize("path", ["/v1/teams", "/v1/reps", "/v1/products", "/v1/exchange-rates"])
async def test_a_sales_rep_reads_the_catalogue_but_does_not_change_it(sales: Sales, path: str) -> None:
    bodies = {
        "/v1/products": {"code": "x", "name": "X"},
        "/v1/exchange-rates": {"currency": "CAD", "on": "2026-01-05", "rate": "1"},
    }
    write = await sales.send("POST", path, bodies.get(path, {"name": "X"}), role="sales-rep")
    assert_problem(write, 403, "forbidden")
    assert (await sales.send("GET", path, role="sales-rep")).status_code == 200
