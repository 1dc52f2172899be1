"""Declared lists over HTTP: what fields take, and how their values are declared, renamed, retired and merged."""

from typing import Any

import pytest
import sqlalchemy as sa

from event_contracts.directory import SalesListValueSet
from event_contracts.lists import FIRST_VALUES
from tests.sales_api.sales import Sales, pointers
from tests.service_kit.conftest import assert_problem
from tests.statements import statements_of

Record = dict[str, Any]


@pytest.fixture
def sales(sales_apart: Sales) -> Sales:
    """A database of its own: its lists change."""
    return sales_apart


async def declared(sales: Sales, key: str, label: str | None = None, list_: str = "channels") -> Record:
    """A new value."""
    body = {"list": list_, "key": key, "label": label or key.title()}
    return await sales.post("/v1/list-values", body, status=201, role="sales-manager")


async def value(sales: Sales, key: str, list_: str = "channels") -> Record:
    """One that is there."""
    (found,) = (await sales.get(f"/v1/list-values?list={list_}&key={key}"))["items"]
    return dict(found)


def details(problem: Record) -> dict[str, str]:
    """What a problem says, by pointer."""
    return {each["pointer"]: each["detail"] for each in problem["errors"]}


async def test_the_lists_begin_with_their_first_values(sales: Sales) -> None:
    page = await sales.get("/v1/list-values?sort=key&limit=200")
    found: dict[str, dict[str, str]] = {}
    for each in page["items"]:
        found.setdefault(each["list"], {})[each["key"]] = each["label"]
        assert (each["version"], each["retired_at"], each["merged_into"]) == (1, None, None)
    assert found == FIRST_VALUES


async def test_what_is_not_declared_is_refused_and_the_nearest_is_named(sales: Sales) -> None:
    for given in ("trade-show", "TradeShow", "TRADE_SHOW", "trade_shwo"):
        answer = await sales.send("POST", "/v1/leads", {"name": "Joana", "channel": given})
        problem = assert_problem(answer, 422, "unknown-list-value")
        assert details(problem) == {
            "#/channel": f"is no value of the list channels; did you mean trade_show? there are: "
            f"{', '.join(sorted(FIRST_VALUES['channels']))}"
        }
    answer = await sales.send("POST", "/v1/leads", {"name": "Joana", "channel": "qqq"})
    assert "did you mean" not in details(assert_problem(answer, 422, "unknown-list-value"))["#/channel"]
    assert (await sales.lead(channel="trade_show"))["channel"] == "trade_show"


async def test_every_body_with_a_value_of_a_list_is_checked(sales: Sales) -> None:
    account, lead, deal = (await sales.account())["id"], await sales.lead(), await sales.deal()
    product = await sales.product()
    lines = [{"product": product, "quantity": 1, "unit_price": "10.00"}]
    activity = await sales.post("/v1/activities", {"kind": "call", "deal_id": deal["id"]}, status=201)
    referral = await sales.post("/v1/referrals", {"account_id": account}, status=201)
    won, lost = await sales.deal(), await sales.lead()
    await sales.post(f"/v1/deals/{won['id']}/close", {"outcome": "won", "reason": "best_price"})
    await sales.post(f"/v1/leads/{lost['id']}/disqualify", {"reason": "no_need"})
    unknown = {"channel": "fair"}
    nested = {"account": {"name": "Casa", **unknown}, "deal": {"currency": "EUR", "lines": lines, **unknown}}
    for method, path, body, places in (
        ("POST", "/v1/accounts", {"name": "Casa", **unknown}, ["#/channel"]),
        ("PATCH", f"/v1/accounts/{account}", unknown, ["#/channel"]),
        ("POST", "/v1/leads", {"name": "Joana", **unknown}, ["#/channel"]),
        ("PATCH", f"/v1/leads/{lead['id']}", unknown, ["#/channel"]),
        ("POST", f"/v1/leads/{lead['id']}/convert", nested, ["#/account/channel", "#/deal/channel"]),
        ("POST", "/v1/deals", {"account_id": account, "currency": "EUR", "lines": lines, **unknown}, ["#/channel"]),
        ("PATCH", f"/v1/deals/{deal['id']}", unknown, ["#/channel"]),
        ("POST", f"/v1/deals/{deal['id']}/amend", unknown, ["#/channel"]),
        ("POST", f"/v1/deals/{deal['id']}/close", {"outcome": "won", "reason": "qqq"}, ["#/reason"]),
        ("POST", f"/v1/deals/{won['id']}/amend", {"reason": "qqq"}, ["#/reason"]),
        ("POST", f"/v1/leads/{lead['id']}/disqualify", {"reason": "best_price"}, ["#/reason"]),
        ("PATCH", f"/v1/leads/{lost['id']}", {"disqualified_reason": "qqq"}, ["#/disqualified_reason"]),
        ("PATCH", f"/v1/activities/{activity['id']}", unknown, ["#/channel"]),
        ("PATCH", f"/v1/referrals/{referral['id']}", unknown, ["#/channel"]),
    ):
        answer = await sales.send(method, path, body)
        problem = assert_problem(answer, 422, "unknown-list-value")
        assert pointers(problem) == places, (method, path)


