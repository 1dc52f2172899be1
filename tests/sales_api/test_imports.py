"""Bulk imports: leads with their histories by the rules of single requests, and a report of each row."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from event_contracts.sales import DealClosed, DealOpened, LeadConverted, LeadCreated, LeadQualified
from service_kit.imports.importer import BLOCK
from service_kit.imports.records import imported_record
from service_kit.imports.rows import MAX_HISTORY, MAX_STEPS
from service_kit.outbox import outbox
from service_kit.retention import RetentionJob, imported_records
from tests.sales_api.sales import Body, Sales, pointers, reference
from tests.service_kit.conftest import assert_problem

WHEN = "2026-03-02T09:30:00Z"


async def send(
    sales: Sales, *rows: Any, query: str = "", media_type: str = "application/x-ndjson", **headers: str
) -> httpx.Response:
    """Rows as they are, or as JSON."""
    body = b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows)
    return await sales.raw("POST", f"/v1/imports{query}", body, content_type=media_type, **headers)


async def send_csv(sales: Sales, *lines: str, resource: str = "leads", mode: str = "best-effort") -> httpx.Response:
    query = f"?resource={resource}&mode={mode}"
    return await send(sales, *(line.encode() for line in lines), query=query, media_type="text/csv; charset=utf-8")


async def imported(sales: Sales, *rows: Any, mode: str = "all-or-nothing") -> Body:
    answer = await send(sales, *rows, query=f"?mode={mode}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def statuses(report: Body) -> list[tuple[int, str]]:
    return [(row["line"], row["status"]) for row in report["rows"]]


def a_lead(*history: Body, **fields: Any) -> Body:
    record = {"company": "Casa Verde", "external_ref": reference(), "occurred_at": WHEN}
    return {"resource": "leads", "record": record | fields, "history": list(history)}


def a_step(action: str, of: str | None = None, **body: Any) -> Body:
    return {"action": action, "body": {"occurred_at": "2026-03-31T14:00:00Z"} | body} | ({"of": of} if of else {})


async def a_won_lead(sales: Sales, **fields: Any) -> Body:
    deal = {"currency": "EUR", "lines": [{"product": await sales.product(), "quantity": 2, "unit_price": "10.00"}]}
    return a_lead(a_step("convert", deal=deal), a_step("close", "deals", outcome="won"), **fields)


async def leads_of(sales: Sales, row: Body) -> list[Body]:
    return list((await sales.get(f"/v1/leads?external_ref={row['record']['external_ref']}"))["items"])


async def events(sales: Sales) -> int:
    async with sales.engine.connect() as connection:
        return int(await connection.scalar(sa.select(sa.func.count()).select_from(outbox)) or 0)


async def test_a_reference_in_another_normal_form_is_the_same_record(sales: Sales) -> None:
    unique = reference()
    first, again = (a_lead(external_ref=f"{cafe}-{unique}") for cafe in ("caf\u00e9", "cafe\u0301"))
    (created,) = (await imported(sales, first))["rows"]
    (refused,) = (await imported(sales, again, mode="best-effort"))["rows"]
    assert refused["problem"]["type"] == "urn:tandem:problem:imported-otherwise"
    assert refused["problem"]["existing_id"] == created["id"]
    assert [lead["id"] for lead in await leads_of(sales, again)] == [created["id"]]


async def test_a_lead_is_imported_with_its_history_and_every_event(sales: Sales) -> None:
    report = await imported(sales, await a_won_lead(sales))
    assert [report[name] for name in ("created", "continued", "existing", "failed")] == [1, 0, 0, 0]
    lead = await sales.get(f"/v1/leads/{report['rows'][0]['id']}")
    assert (lead["status"], lead["created_at"], lead["converted_at"]) == ("converted", WHEN, "2026-03-31T14:00:00Z")
    deal = await sales.get(f"/v1/deals/{lead['deal_id']}")
    assert (deal["stage"], deal["reporting_amount"], deal["account_id"]) == ("won", "20.00", lead["account_id"])
    published = [type(event.data) for event in await sales.events_of(lead["id"], "leads")]
    assert published == [LeadCreated, LeadConverted]
    published = [type(event.data) for event in await sales.events_of(deal["id"], "deals")]
    assert published == [DealOpened, DealClosed]


async def test_many_rows_come_in_at_once_and_are_reported_in_their_order(sales: Sales) -> None:
    team = {"resource": "teams", "record": {"name": "Imported", "external_ref": reference()}}
    rows = [await a_won_lead(sales), team, *(a_lead(a_step("qualify")) for _ in range(2 * BLOCK + 3))]
    report = await imported(sales, *rows)
    assert statuses(report) == [(line, "created") for line in range(1, len(rows) + 1)]
    for row in report["rows"][2:]:
        qualified = (await sales.events_of(row["id"], "leads"))[-1]
        assert (qualified.sequence, type(qualified.data)) == (2, LeadQualified)


async def test_a_bad_row_among_all_or_nothing_leaves_nothing(sales: Sales) -> None:
    rows = [a_lead(), a_lead(a_step("qualify"), a_step("qualify")), a_lead()]
    before = await events(sales)
    problem = assert_problem(await send(sales, *rows), 422, "import-refused")
    ((line, at, why),) = [(row["line"], row["at"], row["problem"]["type"]) for row in problem["rows"]]
    assert (line, at, why) == (2, "#/history/1", "urn:tandem:problem:lead-already-qualified")
    assert [await leads_of(sales, row) for row in rows] == [[], [], []]
    assert await events(sales) == before


async def test_a_bad_row_among_best_effort_is_reported_and_leaves_nothing_of_itself(sales: Sales) -> None:
    rows = [a_lead(), a_lead(a_step("qualify"), a_step("qualify")), a_lead(channel="NOT A CODE"), a_lead()]
    before = await events(sales)
    report = await imported(sales, *rows, mode="best-effort")
    assert statuses(report) == [(1, "created"), (2, "failed"), (3, "failed"), (4, "created")]
    assert pointers(report["rows"][2]["problem"]) == ["#/record/channel"]
    assert [len(await leads_of(sales, row)) for row in rows] == [1, 0, 0, 1]
    assert await events(sales) == before + 2


@pytest.mark.parametrize(
    ("row", "pointer"),
    [
        ({"resource": "dragons", "record": {}}, "#/resource"),
        ({"record": {}}, "#/resource"),
        ({"resource": "leads"}, "#/record"),
        ({"resource": "leads", "record": {}, "is_admin": True}, "#/is_admin"),
        (a_lead(a_step("fly")), "#/history/0/action"),
        (a_lead(a_step("close", "dragons")), "#/history/0/of"),
        (a_lead(a_step("close", "deals", outcome="won")), "#/history/0/of"),
        (a_lead(a_step("assign", owner_id="no-id")), "#/history/0/body/owner_id"),
        (a_lead({"action": "qualify", "body": {"status": "won"}}), "#/history/0/body/status"),
        (a_lead(a_step("convert", deal={"currency": "EUR", "lines": []})), "#/history/0/body/deal/lines"),
        (a_lead(*[{"action": "qualify"}] * (MAX_HISTORY + 1)), "#/history"),
        (a_lead(occurred_at="2026-01-01T00:00:00"), "#/record/occurred_at"),
    ],
)
async def test_a_row_is_refused_at_the_place_that_is_wrong(sales: Sales, row: Body, pointer: str) -> None:
    report = await imported(sales, row, mode="best-effort")
    assert statuses(report) == [(1, "failed")]
    assert pointers(report["rows"][0]["problem"]) == [pointer]


@pytest.mark.parametrize(
    ("line", "slug"),
    [
        (b"{", "malformed-body"),
        (b'{"resource": "leads", "record": {"company": "\xff"}}', "malformed-body"),
        (b'{"resource": "leads", "record": {}, "record": {}}', "invalid-request"),
        (b'{"resource": "leads", "record": {"company": "a\\u0000b"}}', "invalid-request"),
        (b'{"resource": "leads", "record": {"company": NaN}}', "invalid-request"),
        (b"[" * 100_000, "malformed-body"),
        (b"7", "invalid-request"),
    ],
)
async def test_a_line_that_cannot_be_read_spoils_itself_only(sales: Sales, line: bytes, slug: str) -> None:
    report = await imported(sales, a_lead(), line, b"", a_lead(), mode="best-effort")
    assert statuses(report) == [(1, "created"), (2, "failed"), (4, "created")]
    assert report["rows"][1]["problem"]["type"] == f"urn:tandem:problem:{slug}"


async def test_the_same_file_again_changes_nothing(sales: Sales) -> None:
    rows = [await a_won_lead(sales), a_lead()]
    first = await imported(sales, *rows)
    before = await events(sales)
    again = await imported(sales, *rows)
    assert statuses(again) == [(1, "existing"), (2, "existing")]
    assert [row["id"] for row in again["rows"]] == [row["id"] for row in first["rows"]]
    assert await events(sales) == before


async def import_days_ago(sales: Sales, days: int) -> None:
    """Age every import, and clean what expires after 400 days."""
    aged = sa.func.now() - sa.func.make_interval(0, 0, 0, days)
    async with sales.engine.begin() as connection:
        await connection.execute(sa.update(imported_record).values(imported_at=aged))
    while await RetentionJob(sales.engine, [imported_records(400)]).run_once():
        pass


async def test_a_longer_history_is_continued_within_the_retention(sales_apart: Sales) -> None:
    whole = await a_won_lead(sales_apart)
    await imported(sales_apart, whole | {"history": whole["history"][:1]})
    await import_days_ago(sales_apart, 399)
    assert statuses(await imported(sales_apart, whole)) == [(1, "continued")]
    # Which begins it anew.
    async with sales_apart.engine.connect() as connection:
        is_new = imported_record.c.imported_at > sa.func.now() - timedelta(days=1)
        assert list((await connection.execute(sa.select(is_new))).scalars()) == [True]


async def test_the_same_file_changes_nothing_after_the_retention_either(sales_apart: Sales) -> None:
    rows = [await a_won_lead(sales_apart), a_lead()]
    first = await imported(sales_apart, *rows)
    before = await events(sales_apart)
    await import_days_ago(sales_apart, 401)
    async with sales_apart.engine.connect() as connection:
        assert (await connection.execute(sa.select(imported_record))).all() == []
    again = await imported(sales_apart, *rows)
    assert statuses(again) == [(1, "existing"), (2, "existing")]
    assert [row["id"] for row in again["rows"]] == [row["id"] for row in first["rows"]]
    assert await events(sales_apart) == before


async def test_a_longer_history_is_continued(sales: Sales) -> None:
    whole = await a_won_lead(sales)
    for steps, status in ((0, "created"), (1, "continued"), (2, "continued"), (2, "existing")):
        report = await imported(sales, whole | {"history": whole["history"][:steps]})
        assert statuses(report) == [(1, status)]
    lead = await sales.get(f"/v1/leads/{report['rows'][0]['id']}")
    assert (await sales.get(f"/v1/deals/{lead['deal_id']}"))["stage"] == "won"


async def test_a_row_that_differs_from_its_earlier_import_is_skipped_and_reported(sales: Sales) -> None:
    row = a_lead(a_step("qualify"))
    (first,) = (await imported(sales, row))["rows"]
    other = row | {"record": row["record"] | {"company": "Casa Azul"}}
    for changed in (other, row | {"history": []}, row | {"history": [a_step("disqualify", reason="no_budget")]}):
        (failed,) = (await imported(sales, changed, mode="best-effort"))["rows"]
        assert failed["problem"]["type"] == "urn:tandem:problem:imported-otherwise"
        assert failed["problem"]["existing_id"] == first["id"]
    lead = await sales.get(f"/v1/leads/{first['id']}")
    assert (lead["company"], lead["status"]) == ("Casa Verde", "qualified")


async def test_a_reference_that_comes_twice_in_a_file_is_one_record(sales: Sales) -> None:
    row = a_lead()
    other = row | {"record": row["record"] | {"company": "Casa Azul"}}
    report = await imported(sales, row, row, other, mode="best-effort")
    assert statuses(report) == [(1, "created"), (2, "existing"), (3, "failed")]
    assert len(await leads_of(sales, row)) == 1


async def test_rows_of_a_file_are_checked_against_each_other(sales: Sales) -> None:
    rep = await sales.rep()
    until = {"rep_id": rep["id"], "target": "9000.00", "period_end": "2026-12-31"}
    begin = ("2026-01-01", "2026-07-01")
    quotas = [{"resource": "quotas", "record": until | {"period_start": day}} for day in begin]
    report = await imported(sales, *quotas, mode="best-effort")
    assert statuses(report) == [(1, "created"), (2, "failed")]
    assert report["rows"][1]["problem"]["existing_id"] == report["rows"][0]["id"]


async def test_a_record_created_by_a_single_request_is_found_by_an_import(sales: Sales) -> None:
    row = a_lead()
    lead = await sales.lead(external_ref=row["record"]["external_ref"])
    report = await imported(sales, a_lead(), row)
    assert statuses(report) == [(1, "created"), (2, "existing")]
    assert report["rows"][1]["id"] == lead["id"]


async def test_two_imports_of_a_file_at_the_same_moment_make_each_record_once(sales: Sales) -> None:
    rows = [a_lead(a_step("qualify")) for _ in range(2 * BLOCK)]
    first, second = await asyncio.gather(imported(sales, *rows), imported(sales, *reversed(rows)))
    assert sorted([first["created"], second["created"]]) == [0, len(rows)]
    for row in rows:
        assert len(await leads_of(sales, row)) == 1


async def test_a_repeated_request_gets_the_same_report(sales: Sales) -> None:
    row, key = a_lead(), reference()
    first = await send(sales, row, idempotency_key=key)
    again = await send(sales, row, idempotency_key=key)
    assert (first.status_code, first.json()) == (200, again.json())
    assert again.headers["idempotent-replayed"] == "true"


async def test_erasing_a_lead_erases_its_import_and_another_import_still_finds_it(sales: Sales) -> None:
    row = a_lead(email="joana@casaverde.example")
    (done,) = (await imported(sales, row))["rows"]
    await sales.post(f"/v1/leads/{done['id']}/erase", {}, role="sales-manager")
    async with sales.engine.connect() as connection:
        kept = await connection.execute(sa.select(imported_record).where(imported_record.c.record_id == done["id"]))
        assert kept.all() == []
    report = await imported(sales, row)
    assert (statuses(report), report["rows"][0]["id"]) == ([(1, "existing")], done["id"])


async def test_a_csv_is_imported_and_its_bad_rows_are_reported_by_line(sales: Sales) -> None:
    one, two = reference(), reference()
    report = await send_csv(
        sales,
        "﻿company,channel,external_ref,occurred_at",
        f'"Casa\tVerde",referral,{reference()},{WHEN}',
        f'"Casa, ""Azul""",,{one},{WHEN}',
        "too,few",
        f"Casa,NOT A CODE,{reference()},{WHEN}",
        f"=1+1,referral,{two},{WHEN}",
    )
    assert report.status_code == 200, report.text
    body = report.json()
    assert statuses(body) == [(2, "failed"), (3, "created"), (4, "failed"), (5, "failed"), (6, "created")]
    assert pointers(body["rows"][0]["problem"]) == ["#/record/company"]
    assert pointers(body["rows"][3]["problem"]) == ["#/record/channel"]
    lead = await sales.get(f"/v1/leads/{body['rows'][1]['id']}")
    assert (lead["company"], lead["channel"]) == ('Casa, "Azul"', None)
    assert (await sales.get(f"/v1/leads/{body['rows'][4]['id']}"))["company"] == "=1+1"


