"""Lists of sales: who finds what, what comes along, and at what price in statements."""

from typing import Any
from uuid import uuid4

import pytest

from tests.sales_api.sales import Body, Sales
from tests.service_kit.conftest import assert_problem
from tests.statements import statements_of


async def listed(sales: Sales, path: str, **caller: Any) -> Body:
    answer = await sales.send("GET", path, **caller)
    assert answer.status_code == 200, answer.text
    page: Body = answer.json()
    return page


def ids(page: Body) -> set[str]:
    return {each["id"] for each in page["items"]}


async def a_rep(sales: Sales) -> tuple[Body, str]:
    """A salesperson in a team of their own, and the subject of their tokens."""
    subject = f"rep-{uuid4()}"
    return await sales.rep(subject=subject), subject


@pytest.mark.parametrize(
    "query", ["", "sort=name&", "sort=-registered_at&", "sort=id&", "q={word}&", "q={word}&sort=name&"]
)
async def test_a_rep_finds_only_what_is_theirs_in_any_order_and_search(sales: Sales, query: str) -> None:
    word = f"w{uuid4().hex}"
    (rep, subject), (other, _) = await a_rep(sales), await a_rep(sales)
    mine = [await sales.account(name=f"{word} {number}", owner_id=rep["id"]) for number in range(3)]
    theirs = await sales.account(name=f"{word} 9", owner_id=other["id"])
    unowned = await sales.account(name=f"{word} 8")
    path = f"/v1/accounts?{query.format(word=word)}total=true&limit=200&registered_at_from={mine[0]['registered_at']}"
    page = await listed(sales, path, role="sales-rep", subject=subject)
    seen = {each["id"] for each in mine} | {unowned["id"]}
    assert ids(page) >= seen
    assert theirs["id"] not in ids(page)
    everybodys = await listed(sales, path, role="sales-manager")
    assert theirs["id"] in ids(everybodys)
    assert page["total"]["count"] < everybodys["total"]["count"]


async def test_an_analyst_cannot_find_out_hidden_names(sales: Sales) -> None:
    """A search, a filter or an order by what is hidden would tell it letter by letter."""
    await sales.account(name="Hidden Ltd")
    for query in ("q=hidden", "q=hid&sort=-id", "sort=name", "sort=-name"):
        answer = await sales.send("GET", f"/v1/accounts?{query}", role="analyst")
        assert_problem(answer, 403, "forbidden")
        assert "name" in answer.json()["detail"]
    for query in ("q=x", "sort=company"):
        assert_problem(await sales.send("GET", f"/v1/leads?{query}", role="analyst"), 403, "forbidden")


async def test_of_two_roles_a_search_uses_what_each_sees(sales: Sales) -> None:
    word = f"w{uuid4().hex}"
    (rep, subject), (other, _) = await a_rep(sales), await a_rep(sales)
    mine = await sales.account(name=f"{word} mine", owner_id=rep["id"])
    await sales.account(name=f"{word} theirs", owner_id=other["id"])
    caller: Any = {"role": "analyst", "subject": subject, "claims": {"roles": ["analyst", "sales-rep"]}}
    for sort in ("", "&sort=-id"):
        page = await listed(sales, f"/v1/accounts?q={word}&total=true{sort}", **caller)
        assert (ids(page), page["total"]["count"]) == ({mine["id"]}, 1)
    assert_problem(await sales.send("GET", "/v1/accounts?sort=name", **caller), 403, "forbidden")


async def test_an_erased_customer_is_found_no_more(sales: Sales) -> None:
    word = f"w{uuid4().hex}"
    account = await sales.account(name=f"{word} Ltd")
    assert ids(await listed(sales, f"/v1/accounts?q={word}")) == {account["id"]}
    await sales.post(f"/v1/accounts/{account['id']}/erase", {}, role="sales-manager")
    assert ids(await listed(sales, f"/v1/accounts?q={word}")) == set()


async def test_a_page_brings_along_what_is_asked_for_once(sales: Sales) -> None:
    rep = await sales.rep()
    account = await sales.account(owner_id=rep["id"])
    deals = [await sales.deal(account_id=account["id"], owner_id=rep["id"]) for _ in range(2)]
    await sales.post("/v1/activities", {"kind": "call", "deal_id": deals[0]["id"]}, status=201)
    last = await sales.post("/v1/activities", {"kind": "meeting", "deal_id": deals[0]["id"]}, status=201)
    page = await listed(
        sales, f"/v1/deals?account_id={account['id']}&include=owner&include=account&include=last_activity&include=team"
    )
    brought = page["included"]
    assert brought["owner"] == {rep["id"]: rep}
    assert brought["account"] == {account["id"]: account}
    assert brought["last_activity"] == {deals[0]["id"]: last}
    assert brought["team"].keys() == {rep["team_id"]}
    assert brought["lead"] is None
    assert (await listed(sales, "/v1/deals?limit=1"))["included"] is None


async def test_what_comes_along_is_seen_as_it_is_by_itself(sales: Sales) -> None:
    (rep, subject), (other, _) = await a_rep(sales), await a_rep(sales)
    account = await sales.account(owner_id=other["id"], name="Another's")
    deal = await sales.deal(account_id=account["id"], owner_id=rep["id"])
    path = f"/v1/deals?ids={deal['id']}&include=account"
    assert (await listed(sales, path, role="sales-rep", subject=subject))["included"]["account"] == {}
    by_analyst = (await listed(sales, path, role="analyst"))["included"]["account"]
    assert by_analyst == {account["id"]: account | {"name": None}}


async def test_what_comes_along_costs_a_statement_each(sales: Sales) -> None:
    for _ in range(5):
        await sales.deal(owner_id=(await sales.rep())["id"])
    names = ("owner", "team", "account", "lead", "last_activity")
    async with statements_of(sales.engine) as sent:
        await listed(sales, "/v1/deals?limit=50&total=true&" + "&".join(f"include={name}" for name in names))
    assert 2 < len(sent) <= 2 + len(names), sent


async def test_a_copy_is_kept_up_to_date_by_time(sales: Sales) -> None:
    first, second = await sales.account(), await sales.account()
    since = second["updated_at"]
    changed = await sales.patch(f"/v1/accounts/{first['id']}", {"region": "iberia"})
    assert changed["updated_at"] > since > first["updated_at"]
    page = await listed(sales, f"/v1/accounts?updated_since={since}&sort=updated_at&limit=200")
    found = [each["id"] for each in page["items"]]
    assert found.index(second["id"]) < found.index(first["id"])
    assert (await sales.get(f"/v1/accounts/{first['id']}"))["updated_at"] == changed["updated_at"]


async def test_an_erased_reference_is_still_found(sales: Sales) -> None:
    account = await sales.account(external_ref=f"ref-{uuid4()}")
    await sales.post(f"/v1/accounts/{account['id']}/erase", {}, role="sales-manager")
    page = await listed(sales, f"/v1/accounts?external_ref={account['external_ref']}&external_ref=another")
    assert ids(page) == {account["id"]}
