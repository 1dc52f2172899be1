"""Rows about one company are one customer, and a sale takes as long as its file says."""

import asyncio
import csv
from pathlib import Path

import httpx
import pytest

from tandem_cli.stack import LocalStack
from tests.e2e.conftest import Kpis, Run, booked
from tests.tandem_cli.imports.samples import written

MAPPING = """
name: two-sales
kind: leads
lead:
  reference: id
  created_at: {column: created, format: "%Y-%m-%d"}
deal:
  reference: lead
  closed_at: {column: closed, format: "%Y-%m-%d"}
  account_name: customer
  currency: {constant: EUR}
  lines:
    - {product: {constant: two-sales}, unit_price: price}
"""


@pytest.fixture(scope="module")
async def imported(stack: LocalStack, tandem: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("two-sales")
    files = [
        written(folder / "mapping.yaml", MAPPING),
        written(folder / "leads.csv", "id,created", "a,2005-01-01", "b,2005-01-02"),
        written(
            folder / "deals.csv", "lead,closed,customer,price", "a,2005-01-31,Acme,10.00", "b,2005-02-01,ACME,20.00"
        ),
    ]
    done = await asyncio.to_thread(tandem, "import", *files)
    assert done.returncode == 0, done.stdout + done.stderr
    await booked(stack)


async def test_two_sales_to_one_company_are_one_new_customer_and_repeat_revenue(imported: None, kpis: Kpis) -> None:
    customers = await kpis.ask("new_customers", "2005-01-01", "2005-12-31")
    repeated = await kpis.ask("repeat_revenue", "2005-01-01", "2005-12-31")
    assert (customers["numerator"], repeated["value"]) == (1, "20.00")


async def test_a_sale_takes_from_its_lead_to_its_closing(imported: None, kpis: Kpis) -> None:
    answer = await kpis.ask("sales_cycle_days", "2005-01-01", "2005-12-31", product="two-sales")
    assert answer["value"] == "30"


async def test_an_account_that_is_refused_keeps_out_what_refers_to_it_and_nothing_else(
    tandem: Run, tmp_path: Path
) -> None:
    files = [
        written(tmp_path / "mapping.yaml", MAPPING.replace("two-sales", "refused-account")),
        written(tmp_path / "leads.csv", "id,created", "a,1969-01-01", "b,2004-01-01"),
        written(tmp_path / "deals.csv", "lead,closed,customer,price", "a,2004-01-31,Old,1", "b,2004-01-31,New,2"),
    ]
    report = tmp_path / "errors.csv"
    done = await asyncio.to_thread(tandem, "import", *files, "--errors", report)
    assert done.returncode == 1
    assert "1 leads imported, 0 completed, 0 were there already, 2 failed" in done.stdout
    with report.open(newline="") as file:
        errors = [(row["file"], row["row"], row["reason"]) for row in csv.DictReader(file)]
    (account, lead) = errors
    assert account[:2] == ("deals.csv", "2")
    assert account[2].startswith("accounts: occurred_at ")
    assert lead == ("leads.csv", "2", "refers to accounts 'name:old', which failed: deals.csv row 2")


async def test_a_sale_goes_to_the_account_that_is_known_by_its_external_ref(
    stack: LocalStack, tandem: Run, sales: httpx.AsyncClient, tmp_path: Path
) -> None:
    known = {"name": "Acme", "external_ref": "erp-881", "occurred_at": "2003-01-01T00:00:00Z"}
    writer = {"Authorization": f"Bearer {stack.token('importer')}"}
    account = (await sales.post("/v1/accounts", json=known, headers=writer)).json()
    by_ref = "account: {name: customer, external_ref: erp, match: external_ref}"
    files = [
        written(
            tmp_path / "mapping.yaml", MAPPING.replace("two-sales", "known").replace("account_name: customer", by_ref)
        ),
        written(tmp_path / "leads.csv", "id,created", "a,2003-02-01"),
        written(tmp_path / "deals.csv", "lead,closed,customer,price,erp", "a,2003-03-01,ACME,1,erp-881"),
    ]
    done = await asyncio.to_thread(tandem, "import", *files)
    assert done.returncode == 0, done.stdout
    (lead,) = (await sales.get("/v1/leads", params={"external_ref": "known:a"})).json()["items"]
    assert lead["account_id"] == account["id"]
    assert (await sales.get(f"/v1/accounts/{account['id']}", headers=writer)).json() == account
