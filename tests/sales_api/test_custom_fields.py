"""Custom fields of sales: declared by an admin, given, filtered, sorted, published, exported, imported and erased."""

from typing import Any

import pytest
import sqlalchemy as sa

from tests.sales_api.sales import Sales, pointers
from tests.service_kit.conftest import assert_problem

Record = dict[str, Any]


@pytest.fixture
def sales(sales_apart: Sales) -> Sales:
    """A database of its own: a required field would stop all other tests."""
    return sales_apart


async def declared(sales: Sales, noun: str, name: str, type_: str, **more: Any) -> Record:
    """A new custom field."""
    body = {"noun": noun, "name": name, "label": name.title(), "type": type_} | more
    return await sales.post("/v1/custom-fields", body, status=201, role="admin")


async def found(sales: Sales, query: str, noun: str = "deals", **sent: Any) -> list[str]:
    """The ids of a list's records."""
    answer = await sales.send("GET", f"/v1/{noun}?{query}", **sent)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["items"]]


async def test_a_field_is_declared_given_filtered_and_published(sales: Sales) -> None:
    region = await declared(sales, "deals", "site_region", "choice", options=["north", "south"])
    assert (region["version"], region["is_personal"], region["archived_at"]) == (1, False, None)
    await declared(sales, "deals", "roof_area", "number")
    await declared(sales, "deals", "installed_on", "date")
    await declared(sales, "deals", "wants_news", "boolean")
    await declared(sales, "deals", "goals", "choices", options=["comfort", "cost", "climate"])
    await declared(sales, "deals", "drawing", "url", is_personal=False)
    await declared(sales, "deals", "remark", "text", is_personal=False)
    given = {
        "site_region": "north",
        "roof_area": "84.50",
        "installed_on": "2026-03-31",
        "wants_news": True,
        "goals": ["comfort", "climate"],
        "drawing": "https://example.com/drawings/4711?page=2",
        "remark": "Façade éast",
    }
    account, product = (await sales.account())["id"], await sales.product()
    lines = [{"product": product, "quantity": 1, "unit_price": "10.00"}]
    one = await sales.deal(account_id=account, lines=lines, custom=given)
    assert one["custom"] == given
    other = await sales.deal(account_id=account, lines=lines, custom={"site_region": "south", "roof_area": "9"})
    none = await sales.deal(account_id=account, lines=lines)
    assert none["custom"] == {}
    assert (await sales.get(f"/v1/deals/{one['id']}"))["custom"] == given

    for query, expected in {
        "custom.site_region=north": [one],
        "custom.site_region=north&custom.site_region=south": [other, one],
        "custom.site_region_is_null=true": [none],
        "custom.site_region_is_null=false": [other, one],
        "custom.roof_area_min=10": [one],
        "custom.roof_area_min=9&custom.roof_area_max=84.5": [other, one],
        "custom.installed_on=2026-03-31": [one],
        "custom.installed_on_from=2026-03-31&custom.installed_on_to=2026-03-31": [one],
        "custom.installed_on_to=2026-03-30": [],
        "custom.wants_news=true": [one],
        "custom.wants_news=false": [],
        "custom.goals=climate": [one],
        "custom.goals=cost": [],
        "custom.goals=cost&custom.goals=comfort": [one],
        "custom.drawing=https://example.com/drawings/4711?page=2": [one],
        "custom.remark=Fa%C3%A7ade+%C3%A9ast": [one],
        f"custom.site_region=north&account_id={account}": [one],
        "sort=custom.roof_area": [other, one, none],
        "sort=-custom.roof_area": [one, other, none],
        "sort=custom.site_region": [one, other, none],
        "sort=-custom.installed_on": [one, none, other],
        f"sort=-custom.roof_area&account_id={account}": [one, other, none],
        f"sort=custom.wants_news&custom.site_region=south&account_id={account}": [other],
    }.items():
        assert await found(sales, query) == [each["id"] for each in expected], query

    (opened,) = await sales.events_of(one["id"], "deals")
    assert opened.data.custom == given  # type: ignore[attr-defined]
    changed = await sales.patch(f"/v1/deals/{one['id']}", {"custom": {"site_region": "south", "remark": None}})
    assert changed["version"] == 2
    assert changed["custom"] == {**{k: v for k, v in given.items() if k != "remark"}, "site_region": "south"}
    *_, amended = await sales.events_of(one["id"], "deals")
    assert amended.data.change.fields == ["custom"]  # type: ignore[attr-defined]
    assert amended.data.custom == changed["custom"]  # type: ignore[attr-defined]
    same = await sales.patch(f"/v1/deals/{one['id']}", {"custom": {"site_region": "south"}})
    assert same["version"] == 2
    assert await found(sales, "custom.site_region=south") == [other["id"], one["id"]]
    audit = (await sales.send("GET", f"/v1/deals/{one['id']}/audit", role="admin")).json()["items"]
    assert audit[0]["changes"]["custom"] == [
        {"site_region": "north", "remark": "Façade éast"},
        {"site_region": "south"},
    ]


