"""What service agents suggest becomes leads of sales: once each, whatever comes twice, late or in another order."""

import asyncio
import itertools
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa
from aiokafka import AIOKafkaProducer

from event_contracts import codec
from event_contracts.catalogue import State, correction_of, event_type_of
from event_contracts.fields import Amendment
from event_contracts.sales import LeadAmended, LeadCreated
from event_contracts.service import UpsellAmended, UpsellOutcomeChanged, UpsellSuggested
from sales_api.from_service import CONSUMER, ServiceEvents, follow_service, is_followed, version_of
from sales_api.timeline import CONSUMER as TIMELINE
from service_kit.consumer.dead_letters import dead_letter
from service_kit.consumer.records import Record
from service_kit.consumer.seen_sequences import SeenSequences
from service_kit.identifiers import new_id
from service_kit.kafka import KafkaServers
from tests.sales_api.sales import ABSENT, Body, Sales
from tests.service_kit.conftest import assert_problem
from tests.support import Kafka, eventually, within

LATELY = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
_offsets = itertools.count()


def suggested(customer_id: str, suggestion_id: UUID | None = None, **more: Any) -> UpsellSuggested:
    state: dict[str, Any] = {
        "id": suggestion_id or new_id(),
        "customer_id": UUID(customer_id),
        "ticket_id": new_id(),
        "agent_id": new_id(),
        "team_id": new_id(),
        "region": "baltics",
        "segment": "smb",
        "product": None,
        "suggested_at": LATELY,
    }
    return UpsellSuggested(**state | more)


def changed(data: State, kind: type[Any], **more: Any) -> Any:
    """Return the suggestion's state in another event."""
    names = UpsellSuggested.__struct_fields__
    change = {"change": Amendment(fields=sorted(more))} if kind is UpsellAmended else {}
    return kind(**{name: getattr(data, name) for name in names} | more | change)


def withdrawn(data: State) -> State:
    entry = correction_of(event_type_of(data), "withdrawn")
    assert entry is not None
    return changed(data, entry.data)  # type: ignore[no-any-return]


def encoded(data: State, sequence: int) -> bytes:
    return codec.encode(
        data,
        event_id=uuid5(data.id, str(sequence)),  # a repeat is the same event
        time=LATELY,
        recorded_time=datetime.now(UTC),
        sequence=sequence,
        partition_key=getattr(data, "customer_id", data.id),
    )


async def consume(sales: Sales, *events: tuple[State, int], suggestion_days: int = 30) -> None:
    """Give the events to the consumer's handler in one batch, as the consumer does."""
    records = [
        Record("service.events", 0, next(_offsets), codec.decode(encoded(data, sequence)), None)
        for data, sequence in events
    ]
    async with sales.engine.begin() as connection:
        await connection.execute(sa.text("select"))
        relevant = [each for each in records if is_followed(each.value)]
        newest = await SeenSequences(CONSUMER).newest(connection, relevant, version_of)
        await follow_service(connection, newest, suggestion_days=suggestion_days, risk_days=30)


async def leads_of(sales: Sales, suggestion_id: UUID) -> list[Body]:
    found: list[Body] = (await sales.get(f"/v1/leads?upsell_suggestion_id={suggestion_id}"))["items"]
    return found


