"""Whose records a salesperson sees and changes, where the table of access alone does not show it."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from event_contracts.directory import SalesDirectoryEntrySet
from sales_api.access import ACCESS
from sales_api.deals.model import Deal
from service_kit.access import Reach, Within
from service_kit.compiled import CompiledStatement, driver_of
from tests.sales_api.sales import Body, Sales, reference
from tests.service_kit.conftest import assert_problem


class Seller:
    """A salesperson of a team of their own, with a token."""

    def __init__(self, sales: Sales, rep: Body) -> None:
        self.sales = sales
        self.id, self.team_id, self.subject = rep["id"], rep["team_id"], rep["subject"]

    async def send(self, method: str, path: str, body: Body | None = None, **headers: Any) -> Any:
        return await self.sales.send(method, path, body, role="sales-rep", subject=self.subject, **headers)


async def a_seller(sales: Sales, **fields: Any) -> Seller:
    return Seller(sales, await sales.rep(subject=reference(), **fields))


async def test_a_repeat_gets_no_stored_answer_about_a_deal_that_is_anothers_now(sales: Sales) -> None:
    seller, other = await a_seller(sales), await sales.rep()
    deal = await sales.deal(owner_id=seller.id)
    close, key = f"/v1/deals/{deal['id']}/close", {"idempotency_key": reference()}
    first = await seller.send("POST", close, {"outcome": "won"}, **key)
    assert first.status_code == 200
    assert (await seller.send("POST", close, {"outcome": "won"}, **key)).json() == first.json()
    await sales.post(f"/v1/deals/{deal['id']}/amend", {"owner_id": other["id"]})
    repeat = await seller.send("POST", close, {"outcome": "won"}, **key)
    assert_problem(repeat, 404, "not-found")
    assert "Idempotent-Replayed" not in repeat.headers


async def test_a_repeat_gets_no_stored_answer_about_an_account_that_is_anothers_now(sales: Sales) -> None:
    seller, other = await a_seller(sales), await sales.rep()
    account = await sales.account(owner_id=seller.id)
    body, key = {"account_id": account["id"], "kind": "call"}, {"idempotency_key": reference()}
    assert (await seller.send("POST", "/v1/activities", body, **key)).status_code == 201
    await sales.patch(f"/v1/accounts/{account['id']}", {"owner_id": other["id"]})
    assert_problem(await seller.send("POST", "/v1/activities", body, **key), 422, "unknown-reference")


async def test_a_body_names_only_what_its_author_sees(sales: Sales) -> None:
    seller, other = await a_seller(sales), await sales.rep()
    account = await sales.account(owner_id=other["id"])
    lead = await sales.lead(owner_id=seller.id)
    absent = {"account_id": str(uuid4())}
    hidden = {"account_id": account["id"]}
    convert = f"/v1/leads/{lead['id']}/convert"
    for path, more in ((convert, {}), ("/v1/referrals", {}), ("/v1/activities", {"kind": "call"})):
        refused = assert_problem(await seller.send("POST", path, hidden | more), 422, "unknown-reference")
        assert refused == assert_problem(await seller.send("POST", path, absent | more), 422, "unknown-reference")


async def test_a_lead_that_waits_is_taken_and_handed_to_any_colleague(sales: Sales) -> None:
    seller, other = await a_seller(sales), await sales.rep()
    lead = await sales.lead()
    assign = f"/v1/leads/{lead['id']}/assign"
    assert (await seller.send("POST", assign, {"owner_id": seller.id})).json()["owner_id"] == seller.id
    assert (await seller.send("POST", assign, {"owner_id": other["id"]})).json()["owner_id"] == other["id"]
    assert_problem(await seller.send("POST", assign, {"owner_id": seller.id}), 404, "not-found")


async def test_a_deal_is_not_moved_out_of_its_authors_sight(sales: Sales) -> None:
    seller, other = await a_seller(sales), await sales.rep()
    colleague = await sales.rep(team_id=seller.team_id)
    deal = await sales.deal(owner_id=seller.id)
    amend = f"/v1/deals/{deal['id']}/amend"
    assert_problem(await seller.send("POST", amend, {"owner_id": other["id"]}), 403, "forbidden")
    assert await sales.get(f"/v1/deals/{deal['id']}") == deal
    assert (await seller.send("POST", amend, {"owner_id": colleague["id"]})).status_code == 200
    assert (await seller.send("GET", f"/v1/deals/{deal['id']}")).status_code == 200
    assert_problem(await seller.send("POST", amend, {"owner_id": seller.id}), 403, "forbidden")


async def test_a_new_team_and_a_leave_count_at_once(sales: Sales) -> None:
    seller, other = await a_seller(sales), await sales.rep()
    deal = await sales.deal(owner_id=other["id"])
    path = f"/v1/deals/{deal['id']}"
    assert_problem(await seller.send("GET", path), 404, "not-found")
    await sales.patch(f"/v1/teams/{other['team_id']}", {"parent_id": seller.team_id})
    assert (await seller.send("GET", path)).status_code == 200
    await sales.patch(f"/v1/reps/{seller.id}", {"active": False})
    assert_problem(await seller.send("GET", path), 404, "not-found")


async def test_claimed_teams_are_seen_with_those_below(sales: Sales) -> None:
    above, rep = await sales.team(), await sales.rep()
    await sales.patch(f"/v1/teams/{rep['team_id']}", {"parent_id": above["id"]})
    deal = await sales.deal(owner_id=rep["id"])
    claims = {"teams": [above["id"], str(uuid4())]}
    assert (await sales.send("GET", f"/v1/deals/{deal['id']}", role="sales-rep", claims=claims)).status_code == 200


async def test_a_subject_is_one_persons(sales: Sales) -> None:
    rep, other = await sales.rep(subject=reference()), await sales.rep()
    taken = {"subject": rep["subject"]}
    for refused in (
        await sales.send("POST", "/v1/reps", {"name": "Ana", **taken}),
        await sales.send("PATCH", f"/v1/reps/{other['id']}", taken),
    ):
        assert assert_problem(refused, 409, "subject-taken")["existing_id"] == rep["id"]
    await sales.patch(f"/v1/reps/{rep['id']}", {"subject": None})
    assert (await sales.patch(f"/v1/reps/{other['id']}", taken))["subject"] == rep["subject"]


async def test_a_team_is_not_below_itself(sales: Sales) -> None:
    above, team = await sales.team(), await sales.team()
    moved = await sales.patch(f"/v1/teams/{team['id']}", {"parent_id": above["id"], "name": "Iberia"})
    assert (moved["parent_id"], moved["name"], moved["version"]) == (above["id"], "Iberia", 2)
    entry = (await sales.events_of(team["id"], "directory"))[-1].data
    assert entry == SalesDirectoryEntrySet(id=UUID(team["id"]), kind="team", name="Iberia", parent_id=UUID(above["id"]))
    await sales.patch(f"/v1/teams/{team['id']}", {"parent_id": None})
    entry = (await sales.events_of(team["id"], "directory"))[-1].data
    assert isinstance(entry, SalesDirectoryEntrySet)
    assert entry.parent_id is None
    moved = await sales.patch(f"/v1/teams/{team['id']}", {"parent_id": above["id"]})
    for parent in (above["id"], team["id"]):
        refused = await sales.send("PATCH", f"/v1/teams/{above['id']}", {"parent_id": parent})
        assert_problem(refused, 422, "invalid-request")
    assert (await sales.get(f"/v1/teams?parent_id={above['id']}"))["items"] == [moved]


async def test_an_import_does_what_its_author_may_do_one_by_one(sales: Sales) -> None:
    row = json.dumps({"resource": "leads", "record": {"company": "Casa Verde"}}).encode()
    for role, status in (("sales-manager", 200), ("sales-rep", 403), ("service-manager", 403)):
        answer = await sales.raw("POST", "/v1/imports", row, role=role, content_type="application/x-ndjson")
        assert answer.status_code == status


@pytest.fixture
async def many_deals(sales_apart: Sales) -> tuple[UUID, UUID]:
    """Twenty thousand deals of others, newer than two hundred of a team; return the team and one of its people."""
    rep, other = await sales_apart.rep(), await sales_apart.rep()
    deals = [await sales_apart.deal(owner_id=each["id"]) for each in (rep, other)]
    copies = sa.text("""
        INSERT INTO deal
        SELECT (jsonb_populate_record(deal, jsonb_build_object('id', uuidv7(make_interval(hours => :hours))))).*
        FROM deal, generate_series(1, :count) WHERE deal.id = :id
    """)
    async with sales_apart.engine.begin() as connection:
        for deal, count, hours in ((deals[0], 200, -1), *[(deals[1], 5_000, 1)] * 4):
            await connection.execute(copies, {"id": UUID(deal["id"]), "count": count, "hours": hours})
        await connection.execute(sa.text("ANALYZE deal"))
    return UUID(rep["team_id"]), UUID(rep["id"])


async def test_a_page_costs_the_same_however_many_deals_others_have(
    sales_apart: Sales, many_deals: tuple[UUID, UUID]
) -> None:
    team, person = many_deals
    noun = ACCESS.noun_of(Deal.table)
    assert noun is not None
    reach = Reach(person=person, teams=frozenset({team}), below=frozenset({team}))
    within = Within(noun, noun.read.roles["sales-rep"], reach)
    key = Deal.table.c.id
    page = sa.select(Deal.table).where(key.in_(within.newest([], after=None, limit=51))).order_by(key.desc()).limit(51)
    async with sales_apart.engine.connect() as connection:
        assert len((await connection.execute(page)).all()) == 51
        asked = CompiledStatement(page)
        explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {asked.sql}"
        (found,) = await (await driver_of(connection)).fetchval(explain, *asked.arguments({}))
    # Three for each record of the page, and a few for each branch: not one for each of the twenty thousand.
    assert found["Plan"]["Shared Hit Blocks"] + found["Plan"]["Shared Read Blocks"] < 300
