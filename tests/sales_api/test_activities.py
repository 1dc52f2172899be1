"""Activities over HTTP: what was done, with the attribution of the deal, lead or account."""

from datetime import UTC, datetime
from uuid import UUID

from event_contracts.sales import ActivityCompleted
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