async def test_a_suggestion_becomes_a_lead_of_the_accounts_owner_that_knows_where_it_came_from(sales: Sales) -> None:
    rep, product = await sales.rep(), await sales.product()
    account = await sales.account(owner_id=rep["id"], region="north", segment="retail", channel="trade_show")
    suggestion = suggested(account["id"], product=product)
    await consume(sales, (suggestion, 1))
    (lead,) = await leads_of(sales, suggestion.id)
    assert (lead["status"], lead["channel"], lead["product"]) == ("assigned", "service", product)
    assert (lead["account_id"], lead["owner_id"], lead["team_id"]) == (account["id"], rep["id"], rep["team_id"])
    assert (lead["region"], lead["segment"]) == ("north", "retail")
    assert datetime.fromisoformat(lead["created_at"]) == datetime.fromisoformat(lead["assigned_at"]) == LATELY
    assert lead["suggestion"] == {
        "customer_id": account["id"],
        "ticket_id": str(suggestion.ticket_id),
        "agent_id": str(suggestion.agent_id),
        "team_id": str(suggestion.team_id),
        "suggested_at": lead["created_at"],
    }
    (created,) = await sales.events_of(lead["id"], "leads")
    assert isinstance(created.data, LeadCreated)
    assert created.data.suggestion is not None
    assert created.data.suggestion.agent_id == suggestion.agent_id
    audited = await sales.send("GET", f"/v1/leads/{lead['id']}/audit", role="sales-manager")
    assert [entry["actor"]["name"] for entry in audited.json()["items"]] == [CONSUMER], audited.text

    # The same again, in whatever form, and what came of it: no second lead, no event.
    outcome = changed(suggestion, UpsellOutcomeChanged, outcome="assigned", outcome_at=LATELY, lead_id=UUID(lead["id"]))
    await consume(sales, (suggestion, 1), (outcome, 2))
    await consume(sales, (outcome, 2))
    assert await leads_of(sales, suggestion.id) == [lead]
    assert len(await sales.events_of(lead["id"], "leads")) == 1

    # A correction follows, with the product as long as sales has done nothing.
    other = await sales.product()
    agent = new_id()
    await consume(sales, (changed(suggestion, UpsellAmended, product=other, agent_id=agent), 3))
    (corrected,) = await leads_of(sales, suggestion.id)
    assert (corrected["product"], corrected["suggestion"]["agent_id"], corrected["version"]) == (other, str(agent), 2)
    _, amended = await sales.events_of(lead["id"], "leads")
    assert isinstance(amended.data, LeadAmended)
    await sales.post(f"/v1/leads/{lead['id']}/contact", {})
    await consume(sales, (changed(suggestion, UpsellAmended, product=product, agent_id=agent), 4))
    assert (await leads_of(sales, suggestion.id))[0]["product"] == other
    # Service lost it in a restore: what sales has begun goes on.
    await consume(sales, (withdrawn(changed(suggestion, UpsellSuggested)), 5))
    assert (await leads_of(sales, suggestion.id))[0]["status"] == "contacted"


async def test_a_suggestion_has_one_open_lead_whichever_side_is_first(sales: Sales) -> None:
    account = await sales.account()
    by_hand = suggested(account["id"])
    own = await sales.lead(account_id=account["id"], upsell_suggestion_id=str(by_hand.id))
    assert own["suggestion"] is None
    await consume(sales, (by_hand, 1))
    (lead,) = await leads_of(sales, by_hand.id)
    # It learns what service says of the suggestion, and stays otherwise as it is.
    assert (lead["id"], lead["suggestion"]["ticket_id"]) == (own["id"], str(by_hand.ticket_id))
    assert (lead["channel"], lead["version"]) == (None, 2)

    body = {"account_id": account["id"], "upsell_suggestion_id": str(by_hand.id)}
    refused = await sales.send("POST", "/v1/leads", body)
    assert assert_problem(refused, 409, "suggestion-already-taken-up")["existing_id"] == lead["id"]
    elsewhere = await sales.lead()
    corrected = {"upsell_suggestion_id": str(by_hand.id)}
    refused = await sales.send("PATCH", f"/v1/leads/{elsewhere['id']}", corrected)
    assert_problem(refused, 409, "suggestion-already-taken-up")
    # Once that was given up, a salesperson may try again; and sales-consumer never does.
    await sales.post(f"/v1/leads/{lead['id']}/disqualify", {"reason": "no_budget"})
    again = await sales.lead(**body)
    assert again["suggestion"] == lead["suggestion"]
    await consume(sales, (changed(by_hand, UpsellOutcomeChanged, outcome="disqualified"), 2))
    assert {each["id"] for each in await leads_of(sales, by_hand.id)} == {lead["id"], again["id"]}

    # A deal that names a suggestion needs no lead.
    sold = suggested(account["id"])
    await sales.deal(account_id=account["id"], upsell_suggestion_id=str(sold.id))
    await consume(sales, (sold, 1))
    assert await leads_of(sales, sold.id) == []

    # A lead that turns out to be of no suggestion is not made again.
    wrong = suggested(account["id"])
    await consume(sales, (wrong, 1))
    (made,) = await leads_of(sales, wrong.id)
    taken_off = await sales.patch(f"/v1/leads/{made['id']}", {"upsell_suggestion_id": None})
    assert taken_off["suggestion"] is None
    await consume(sales, (changed(wrong, UpsellOutcomeChanged), 2))
    assert await leads_of(sales, wrong.id) == []


