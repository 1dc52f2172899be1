"""The log that benchmarks read: a company's year as real contract events, made once and kept in Kafka between runs.

Leads, deals, tickets and surveys pass through their states in the order in which they happen, with every dimension set.
Two in a hundred are recorded late, by up to 30 days; one event in a hundred arrives a second time.
"""

import heapq
import random
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from event_contracts import codec
from event_contracts.catalogue import State, event_type_of
from event_contracts.fields import Money
from event_contracts.sales import (
    AccountRegistered,
    DealAmended,
    DealAmendment,
    DealClosed,
    DealClosing,
    DealLine,
    DealOpened,
    DealReopened,
    DealReopening,
    DealStageChange,
    DealStageChanged,
    FrozenRate,
    LeadAssigned,
    LeadAssignment,
    LeadContacted,
    LeadConversion,
    LeadConverted,
    LeadCreated,
    LeadDisqualified,
    LeadQualified,
)
from event_contracts.service import (
    Interaction,
    InteractionLogged,
    SurveyAnswered,
    SurveyRevised,
    SurveyRevision,
    SurveySent,
    TicketAssigned,
    TicketAssignment,
    TicketClosed,
    TicketFirstResponded,
    TicketOpened,
    TicketReopened,
    TicketReopening,
    TicketResolved,
)
from tandem_cli.kafka import Topic
from tests.support import Kafka

VERSION = 1
"""Raise it when the events change: a log that is kept from an earlier run is then made anew."""
PARTITIONS = 6
CUSTOMERS = 50_000
BEGINNING = datetime(2025, 1, 1, tzinfo=UTC)
DAY = 86_400.0
YEAR = 365 * DAY
LATE, LATE_SECONDS = 0.02, 30 * DAY
REPEATED, REPEAT_SECONDS = 0.01, 3_600.0
EVENTS_A_STORY = 5.0
"""Roughly the number of events of a subject; it spreads the subjects over the year."""
BATCH_BYTES = 900 * 1024

REGIONS = ["EMEA", "AMER", "APAC", "LATAM"]
SEGMENTS = ["smb", "mid-market", "enterprise", "public"]
PRODUCTS = [f"product-{number}" for number in range(20)]
SALES_CHANNELS = ["organic_search", "paid_search", "referral", "trade-fair", "social", "partner"]
STAGES = ["qualification", "presentation", "proposal", "negotiation"]


class Fact(NamedTuple):
    """One event before it is written down; `at` counts seconds since `BEGINNING`."""

    at: float
    data: State
    sequence: int
    partition_key: UUID


class LogRecord(NamedTuple):
    """One Kafka record; the topic is named as in production."""

    topic: str
    partition: int
    key: bytes
    value: bytes


def moment(at: float) -> datetime:
    """Seconds since `BEGINNING` as an instant."""
    return BEGINNING + timedelta(seconds=int(at))


class Company:
    """Who there is to buy, sell and serve; draws everything from one seed."""

    def __init__(self, seed: int, customers: int) -> None:
        self.random = random.Random(seed)
        self.reps = [(self.new_id(-YEAR), self.new_id(-YEAR)) for _ in range(60)]
        self.agents = [(self.new_id(-YEAR), self.new_id(-YEAR)) for _ in range(80)]
        self.customers = [
            (self.new_id(-self.random.random() * YEAR), self.pick(REGIONS), self.pick(SEGMENTS))
            for _ in range(customers)
        ]
        self._unknown = list(range(customers))
        self.random.shuffle(self._unknown)

    def new_id(self, at: float) -> UUID:
        """A UUIDv7 of that moment, so that ids rise with time as they do in production."""
        milliseconds = int((BEGINNING.timestamp() + at) * 1000)
        noise = self.random.getrandbits(74)
        return UUID(int=(milliseconds << 80) | (7 << 76) | ((noise >> 62) << 64) | (2 << 62) | (noise & (2**62 - 1)))

    def pick(self, choices: list[Any]) -> Any:
        """One of them, all equally likely."""
        return choices[int(self.random.random() * len(choices))]

    def later(self, mean_seconds: float) -> float:
        """A waiting time, exponentially distributed."""
        return self.random.expovariate(1 / mean_seconds) + 1.0

    def subject_facts(self, at: float) -> Iterator[Fact]:
        """What begins to happen at a moment."""
        if self._unknown and self.random.random() < 0.2:
            return account(self, at, *self.customers[self._unknown.pop()])
        return self.pick([lead, deal, ticket, ticket])(self, at)  # type: ignore[no-any-return]


