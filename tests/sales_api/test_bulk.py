"""One operation on many records: each by its own rules, with a report."""

from uuid import uuid4

from tests.sales_api.sales import ABSENT, Body, Sales, pointers
from tests.service_kit.conftest import assert_problem


async def leads(sales: Sales, number: int) -> list[Body]:
    return [await sales.lead() for _ in range(number)]


async def test_many_leads_are_assigned_at_once(sales: Sales) -> None:
    rep, some = await sales.rep(), await leads(sales, 3)
    body = {
        "operation": "assign_lead",
        "records": [{"id": each["id"]} for each in some],
        "body": {"owner_id": rep["id"]},
    }
    report = await sales.post("/v1/bulk", body)
    assert (report["done"], report["failed"]) == (3, 0)
    assert [(each["id"], each["status"], each["version"]) for each in report["records"]] == [
        (each["id"], "done", 2) for each in some
    ]
    for each in some:
        assert (await sales.get(f"/v1/leads/{each['id']}"))["owner_id"] == rep["id"]
        assert [event.sequence for event in await sales.events_of(each["id"])] == [1, 2]


async def test_a_failure_undoes_all_unless_the_others_are_asked_for(sales: Sales) -> None:
    first, second = [await sales.account() for _ in range(2)]
    records = [
        {"id": first["id"], "version": 1},
        {"id": second["id"], "version": 7},
        {"id": ABSENT},
        {"id": second["id"], "body": {"region": "a b"}},
    ]
    body = {"operation": "update_account", "records": records, "body": {"region": "iberia"}}
    refused = await sales.send("POST", "/v1/bulk", body)
    assert_problem(refused, 422, "bulk-refused")
    found = [(each["id"], each["problem"]["status"]) for each in refused.json()["records"]]
    assert found == [(second["id"], 412), (ABSENT, 404), (second["id"], 422)]
    assert (await sales.get(f"/v1/accounts/{first['id']}"))["region"] is None
    report = await sales.post("/v1/bulk", body | {"mode": "best-effort"})
    assert (report["done"], report["failed"]) == (1, 3)
    assert (await sales.get(f"/v1/accounts/{first['id']}"))["region"] == "iberia"
    assert (await sales.get(f"/v1/accounts/{second['id']}"))["version"] == 1


async def test_each_record_is_changed_by_who_may_change_it(sales: Sales) -> None:
    subject = f"rep-{uuid4()}"
    rep = await sales.rep(subject=subject)
    mine, theirs = [await sales.account(owner_id=each["id"]) for each in (rep, await sales.rep())]
    body = {
        "operation": "update_account",
        "records": [{"id": mine["id"]}, {"id": theirs["id"]}],
        "body": {"segment": "mid-market"},
        "mode": "best-effort",
    }
    answer = await sales.send("POST", "/v1/bulk", body, role="sales-rep", subject=subject)
    assert [each["status"] for each in answer.json()["records"]] == ["done", "failed"]
    # Out of one's own sight is nothing given.
    other = {"operation": "update_account", "records": [{"id": mine["id"]}], "body": {"owner_id": theirs["owner_id"]}}
    answer = await sales.send("POST", "/v1/bulk", other, role="sales-rep", subject=subject)
    assert_problem(answer, 422, "bulk-refused")
    assert answer.json()["records"][0]["problem"]["status"] == 403
    by_analyst = await sales.send("POST", "/v1/bulk", body, role="analyst")
    assert {each["problem"]["status"] for each in by_analyst.json()["records"]} == {403}


async def test_an_unknown_operation_is_answered_with_the_nearest(sales: Sales) -> None:
    body = {"operation": "asign_lead", "records": [{"id": ABSENT}]}
    problem = assert_problem(await sales.send("POST", "/v1/bulk", body), 422, "invalid-request")
    assert pointers(problem) == ["#/operation"]
    assert "did you mean assign_lead?" in str(problem["errors"])