async def test_pages_go_on_under_an_order_by_a_custom_field(sales: Sales) -> None:
    await declared(sales, "leads", "score", "number")
    scores = ["3", "1", None, "2", "2", None, "3.5"]
    leads = [await sales.lead(custom={} if score is None else {"score": score}) for score in scores]
    for sort, order in (("custom.score", [1, 3, 4, 0, 6, 2, 5]), ("-custom.score", [6, 0, 4, 3, 1, 5, 2])):
        read: list[str] = []
        cursor = ""
        while True:
            answer = (await sales.send("GET", f"/v1/leads?sort={sort}&limit=2{cursor}")).json()
            read += [each["id"] for each in answer["items"]]
            if answer["next_cursor"] is None:
                break
            cursor = f"&cursor={answer['next_cursor']}"
        assert read == [leads[place]["id"] for place in order]
    exported = await sales.send("GET", "/v1/leads/export?format=ndjson&sort=custom.score")
    assert len(exported.text.splitlines()) == len(scores)


async def test_what_is_wrong_is_named_at_its_place(sales: Sales) -> None:
    await declared(sales, "leads", "site_region", "choice", options=["north", "south"])
    await declared(sales, "leads", "roof_area", "number")
    archived = await declared(sales, "leads", "old_code", "text", is_personal=False)
    lead = await sales.lead(custom={"old_code": "A1"})
    await sales.post(f"/v1/custom-fields/{archived['id']}/archive", {}, role="admin")

    answer = await sales.send(
        "POST",
        "/v1/leads",
        {"company": "X", "custom": {"site_region": "nroth", "roof_area": "wide", "site_regoin": "a", "old_code": "B2"}},
    )
    assert_problem(answer, 422, "invalid-request")
    said = {error["pointer"]: error["detail"] for error in answer.json()["errors"]}
    assert said.keys() == {f"#/custom/{name}" for name in ("site_region", "roof_area", "site_regoin", "old_code")}
    assert "did you mean north?" in said["#/custom/site_region"]
    assert "did you mean site_region?" in said["#/custom/site_regoin"]
    assert "archived" in said["#/custom/old_code"]
    for odd in (["a"], "x", {"Site Region": "a"}, {"roof_area": 84.5}, {"roof_area": {"a": "b"}}):
        answer = await sales.send("POST", "/v1/leads", {"company": "X", "custom": odd})
        assert_problem(answer, 422, "invalid-request")
        assert pointers(answer.json())[0].startswith("#/custom")
    # The old value stays, is shown and exported, and is no filter any more.
    assert (await sales.get(f"/v1/leads/{lead['id']}"))["custom"] == {"old_code": "A1"}
    await sales.patch(f"/v1/leads/{lead['id']}", {"custom": {"site_region": "north"}})
    assert (await sales.get(f"/v1/leads/{lead['id']}"))["custom"] == {"old_code": "A1", "site_region": "north"}
    for query in ("custom.old_code=A1", "custom.unknown=1", "custom.roof_area=1", "sort=custom.old_code", "custom.=1"):
        answer = await sales.send("GET", f"/v1/leads?{query}")
        assert_problem(answer, 422, "invalid-request")
    assert "there are" in answer.json()["errors"][0]["detail"]
    await sales.post(f"/v1/custom-fields/{archived['id']}/restore", {}, role="admin")
    assert await found(sales, "custom.old_code=A1", "leads") == [lead["id"]]


