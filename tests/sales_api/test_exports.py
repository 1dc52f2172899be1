"""Exports of lists: all that the list has, as it is shown to the caller, in a file that no spreadsheet executes."""

import csv
import io
import json
from uuid import uuid4

import sqlalchemy as sa

from service_kit.audit.entries import audit_entry
from tests.sales_api.sales import Body, Sales
from tests.service_kit.conftest import assert_problem


async def rows_of(sales: Sales, path: str, role: str = "importer") -> list[dict[str, str]]:
    answer = await sales.send("GET", path, role=role)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


async def some_accounts(sales: Sales, segment: str, number: int) -> list[Body]:
    return [await sales.account(name=f"Account {n}", segment=segment) for n in range(number)]


async def test_a_csv_file_has_every_record_of_the_filtered_list_in_its_order(sales: Sales) -> None:
    segment = f"s{uuid4().hex[:12]}"
    accounts = await some_accounts(sales, segment, 5)
    rows = await rows_of(sales, f"/v1/accounts/export?segment={segment}&sort=name")
    assert [row["id"] for row in rows] == [each["id"] for each in accounts]
    assert (rows[0]["name"], rows[0]["region"], rows[0]["version"]) == ("Account 0", "", "1")
    # Custom fields have columns of their own, where there are any.
    assert list(rows[0]) == [name for name in accounts[0] if name != "custom"]


async def test_an_export_goes_on_past_what_is_read_at_once(sales: Sales, monkeypatch: object) -> None:
    segment = f"s{uuid4().hex[:12]}"
    accounts = await some_accounts(sales, segment, 7)
    monkeypatch.setattr("service_kit.lists.exports.ROWS", 3)  # type: ignore[attr-defined]
    for sort in ("sort=-updated_at", "sort=registered_at", "q=account&sort=-id", ""):
        rows = await rows_of(sales, f"/v1/accounts/export?segment={segment}&{sort}")
        assert sorted(row["id"] for row in rows) == sorted(each["id"] for each in accounts), sort


async def test_no_field_is_a_formula(sales: Sales) -> None:
    segment = f"s{uuid4().hex[:12]}"
    await sales.account(name='=HYPERLINK("http://evil")', segment=segment, external_ref=f"+{uuid4()}")
    (row,) = await rows_of(sales, f"/v1/accounts/export?segment={segment}")
    assert row["name"] == '\'=HYPERLINK("http://evil")'
    assert row["external_ref"].startswith("'+")


async def test_records_within_are_columns_and_lists_are_json(sales: Sales) -> None:
    deal = await sales.deal()
    await sales.post(f"/v1/deals/{deal['id']}/close", {"outcome": "won", "promise": {"deliver_by": "2030-04-15"}})
    (row,) = await rows_of(sales, f"/v1/deals/export?ids={deal['id']}")
    assert (row["promise.deliver_by"], row["promise.price"], row["amount"]) == ("2030-04-15", "20.00", "20.00")
    assert json.loads(row["lines"])[0]["quantity"] == 2


async def test_ndjson_is_the_list_line_by_line(sales: Sales) -> None:
    segment = f"s{uuid4().hex[:12]}"
    accounts = await some_accounts(sales, segment, 3)
    answer = await sales.send("GET", f"/v1/accounts/export?segment={segment}&format=ndjson&sort=id")
    assert answer.headers["content-disposition"] == 'attachment; filename="accounts.ndjson"'
    assert [json.loads(line) for line in answer.text.splitlines()] == accounts


async def test_an_export_shows_what_the_list_shows(sales: Sales) -> None:
    segment = f"s{uuid4().hex[:12]}"
    (account,) = await some_accounts(sales, segment, 1)
    (row,) = await rows_of(sales, f"/v1/accounts/export?segment={segment}", role="analyst")
    assert (row["id"], row["name"]) == (account["id"], "")
    owned = await sales.account(segment=segment, owner_id=(await sales.rep())["id"])
    rows = await rows_of(sales, f"/v1/accounts/export?segment={segment}", role="sales-rep")
    assert owned["id"] not in {row["id"] for row in rows}
    assert_problem(await sales.send("GET", "/v1/accounts/export?q=account", role="analyst"), 403, "forbidden")


async def test_what_is_no_page_is_no_parameter_of_an_export(sales: Sales) -> None:
    for query in ("limit=1", "cursor=x", "format=xlsx", "total=true"):
        assert_problem(await sales.send("GET", f"/v1/accounts/export?{query}"), 422, "invalid-request")


async def test_an_export_is_audited_without_what_was_searched_for(sales: Sales) -> None:
    subject = f"exporter-{uuid4()}"
    answer = await sales.send(
        "GET", "/v1/accounts/export?q=secret&format=ndjson", role="sales-manager", subject=subject
    )
    assert answer.status_code == 200
    async with sales.engine.connect() as connection:
        (entry,) = (await connection.execute(sa.select(audit_entry).where(audit_entry.c.actor == subject))).all()
    assert (entry.noun, entry.operation, entry.action) == ("account-export", "export_accounts", "read")
    assert entry.changes == {"format": [None, "ndjson"]}
