"""The timeline of an account: what sales did at once, and what is mirrored from service, in whatever order it comes."""

import json
import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from event_contracts import codec
from event_contracts.catalogue import EVENT_TYPES
from event_contracts.codec import CloudEvent
from event_contracts.examples import examples
from event_contracts.sales import ProposalSent
from event_contracts.service import ReviewRecorded, TicketOpened, TicketResolved
from sales_api.timeline import TIMELINE
from service_kit.identifiers import new_id
from service_kit.outbox import outbox
from service_kit.published_events import published_event, stream
from service_kit.timeline.facts import facts_of
from service_kit.timeline.schemas import TimelineFactsRead
from tests.sales_api.sales import ABSENT, Body, Sales
from tests.service_kit.conftest import assert_problem
from tests.timelines import BEGAN, Source, consume, published, shuffled

DealRestored: Any = EVENT_TYPES["sales.deal-restored"].data
OPENED: Any = examples()["service.ticket-opened"].data
REVIEWED: Any = examples()["service.review-recorded"].data


def opened(customer_id: str, **more: Any) -> TicketOpened:
    data: TicketOpened = msgspec.structs.replace(OPENED, id=new_id(), customer_id=UUID(customer_id), **more)
    return data


async def timeline(sales: Sales, account_id: str, query: str = "", **asked: Any) -> list[Body]:
    answer = await sales.send("GET", f"/v1/accounts/{account_id}/timeline{query}", **asked)
    assert answer.status_code == 200, answer.text
    items: list[Body] = answer.json()["items"]
    return items


async def test_every_kind_of_event_has_facts_that_the_document_knows() -> None:
    kinds = {*TIMELINE.kinds}
    shown = {name for name, entry in EVENT_TYPES.items() if entry.subject_kind in ("deals", "tickets", "upsells")}
    assert shown - kinds == {name for name in shown if name.endswith(("-restored", "-withdrawn"))}
    for kind in kinds:
        facts = facts_of(examples()[kind].data)
        assert facts.keys() <= {*TimelineFactsRead.model_fields, "person_id", "previous_person_id"}, kind
        TimelineFactsRead.model_validate(json.loads(json.dumps(facts)))


async def test_what_sales_did_is_there_at_once_and_what_service_did_as_it_comes(sales: Sales) -> None:
    rep, product = await sales.rep(), await sales.product()
    # Before it had an owner.
    lead = await sales.lead(owner_id=rep["id"], occurred_at="2026-01-05T09:00:00Z")
    await sales.post("/v1/activities", {"lead_id": lead["id"], "kind": "call"}, status=201)
    converted = await sales.post(
        f"/v1/leads/{lead['id']}/convert",
        {
            "account": {"name": "Casa Verde"},
            "deal": {
                "title": "Two pumps",
                "currency": "EUR",
                "lines": [{"product": product, "quantity": 2, "unit_price": "9.00"}],
            },
        },
    )
    account_id, deal_id = converted["account_id"], converted["deal_id"]
    await sales.post(f"/v1/deals/{deal_id}/close", {"outcome": "won", "reason": "trust"})
    ticket = opened(account_id)
    later = datetime.now(UTC) + timedelta(days=1)
    await consume(sales.engine, [published(ticket, 1, at=BEGAN)])
    reviewed: ReviewRecorded = msgspec.structs.replace(REVIEWED, id=new_id(), customer_id=UUID(account_id))
    await consume(sales.engine, [published(reviewed, 1, at=later)])

    found = await timeline(sales, account_id)
    assert found == sorted(found, key=lambda each: (each["occurred_at"], each["id"]), reverse=True)
    assert {each["kind"] for each in found} == {
        "service.review-recorded", "service.ticket-opened", "sales.deal-closed", "sales.deal-opened",
        "sales.account-registered", "sales.lead-converted", "sales.lead-created", "sales.activity-completed",
    }  # fmt: skip
    assert found[0]["kind"] == "service.review-recorded"
    assert (found[-1]["kind"], found[-1]["occurred_at"]) == ("sales.lead-created", "2026-01-05T09:00:00Z")
    by_kind = {each["kind"]: each for each in found}
    won = by_kind["sales.deal-closed"]
    assert won["record"] == {
        "noun": "deals",
        "id": deal_id,
        "path": f"/v1/deals/{deal_id}",
        "title": "Two pumps",
    }
    assert won["source"] == "sales"
    assert won["person"] == {"id": rep["id"], "name": rep["name"]}
    facts = {name: value for name, value in won["facts"].items() if value is not None}
    assert facts.pop("amount") == {"amount": "18.00", "currency": "EUR"}
    assert facts == {
        "status": "won",
        "previous_status": "prospecting",
        "reason": "trust",
        "products": [product],
    }
    mirrored = by_kind["service.ticket-opened"]
    assert mirrored["record"] == {
        "noun": "tickets",
        "id": str(ticket.id),
        "path": f"/v1/tickets/{ticket.id}",
        "title": None,
    }
    assert (mirrored["source"], mirrored["facts"]["type"], mirrored["person"]) == ("service", ticket.kind, None)
    assert {each["customer_id"] for each in found} == {account_id}
    # The event is what the API of its source answers under the id.
    event = await sales.get(f"/v1/events/{won['id']}")
    assert event["event"]["type"] == "sales.deal-closed"