async def test_which_suggestions_become_a_lead_of_whom(sales: Sales) -> None:
    survivor = await sales.account(owner_id=(await sales.rep())["id"])
    merged = await sales.account()
    await sales.post(f"/v1/accounts/{merged['id']}/merge", {"into": survivor["id"]})
    erased = await sales.account()
    await sales.post(f"/v1/accounts/{erased['id']}/erase", {}, role="sales-manager")
    of_merged, of_erased, of_services_own = (suggested(each) for each in (merged["id"], erased["id"], ABSENT))
    old = suggested(survivor["id"], suggested_at=datetime.now(UTC) - timedelta(days=31))
    unknown_product = suggested(survivor["id"], product="nothing-we-sell")
    await consume(sales, *((each, 1) for each in (of_merged, of_erased, of_services_own, old, unknown_product)))
    (lead,) = await leads_of(sales, of_merged.id)
    assert (lead["account_id"], lead["owner_id"]) == (survivor["id"], survivor["owner_id"])
    assert await leads_of(sales, of_erased.id) == await leads_of(sales, old.id) == []
    # Sales does not know them: a salesperson who takes the lead asks service.
    (lead,) = await leads_of(sales, of_services_own.id)
    assert (lead["status"], lead["account_id"], lead["suggestion"]["customer_id"]) == ("new", None, ABSENT)
    assert (lead["region"], lead["segment"]) == ("baltics", "smb")
    (lead,) = await leads_of(sales, unknown_product.id)
    assert lead["product"] is None
    # A replay much later makes none of what was left.
    await consume(sales, (changed(old, UpsellAmended, suggested_at=LATELY), 2))
    assert await leads_of(sales, old.id) == []


async def test_repeats_shuffles_and_a_rebuild_from_offset_0_make_no_second_lead(
    sales_apart: Sales, kafka: Kafka, new_topic: Callable[..., str]
) -> None:
    sales, topic = sales_apart, new_topic("service.events")
    accounts = [(await sales.account())["id"] for _ in range(5)]
    suggestions = [suggested(accounts[number % 5]) for number in range(30)]
    agents = {each.id: new_id() for each in suggestions}
    records = [
        (each.customer_id, encoded(event, sequence))
        for each in suggestions
        for sequence, event in enumerate((each, changed(each, UpsellAmended, agent_id=agents[each.id])), 1)
        for _ in range(2)
    ]
    random.Random(16).shuffle(records)

    async def publish(*values: tuple[UUID, bytes]) -> None:
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, acks="all") as producer:
            for key, value in values:
                await producer.send_and_wait(topic, value, key=str(key).encode())

    async def read_all(*, crashes_at: int | None = None) -> None:
        """Read to the end, as a process that is killed in a batch's transaction and started again."""
        events = ServiceEvents(sales.engine, KafkaServers(kafka.bootstrap_servers), topics=[topic])
        handle, stop = events.consumer._handle, asyncio.Event()
        batches = itertools.count()

        async def dying(connection: Any, found: Any) -> None:
            await handle(connection, found)
            if next(batches) == crashes_at:
                raise ConnectionError("killed before the commit")

        events.consumer._handle = dying
        running = asyncio.create_task(events.run(stop))
        try:
            await within(events.consumer.caught_up.wait(), 120)
        finally:
            stop.set()
            await within(running, 60)

    async def leads() -> dict[str, tuple[str, int]]:
        found = (await sales.get("/v1/leads?limit=100"))["items"]
        assert len({each["upsell_suggestion_id"] for each in found}) == len(found)
        return {each["upsell_suggestion_id"]: (each["suggestion"]["agent_id"], each["version"]) for each in found}

    await publish(*records[:60], (UUID(ABSENT), b"{broken"))
    await read_all(crashes_at=0)
    await publish(*records[60:])
    await read_all()
    made = await leads()
    assert {key: agent for key, (agent, _) in made.items()} == {str(key): str(agent) for key, agent in agents.items()}
    async with sales.engine.begin() as connection:
        (reason,) = (
            await connection.execute(sa.select(dead_letter.c.reason).where(dead_letter.c.consumer == CONSUMER))
        ).scalars()
        assert reason == "malformed"
        # The offsets, and even what was seen, are lost: all is read again from the first record.
        for table in ("consumer_offset", "seen_sequence", "dead_letter"):
            await connection.execute(sa.text(f"DELETE FROM {table}"))
    await read_all()
    assert await leads() == made

    async def is_listed() -> bool:
        found = (await sales.send("GET", "/v1/dead-letters?status=open", role="sales-manager")).json()["items"]
        # By each consumer of the topic for itself.
        set_aside = {(CONSUMER, "malformed"), (TIMELINE, "malformed")}
        return {(each["consumer"], each["reason"]) for each in found} == set_aside

    await eventually(is_listed)