async def test_cells_become_lists_and_numbers_by_the_type_of_their_field(sales: Sales) -> None:
    account, product = await sales.account(), await sales.product()
    report = await send_csv(
        sales,
        "account_id,currency,lines.0.product,lines.0.quantity,lines.0.unit_price,lines.1.product,lines.1.quantity,lines.1.unit_price",
        f"{account['id']},EUR,{product},2,10.00,,,",
        f"{account['id']},EUR,{product},2,10.00,{product},1,7.50",
        f"{account['id']},EUR,{product},2.5,10.00,,,",
        resource="deals",
    )
    body = report.json()
    assert statuses(body) == [(2, "created"), (3, "created"), (4, "failed")]
    assert (await sales.get(f"/v1/deals/{body['rows'][1]['id']}"))["amount"] == "27.50"
    assert pointers(body["rows"][2]["problem"]) == ["#/record/lines/0/quantity"]


@pytest.mark.parametrize(
    "lines",
    [
        ("company,height", "Casa,3"),
        ("company,company", "Casa,Casa"),
        ("company.name", "Casa"),
        ("company,", "Casa,"),
        ("company", '"Casa'),
        ("company",),
        (),
        (",".join(f"lines.{number % 100}.quantity" for number in range(50_000)), "1"),
        ("x" * 100_000, "1"),
    ],
    ids=[
        "unknown column",
        "column twice",
        "column of a text",
        "no name",
        "open quote",
        "header only",
        "empty",
        "many",
        "long",
    ],
)
async def test_a_csv_with_other_columns_is_refused(sales: Sales, lines: tuple[str, ...]) -> None:
    assert_problem(await send_csv(sales, *lines), 422, "invalid-request")


