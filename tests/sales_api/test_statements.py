"""How many statements a request sends, BEGIN and COMMIT included: more of them are a regression.

What custom fields a new record must have is known for some seconds: a record of the kind is made first.
"""

from uuid import uuid4

import pytest

from tests.sales_api.sales import Body, Sales
from tests.statements import statements_of


async def sent_by(sales: Sales, path: str, body: Body) -> list[str]:
    """The statements of one request with an idempotency key, after another one made the connection ready."""
    async with statements_of(sales.engine) as sent:
        answer = await sales.send("POST", path, body, Idempotency_Key=str(uuid4()))
    assert answer.status_code in (200, 201), answer.text
    return sent


async def test_creating_a_lead(sales: Sales) -> None:
    rep = await sales.rep()
    await sales.lead()
    sent = await sent_by(sales, "/v1/leads", {"company": "Casa Verde", "owner_id": rep["id"]})
    assert len(sent) <= 2, sent  # the owner's team, the write


async def test_closing_a_deal(sales: Sales) -> None:
    deal = await sales.deal()
    sent = await sent_by(sales, f"/v1/deals/{deal['id']}/close", {"outcome": "won"})
    assert len(sent) <= 3, sent  # the deal with its lines, what rules follow from it, the write


async def test_opening_a_deal(sales: Sales) -> None:
    await sales.deal()
    account, product = await sales.account(), await sales.product()
    line = {"product": product, "quantity": 1, "unit_price": "10.00"}
    sent = await sent_by(sales, "/v1/deals", {"account_id": account["id"], "currency": "EUR", "lines": [line]})
    assert len(sent) <= 3, sent  # the account, products, the write


@pytest.mark.parametrize("action", ["contact", "qualify"])
async def test_moving_a_lead_on(sales: Sales, action: str) -> None:
    lead = await sales.lead(owner_id=(await sales.rep())["id"])
    sent = await sent_by(sales, f"/v1/leads/{lead['id']}/{action}", {})
    assert len(sent) <= 2, sent  # the lead, the write


async def test_converting_a_lead(sales: Sales) -> None:
    await sales.deal()
    product = await sales.product()
    lead = await sales.lead(owner_id=(await sales.rep())["id"])
    deal = {"currency": "EUR", "lines": [{"product": product, "quantity": 1, "unit_price": "10.00"}]}
    sent = await sent_by(sales, f"/v1/leads/{lead['id']}/convert", {"deal": deal})
    assert len(sent) <= 4, sent  # the lead, who referred it, products, the write


async def test_changing_an_account(sales: Sales) -> None:
    account = await sales.account()
    async with statements_of(sales.engine) as sent:
        await sales.patch(f"/v1/accounts/{account['id']}", {"name": "Casa Azul", "region": "iberia"})
    assert len(sent) <= 2, sent  # the account, the write with both events