async def test_a_declared_value_is_taken_at_once_and_its_spellings_are_refused(sales: Sales) -> None:
    assert_problem(await sales.send("POST", "/v1/leads", {"name": "J", "channel": "trade_fair"}), 422)
    fair = await declared(sales, "trade_fair", "Fair")
    assert fair["version"] == 1
    assert (await sales.lead(channel="trade_fair"))["channel"] == "trade_fair"
    for spelling in ("trade_fair", "Trade-Fair", "TradeFair"):
        body = {"list": "channels", "key": spelling, "label": "Again"}
        answer = await sales.send("POST", "/v1/list-values", body, role="sales-manager")
        assert assert_problem(answer, 409, "list-value-taken")["existing_id"] == fair["id"]
    assert_problem(
        await sales.send("POST", "/v1/list-values", {"list": "chanels", "key": "a", "label": "A"}, role="admin"), 422
    )


async def test_a_rename_changes_the_label_only(sales: Sales) -> None:
    lead = await sales.lead(channel="trade_show")
    show = await value(sales, "trade_show")
    path = f"/v1/list-values/{show['id']}"
    renamed = await sales.patch(path, {"label": "Fairs and shows"})
    assert (renamed["key"], renamed["label"], renamed["version"]) == ("trade_show", "Fairs and shows", 2)
    assert (await sales.get(f"/v1/leads/{lead['id']}"))["version"] == lead["version"]
    answer = await sales.send("PATCH", path, {"key": "fair"})
    assert "stays as it is" in details(assert_problem(answer, 422))["#/key"]
    (entry,) = await sales.events_of(show["id"])
    assert isinstance(entry.data, SalesListValueSet)
    assert (entry.data.name, entry.data.key, entry.sequence) == ("Fairs and shows", "trade_show", 2)


async def test_a_retired_value_stays_where_it_is_and_is_given_to_nothing_new(sales: Sales) -> None:
    lead = await sales.lead(channel="telemarketing")
    path = f"/v1/list-values/{(await value(sales, 'telemarketing'))['id']}"
    retired = await sales.post(f"{path}/retire", {})
    assert retired["retired_at"] is not None
    assert (await sales.post(f"{path}/retire", {}))["version"] == retired["version"]
    answer = await sales.send("POST", "/v1/leads", {"name": "Joana", "channel": "telemarketing"})
    assert details(assert_problem(answer, 422, "unknown-list-value"))["#/channel"].startswith("was retired; there are:")
    # What a screen sends back unchanged is no new value.
    same = {"channel": "telemarketing", "company": "Casa Azul"}
    assert (await sales.patch(f"/v1/leads/{lead['id']}", same))["company"] == "Casa Azul"
    await sales.post(f"{path}/restore", {})
    assert (await sales.lead(channel="telemarketing"))["channel"] == "telemarketing"