def account(company: Company, at: float, customer: UUID, region: str, segment: str) -> Iterator[Fact]:
    owner, team = company.pick(company.reps)
    fields = {"region": region, "segment": segment, "owner_id": owner, "team_id": team}
    channel = company.pick(SALES_CHANNELS)
    yield Fact(
        at, AccountRegistered(id=customer, channel=channel, registered_at=moment(at), **fields), 1, customer
    )  # fmt: skip


def lead(company: Company, at: float) -> Iterator[Fact]:
    customer, region, segment = company.pick(company.customers)
    owner, team = company.pick(company.reps)
    state: dict[str, Any] = {
        "id": company.new_id(at), "status": "new", "channel": company.pick(SALES_CHANNELS), "region": region,
        "segment": segment, "product": company.pick(PRODUCTS), "owner_id": None, "team_id": None,
        "created_at": moment(at),
    }  # fmt: skip
    key = state["id"]
    yield Fact(at, LeadCreated(**state), 1, key)
    at += company.later(0.1 * DAY)
    state |= {"status": "assigned", "owner_id": owner, "team_id": team, "assigned_at": moment(at)}
    yield Fact(at, LeadAssigned(change=LeadAssignment(previous_owner_id=None), **state), 2, key)
    at += company.later(0.5 * DAY)
    state |= {"status": "contacted", "contacted_at": moment(at)}
    yield Fact(at, LeadContacted(**state), 3, key)
    at += company.later(2 * DAY)
    if company.random.random() < 0.5:
        state |= {"status": "disqualified", "disqualified_at": moment(at), "disqualified_reason": "no-budget"}
        yield Fact(at, LeadDisqualified(**state), 4, key)
        return
    state |= {"status": "qualified", "qualified_at": moment(at)}
    yield Fact(at, LeadQualified(**state), 4, key)
    if company.random.random() < 0.5:
        at += company.later(3 * DAY)
        state |= {"status": "converted", "converted_at": moment(at), "account_id": customer}
        state["deal_id"] = company.new_id(at)
        yield Fact(at, LeadConverted(change=LeadConversion(account_registered=False), **state), 5, key)


def _lines(company: Company) -> list[DealLine]:
    lines = []
    for product in company.random.sample(PRODUCTS, company.pick([1, 1, 2])):
        quantity, price = company.random.randint(1, 20), Decimal(company.random.randint(10, 2000))
        unit, amount = Money(price, "EUR"), Money(quantity * price, "EUR")
        lines.append(
            DealLine(product=product, quantity=quantity, unit_price=unit, amount=amount, reporting_amount=amount)
        )
    return lines


def _total(lines: list[DealLine]) -> Money:
    return Money(sum((line.amount.amount for line in lines), Decimal(0)), "EUR")


def deal(company: Company, at: float) -> Iterator[Fact]:
    customer, region, segment = company.pick(company.customers)
    owner, team = company.pick(company.reps)
    lines = _lines(company)
    stage, sequence = "prospecting", 1
    state: dict[str, Any] = {
        "id": company.new_id(at), "account_id": customer, "lead_id": None, "stage": stage, "lines": lines,
        "amount": _total(lines), "owner_id": owner, "team_id": team, "region": region, "segment": segment,
        "channel": company.pick(SALES_CHANNELS), "opened_at": moment(at),
        "expected_close_on": moment(at + 30 * DAY).date(),
    }  # fmt: skip
    yield Fact(at, DealOpened(**state), sequence, customer)
    for following in STAGES[: company.random.randint(1, len(STAGES))]:
        at, sequence = at + company.later(4 * DAY), sequence + 1
        change = DealStageChange(previous_stage=stage)  # type: ignore[arg-type]
        stage = state["stage"] = following
        yield Fact(at, DealStageChanged(change=change, **state), sequence, customer)
    at, sequence = at + company.later(4 * DAY), sequence + 1
    rate = FrozenRate(rate=Decimal(1), on=moment(at).date())
    closed = {
        "stage": company.pick(["won", "lost"]), "closed_at": moment(at), "close_reason": "price", "frozen_rate": rate,
        "reporting_amount": state["amount"],
    }  # fmt: skip
    closing = DealClosing(outcome=closed["stage"], previous_stage=stage)  # type: ignore[arg-type]
    yield Fact(at, DealClosed(change=closing, **(state | closed)), sequence, customer)
    chance = company.random.random()
    if chance < 0.03:
        at, sequence = at + company.later(10 * DAY), sequence + 1
        reopening = DealReopening(previous_outcome=closed["stage"])
        yield Fact(at, DealReopened(change=reopening, reopen_count=1, **state), sequence, customer)
    elif chance < 0.08:
        at, sequence = at + company.later(10 * DAY), sequence + 1
        amended = {"lines": (anew := _lines(company)), "amount": _total(anew), "reporting_amount": _total(anew)}
        amendment = DealAmendment(previous_amount=state["amount"])
        yield Fact(at, DealAmended(change=amendment, **(state | closed | amended)), sequence, customer)


