"""Accounts over HTTP: customers, whose names go to the directory and nowhere else."""

from uuid import UUID

from event_contracts.directory import SalesDirectoryEntrySet
from event_contracts.sales import AccountRegistered, AccountUpdated
from tests.sales_api.sales import ABSENT, Sales, reference
from tests.service_kit.conftest import assert_problem


async def test_a_new_account_is_published_and_named_in_the_directory(sales: Sales) -> None:
    rep = await sales.rep(subject=reference())
    body = {"name": "Casa Verde", "region": "south", "owner_id": rep["id"]}
    answer = await sales.send("POST", "/v1/accounts", body, role="sales-rep", subject=rep["subject"])
    account = answer.json()
    assert (answer.status_code, answer.headers["etag"]) == (201, '"1"')
    assert answer.headers["location"] == f"/v1/accounts/{account['id']}"
    registered, entry = await sales.events_of(account["id"])
    assert isinstance(registered.data, AccountRegistered)
    assert (registered.data.region, registered.data.owner_id) == ("south", UUID(rep["id"]))
    assert registered.data.team_id == UUID(rep["team_id"])
    assert "Casa Verde" not in str(registered.data)
    assert (entry.event_type.topic, entry.sequence) == ("sales.directory", 1)
    assert entry.data == SalesDirectoryEntrySet(id=UUID(account["id"]), kind="account", name="Casa Verde")
    assert registered.partition_key == entry.partition_key == account["id"]
    assert (await sales.send("GET", f"/v1/accounts/{account['id']}", role="service-manager")).json() == account


async def test_an_update_names_the_fields_that_it_changed(sales: Sales) -> None:
    account, rep = await sales.account(region="south", segment="retail"), await sales.rep()
    path = f"/v1/accounts/{account['id']}"
    changed = await sales.patch(path, {"region": None, "segment": "retail", "owner_id": rep["id"]})
    assert (changed["region"], changed["segment"], changed["team_id"]) == (None, "retail", rep["team_id"])
    assert changed["version"] == 2
    (event,) = [event for event in await sales.events_of(account["id"], "accounts") if event.sequence == 2]
    assert isinstance(event.data, AccountUpdated)
    assert event.data.change.fields == ["owner_id", "region", "team_id"]
    assert (event.data.region, event.data.segment, event.data.owner_id) == (None, "retail", UUID(rep["id"]))
    assert len(await sales.events_of(account["id"], "directory")) == 1


async def test_a_new_name_goes_to_the_directory(sales: Sales) -> None:
    account = await sales.account(name="Before")
    await sales.patch(f"/v1/accounts/{account['id']}", {"name": "After"})
    updated = (await sales.events_of(account["id"], "accounts"))[-1]
    assert isinstance(updated.data, AccountUpdated)
    assert updated.data.change.fields == ["name"]
    entry = (await sales.events_of(account["id"], "directory"))[-1]
    assert isinstance(entry.data, SalesDirectoryEntrySet)
    assert (entry.data.name, entry.sequence) == ("After", updated.sequence)


async def test_the_same_again_changes_nothing(sales: Sales) -> None:
    account = await sales.account(name="Same", region="south")
    path = f"/v1/accounts/{account['id']}"
    assert await sales.patch(path, {"name": "Same", "region": "south"}) == account
    assert len(await sales.events_of(account["id"], "accounts")) == 1
    assert_problem(await sales.send("PATCH", path, {}), 422, "invalid-request")
    assert_problem(await sales.send("PATCH", path, {"name": None}), 422, "invalid-request")


async def test_a_stale_version_changes_nothing(sales: Sales) -> None:
    account = await sales.account()
    path = f"/v1/accounts/{account['id']}"
    assert (await sales.send("PATCH", path, {"region": "a"}, If_Match='"1"')).status_code == 200
    assert_problem(await sales.send("PATCH", path, {"region": "b"}, If_Match='"1"'), 412, "stale-version")
    assert (await sales.get(path))["region"] == "a"
    assert (await sales.send("GET", path, If_None_Match='"2"')).status_code == 304


async def test_a_change_cannot_come_before_the_registration(sales: Sales) -> None:
    account = await sales.account(occurred_at="2026-01-02T00:00:00Z")
    path = f"/v1/accounts/{account['id']}"
    early = await sales.send("PATCH", path, {"region": "a", "occurred_at": "2026-01-01T00:00:00Z"})
    assert_problem(early, 409, "occurred-too-early")
    await sales.patch(path, {"region": "a", "occurred_at": "2026-01-03T00:00:00Z"})
    assert (await sales.events_of(account["id"], "accounts"))[-1].time.day == 3


async def test_an_account_refers_to_a_rep_who_exists(sales: Sales) -> None:
    new = await sales.send("POST", "/v1/accounts", {"name": "A", "owner_id": ABSENT})
    assert_problem(new, 422, "unknown-reference")
    path = f"/v1/accounts/{(await sales.account())['id']}"
    assert_problem(await sales.send("PATCH", path, {"owner_id": ABSENT}), 422, "unknown-reference")


async def test_an_external_reference_belongs_to_one_account(sales: Sales) -> None:
    ref = reference()
    account = await sales.account(external_ref=ref)
    answer = await sales.send("POST", "/v1/accounts", {"name": "Other", "external_ref": ref})
    assert assert_problem(answer, 409, "external-ref-taken")["existing_id"] == account["id"]


async def test_accounts_are_filtered_by_attribution(sales: Sales) -> None:
    rep = await sales.rep()
    fields = {
        "region": "account-region",
        "segment": "account-segment",
        "channel": "door_to_door",
        "owner_id": rep["id"],
        "external_ref": reference(),
    }
    account = await sales.account(**fields)
    for name, value in (fields | {"team_id": rep["team_id"]}).items():
        assert (await sales.get(f"/v1/accounts?{name}={value}"))["items"] == [account], name
    assert (await sales.get("/v1/accounts?region=account-region&segment=other"))["items"] == []