async def test_a_field_is_declared_by_admins_only_and_once(sales: Sales) -> None:
    body = {"noun": "leads", "name": "origin", "label": "Origin", "type": "text"}
    assert_problem(await sales.send("POST", "/v1/custom-fields", body, role="sales-manager"), 403, "forbidden")
    one = await declared(sales, "leads", "origin", "text")
    assert one["is_personal"], "a text may name a person"
    taken = await sales.send("POST", "/v1/custom-fields", body, role="admin")
    assert_problem(taken, 409, "custom-field-name-taken")
    assert taken.json()["existing_id"] == one["id"]
    wrong: list[tuple[Record, str]] = [
        ({"noun": "products"}, "#/noun"),
        ({"name": "Origin"}, "#/name"),
        ({"name": "seen_from"}, "#/"),
        ({"name": "a", "type": "choice"}, "#/"),
        ({"name": "a", "options": ["x"]}, "#/"),
        ({"name": "a", "type": "choices", "options": ["x", "x"]}, "#/"),
    ]
    for more, pointer in wrong:
        refused = await sales.send("POST", "/v1/custom-fields", body | more, role="admin")
        assert_problem(refused, 422, "invalid-request")
        assert pointers(refused.json()) == [pointer]
    refused = await sales.send("PATCH", f"/v1/custom-fields/{one['id']}", {"type": "number"}, role="admin")
    assert pointers(refused.json()) == ["#/type"]
    refused = await sales.send("PATCH", f"/v1/custom-fields/{one['id']}", {"options": ["a"]}, role="admin")
    assert_problem(refused, 409, "custom-field-has-no-options")
    listed = await sales.send("GET", "/v1/custom-fields?noun=leads&archived_at_is_null=true", role="sales-rep")
    assert [each["name"] for each in listed.json()["items"]] == ["origin"]


async def test_a_required_field_is_asked_of_new_records(sales: Sales) -> None:
    before = await sales.lead()
    field = await declared(sales, "leads", "origin", "choice", options=["fair", "web"], is_required=True)
    refused = await sales.send("POST", "/v1/leads", {"company": "Casa"})
    assert_problem(refused, 422, "invalid-request")
    assert pointers(refused.json()) == ["#/custom/origin"]
    lead = await sales.lead(custom={"origin": "fair"})
    refused = await sales.send("PATCH", f"/v1/leads/{lead['id']}", {"custom": {"origin": None}})
    assert pointers(refused.json()) == ["#/custom/origin"]
    await sales.patch(f"/v1/leads/{before['id']}", {"company": "Casa Azul"})
    changed = await sales.send("PATCH", f"/v1/custom-fields/{field['id']}", {"options": ["web"]}, role="admin")
    assert changed.json()["options"] == ["web"]
    # What is no option any more stays where it is.
    await sales.patch(f"/v1/leads/{lead['id']}", {"company": "Casa Azul"})
    assert (await sales.get(f"/v1/leads/{lead['id']}"))["custom"] == {"origin": "fair"}


async def test_conversions_give_values_to_what_they_create(sales: Sales) -> None:
    await declared(sales, "accounts", "tier", "choice", options=["a", "b"])
    await declared(sales, "deals", "tier", "choice", options=["gold"])
    deal = {"currency": "EUR", "lines": [{"product": await sales.product(), "quantity": 1, "unit_price": "10.00"}]}
    lead = await sales.lead()
    path = f"/v1/leads/{lead['id']}/convert"
    refused = await sales.send("POST", path, {"account": {"custom": {"tier": "c"}}, "deal": deal})
    assert pointers(refused.json()) == ["#/account/custom/tier"]
    refused = await sales.send("POST", path, {"deal": deal | {"custom": {"tier": "c"}}})
    assert pointers(refused.json()) == ["#/deal/custom/tier"]
    converted = await sales.post(
        path, {"account": {"custom": {"tier": "b"}}, "deal": deal | {"custom": {"tier": "gold"}}}
    )
    assert (await sales.get(f"/v1/accounts/{converted['account_id']}"))["custom"] == {"tier": "b"}
    assert (await sales.get(f"/v1/deals/{converted['deal_id']}"))["custom"] == {"tier": "gold"}