async def test_a_merge_changes_no_record_and_is_taken_back(sales: Sales) -> None:
    fair = await declared(sales, "fair")
    lead = await sales.lead(channel="fair")
    path = f"/v1/list-values/{fair['id']}"
    merged = await sales.post(f"{path}/merge", {"into": "trade_show"})
    assert merged["merged_into"] == "trade_show"
    assert (await sales.post(f"{path}/merge", {"into": "trade_show"}))["version"] == merged["version"]
    assert await sales.get(f"/v1/leads/{lead['id']}") == lead
    answer = await sales.send("POST", "/v1/leads", {"name": "Joana", "channel": "fair"})
    told = details(assert_problem(answer, 422, "unknown-list-value"))["#/channel"]
    assert told == "was merged into trade_show: give trade_show"
    answer = await sales.send("POST", f"{path}/merge", {"into": "online"})
    assert_problem(answer, 409, "list-value-merged")
    taken_back = await sales.post(f"{path}/unmerge", {})
    assert (taken_back["merged_into"], taken_back["label"]) == (None, fair["label"])
    assert (await sales.lead(channel="fair"))["channel"] == "fair"
    entries = [each.data for each in await sales.events_of(fair["id"]) if isinstance(each.data, SalesListValueSet)]
    assert [each.merged_into for each in entries] == [None, "trade_show", None]


async def test_merges_never_go_round_in_a_circle(sales: Sales) -> None:
    one, other = await declared(sales, "one"), await declared(sales, "other")
    for into, says in (("one", "is the value itself"), ("oen", "is no value of the list channels; did you mean one?")):
        answer = await sales.send("POST", f"/v1/list-values/{one['id']}/merge", {"into": into})
        assert details(assert_problem(answer, 422))["#/into"].startswith(says)
    await sales.post(f"/v1/list-values/{one['id']}/merge", {"into": "other"})
    answer = await sales.send("POST", f"/v1/list-values/{other['id']}/merge", {"into": "one"})
    assert details(assert_problem(answer, 422))["#/into"] == "was merged into other: name that one"
    # What others were merged into may be merged on.
    await sales.post(f"/v1/list-values/{other['id']}/merge", {"into": "online"})
    answer = await sales.send("POST", "/v1/leads", {"name": "Joana", "channel": "one"})
    told = details(assert_problem(answer, 422, "unknown-list-value"))["#/channel"]
    assert told == "was merged into online: give online"


async def test_salespeople_read_the_lists_and_managers_change_them(sales: Sales) -> None:
    body = {"list": "channels", "key": "fair", "label": "Fair"}
    for role, status in (("sales-rep", 403), ("service-agent", 403), ("analyst", 403), ("service-manager", 201)):
        assert (await sales.send("GET", "/v1/list-values", role=role)).status_code == 200
        assert (await sales.send("POST", "/v1/list-values", body, role=role)).status_code == status, role


async def test_an_import_is_refused_row_by_row(sales: Sales) -> None:
    rows = b'{"record": {"name": "A", "channel": "referral"}}\n{"record": {"name": "B", "channel": "Referral"}}\n'
    answer = await sales.raw("POST", "/v1/imports?resource=leads", rows, Content_Type="application/x-ndjson")
    report = answer.json()
    (failed,) = report["rows"]
    assert (failed["line"], failed["problem"]["errors"][0]["pointer"]) == (2, "#/record/channel")


async def test_a_value_that_is_known_to_be_taken_costs_no_statement(sales: Sales) -> None:
    await sales.lead(channel="referral")
    async with statements_of(sales.engine) as sent:
        await sales.lead(channel="online")
    assert len(sent) <= 2, sent
    async with sales.engine.connect() as connection:
        assert await connection.scalar(sa.text("SELECT count(*) FROM list_value")) == sum(
            map(len, FIRST_VALUES.values())
        )