async def test_it_is_filtered_by_kind_source_and_time(sales: Sales) -> None:
    account = await sales.account(occurred_at="2026-01-05T09:00:00Z")
    account_id = account["id"]
    ticket = opened(account_id)
    state = {name: getattr(ticket, name) for name in ticket.__struct_fields__}
    resolved = TicketResolved(**state | {"status": "resolved", "resolved_at": BEGAN})
    await consume(sales.engine, [published(ticket, 1), published(resolved, 2)])

    async def kinds(query: str) -> list[str]:
        return [each["kind"] for each in await timeline(sales, account_id, query)]

    everything = ["service.ticket-resolved", "service.ticket-opened", "sales.account-registered"]
    assert await kinds("") == everything
    assert await kinds("?source=service") == everything[:2]
    assert await kinds("?source=sales&source=service") == everything
    assert await kinds("?kind=service.ticket-opened&kind=sales.account-registered") == everything[1:]
    assert await kinds("?kind=service.ticket-opened&source=sales") == []
    assert await kinds("?occurred_at_from=2026-03-02T09:00:00Z") == everything[:2]
    assert await kinds("?occurred_at_before=2026-03-02T09:00:00Z") == everything[2:]
    for wrong in (
        "kind=sales.deal-won",
        "source=metrics",
        "occurred_at_from=yesterday",
        "cursor=AAAA",
        "limit=0",
        "to=1",
    ):
        assert_problem(await sales.send("GET", f"/v1/accounts/{account_id}/timeline?{wrong}"), 422, "invalid-request")


async def test_pages_go_on_where_they_ended_whatever_is_written_meanwhile(sales: Sales) -> None:
    account = await sales.account()
    account_id = account["id"]
    deals = [await sales.deal(account_id=account_id) for _ in range(3)]
    # Of one moment, so that ids decide between them.
    tickets = [opened(account_id) for _ in range(4)]
    await consume(sales.engine, [published(each, 1, at=BEGAN) for each in tickets])
    expected = [each["id"] for each in await timeline(sales, account_id)]
    assert len(expected) == 8
    seen, cursor = list[str](), ""
    while True:
        answer = await sales.get(f"/v1/accounts/{account_id}/timeline?limit=2{cursor}")
        seen += [each["id"] for each in answer["items"]]
        if answer["next_cursor"] is None:
            break
        cursor = f"&cursor={answer['next_cursor']}"
        # Newer entries come before what is read, and shift nothing.
        await sales.post(f"/v1/deals/{deals[len(seen) % 3]['id']}/proposals", {})
        await consume(sales.engine, [published(opened(account_id), 1, at=datetime.now(UTC))])
    assert seen == expected
    moved = await sales.send("GET", f"/v1/accounts/{account_id}/timeline?source=sales{cursor}")
    assert_problem(moved, 422, "invalid-request")


