"""What becomes of an upsell suggestion in sales is on the suggestion, for the agent who had it."""

import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import httpx
import sqlalchemy as sa

from event_contracts import codec
from event_contracts.catalogue import State, correction_of, event_type_of
from event_contracts.fields import Amendment
from event_contracts.sales import Deal, DealAmended, DealAmendment, DealOpened, Lead, LeadAmended, LeadCreated
from event_contracts.service import UpsellOutcomeChanged
from service_api.customers.from_sales import ACCOUNTS, is_copied, version_of
from service_api.suggested_sales import SuggestedSale, follow_sales, outcome_of
from service_api.upsell_suggestions import Outcome
from service_kit.consumer.records import Record
from service_kit.consumer.seen_sequences import SeenSequences
from service_kit.identifiers import new_id
from tests.service_api.conftest import Service, a_customer, make
from tests.service_api.test_care import deal_state

NOW = datetime.now(UTC).replace(microsecond=0)
_offsets = itertools.count()


def lead(lead_id: UUID, suggestion_id: UUID | None, status: str = "new", kind: type[Any] = LeadCreated) -> Lead:
    state: dict[str, Any] = {
        **dict.fromkeys(("channel", "region", "segment", "product", "owner_id", "team_id")),
        "id": lead_id,
        "status": status,
        "created_at": NOW - timedelta(days=5),
        "upsell_suggestion_id": suggestion_id,
    }
    if status != "new":
        state[f"{status}_at"] = NOW - timedelta(days=4)
    if status == "disqualified":
        state["disqualified_reason"] = "no-budget"
    if kind is LeadAmended:
        state["change"] = Amendment(fields=["upsell_suggestion_id"])
    return kind(**state)  # type: ignore[no-any-return]


def deal(deal_id: UUID, suggestion_id: UUID | None, stage: str, kind: type[Any] = DealOpened) -> Deal:
    is_closed = stage in ("won", "lost")
    more: dict[str, Any] = {
        "stage": stage,
        "upsell_suggestion_id": suggestion_id,
        "opened_at": NOW - timedelta(days=3),
        "closed_at": NOW - timedelta(days=1) if is_closed else None,
        "close_reason": "trust" if is_closed else None,
        "promise": None,
    }
    state = deal_state(new_id(), deal_id, **more)
    if kind is DealAmended:
        state["change"] = DealAmendment(previous_amount=state["amount"], fields=["upsell_suggestion_id"])
    return kind(**state)  # type: ignore[no-any-return]


def withdrawn(data: State) -> State:
    entry = correction_of(event_type_of(data), "withdrawn")
    assert entry is not None
    return entry.data(**{name: getattr(data, name) for name in entry.data.__struct_fields__})


async def consume(service: Service, *events: tuple[State, int], epoch: int = 1) -> None:
    """Give the events to the consumer's handler in one batch, as the consumer does."""
    records = [
        Record(
            "sales.events",
            0,
            next(_offsets),
            codec.decode(
                codec.encode(
                    data,
                    event_id=uuid5(data.id, f"{epoch} {sequence}"),
                    time=NOW,
                    recorded_time=NOW,
                    sequence=sequence,
                    partition_key=data.id,
                    epoch=epoch,
                )
            ),
            None,
        )
        for data, sequence in events
    ]
    async with service.engine.begin() as connection:
        await connection.execute(sa.text("select"))
        relevant = [each for each in records if is_copied(each.value)]
        await follow_sales(connection, await SeenSequences(ACCOUNTS).newest(connection, relevant, version_of), ACCOUNTS)


async def test_a_lead_that_never_named_a_suggestion_since_a_restore_is_not_its_outcome(
    service: Service, manager: httpx.AsyncClient
) -> None:
    customer = await a_customer(manager)
    made = await make(manager, "/v1/upsell-suggestions", customer_id=customer["id"], product="payroll")
    lead_id = new_id()
    await consume(service, (lead(lead_id, UUID(made["id"]), "contacted"), 3))
    # The suggestion was named by an amendment, which sales lost.
    await consume(service, (lead(lead_id, None, "disqualified"), 3), epoch=2)
    found = (await manager.get(f"/v1/upsell-suggestions/{made['id']}")).json()
    assert (found["outcome"], found["lead_id"]) == (None, None)