async def test_a_csv_names_its_resource_and_is_text(sales: Sales) -> None:
    assert_problem(await send(sales, b"company\nCasa", media_type="text/csv"), 422, "invalid-request")
    refused = await send(sales, b"company\nCasa", query="?resource=dragons", media_type="text/csv")
    assert pointers(assert_problem(refused, 422)) == ["?resource"]
    not_text = await send(sales, b"company\n\xff", query="?resource=leads", media_type="text/csv")
    assert_problem(not_text, 422, "invalid-request")


async def test_other_media_types_other_roles_and_large_files_are_refused(sales: Sales) -> None:
    assert_problem(await send(sales, a_lead(), media_type="application/json"), 415, "unsupported-media-type")
    assert_problem(await send(sales, a_lead(), role="sales-rep"), 403, "forbidden")
    assert_problem(await send(sales, a_lead(), query="?mode=somehow"), 422, "invalid-request")
    assert_problem(await send(sales, b" "), 422, "invalid-request")
    long = a_lead(*[{"action": "qualify"}] * MAX_HISTORY)
    assert_problem(await send(sales, *[long] * (MAX_STEPS // MAX_HISTORY)), 422, "invalid-request")
    assert_problem(await send(sales, b" " * (1024 * 1024 + 1)), 413, "body-too-large")


async def test_many_activities_come_in_at_once(sales: Sales) -> None:
    lead = await sales.lead()
    rows = [{"resource": "activities", "record": {"kind": "call", "lead_id": lead["id"]}} for _ in range(3)]
    assert statuses(await imported(sales, *rows)) == [(1, "created"), (2, "created"), (3, "created")]


def an_activity(about: str, **body: Any) -> Body:
    return a_step("create", "activities", kind="call", **{f"{about.removesuffix('s')}_id": {"id_of": about}}, **body)


async def a_story(sales: Sales) -> Body:
    """A lead with what was done about it and its deal, a referral, and a correction of the deal, in their order."""
    won, friend = await a_won_lead(sales), await sales.account()
    convert, close = won["history"]
    refer = a_step("create", "referrals", account_id=friend["id"], lead_id={"id_of": "leads"})
    correct = a_step("update", "deals", channel="referral")
    steps = [refer, a_step("qualify"), an_activity("leads"), convert, an_activity("deals"), close, correct]
    return won | {"history": steps}


async def test_a_history_creates_and_corrects_records_on_the_way(sales: Sales) -> None:
    row = await a_story(sales)
    answer = await send(sales, row, query="?ids_of=deals,accounts,referrals,teams")
    (result,) = answer.json()["rows"]
    lead = await sales.get(f"/v1/leads/{result['id']}")
    deal = await sales.get(f"/v1/deals/{lead['deal_id']}")
    (referral,) = (await sales.get(f"/v1/referrals?lead_id={lead['id']}"))["items"]
    assert result["ids"] == {"deals": deal["id"], "accounts": deal["account_id"], "referrals": referral["id"]}
    assert (deal["stage"], deal["channel"]) == ("won", "referral")
    for about, identity in (("lead_id", lead["id"]), ("deal_id", deal["id"])):
        (activity,) = (await sales.get(f"/v1/activities?{about}={identity}"))["items"]
        assert (activity["kind"], activity["status"]) == ("call", "done")


async def test_a_history_that_creates_is_repeated_and_continued(sales: Sales) -> None:
    row = await a_story(sales)
    shorter = row | {"history": row["history"][:4]}
    results = [
        (await send(sales, each, query="?ids_of=deals")).json()["rows"][0] for each in (shorter, shorter, row, row)
    ]
    assert [each["status"] for each in results] == ["created", "existing", "continued", "existing"]
    assert len({each["ids"]["deals"] for each in results}) == 1
    assert len((await sales.get(f"/v1/referrals?lead_id={results[0]['id']}"))["items"]) == 1
    assert len((await sales.get(f"/v1/activities?deal_id={results[0]['ids']['deals']}"))["items"]) == 1


async def test_what_a_history_created_is_known_to_later_imports_by_its_reference(sales: Sales) -> None:
    product, account, reference_of_deal = await sales.product(), await sales.account(), reference()
    lines = [{"product": product, "quantity": 1, "unit_price": "10.00"}]
    deal = {"account_id": account["id"], "currency": "EUR", "lines": lines, "external_ref": reference_of_deal}
    row = a_lead(a_step("create", "deals", **deal), account_id=account["id"])
    (created,) = (await imported(sales, row))["rows"]
    longer = row | {"history": [*row["history"], a_step("close", "deals", outcome="won")]}
    (continued,) = (await imported(sales, longer))["rows"]
    assert (created["status"], continued["status"]) == ("created", "continued")
    (found,) = (await sales.get(f"/v1/deals?external_ref={reference_of_deal}"))["items"]
    assert found["stage"] == "won"


async def test_a_step_that_creates_is_refused_at_the_place_that_is_wrong(sales: Sales) -> None:
    wrong = {
        "#/history/0/of": a_step("create", kind="call"),
        "#/history/0/body/deal_id": an_activity("deals"),
        "#/history/0/body/lead_id/id_of": a_step("create", "activities", kind="call", lead_id={"id_of": "dragons"}),
        "#/history/0/body/kind": a_step("create", "activities", kind="fly", lead_id={"id_of": "leads"}),
    }
    report = await imported(sales, *(a_lead(step) for step in wrong.values()), mode="best-effort")
    assert [pointers(row["problem"]) for row in report["rows"]] == [[pointer] for pointer in wrong]
    problem = assert_problem(await send(sales, a_lead(), query="?ids_of=leads,dragons"), 422, "invalid-request")
    assert pointers(problem) == ["?ids_of"]
