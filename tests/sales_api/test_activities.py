"""Activities over HTTP: what was done, with the attribution of the deal, lead or account."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from event_contracts.sales import ActivityCompleted, ActivityMoved, ActivityPlanned, PlannedActivityAmended
from tests.sales_api.sales import ABSENT, Sales, reference
from tests.service_kit.conftest import assert_problem


async def test_an_activity_for_a_deal_takes_over_its_account_and_attribution(sales: Sales) -> None:
    rep = await sales.rep()
    deal = await sales.deal(owner_id=rep["id"], region="south", channel="retail_store")
    given = {"deal_id": deal["id"], "due_at": "2026-03-16T16:00:00Z", "occurred_at": "2026-03-16T10:00:00Z"}
    activity = await sales.post("/v1/activities", {"kind": "follow_up"} | given, status=201)
    assert (activity["account_id"], activity["owner_id"]) == (deal["account_id"], rep["id"])
    assert (activity["team_id"], activity["region"], activity["channel"]) == (rep["team_id"], "south", "retail_store")
    (event,) = await sales.events_of(activity["id"])
    assert isinstance(event.data, ActivityCompleted)
    assert (event.sequence, event.time) == (1, datetime(2026, 3, 16, 10, tzinfo=UTC))
    assert event.data.due_at == datetime(2026, 3, 16, 16, tzinfo=UTC)
    assert event.partition_key == deal["account_id"]
    assert event.data.deal_id == UUID(deal["id"])
    for name in ("deal_id", "account_id", "owner_id", "team_id"):
        assert (await sales.get(f"/v1/activities?{name}={activity[name]}"))["items"] == [activity], name
    assert await sales.get(f"/v1/activities/{activity['id']}") == activity


async def test_an_activity_for_a_lead_has_no_account_until_the_lead_is_converted(sales: Sales) -> None:
    other = await sales.rep(subject=reference())
    lead = await sales.lead(region="north")
    body = {"kind": "call", "lead_id": lead["id"], "owner_id": other["id"]}
    answer = await sales.send("POST", "/v1/activities", body, role="sales-rep", subject=other["subject"])
    activity = answer.json()
    assert (answer.status_code, answer.headers["etag"]) == (201, '"1"')
    assert (activity["account_id"], activity["owner_id"], activity["due_at"]) == (None, other["id"], None)
    assert (await sales.events_of(activity["id"]))[0].partition_key == activity["id"]


async def test_an_activity_refers_to_what_exists(sales: Sales) -> None:
    lead, account = await sales.lead(), await sales.account()
    without_customer = {"kind": "visit"}
    for body in (without_customer, without_customer | {"lead_id": lead["id"], "account_id": account["id"]}):
        assert_problem(await sales.send("POST", "/v1/activities", body), 422, "invalid-request")
    for name in ("lead_id", "deal_id", "account_id", "owner_id"):
        body = without_customer | ({"account_id": account["id"]} if name == "owner_id" else {}) | {name: ABSENT}
        assert_problem(await sales.send("POST", "/v1/activities", body), 422, "unknown-reference")
    await sales.send("POST", f"/v1/accounts/{account['id']}/erase", role="sales-manager")
    refused = await sales.send("POST", "/v1/activities", without_customer | {"account_id": account["id"]})
    assert_problem(refused, 409, "account-already-erased")


async def test_an_activity_is_planned_moved_and_done(sales: Sales) -> None:
    rep, other = await sales.rep(), await sales.rep(subject=reference())
    deal = await sales.deal(owner_id=rep["id"], region="south")
    due = (datetime.now(UTC) + timedelta(days=7)).replace(microsecond=0).isoformat()
    body = {"kind": "follow_up", "deal_id": deal["id"], "due_at": due, "purpose": "renewal"}
    planned = await sales.post("/v1/activities", body, status=201)
    assert (planned["status"], planned["completed_at"], planned["owner_id"]) == ("planned", None, rep["id"])
    assert (planned["purpose"], planned["region"]) == ("renewal", "south")
    path = f"/v1/activities/{planned['id']}"

    later = (datetime.now(UTC) + timedelta(days=9)).replace(microsecond=0).isoformat()
    moved = await sales.post(f"{path}/move", {"due_at": later, "reason": "customer-asked"})
    assert (moved["status"], moved["version"]) == ("planned", 2)
    ((move,), due_then) = moved["moves"], datetime.fromisoformat(moved["due_at"])
    assert (datetime.fromisoformat(move["due_at"]), move["reason"]) == (datetime.fromisoformat(due), "customer-asked")
    assert due_then == datetime.fromisoformat(later)
    assert (await sales.post(f"{path}/move", {"due_at": later}))["version"] == 2

    amended = await sales.send("PATCH", path, {"purpose": "upgrade"})
    assert (amended.status_code, amended.json()["purpose"]) == (200, "upgrade")
    without = await sales.send("PATCH", path, {"due_at": None})
    assert_problem(without, 409, "planned-work-needs-due-time")
    done = await sales.post(f"{path}/done", {"owner_id": other["id"]})
    assert (done["status"], done["owner_id"], done["version"]) == ("done", other["id"], 4)
    for step, given in (("done", {}), ("missed", {}), ("cancel", {}), ("move", {"due_at": due})):
        refused = await sales.send("POST", f"{path}/{step}", given)
        assert_problem(refused, 409, "work-not-planned")
    events = await sales.events_of(planned["id"])
    assert [type(event.data) for event in events] == [
        ActivityPlanned, ActivityMoved, PlannedActivityAmended, ActivityCompleted,
    ]  # fmt: skip
    assert {event.partition_key for event in events} == {deal["account_id"]}


async def test_what_is_overdue_is_listed_until_it_is_done_missed_or_cancelled(sales: Sales) -> None:
    account = await sales.account()
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    body = {"kind": "call", "account_id": account["id"], "status": "planned"}
    assert_problem(await sales.send("POST", "/v1/activities", body), 422, "invalid-request")
    overdue = [await sales.post("/v1/activities", body | {"due_at": yesterday}, status=201) for _ in range(4)]
    ahead = await sales.post("/v1/activities", body | {"due_at": tomorrow}, status=201)
    early = await sales.post("/v1/activities", body | {"due_at": tomorrow, "status": "done"}, status=201)

    async def listed(query: str) -> set[str]:
        page = await sales.get(f"/v1/activities?account_id={account['id']}&{query}")
        return {each["id"] for each in page["items"]}

    assert await listed("overdue=true") == {each["id"] for each in overdue}
    assert await listed("overdue=false") == {ahead["id"], early["id"]}
    assert await listed("status=planned&due_at_before=" + tomorrow[:19] + "Z") == {each["id"] for each in overdue}
    done, missed, cancelled, left = (each["id"] for each in overdue)
    await sales.post(f"/v1/activities/{done}/done", {})
    await sales.post(f"/v1/activities/{missed}/missed", {})
    await sales.post(f"/v1/activities/{cancelled}/cancel", {"reason": "not-needed"})
    assert await listed("overdue=true") == {left}
    again = await sales.post(f"/v1/activities/{missed}/move", {"due_at": tomorrow})
    assert (again["status"], again["missed_at"], again["moves"][0]["missed_at"] is None) == ("planned", None, False)
    bulk = {"operation": "finish_activity", "records": [{"id": left}, {"id": ahead["id"]}], "body": {}}
    assert (await sales.post("/v1/bulk", bulk))["done"] == 2
    assert await listed("overdue=true") == set()


async def test_what_is_agreed_with_the_customer_has_a_time_and_ends_with_them(sales: Sales) -> None:
    account = await sales.account()
    due_at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    agreed = {"kind": "call", "account_id": account["id"], "agreed_with_customer": True}
    assert_problem(await sales.send("POST", "/v1/activities", agreed), 422, "invalid-request")
    planned = await sales.post("/v1/activities", agreed | {"due_at": due_at}, status=201)
    assert (planned["status"], planned["agreed_with_customer"]) == ("planned", True)
    (event,) = await sales.events_of(planned["id"])
    assert isinstance(event.data, ActivityPlanned)
    assert event.data.agreed_with_customer
    other = await sales.post("/v1/activities", agreed | {"due_at": due_at, "agreed_with_customer": False}, status=201)
    done = {"kind": "call", "account_id": account["id"], "status": "done"}
    without = await sales.post("/v1/activities", done, status=201)
    corrected = await sales.send("PATCH", f"/v1/activities/{without['id']}", {"agreed_with_customer": True})
    assert_problem(corrected, 422, "invalid-request")
    missed = await sales.post("/v1/activities", agreed | {"due_at": due_at}, status=201)
    await sales.post(f"/v1/activities/{missed['id']}/missed", {})
    await sales.post(f"/v1/accounts/{account['id']}/erase", {}, role="sales-manager")
    found = [await sales.get(f"/v1/activities/{each['id']}") for each in (planned, missed, other)]
    assert [(each["status"], each["agreed_with_customer"]) for each in found] == [
        ("cancelled", True), ("missed", False), ("planned", False),
    ]  # fmt: skip
    assert found[0]["cancel_reason"] == "customer-erased"