async def test_it_is_for_all_who_see_the_account_and_shows_what_they_may_read(sales: Sales) -> None:
    mine, other = await sales.rep(subject="rep|mine", region="north"), await sales.rep()
    account = await sales.account(owner_id=mine["id"], region="north")
    account_id = account["id"]
    await sales.deal(account_id=account_id, title="Of others", owner_id=other["id"])
    own = await sales.deal(account_id=account_id, title="Of mine", owner_id=mine["id"])
    reviewed: ReviewRecorded = msgspec.structs.replace(REVIEWED, id=new_id(), customer_id=UUID(account_id))
    await consume(sales.engine, [published(opened(account_id), 1), published(reviewed, 1)])

    async def seen(role: str, **asked: Any) -> dict[str, str | None]:
        found = await timeline(sales, account_id, role=role, **asked)
        return {f"{each['kind']} {each['record']['id']}"[:53]: each["record"]["title"] for each in found}

    def short(found: dict[str, str | None]) -> list[str]:
        return sorted(each.partition(" ")[0] for each in found)

    whole = ["sales.account-registered", "sales.deal-opened", "sales.deal-opened"]
    of_service = ["service.review-recorded", "service.ticket-opened"]
    assert short(await seen("sales-manager")) == [*whole, *of_service]
    rep = await timeline(sales, account_id, role="sales-rep", subject="rep|mine")
    # Of the deals their own; of service the tickets of their customers.
    assert sorted(each["kind"] for each in rep) == [*whole[:2], of_service[1]]
    assert [each["record"]["title"] for each in rep if each["record"]["noun"] == "deals"] == ["Of mine"]
    # An analyst sees numbers and no names.
    analyst = await timeline(sales, account_id, role="analyst")
    assert sorted(each["kind"] for each in analyst) == [*whole, *of_service]
    assert {each["record"]["title"] for each in analyst} == {None}
    north = {"regions": ["north"]}
    agent = await timeline(sales, account_id, role="service-agent", claims=north)
    assert [each["kind"] for each in agent] == ["sales.account-registered"]
    for asked in ({"role": "sales-rep", "subject": "rep|unknown"}, {"role": "service-agent"}):
        path = f"/v1/accounts/{account_id}/timeline"
        assert_problem(await sales.send("GET", path, **asked), 404, "not-found")  # type: ignore[arg-type]
    assert_problem(await sales.send("GET", f"/v1/accounts/{ABSENT}/timeline"), 404, "not-found")
    assert own["title"] == "Of mine"


async def test_merged_accounts_are_on_one_timeline_and_erasure_takes_the_names(sales: Sales) -> None:
    text = "Zanzibar"
    survivor, merged, between = [await sales.account(name=text) for _ in range(3)]
    deal = await sales.deal(account_id=merged["id"], title=text)
    early = opened(merged["id"])
    # Mirrored before the merges were known here, and after.
    await consume(sales.engine, [published(early, 1)])
    await sales.post(f"/v1/accounts/{merged['id']}/merge", {"into": between["id"]})
    await sales.post(f"/v1/accounts/{between['id']}/merge", {"into": survivor["id"]})
    late = opened(merged["id"])
    await consume(sales.engine, [published(late, 1)])
    found = await timeline(sales, survivor["id"])
    assert {each["record"]["id"] for each in found if each["record"]["noun"] == "tickets"} == {
        str(early.id),
        str(late.id),
    }
    assert sorted(each["kind"] for each in found if each["source"] == "sales") == [
        *["sales.account-merged"] * 2,
        *["sales.account-registered"] * 3,
        "sales.deal-opened",
    ]
    assert {each["customer_id"] for each in found} == {survivor["id"], merged["id"], between["id"]}
    assert [each["record"]["title"] for each in found if each["record"]["id"] == deal["id"]] == [text]
    # The one that was merged keeps what was its own.
    assert {each["customer_id"] for each in await timeline(sales, merged["id"])} == {merged["id"]}
    # What is taken back out of the middle comes back with all that was merged into it.
    await sales.post(f"/v1/accounts/{between['id']}/unmerge", {})
    assert {each["customer_id"] for each in await timeline(sales, survivor["id"])} == {survivor["id"]}
    of_between = await timeline(sales, between["id"])
    assert {each["customer_id"] for each in of_between} == {merged["id"], between["id"]}
    assert of_between[0]["kind"] == "sales.account-unmerged"
    await sales.post(f"/v1/accounts/{between['id']}/merge", {"into": survivor["id"]})
    found = await timeline(sales, survivor["id"])

    await sales.post(f"/v1/accounts/{survivor['id']}/erase", {}, role="sales-manager")
    answer = await sales.send("GET", f"/v1/accounts/{survivor['id']}/timeline")
    assert text not in answer.text
    assert {each["id"] for each in found} < {each["id"] for each in answer.json()["items"]}
    assert {each["record"]["title"] for each in answer.json()["items"]} == {None}


async def test_any_order_repeat_and_restore_of_service_ends_with_what_has_happened(sales: Sales) -> None:
    for seed in range(25):
        chance = random.Random(seed)
        account_id = (await sales.account())["id"]
        source = Source(*(opened(account_id) for _ in range(6)))
        source.back_up()
        for _ in range(60):
            if chance.random() < 0.06:
                source.restore(acts_before=[each for each in source.records if chance.random() < 0.3])
                source.back_up()
            elif chance.random() < 0.1:
                source.back_up()
            elif source.records:
                source.act(chance.choice(source.records))
        for batch in shuffled(source.log, seed):
            await consume(sales.engine, batch)
        found = await timeline(sales, account_id, "?source=service&limit=200")
        assert [UUID(each["id"]) for each in found] == source.truth, f"seed {seed}"


