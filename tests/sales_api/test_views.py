"""Saved views: a list's filters and order under a name, one's own or shared."""

from typing import Any

import pytest

from tests.sales_api.sales import ABSENT, Sales
from tests.service_kit.conftest import assert_problem

Record = dict[str, Any]


async def saved(sales: Sales, query: str, *, by: str = "ana", name: str | None = None) -> Record:
    """A view of deals."""
    body = {"list": "deals", "name": name or f"View of {query}", "query": query}
    return await sales.post("/v1/views", body, status=201, role="sales-manager", subject=by)


async def listed(sales: Sales, address: str, *, by: str = "ana", role: str = "sales-manager") -> list[str]:
    """The ids of a list's records."""
    answer = await sales.send("GET", address, role=role, subject=by)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["items"]]


async def test_a_list_takes_what_it_is_not_asked_for_from_a_view(sales: Sales) -> None:
    account = (await sales.account())["id"]
    small, large, lost = [
        await sales.deal(
            account_id=account, lines=[{"product": await sales.product(), "quantity": 1, "unit_price": price}]
        )
        for price in ("10.00", "900.00", "800.00")
    ]
    await sales.post(f"/v1/deals/{lost['id']}/close", {"outcome": "lost"})
    view = await saved(sales, f"account_id={account}&stage=prospecting&stage=proposal&sort=-amount")
    assert view["address"] == f"/v1/deals?view={view['id']}"
    assert view["is_own"]
    assert await listed(sales, view["address"]) == [large["id"], small["id"]]
    # What is asked for decides.
    assert await listed(sales, f"{view['address']}&sort=amount&amount_min=100") == [large["id"]]
    assert await listed(sales, f"{view['address']}&stage=lost") == [lost["id"]]
    exported = await sales.send(
        "GET", f"/v1/deals/export?format=ndjson&view={view['id']}", role="sales-manager", subject="ana"
    )
    assert [line for line in exported.text.splitlines() if lost["id"] in line] == []
    assert len(exported.text.splitlines()) == 2


async def test_pages_go_on_under_a_view_that_has_changed_only_from_the_start(sales: Sales) -> None:
    account = (await sales.account())["id"]
    deals = [await sales.deal(account_id=account) for _ in range(3)]
    view = await saved(sales, f"account_id={account}")
    first = (await sales.send("GET", f"{view['address']}&limit=2", role="sales-manager", subject="ana")).json()
    rest = f"{view['address']}&limit=2&cursor={first['next_cursor']}"
    assert await listed(sales, rest) == [deals[0]["id"]]
    changed = await sales.send(
        "PATCH", f"/v1/views/{view['id']}", {"query": f"account_id={account}&stage=lost"},
        role="sales-manager", subject="ana",
    )  # fmt: skip
    assert changed.json()["version"] == 2
    assert_problem(await sales.send("GET", rest, role="sales-manager", subject="ana"), 422, "invalid-request")


async def test_a_view_is_its_owners_until_it_is_shared(sales: Sales) -> None:
    view = await saved(sales, "sort=amount", by="ana")
    address = f"/v1/views/{view['id']}"

    def as_ben(method: str, path: str, body: Record | None = None) -> Any:
        return sales.send(method, path, body, role="sales-rep", subject="ben")

    assert_problem(await as_ben("GET", address), 404, "not-found")
    assert_problem(await as_ben("PATCH", address, {"name": "Mine"}), 404, "not-found")
    assert_problem(await as_ben("GET", view["address"]), 422, "invalid-request")
    assert view["id"] not in await listed(sales, "/v1/views?list=deals", by="ben")
    assert_problem(await as_ben("POST", f"{address}/share", {}), 403, "forbidden")

    shared = await sales.post(f"{address}/share", {}, role="sales-manager", subject="ana")
    assert shared["is_shared"]
    seen = (await as_ben("GET", address)).json()
    assert (seen["is_own"], seen["query"]) == (False, "sort=amount")
    assert (await as_ben("GET", view["address"])).status_code == 200
    assert view["id"] in await listed(sales, "/v1/views?list=deals&is_shared=true", by="ben")
    assert_problem(await as_ben("PATCH", address, {"name": "Mine"}), 403, "forbidden")
    assert_problem(await as_ben("DELETE", address), 403, "forbidden")

    await sales.post(f"{address}/unshare", {}, role="sales-manager", subject="ana")
    assert_problem(await as_ben("GET", address), 404, "not-found")
    deleted = await sales.send("DELETE", address, role="sales-manager", subject="ana")
    assert deleted.status_code == 204
    assert_problem(await sales.send("GET", address, role="sales-manager", subject="ana"), 404, "not-found")