def ticket(company: Company, at: float) -> Iterator[Fact]:
    customer, region, segment = company.pick(company.customers)
    agent, team = company.pick(company.agents)
    served: dict[str, Any] = {
        "customer_id": customer, "channel": company.pick(["phone", "email", "chat", "web"]),
        "priority": company.pick(["low", "normal", "high", "urgent"]), "region": region, "segment": segment,
        "product": company.pick(PRODUCTS), "agent_id": None, "team_id": None,
    }  # fmt: skip
    kind = company.pick(["presales_question", "installation", "maintenance", "problem", "complaint"])
    state: dict[str, Any] = {
        "id": company.new_id(at),
        "kind": kind,
        "status": "open",
        "opened_at": moment(at),
        **served,
    }
    sequence = 1
    yield Fact(at, TicketOpened(**state), sequence, customer)
    at, sequence = at + company.later(0.02 * DAY), sequence + 1
    state |= {"agent_id": agent, "team_id": team, "assigned_at": moment(at)}
    served |= {"agent_id": agent, "team_id": team}
    yield Fact(at, TicketAssigned(change=TicketAssignment(previous_agent_id=None), **state), sequence, customer)

    def contact(direction: str) -> Fact:
        state["interaction_count"] = state.get("interaction_count", 0) + 1
        state["inbound_count"] = state.get("inbound_count", 0) + (direction == "inbound")
        contact = Interaction(
            id=company.new_id(at), ticket_id=state["id"], direction=direction, visibility="public",  # type: ignore[arg-type]
            ticket_kind=kind, talk_seconds=company.random.randint(20, 900),
            hold_seconds=company.random.randint(0, 120), wrap_up_seconds=company.random.randint(5, 300),
            occurred_at=moment(at), **served,
        )  # fmt: skip
        return Fact(at, InteractionLogged(change=contact, **state), sequence, customer)

    at, sequence = at + company.later(0.1 * DAY), sequence + 1
    state["first_responded_at"] = moment(at)
    yield contact("outbound")
    sequence += 1
    yield Fact(at, TicketFirstResponded(**state), sequence, customer)
    for _ in range(company.pick([0, 1, 1, 2])):
        at, sequence = at + company.later(0.3 * DAY), sequence + 1
        yield contact(company.pick(["inbound", "outbound"]))
    at, sequence = at + company.later(0.5 * DAY), sequence + 1
    resolved = {"status": "resolved", "resolved_at": moment(at), "resolution": "solved"}
    yield Fact(at, TicketResolved(**(state | resolved)), sequence, customer)
    if company.random.random() < 0.08:
        at, sequence = at + company.later(2 * DAY), sequence + 1
        state |= {"reopened_at": moment(at), "reopen_count": 1}
        change = TicketReopening(previous_resolved_at=resolved["resolved_at"])  # type: ignore[arg-type]
        yield Fact(at, TicketReopened(change=change, **state), sequence, customer)
        at, sequence = at + company.later(1 * DAY), sequence + 1
        resolved["resolved_at"] = moment(at)
        yield Fact(at, TicketResolved(**(state | resolved)), sequence, customer)
    if company.random.random() < 0.4:
        at = yield from _survey(company, at, kind, state["id"], served)
    at, sequence = at + company.later(3 * DAY), sequence + 1
    yield Fact(
        at, TicketClosed(**(state | resolved | {"status": "closed", "closed_at": moment(at)})), sequence, customer
    )


def _survey(
    company: Company, at: float, kind: str, ticket_id: UUID, served: dict[str, Any]
) -> Generator[Fact, None, float]:
    state: dict[str, Any] = {
        "id": company.new_id(at), "kind": "csat", "ticket_id": ticket_id, "ticket_kind": kind, "sent_at": moment(at),
        **served,
    }  # fmt: skip
    customer = served["customer_id"]
    yield Fact(at, SurveySent(**state), 1, customer)
    if company.random.random() < 0.5:
        at += company.later(1 * DAY)
        state |= {"answered_at": moment(at), "score": company.random.randint(1, 5)}
        yield Fact(at, SurveyAnswered(**state), 2, customer)
        if company.random.random() < 0.05:
            revision, score = SurveyRevision(previous_score=state["score"]), company.random.randint(1, 5)
            yield Fact(at + 60, SurveyRevised(change=revision, **(state | {"score": score})), 3, customer)
    return at