async def test_what_a_restore_of_sales_itself_took_back_is_not_on_its_timeline(sales_apart: Sales) -> None:
    sales = sales_apart
    account_id = (await sales.account(occurred_at="2026-01-05T09:00:00Z"))["id"]
    deal = await sales.deal(account_id=account_id, occurred_at="2026-01-06T09:00:00Z")
    before = [each["id"] for each in await timeline(sales, account_id)]
    (opened_deal,) = await sales.events_of(deal["id"])
    state = {name: getattr(opened_deal.data, name) for name in opened_deal.data.__struct_fields__}
    # What the log had beyond the restored database, and what corrected it; the relay keeps both.
    lost = published(ProposalSent(**state), 2)
    restored = published(DealRestored(**state), 1, epoch=2)
    async with sales.engine.begin() as connection:
        waiting = (await connection.execute(sa.select(outbox).order_by(outbox.c.position))).all()
        await connection.execute(sa.delete(outbox))
        rows = [(row.aggregateid, row.payload) for row in waiting if row.aggregatetype == "sales.events"]
        rows += [(account_id, encoded(event)) for event in (lost, restored)]
        for key, payload in rows:
            event = codec.decode(payload)
            await connection.execute(
                sa.insert(published_event).values(
                    topic="sales.events",
                    key=key,
                    subject=event.subject,
                    epoch=event.epoch,
                    sequence=event.sequence,
                    event_id=event.id,
                    payload=payload,
                )
            )
        await connection.execute(sa.insert(stream).values(id=1, epoch=2))
    assert [each["id"] for each in await timeline(sales, account_id)] == before
    # It goes on in the new epoch, where the log was corrected: at once, and once that is published.
    await sales.post(f"/v1/deals/{deal['id']}/proposals", {})
    first, *others = await timeline(sales, account_id)
    assert (first["kind"], [each["id"] for each in others]) == ("sales.proposal-sent", before)


def encoded(event: CloudEvent) -> bytes:
    return codec.encode(
        event.data,
        event_id=event.id,
        time=event.time,
        recorded_time=event.recorded_time,
        sequence=event.sequence,
        partition_key=UUID(event.partition_key),
        epoch=event.epoch,
    )


async def test_a_timeline_is_read_by_indexes(sales_apart: Sales) -> None:
    sales = sales_apart
    accounts = [(await sales.account())["id"] for _ in range(40)]
    asked = accounts[7]
    async with sales.engine.begin() as connection:
        for account_id in accounts:
            events = [published(opened(account_id), 1) for _ in range(100)]
            await consume(sales.engine, events)
        columns = "gen_random_uuid(), 'sales.events', :key, 'sales.deal-opened', convert_to('{}', 'UTF8')"
        for account_id in accounts:
            await connection.execute(
                sa.text(
                    "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload)"
                    f" SELECT {columns} FROM generate_series(1, 100)"
                ),
                {"key": account_id},
            )
        await connection.execute(
            sa.text(
                "INSERT INTO published_event (topic, key, subject, epoch, sequence, event_id, payload) SELECT"
                " 'sales.events', 'k', 'deals/' || n % 2000, 1, n, gen_random_uuid(), convert_to(repeat('{}', 200),"
                " 'UTF8') FROM generate_series(1, 20000) n"
            )
        )
    async with sales.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(sa.text("VACUUM ANALYZE"))
    plan = await plan_of_timeline(sales, asked)
    for table in ("timeline_entry", "published_event", "outbox"):
        assert f"Seq Scan on {table}" not in plan, plan
    assert "Index Scan Backward using timeline_entry_customer_idx" in plan, plan
    newest = await timeline(sales, asked)
    assert all(one["occurred_at"] >= other["occurred_at"] for one, other in pairwise(newest))


async def plan_of_timeline(sales: Sales, account_id: str) -> str:
    """Return the plan of the statement that reads a timeline, with the values that it is executed with."""
    executed = list[tuple[str, Any]]()

    def note(_: Any, __: Any, statement: str, values: Any, *___: Any) -> None:
        executed.append((statement, values))

    sa.event.listen(sales.engine.sync_engine, "before_cursor_execute", note)
    try:
        await timeline(sales, account_id)
    finally:
        sa.event.remove(sales.engine.sync_engine, "before_cursor_execute", note)
    ((statement, values),) = [each for each in executed if "timeline_entry" in each[0]]
    async with sales.engine.connect() as connection:
        return "\n".join((await connection.exec_driver_sql(f"EXPLAIN {statement}", values)).scalars())