async def test_an_admin_stops_sharing_what_a_leaver_left_behind(sales: Sales) -> None:
    view = await saved(sales, "sort=amount", by="a former colleague")
    await sales.post(f"/v1/views/{view['id']}/share", {}, role="sales-manager", subject="a former colleague")
    answer = await sales.send("DELETE", f"/v1/views/{view['id']}", role="admin", subject="the admin")
    assert answer.status_code == 204


async def test_views_of_a_list_that_one_may_not_read_are_not_seen(sales: Sales) -> None:
    body = {"list": "leads", "name": "New ones", "query": "sort=-created_at"}
    view = await sales.post("/v1/views", body, status=201, role="sales-manager", subject="ana")
    await sales.post(f"/v1/views/{view['id']}/share", {}, role="sales-manager", subject="ana")
    as_agent = await sales.send("GET", f"/v1/views/{view['id']}", role="service-agent", subject="carl")
    assert_problem(as_agent, 404, "not-found")
    refused = await sales.send("POST", "/v1/views", body, role="service-agent", subject="carl")
    assert_problem(refused, 422, "invalid-request")


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        ({"query": "stge=won"}, "#/query", "stge is not to be saved for this list; did you mean stage?"),
        ({"query": "stage=gewonnen"}, "#/query", "stage is none of its values"),
        ({"query": "cursor=x"}, "#/query", "cursor is not to be saved for this list"),
        ({"query": f"view={ABSENT}"}, "#/query", "view is not to be saved for this list"),
        ({"query": "sort=amount&sort=-amount"}, "#/query", "sort is given twice"),
        ({"list": "deal"}, "#/list", "is no list that you may read; did you mean deals?"),
        ({"list": "audit"}, "#/list", "is no list that you may read"),
    ],
)
async def test_what_a_list_does_not_take_is_not_saved(sales: Sales, body: Record, pointer: str, said: str) -> None:
    given = {"list": "deals", "name": "Wrong", "query": ""} | body
    answer = await sales.send("POST", "/v1/views", given, role="sales-manager")
    problem: Any = assert_problem(answer, 422, "invalid-request")
    (error,) = problem["errors"]
    assert error["pointer"] == pointer
    assert said in error["detail"]


async def test_a_view_that_is_absent_or_of_another_list_is_refused(sales: Sales) -> None:
    view = await saved(sales, "sort=amount", by="importer's")
    problems = {
        f"/v1/deals?view={ABSENT}": "is no view that you can use; GET /v1/views lists them",
        f"/v1/leads?view={view['id']}": "is a view of deals, not of leads",
    }
    for address, said in problems.items():
        answer = await sales.send("GET", address, role="sales-manager", subject="importer's")
        problem: Any = assert_problem(answer, 422, "invalid-request")
        (error,) = problem["errors"]
        assert (error["pointer"], error["detail"]) == ("?view", said)


async def test_a_name_is_taken_once_for_a_list(sales: Sales) -> None:
    view = await saved(sales, "", name="Mine", by="dora")
    body = {"list": "deals", "name": "Mine", "query": "sort=amount"}
    refused = await sales.send("POST", "/v1/views", body, role="sales-manager", subject="dora")
    assert assert_problem(refused, 409, "view-name-taken")["existing_id"] == view["id"]
    await sales.post("/v1/views", body, status=201, role="sales-manager", subject="eve")
    other = await saved(sales, "", name="Other", by="dora")
    renamed = await sales.send(
        "PATCH", f"/v1/views/{other['id']}", {"name": "Mine"}, role="sales-manager", subject="dora"
    )
    assert_problem(renamed, 409, "view-name-taken")