async def test_personal_values_are_hidden_kept_out_of_events_and_erased(sales: Sales) -> None:
    await declared(sales, "accounts", "contact", "text")
    await declared(sales, "accounts", "tier", "choice", options=["a", "b"])
    await declared(sales, "activities", "remark", "text")
    account = await sales.account(custom={"contact": "Joana Prado", "tier": "a"})
    address = f"/v1/accounts/{account['id']}"
    assert account["custom"] == {"contact": "Joana Prado", "tier": "a"}
    activity = await sales.post(
        "/v1/activities",
        {"kind": "call", "account_id": account["id"], "custom": {"remark": "Spoke with Joana"}},
        status=201,
    )
    for record in (account, activity):
        for event in await sales.events_of(record["id"]):
            if hasattr(event.data, "custom"):
                assert event.data.custom in ({"tier": "a"}, {})
    seen = await sales.send("GET", address, role="analyst")
    assert seen.json()["custom"] == {"tier": "a"}
    listed = await sales.send("GET", "/v1/accounts", role="analyst")
    assert [each["custom"] for each in listed.json()["items"]] == [{"tier": "a"}]
    exported = await sales.send("GET", "/v1/accounts/export", role="analyst")
    assert "Joana" not in exported.text
    # No oracle either.
    for query in ("custom.contact=Joana+Prado", "sort=custom.contact"):
        assert_problem(await sales.send("GET", f"/v1/accounts?{query}", role="analyst"), 403, "forbidden")
    assert await found(sales, "custom.tier=a", "accounts", role="analyst") == [account["id"]]
    assert await found(sales, "custom.contact=Joana+Prado", "accounts") == [account["id"]]

    await sales.post(f"{address}/erase", {}, role="sales-manager")
    assert (await sales.get(address))["custom"] == {"tier": "a"}
    assert (await sales.get(f"/v1/activities/{activity['id']}"))["custom"] == {}
    assert await found(sales, "custom.contact=Joana+Prado", "accounts") == []
    async with sales.engine.connect() as connection:
        for table in ("account", "activity", "audit_entry", "custom_value", "outbox", "idempotency_key"):
            kept = await connection.execute(sa.text(f"SELECT count(*) FROM {table} t WHERE t::text ~ 'Joana'"))
            assert kept.scalar_one() == 0, table


async def test_files_have_a_column_for_each_field(sales: Sales) -> None:
    await declared(sales, "accounts", "tier", "choice", options=["a", "b"])
    await declared(sales, "accounts", "employees", "number")
    await declared(sales, "accounts", "is_public", "boolean")
    await declared(sales, "accounts", "trades", "choices", options=["roofs", "floors"])
    rows = (
        "name,custom.tier,custom.employees,custom.is_public,custom.trades.0,custom.trades.1\n"
        "Casa,a,12,true,roofs,floors\nAzul,,,,,\nRosa,c,1,,,\n"
    )
    answer = await sales.raw(
        "POST", "/v1/imports?resource=accounts&mode=best-effort", rows.encode(), content_type="text/csv"
    )
    results = answer.json()["rows"]
    assert [each["status"] for each in results] == ["created", "created", "failed"]
    assert results[2]["problem"]["errors"][0]["pointer"] == "#/record/custom/tier"
    exported = (await sales.send("GET", "/v1/accounts/export?sort=name")).text
    header, azul, casa = (line.split(",") for line in exported.splitlines())
    names = ["custom.tier", "custom.employees", "custom.is_public", "custom.trades"]
    assert [name for name in header if name.startswith("custom")] == names
    assert azul[header.index("custom.tier")] == ""
    assert casa[header.index("custom.tier") : header.index("custom.tier") + 3] == ["a", "12", "true"]


async def test_a_view_may_have_filters_by_custom_fields(sales: Sales) -> None:
    tier = await declared(sales, "accounts", "tier", "choice", options=["a", "b"])
    account = await sales.account(custom={"tier": "a"})
    await sales.account(custom={"tier": "b"})
    body = {"list": "accounts", "name": "A", "query": "custom.tier=a&sort=custom.tier"}
    view = await sales.post("/v1/views", body, status=201)
    assert await found(sales, f"view={view['id']}", "accounts") == [account["id"]]
    refused = await sales.send("POST", "/v1/views", body | {"name": "B", "query": "custom.teir=a"})
    assert pointers(refused.json()) == ["#/query"]
    await sales.post(f"/v1/custom-fields/{tier['id']}/archive", {}, role="admin")
    refused = await sales.send("GET", f"/v1/accounts?view={view['id']}")
    assert_problem(refused, 422, "invalid-request")
