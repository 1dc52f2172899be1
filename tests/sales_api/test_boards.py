"""The board of deals: the pipeline in columns, with the number and worth of each; and who the caller is."""

from uuid import uuid4

from tests.sales_api.sales import Sales
from tests.service_kit.conftest import assert_problem
from tests.statements import statements_of


async def test_deals_are_in_the_columns_of_their_stages(sales: Sales) -> None:
    account = await sales.account()
    deals = [await sales.deal(account_id=account["id"]) for _ in range(3)]
    dollars = await sales.deal(account_id=account["id"], currency="USD")
    await sales.post(f"/v1/deals/{deals[0]['id']}/stage", {"stage": "proposal"})
    await sales.post(f"/v1/deals/{deals[1]['id']}/close", {"outcome": "lost"})
    board = await sales.get(f"/v1/deals/board?account_id={account['id']}&cards=1")
    columns = {column["key"]: column for column in board["columns"]}
    assert next(iter(columns)) == "prospecting"
    assert {"won", "lost"}.isdisjoint(columns)
    prospecting = columns["prospecting"]
    assert prospecting["total"] == {"count": 2, "is_exact": True}
    assert prospecting["sums"] == [
        {"currency": "EUR", "amount": "20.00"},
        {"currency": "USD", "amount": "20.00"},
    ]
    assert [each["id"] for each in prospecting["items"]] == [dollars["id"]]
    assert columns["proposal"]["total"]["count"] == 1
    lost = await sales.get(f"/v1/deals/board?account_id={account['id']}&stage=lost&stage=won")
    assert [(column["key"], column["total"]["count"]) for column in lost["columns"]] == [("lost", 1), ("won", 0)]


async def test_columns_of_owners_are_theirs_that_have_something(sales: Sales) -> None:
    account = await sales.account()
    first, second = await sales.rep(name="Zoe"), await sales.rep(name="Ana")
    await sales.rep(name="Idle")
    for owner in (first, first, second, None):
        await sales.deal(account_id=account["id"], owner_id=owner and owner["id"])
    board = await sales.get(f"/v1/deals/board?by=owner_id&account_id={account['id']}&sort=amount")
    found = [(column["key"], column["total"]["count"], len(column["items"])) for column in board["columns"]]
    assert found == [(second["id"], 1, 1), (first["id"], 2, 2), (None, 1, 1)]


async def test_a_board_is_what_its_reader_sees(sales: Sales) -> None:
    account = await sales.account()
    subject = f"rep-{uuid4()}"
    mine = await sales.rep(subject=subject)
    await sales.deal(account_id=account["id"], owner_id=mine["id"], title="Mine")
    await sales.deal(account_id=account["id"], owner_id=(await sales.rep())["id"])
    path = f"/v1/deals/board?account_id={account['id']}"
    seen = (await sales.send("GET", path, role="sales-rep", subject=subject)).json()["columns"][0]
    assert (seen["total"]["count"], seen["sums"][0]["amount"], len(seen["items"])) == (1, "20.00", 1)
    by_analyst = (await sales.send("GET", path, role="analyst")).json()["columns"][0]
    assert {each["title"] for each in by_analyst["items"]} == {None}
    assert_problem(await sales.send("GET", "/v1/deals/board?sort=title", role="analyst"), 403, "forbidden")
    assert_problem(await sales.send("GET", "/v1/deals/board?by=colour"), 422, "invalid-request")


async def test_a_board_of_one_account_counts_as_that_of_all_does(sales: Sales) -> None:
    """The records of one person or customer are read at once, those of all column by column."""
    region = f"region-{uuid4()}"
    account = await sales.account(region=region)
    for currency in ("EUR", "EUR", "USD"):
        await sales.deal(account_id=account["id"], currency=currency)
    lost = await sales.deal(account_id=account["id"])
    await sales.post(f"/v1/deals/{lost['id']}/close", {"outcome": "lost"})
    for asked in ("", "&cards=1", "&sort=amount", "&stage=lost&stage=won", "&by=owner_id"):
        boards = [
            await sales.get(f"/v1/deals/board?{of}{asked}")
            for of in (f"region={region}", f"account_id={account['id']}")
        ]
        assert boards[0] == boards[1], asked


async def test_a_board_costs_two_statements(sales: Sales) -> None:
    async with statements_of(sales.engine) as sent:
        await sales.get("/v1/deals/board?cards=3")
    assert len(sent) == 2, sent


async def test_callers_learn_who_they_are_and_what_they_may_do(sales: Sales) -> None:
    subject = f"rep-{uuid4()}"
    rep = await sales.rep(subject=subject)
    me = (await sales.send("GET", "/v1/me", role="sales-rep", subject=subject)).json()
    assert (me["subject"], me["roles"], me["person_id"], me["team_ids"]) == (
        subject,
        ["sales-rep"],
        rep["id"],
        [rep["team_id"]],
    )
    assert me["person"] == rep
    assert me["operations"]["close_deal"] == ["own", "unassigned"]
    assert "merge_account" not in me["operations"]
    admin = (await sales.send("GET", "/v1/me", role="admin")).json()
    assert (admin["person"], admin["operations"]["merge_account"]) == (None, ["all"])