async def test_an_agent_sees_on_the_suggestion_what_became_of_it(service: Service, manager: httpx.AsyncClient) -> None:
    customer = await a_customer(manager)
    made = await make(manager, "/v1/upsell-suggestions", customer_id=customer["id"], product="payroll")
    assert [made[name] for name in ("outcome", "outcome_reason", "outcome_at", "lead_id", "deal_id")] == [None] * 5
    suggestion_id, lead_id, deal_id = UUID(made["id"]), new_id(), new_id()
    address = f"/v1/upsell-suggestions/{made['id']}"

    async def outcome() -> tuple[Any, ...]:
        found = (await manager.get(address)).json()
        return found["outcome"], found["outcome_reason"], found["lead_id"], found["deal_id"], found["version"]

    contacted, converted = (lead(lead_id, suggestion_id, status) for status in ("contacted", "converted"))
    await consume(service, (contacted, 3))
    assert await outcome() == ("contacted", None, str(lead_id), None, 2)
    await consume(service, (contacted, 3), (lead(new_id(), None), 1))
    assert (await outcome())[-1] == 2, "a repeat changes nothing"
    listed = (await manager.get(f"/v1/upsell-suggestions?outcome=contacted&customer_id={customer['id']}")).json()
    assert [each["id"] for each in listed["items"]] == [made["id"]]
    # The deal's event may come before that of its lead: they are of different keys.
    await consume(service, (deal(deal_id, suggestion_id, "won"), 4))
    assert await outcome() == ("won", "trust", str(lead_id), str(deal_id), 3)
    await consume(service, (converted, 4))
    assert (await outcome())[-1] == 3
    await consume(service, (deal(deal_id, suggestion_id, "proposal"), 5))
    assert await outcome() == ("converted", None, str(lead_id), str(deal_id), 4)
    # It was never of this suggestion; then sales loses the lead in a restore.
    await consume(service, (deal(deal_id, None, "won", DealAmended), 6))
    assert await outcome() == ("converted", None, str(lead_id), None, 5)
    await consume(service, (withdrawn(converted), 5))
    assert await outcome() == (None, None, None, None, 6)
    events = await service.events_of(f"upsells/{made['id']}")
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5, 6]
    assert all(isinstance(event.data, UpsellOutcomeChanged) for event in events[1:])
    won = events[2].data
    assert isinstance(won, UpsellOutcomeChanged)
    assert (won.outcome, won.outcome_at, won.product) == ("won", NOW - timedelta(days=1), "payroll")
    assert (await manager.get(f"{address}/audit")).json()["items"][0]["actor"]["name"] == ACCOUNTS


async def test_a_lead_that_is_given_up_says_why_and_another_one_goes_on(
    service: Service, manager: httpx.AsyncClient
) -> None:
    customer = await a_customer(manager)
    first, second = [
        UUID((await make(manager, "/v1/upsell-suggestions", customer_id=customer["id"]))["id"]) for _ in range(2)
    ]
    given_up, again, unknown = new_id(), new_id(), new_id()
    await consume(service, (lead(given_up, first, "disqualified"), 2), (lead(unknown, new_id()), 1))
    found = (await manager.get(f"/v1/upsell-suggestions/{first}")).json()
    assert (found["outcome"], found["outcome_reason"], found["lead_id"]) == ("disqualified", "no-budget", str(given_up))
    await consume(service, (lead(again, first, "qualified"), 2))
    found = (await manager.get(f"/v1/upsell-suggestions/{first}")).json()
    assert (found["outcome"], found["outcome_reason"], found["lead_id"]) == ("qualified", None, str(again))
    # Sales corrects which suggestion it came of: both follow.
    await consume(service, (lead(again, second, "qualified", LeadAmended), 3))
    outcomes = [(await manager.get(f"/v1/upsell-suggestions/{one}")).json()["outcome"] for one in (first, second)]
    assert outcomes == ["disqualified", "qualified"]


def test_the_outcome_is_the_same_in_whatever_order_leads_and_deals_come() -> None:
    suggestion_id = new_id()

    def sale(kind: Any, status: Any) -> SuggestedSale:
        return SuggestedSale(id=new_id(), suggestion_id=suggestion_id, kind=kind, status=status, changed_at=NOW)

    sales = [sale("lead", "disqualified"), sale("lead", "converted"), sale("deal", "lost"), sale("deal", "won")]
    sales += [sale("deal", "converted")]
    expected = Outcome(outcome="won", outcome_at=NOW, lead_id=sales[1].id, deal_id=sales[3].id)
    chance = random.Random(16)
    for _ in range(20):
        assert outcome_of(chance.sample(sales, len(sales))) == expected
    without_won = [each for each in sales if each.status != "won"]
    assert outcome_of(without_won).outcome == "converted"
    assert outcome_of([sales[2], sales[0]]).outcome == "lost"
    assert outcome_of([]) == Outcome()
