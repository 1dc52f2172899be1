"""The audit of sales: who changed which field from what to what, for whom to see, and what an erasure leaves of it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
import structlog
from hypothesis import settings
from hypothesis.stateful import initialize, invariant

from sales_api.deals.model import Deal
from service_kit.audit.entries import COLUMNS, audit_entry, entries_of, process
from service_kit.identifiers import first_id_at, new_id
from service_kit.retention import RetentionJob, audit_entries
from service_kit.write_statement import Loaded
from tests.sales_api.sales import ABSENT, Body, Sales, reference
from tests.sales_api.test_access import a_seller
from tests.sales_api.test_deal_rules import DealLife
from tests.service_kit.conftest import assert_problem
from tests.service_kit.traces import places_that_hold
from tests.statements import plan_of, statements_of

MANAGER = "auth0|manager"


async def audit_of(sales: Sales, path: str) -> list[Body]:
    """Return the audit of a record, the newest entry first."""
    answer = await sales.send("GET", f"{path}/audit", role="sales-manager")
    assert answer.status_code == 200, answer.text
    items: list[Body] = answer.json()["items"]
    return items


async def whole_audit(sales: Sales, query: str) -> list[Body]:
    answer = await sales.send("GET", f"/v1/audit?{query}", role="admin")
    assert answer.status_code == 200, answer.text
    items: list[Body] = answer.json()["items"]
    return items


async def test_a_deals_audit_says_who_changed_what_from_what_to_what(sales: Sales) -> None:
    seller = await a_seller(sales)
    deal = await sales.deal(owner_id=seller.id, title="Two pumps")
    path = f"/v1/deals/{deal['id']}"
    before = datetime.now(UTC)
    answer = await seller.send("POST", f"{path}/stage", {"stage": "proposal"}, X_Request_Id="the-call")
    assert answer.status_code == 200
    line = {"product": deal["lines"][0]["product"], "quantity": 3, "unit_price": "9.00"}
    await sales.post(f"{path}/amend", {"lines": [line]}, role="sales-manager", subject=MANAGER)
    amended, moved, opened = await audit_of(sales, path)

    assert moved["actor"] == {"kind": "caller", "name": seller.subject, "roles": ["sales-rep"]}
    assert (moved["operation"], moved["request_id"]) == ("change_deal_stage", "the-call")
    assert (moved["noun"], moved["record_id"], moved["version"], moved["action"]) == ("deal", deal["id"], 2, "updated")
    assert moved["changes"]["stage"] == ["prospecting", "proposal"]
    assert "title" not in moved["changes"]
    assert before - timedelta(seconds=1) < datetime.fromisoformat(moved["occurred_at"]) <= datetime.now(UTC)
    assert (opened["action"], opened["version"]) == ("created", 1)
    assert opened["changes"]["title"] == [None, "Two pumps"]
    assert amended["actor"]["name"] == MANAGER
    lines = amended["changes"]["lines"]
    assert [[one["quantity"] for one in side] for side in lines] == [[2], [3]]


async def test_all_changes_of_a_request_are_under_its_id_and_cost_no_statement(sales: Sales) -> None:
    lead = await sales.lead()
    async with statements_of(sales.engine) as sent:
        await sales.post(f"/v1/leads/{lead['id']}/convert", {}, X_Request_Id=(request_id := reference()))
    assert sum("audit_entry" in statement for statement in sent) == 1
    entries = [each for each in await whole_audit(sales, "operation=convert_lead") if each["request_id"] == request_id]
    assert {(each["noun"], each["action"]) for each in entries} == {("account", "created"), ("lead", "updated")}


async def test_neither_a_refusal_nor_a_repeat_nor_no_change_leaves_an_entry(sales: Sales) -> None:
    key = {"Idempotency_Key": reference()}
    body = {"name": "Casa Verde"}
    account = await sales.post("/v1/accounts", body, status=201, **key)
    path = f"/v1/accounts/{account['id']}"
    assert (await sales.post("/v1/accounts", body, status=201, **key)) == account
    await sales.patch(path, body)
    assert_problem(await sales.send("PATCH", path, {"name": "Casa Azul"}, If_Match='"9"'), 412)
    assert [each["action"] for each in await audit_of(sales, path)] == ["created"]


async def test_managers_see_the_audit_of_what_they_may_read_and_admins_all(sales: Sales) -> None:
    account = await sales.account()
    path = f"/v1/accounts/{account['id']}/audit"
    statuses = {
        role: (await sales.send("GET", path, role=role)).status_code
        for role in ("admin", "sales-manager", "importer", "analyst", "sales-rep", "service-manager")
    }
    assert [role for role, status in statuses.items() if status == 200] == ["admin", "sales-manager"]
    assert set(statuses.values()) == {200, 403}
    assert_problem(await sales.send("GET", f"/v1/accounts/{ABSENT}/audit", role="admin"), 404)
    assert_problem(await sales.send("GET", "/v1/audit", role="sales-manager"), 403)


async def test_admins_filter_the_audit_and_read_it_by_pages(sales: Sales) -> None:
    subject = reference()
    began = datetime.now(UTC)
    leads = [await sales.post("/v1/leads", {"company": "Casa"}, status=201, subject=subject) for _ in range(3)]
    rep = await sales.rep()
    await sales.post(f"/v1/leads/{leads[0]['id']}/assign", {"owner_id": rep["id"]}, subject=subject)
    mine = f"actor={subject}"
    assert len(await whole_audit(sales, mine)) == 4
    assert len(await whole_audit(sales, f"{mine}&operation=create_lead")) == 3
    assert len(await whole_audit(sales, f"{mine}&noun=lead&record_id={leads[0]['id']}")) == 2
    assert await whole_audit(sales, f"{mine}&noun=deal") == []
    middle = (await whole_audit(sales, f"{mine}&record_id={leads[1]['id']}"))[0]["occurred_at"]
    until = await whole_audit(sales, f"{mine}&to={middle}")
    since = await whole_audit(sales, f"{mine}&from={middle}")
    assert (len(until), len(since)) == (1, 3)
    assert await whole_audit(sales, f"{mine}&to={(began - timedelta(days=1)).isoformat()[:19]}Z") == []
    seen, cursor = [], ""
    while True:
        page = (await sales.send("GET", f"/v1/audit?{mine}&limit=3{cursor}", role="admin")).json()
        seen += [each["id"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 4


async def test_an_erasure_leaves_that_something_changed_and_not_from_what_to_what(sales: Sales) -> None:
    text = reference()
    account = await sales.account(name=text, region="south")
    path = f"/v1/accounts/{account['id']}"
    await sales.patch(path, {"name": f"Ms {text}", "region": "north"})
    assert "audit_entry.changes" in await places_that_hold(sales.engine, text)
    erasure = await sales.send("POST", f"{path}/erase", role="sales-manager", subject=MANAGER)
    assert erasure.status_code == 200
    assert await places_that_hold(sales.engine, text) == set()
    erased, changed, created = await audit_of(sales, path)
    assert (erased["operation"], erased["actor"]["name"]) == ("erase_account", MANAGER)
    for entry in (erased, changed, created):
        assert entry["changes"]["name"] is None
    assert changed["changes"]["region"] == ["south", "north"]


async def test_entries_expire_by_their_age(sales: Sales) -> None:
    now, actor = datetime.now(UTC), reference()
    ids = {days: UUID(int=first_id_at(now - timedelta(days=days)).int + days) for days in (10, 40)}
    entry = {"actor_kind": "process", "actor": actor, "noun": "box", "record_id": new_id(), "action": "created"}
    async with sales.engine.begin() as connection:
        await connection.execute(sa.insert(audit_entry), [{"id": each, "changes": {}} | entry for each in ids.values()])
    rule = audit_entries(days=30)
    await RetentionJob(sales.engine, [rule]).run_once()
    assert [each["id"] for each in await whole_audit(sales, f"actor={actor}")] == [str(ids[10])]
    assert "audit_entry_pkey" in await plan_of(sales.engine, rule.statement())


async def refusals_of(sales: Sales, path: str, **options: Any) -> list[dict[str, Any]]:
    with structlog.testing.capture_logs() as lines:
        await sales.send("GET", path, **options)
    kept = ("subject", "status", "problem", "reason")
    return [{name: line[name] for name in kept if name in line} for line in lines if line["event"] == "request"]


async def test_the_log_says_who_was_refused_what_and_why(sales: Sales) -> None:
    seller, other = await a_seller(sales), await sales.rep()
    lead = await sales.lead(owner_id=other["id"], name="Ada Lovelace", email="ada@example.org")
    path = f"/v1/leads/{lead['id']}"
    me: dict[str, Any] = {"role": "sales-rep", "subject": seller.subject}
    named = {"subject": seller.subject}
    out_of_scope = {"problem": "not-found", "reason": "out of the caller's scope"}
    assert await refusals_of(sales, path, **me) == [named | {"status": 404} | out_of_scope]
    (forbidden,) = await refusals_of(sales, f"{path}/audit", **me)
    assert forbidden.pop("reason").startswith("This needs one of the roles: ")
    assert forbidden == named | {"status": 403, "problem": "forbidden"}
    # One that does not exist was never refused.
    assert await refusals_of(sales, f"/v1/leads/{ABSENT}", **me) == [named | {"status": 404}]
    (unknown,) = await refusals_of(sales, path, Authorization="Bearer garbage")
    assert (unknown["status"], unknown["problem"], "subject" in unknown) == (401, "unauthenticated", False)
    assert "garbage" not in repr(unknown)


class AuditedDealLife(DealLife):
    """A deal's life, whose audit is written as the unit of work does it and read again."""

    @initialize()
    def nothing_is_written(self) -> None:
        self.loaded: Loaded | None = None
        self.present: dict[str, Any] = {}

    @invariant()
    def the_changes_so_far_lead_to_the_present_record(self) -> None:
        if not hasattr(self, "deal") or not hasattr(self, "present"):
            return
        actor = process("tests")
        if self.loaded is None:
            rows = entries_of(actor, [], [self.deal])
        else:
            change = self.loaded.change()
            rows = [] if change is None else entries_of(actor, [change], [])
        for row in rows:
            entry = dict(zip(COLUMNS, row, strict=True))
            assert (entry["record_id"], entry["version"]) == (self.deal.id, self.deal.version)
            for name, (before, after) in json.loads(entry["changes"]).items():
                assert self.present.get(name, [] if name == "lines" else None) == before
                self.present[name] = after
        self.loaded = Loaded.of(self.deal)
        assert {name: value for name, value in self.present.items() if value not in (None, [], {})} == shown(self.deal)


def shown(deal: Deal) -> dict[str, Any]:
    """Return the deal as JSON has it, without what is empty and what entries have in columns of their own."""
    record = {name: getattr(deal, name) for name in deal.binding.names if name not in ("id", "version", "updated_at")}
    record["lines"] = [
        {name: getattr(line, name) for name in line.binding.names if name != "deal_id"} for line in deal.lines
    ]
    for line in record["lines"]:
        for name in [name for name, value in line.items() if value is None]:
            del line[name]
    whole: dict[str, Any] = json.loads(msgspec.json.encode(record))
    return {name: value for name, value in whole.items() if value not in (None, [], {})}


AuditedDealLife.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
TestAuditedDealLife = AuditedDealLife.TestCase
