"""Referrals over HTTP: who recommended us, and who came of it."""

from uuid import UUID

from event_contracts.sales import AccountRegistered, ReferralRecorded
from tests.sales_api.sales import ABSENT, Sales
from tests.service_kit.conftest import assert_problem


async def test_a_customer_converted_from_a_referred_lead_names_its_referrer(sales: Sales) -> None:
    rep = await sales.rep()
    friend = await sales.account(region="south", owner_id=rep["id"])
    lead = await sales.lead()
    referral = await sales.post("/v1/referrals", {"account_id": friend["id"], "lead_id": lead["id"]}, status=201)
    assert (referral["region"], referral["owner_id"], referral["team_id"]) == ("south", rep["id"], rep["team_id"])
    (event,) = await sales.events_of(referral["id"])
    assert isinstance(event.data, ReferralRecorded)
    assert (event.data.account_id, event.data.lead_id) == (UUID(friend["id"]), UUID(lead["id"]))
    assert event.partition_key == friend["id"]
    converted = await sales.post(f"/v1/leads/{lead['id']}/convert", {})
    registered = (await sales.events_of(converted["account_id"], "accounts"))[0].data
    assert isinstance(registered, AccountRegistered)
    assert registered.referred_by == UUID(friend["id"])
    new = await sales.get(f"/v1/accounts/{converted['account_id']}")
    assert (await sales.get(f"/v1/accounts?referred_by={friend['id']}"))["items"] == [new]
    for name in ("account_id", "lead_id", "owner_id"):
        assert (await sales.get(f"/v1/referrals?{name}={referral[name]}"))["items"] == [referral]
    assert await sales.get(f"/v1/referrals/{referral['id']}") == referral


async def test_a_lead_has_one_referral_at_most(sales: Sales) -> None:
    friend, other, lead = await sales.account(), await sales.account(), await sales.lead()
    first = await sales.post("/v1/referrals", {"account_id": friend["id"], "lead_id": lead["id"]}, status=201)
    second = await sales.send("POST", "/v1/referrals", {"account_id": other["id"], "lead_id": lead["id"]})
    assert assert_problem(second, 409, "referral-already-recorded")["existing_id"] == first["id"]
    for body in ({"account_id": ABSENT}, {"account_id": friend["id"], "lead_id": ABSENT}):
        assert_problem(await sales.send("POST", "/v1/referrals", body), 422, "unknown-reference")


async def test_an_account_may_name_its_referrer_itself(sales: Sales) -> None:
    friend = await sales.account()
    assert (await sales.account(referred_by=friend["id"]))["referred_by"] == friend["id"]
    unknown = await sales.send("POST", "/v1/accounts", {"name": "A", "referred_by": ABSENT})
    assert_problem(unknown, 422, "unknown-reference")