def records(events: int, *, seed: int = 1) -> Iterator[LogRecord]:
    """So many records, in the order in which the log holds them."""
    company = Company(seed, min(CUSTOMERS, max(events // 20, 1)))
    spacing = YEAR * EVENTS_A_STORY / events
    begins, made, number = 0.0, 0, 0
    # What is recorded next: when, a number that breaks ties, the fact, its lag, and the facts that follow it.
    waiting: list[tuple[float, int, Fact | LogRecord, float, Iterator[Fact]]] = []

    def push(subject_facts: Iterator[Fact], lag: float) -> None:
        nonlocal number
        if (fact := next(subject_facts, None)) is not None:
            number += 1
            heapq.heappush(waiting, (fact.at + lag, number, fact, lag, subject_facts))

    while made < events:
        while not waiting or begins <= waiting[0][0]:
            late = company.random.random() < LATE
            push(company.subject_facts(begins), company.random.random() * LATE_SECONDS if late else 0.0)
            begins += company.later(spacing)
        recorded, _, state, lag, subject_facts = heapq.heappop(waiting)
        if isinstance(state, Fact):
            record = _record(company, state, recorded)
            push(subject_facts, lag)
            if company.random.random() < REPEATED:
                number += 1
                again = recorded + company.random.random() * REPEAT_SECONDS
                heapq.heappush(waiting, (again, number, record, 0.0, subject_facts))
        else:
            record = state
        made += 1
        yield record


def _record(company: Company, fact: Fact, recorded: float) -> LogRecord:
    value = codec.encode(
        fact.data,
        event_id=company.new_id(recorded),
        time=moment(fact.at),
        recorded_time=moment(recorded),
        sequence=fact.sequence,
        partition_key=fact.partition_key,
    )
    key = str(fact.partition_key).encode()
    return LogRecord(event_type_of(fact.data).topic, fact.partition_key.int % PARTITIONS, key, value)


class PreparedLog(NamedTuple):
    """A prepared log; topics are named for its size, so that several sizes can be kept side by side."""

    topics: list[str]
    events: int
    ends: dict[TopicPartition, int]


async def prepare(kafka: Kafka, events: int, progress: Callable[[int], None]) -> PreparedLog:
    """The log of so many events: written unless a former run has left it. `progress` receives the number written."""
    topics = {name: f"bench.v{VERSION}.{events}.{name}" for name in ("sales.events", "service.events")}
    kafka.create_topics([Topic(name, PARTITIONS) for name in topics.values()])
    ends = await _ends(kafka, list(topics.values()))
    if 0 < sum(ends.values()) < events:
        raise AssertionError(f"the log of {events} events was left half made; remove .tandem/bench/kafka")
    if not any(ends.values()):
        await _write(kafka, topics, events, progress)
        ends = await _ends(kafka, list(topics.values()))
    return PreparedLog(list(topics.values()), events, ends)


async def _ends(kafka: Kafka, topics: list[str]) -> dict[TopicPartition, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers)
    await consumer.start()
    try:
        parts = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
        return dict(await consumer.end_offsets(parts))
    finally:
        await consumer.stop()


async def _write(kafka: Kafka, topics: dict[str, str], events: int, progress: Callable[[int], None]) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers,
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        max_batch_size=BATCH_BYTES,
        max_request_size=2 * BATCH_BYTES,
    )
    await producer.start()
    try:
        batches: dict[tuple[str, int], Any] = {}
        headers = [("content-type", codec.CONTENT_TYPE.encode())]

        async def send(target: tuple[str, int]) -> None:
            sent = await producer.send_batch(batches.pop(target), target[0], partition=target[1])
            await sent

        for made, record in enumerate(records(events), start=1):
            target = (topics[record.topic], record.partition)
            if target not in batches:
                batches[target] = producer.create_batch()
            if batches[target].append(timestamp=None, key=record.key, value=record.value, headers=headers) is None:
                await send(target)
                batches[target] = producer.create_batch()
                batches[target].append(timestamp=None, key=record.key, value=record.value, headers=headers)
            if made % 50_000 == 0:
                progress(made)
        for target in list(batches):
            await send(target)
    finally:
        await producer.stop()
