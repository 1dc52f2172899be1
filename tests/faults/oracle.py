"""The oracle of every experiment: the services' databases, the log and the ledger must agree exactly.

Written apart from the services: plain SQL, plain JSON, its own arithmetic. A fact is `(measure, dimension, value,
day) -> amount`; days are taken in UTC, as the experiments' stack does.
"""

import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from tandem_cli.stack import LocalStack
from tandem_cli.system import DATABASES

TOPICS = ("sales.events", "service.events")
TOTAL = ("all", "")
BAD = "/bad"
"""The source of records that an experiment publishes to be refused, though they are JSON."""

Facts = Counter[tuple[str, str, str, date]]


@dataclass
class Log:
    """What the topics hold, in the order of each partition."""

    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The newest state of each subject; none of one that was withdrawn."""
    versions: dict[str, tuple[int, int]] = field(default_factory=dict)
    """The epoch and the sequence of the newest event of each subject."""
    withdrawn: set[str] = field(default_factory=set)
    """Subjects that the source lost in a restore, and took back."""
    delays: list[float] = field(default_factory=list)
    """The seconds from each record's being recorded to its being in the log, by Kafka's clock."""
    events: int = 0
    repeats: int = 0
    bad_records: int = 0
    disordered: list[str] = field(default_factory=list)
    """Subjects whose sequences were not first seen in strictly rising order, one by one."""
    conflicts: dict[str, str] = field(default_factory=dict)
    """Subjects of which two events of the newest epoch have the same sequence."""
    ids: dict[tuple[str, int, int], str] = field(default_factory=dict)
    """The id of each event, by its subject, epoch and sequence; of several, that of the first."""
    seen: set[tuple[str, int, int, str]] = field(default_factory=set)
    """The subject, epoch, sequence and id of each event."""


async def read_log(bootstrap_servers: str, *, keys_moved: bool = False) -> Log:
    """Read both topics from their beginning to their present end.

    With `keys_moved`, a subject's events are on several partitions; their order is that of Kafka's timestamps then.
    """
    log = Log()
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    kept: list[tuple[int, bytes | None]] = []
    try:
        parts = await partitions_of(bootstrap_servers, TOPICS)
        consumer.assign(parts)
        ends, firsts = await consumer.end_offsets(parts), await consumer.beginning_offsets(parts)
        pending = {part for part in parts if ends[part] > firsts[part]}
        while pending:
            for part, records in (await consumer.getmany(timeout_ms=500, max_records=5000)).items():
                for record in records:
                    if keys_moved:
                        kept.append((record.timestamp, record.value))
                    else:
                        take(log, record.value, record.timestamp)
                if records[-1].offset + 1 >= ends[part]:
                    pending.discard(part)
    finally:
        await consumer.stop()
    for timestamp, value in sorted(kept, key=itemgetter(0)):
        take(log, value, timestamp)
    sequences: defaultdict[str, set[int]] = defaultdict(set)
    for subject, _, sequence in log.ids:
        sequences[subject].add(sequence)
    for subject, (_, newest) in log.versions.items():
        if lacking := set(range(1, newest + 1)) - sequences[subject]:
            log.disordered.append(f"{subject} lacks {len(lacking)} of its events")
    return log


async def records_of(stack: LocalStack, topic: str, key: str) -> AsyncIterator[bytes | None]:
    """Yield the values of a key's records, in the order of the log."""
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        parts = await partitions_of(stack.bootstrap_servers, [topic])
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        while any([await consumer.position(part) < ends[part] for part in parts]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    if record.key == key.encode():
                        yield record.value
    finally:
        await consumer.stop()


async def partitions_of(bootstrap_servers: str, topics: Iterable[str]) -> list[TopicPartition]:
    """Return all partitions that these topics have now."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        described = await admin.describe_topics(list(topics))
    finally:
        await admin.close()
    return [TopicPartition(topic["topic"], part["partition"]) for topic in described for part in topic["partitions"]]


def take(log: Log, value: bytes | None, timestamp: int) -> None:
    """Add a record, with Kafka's time of it in milliseconds, to what the log holds."""
    try:
        event = json.loads(value or b"")
        subject, version = event["subject"], (event.get("epoch", 1), event["sequence"])
        if event.get("source") == BAD:
            raise ValueError("published to be refused")
    except (ValueError, KeyError, TypeError):
        log.bad_records += 1
        return
    log.events += 1
    log.seen.add((subject, *version, event["id"]))
    epoch, sequence = version
    newest = log.versions.get(subject, (epoch, 0))
    if (known := log.ids.get((subject, *version))) is not None:
        log.repeats += known == event["id"]
        if known != event["id"] and epoch == newest[0]:
            log.conflicts[subject] = f"two events have the sequence {sequence} in epoch {epoch}"
        return
    log.ids[subject, *version] = event["id"]
    log.delays.append(timestamp / 1000 - datetime.fromisoformat(event["recordedtime"]).timestamp())
    # A higher epoch goes on where the source was restored to, or with the next sequence.
    if version <= newest or sequence > newest[1] + 1:
        log.disordered.append(f"{subject}: {version} after {newest}")
    if event["type"] in ("service.interaction-logged", "service.interaction-withdrawn"):
        change = event["data"]["change"]
        log.states[f"interactions/{change['id']}"] = change
        if event["type"] == "service.interaction-withdrawn":
            del log.states[f"interactions/{change['id']}"]
    if event["type"] == "service.interaction-amended":
        change = event["data"]["change"]["interaction"]
        log.states[f"interactions/{change['id']}"] = change
    if version < newest:
        return
    if epoch > newest[0] or event["type"].endswith("-withdrawn"):
        log.conflicts.pop(subject, None)
    log.versions[subject] = version
    log.states[subject] = event["data"]
    log.withdrawn.discard(subject)
    if event["type"].endswith("-withdrawn") and event["type"] != "service.interaction-withdrawn":
        log.withdrawn.add(subject)
        del log.states[subject]


def _day(text: str) -> date:
    return _utc_day(datetime.fromisoformat(text))


def _cents(money: dict[str, str]) -> int:
    return int(Decimal(money["amount"]) * 100)


def facts_of_log(log: Log) -> Facts:
    """What the newest states amount to."""
    facts: Facts = Counter()

    def add(measure: str, state: dict[str, Any], moment: str, amount: int = 1) -> None:
        day = _day(moment)
        facts[measure, *TOTAL, day] += amount
        for dimension in ("region", "segment", "channel"):
            facts[measure, dimension, state[dimension] or "", day] += amount

    for subject, state in log.states.items():
        match subject.split("/")[0]:
            case "leads":
                add("lead.created", state, state["created_at"])
                if state["converted_at"]:
                    add("lead.converted", state, state["converted_at"])
                    add("lead.cohort_converted", state, state["created_at"])
            case "deals" if state["stage"] == "won":
                add("deal.won", state, state["closed_at"])
                add("deal.revenue", state, state["closed_at"], _cents(state["reporting_amount"]))
                add("deal.units", state, state["closed_at"], sum(line["quantity"] for line in state["lines"]))
            case "deals" if state["stage"] == "lost":
                add("deal.lost", state, state["closed_at"])
            case "tickets" if state["cancelled_at"]:
                pass  # an onboarding whose deal is not won any more
            case "tickets" if state["onboarding_since"]:
                add("ticket.onboardings", state, state["onboarding_since"])
            case "tickets":
                add("ticket.opened", state, state["opened_at"])
                add("ticket.reopenings", state, state["opened_at"], state["reopen_count"])
                if state["resolved_at"]:
                    add("ticket.resolved", state, state["resolved_at"])
                    add("ticket.cohort_resolved", state, state["opened_at"])
                    if state["inbound_count"] <= 1 and state["reopen_count"] == 0:
                        add("ticket.resolved_first_contact", state, state["resolved_at"])
            case "interactions" if state["agent_id"]:
                add("interaction.handled", state, state["occurred_at"])
                for part in ("talk_seconds", "hold_seconds", "wrap_up_seconds"):
                    add(f"interaction.{part}", state, state["occurred_at"], state[part])
            case "surveys":
                add("survey.sent", state, state["sent_at"])
                if state["answered_at"]:
                    add("survey.answered", state, state["answered_at"])
                    add("survey.score", state, state["answered_at"], state["score"])
                    add("survey.satisfied", state, state["answered_at"], int(state["score"] >= 4))
    for number, deal in _numbered_purchases(log):
        name = "new" if number == 0 else "repeat"
        add(f"relationship.{name}_won", deal, deal["closed_at"])
        add(f"relationship.{name}_revenue", deal, deal["closed_at"], _cents(deal["reporting_amount"]))
    facts.update(_changes_by_day(_customers_of_log(log)))
    return _non_zero(facts)


@dataclass
class Customer:
    """What a customer's levels are made of; customers that were merged are one."""

    dimensions: tuple[str | None, ...] = (None, None, None)
    """Region, segment and channel: the account's, else what service knows."""
    purchases: list[tuple[date, int]] = field(default_factory=list)
    """The day and the worth of each won deal."""
    threats: list[tuple[str, date, date | None]] = field(default_factory=list)
    """What puts it at risk, from which day on, and the first day after."""


Customers = defaultdict[str, Customer]
STANDING = (
    "buyers", "repeat_buyers", "active", "active_before", "retained", "revenue_before", "revenue_retained", "lapsed",
    "at_risk", "breached", "reopened", "badly_rated", "revenue_at_risk",
)  # fmt: skip


def _customers_of_log(log: Log) -> Customers:
    customers: Customers = defaultdict(Customer)
    for subject, state in log.states.items():
        match subject.split("/")[0]:
            case "customers":
                customers[state["id"]].dimensions = (state["region"], state["segment"], None)
            case "deals" if state["stage"] == "won":
                bought = (_day(state["closed_at"]), _cents(state["reporting_amount"]))
                customers[_survivor(log, state["account_id"])].purchases.append(bought)
            case "tickets" if not state["merged_into"] and not state["cancelled_at"]:
                reopened_at = state["reopened_at"] if state["reopen_count"] else None
                done_at = min(filter(None, (state["resolved_at"], state["closed_at"])), key=_day, default=None)
                customers[_survivor(log, state["customer_id"])].threats += [
                    (threat, _day(since), _day(done_at) if done_at else None)
                    for threat, since in (("breached", state["sla_breached_at"]), ("reopened", reopened_at))
                    if since
                ]
            case "surveys" if state["answered_at"] and state["score"] and state["score"] <= 2:
                customers[_survivor(log, state["customer_id"])].threats.append(_bad_rating(_day(state["answered_at"])))
    for subject, state in log.states.items():
        if subject.startswith("accounts/") and state["id"] in customers:
            customers[state["id"]].dimensions = (state["region"], state["segment"], state["channel"])
    return customers


def _bad_rating(day: date) -> tuple[str, date, date]:
    return "badly_rated", day, day + timedelta(days=90)


def _changes_by_day(customers: Customers) -> Facts:
    """By how much the customers' semi-additive measures rise or fall on each day, future days included."""
    facts: Facts = Counter()
    for customer in customers.values():
        before = dict.fromkeys(STANDING, 0)
        turns = {day + timedelta(days=365 * years) for day, _ in customer.purchases for years in range(3)}
        turns |= {day for _, *days in customer.threats for day in days if day is not None}
        for day in sorted(turns):
            now = _counted_on(customer, day)
            # What a customer does on one day counts on that day alone.
            now["lapsed"] = int(before["active"] > now["active"])
            for measure in STANDING:
                change = now[measure] - (before[measure] if measure != "lapsed" else 0)
                for dimension, value in (
                    TOTAL,
                    *zip(("region", "segment", "channel"), customer.dimensions, strict=True),
                ):
                    facts[f"relationship.{measure}", dimension, value or "", day] += change
            before = now
    return facts


def _counted_on(customer: Customer, day: date) -> dict[str, int]:
    """A customer's figures of one day."""
    ago = [((day - on).days, worth) for on, worth in customer.purchases if on <= day]
    lately = [worth for days, worth in ago if days < 365]
    earlier = [worth for days, worth in ago if 365 <= days < 730]
    threats = {threat for threat, first, end in customer.threats if first <= day and (end is None or day < end)}
    return {
        "buyers": int(len(ago) >= 1),
        "repeat_buyers": int(len(ago) >= 2),
        "active": int(bool(lately)),
        "active_before": int(bool(earlier)),
        "retained": int(bool(lately and earlier)),
        "revenue_before": sum(earlier),
        "revenue_retained": sum(lately) if earlier else 0,
        "at_risk": int(bool(threats)),
        "revenue_at_risk": sum(lately) if threats else 0,
        **{threat: int(threat in threats) for threat in ("breached", "reopened", "badly_rated")},
    }


def _non_zero(facts: Facts) -> Facts:
    return Counter({key: amount for key, amount in facts.items() if amount})


def _survivor(log: Log, customer: str) -> str:
    while True:
        states = (log.states.get(f"{kind}/{customer}", {}) for kind in ("accounts", "customers"))
        into = next((found for state in states if (found := state.get("merged_into"))), None)
        if into is None:
            return customer
        customer = into


def _numbered_purchases(log: Log) -> list[tuple[int, dict[str, Any]]]:
    """Each won deal, and how many its customer had bought before; customers that were merged are one."""
    purchases: defaultdict[str, list[tuple[datetime, str, dict[str, Any]]]] = defaultdict(list)
    for subject, state in log.states.items():
        if subject.startswith("deals/") and state["stage"] == "won":
            customer = _survivor(log, state["account_id"])
            purchases[customer].append((datetime.fromisoformat(state["closed_at"]), state["id"], state))
    return [
        (number, state)
        for of_customer in purchases.values()
        for number, (_, _, state) in enumerate(sorted(of_customer, key=lambda purchase: purchase[:2]))
    ]


REQUESTED = "onboarding_since is null"
"""What tells a customer's ticket from an onboarding, which is work of our own."""

SOURCES = {
    "sales": [
        ("lead.created", "select created_at as at, 1 as amount, region, segment, channel from lead"),
        ("lead.converted", "select converted_at, 1, region, segment, channel from lead where converted_at is not null"),
        (
            "lead.cohort_converted",
            "select created_at, 1, region, segment, channel from lead where converted_at is not null",
        ),
        ("deal.won", "select closed_at, 1, region, segment, channel from deal where stage = 'won'"),
        ("deal.lost", "select closed_at, 1, region, segment, channel from deal where stage = 'lost'"),
        (
            "deal.revenue",
            "select closed_at, (reporting_amount * 100)::bigint, region, segment, channel from deal"
            " where stage = 'won'",
        ),
        (
            "deal.units",
            "select closed_at, (select sum(quantity) from deal_line where deal_id = deal.id), region, segment, channel"
            " from deal where stage = 'won'",
        ),
        *(
            (
                f"relationship.{name}_{measure}",
                f"select closed_at, {amount}, region, segment, channel from (select deal.*, row_number() over"
                " (partition by coalesce(account.merged_into, account.id) order by closed_at, deal.id) as number"
                " from deal join account on account.id = account_id where stage = 'won') as bought"
                f" where {which}",
            )
            for name, which in (("new", "number = 1"), ("repeat", "number > 1"))
            for measure, amount in (("won", "1"), ("revenue", "(reporting_amount * 100)::bigint"))
        ),
    ],
    "service": [
        (
            "ticket.onboardings",
            "select onboarding_since, 1, region, segment, channel from ticket"
            " where onboarding_since is not null and cancelled_at is null",
        ),
        ("ticket.opened", f"select opened_at, 1, region, segment, channel from ticket where {REQUESTED}"),
        (
            "ticket.reopenings",
            f"select opened_at, reopen_count, region, segment, channel from ticket where {REQUESTED}",
        ),
        (
            "ticket.resolved",
            "select resolved_at, 1, region, segment, channel from ticket"
            f" where resolved_at is not null and {REQUESTED}",
        ),
        (
            "ticket.cohort_resolved",
            f"select opened_at, 1, region, segment, channel from ticket where resolved_at is not null and {REQUESTED}",
        ),
        (
            "ticket.resolved_first_contact",
            f"select resolved_at, 1, region, segment, channel from ticket where resolved_at is not null and {REQUESTED}"
            " and reopen_count = 0 and (select count(*) from interaction where ticket_id = ticket.id"
            " and direction = 'inbound' and visibility = 'public') <= 1",
        ),
        *(
            (
                f"interaction.{name}",
                f"select i.occurred_at, {amount}, t.region, t.segment, i.channel"
                " from interaction i join ticket t on t.id = i.ticket_id where i.agent_id is not null",
            )
            for name, amount in [
                ("handled", "1"),
                *((part, f"i.{part}") for part in ("talk_seconds", "hold_seconds", "wrap_up_seconds")),
            ]
        ),
        ("survey.sent", "select s.sent_at, 1, s.region, s.segment, s.channel from survey s"),
        (
            "survey.answered",
            "select answered_at, 1, region, segment, channel from survey where answered_at is not null",
        ),
        ("survey.score", "select answered_at, score, region, segment, channel from survey where score is not null"),
        (
            "survey.satisfied",
            "select answered_at, (score >= 4)::int, region, segment, channel from survey where score is not null",
        ),
    ],
}


async def facts_of_sources(stack: LocalStack) -> Facts:
    """What the two services' own tables amount to."""
    facts: Facts = Counter()
    for database, queries in SOURCES.items():
        connection = await connect(stack, database)
        try:
            for measure, query in queries:
                for at, amount, *dimensions in await connection.fetch(query):
                    day = _utc_day(at)
                    facts[measure, *TOTAL, day] += int(amount or 0)
                    for dimension, value in zip(("region", "segment", "channel"), dimensions, strict=True):
                        facts[measure, dimension, value or "", day] += int(amount or 0)
        finally:
            await connection.close()
    facts.update(_changes_by_day(await _customers_of_sources(stack)))
    return _non_zero(facts)


async def _customers_of_sources(stack: LocalStack) -> Customers:
    """Return each customer's facts from the two services' own tables."""
    customers: Customers = defaultdict(Customer)
    sales, service = await connect(stack, "sales"), await connect(stack, "service")
    try:
        accounts = await sales.fetch(
            "select id, coalesce(merged_into, id) as surviving, region, segment, channel from account"
        )
        deals = await sales.fetch(
            "select account_id, closed_at, (reporting_amount * 100)::bigint as worth from deal where stage = 'won'"
        )
        known = await service.fetch("select id, region, segment from customer where registered_at is not null")
        tickets = await service.fetch(
            "select customer_id, least(resolved_at, closed_at) as done, case when reopen_count > 0 then reopened_at end"
            " as reopened, least(first_response_breached_at, resolution_breached_at) as breached"
            " from ticket where merged_into is null and cancelled_at is null"
        )
        ratings = await service.fetch("select customer_id, answered_at from survey where score <= 2")
    finally:
        await sales.close()
        await service.close()
    surviving = {account["id"]: account["surviving"] for account in accounts}

    def of(customer: UUID) -> Customer:
        return customers[str(surviving.get(customer, customer))]

    for deal in deals:
        of(deal["account_id"]).purchases.append((_utc_day(deal["closed_at"]), deal["worth"]))
    for ticket in tickets:
        done = _utc_day(ticket["done"]) if ticket["done"] else None
        for threat in ("breached", "reopened"):
            if ticket[threat]:
                of(ticket["customer_id"]).threats.append((threat, _utc_day(ticket[threat]), done))
    for rating in ratings:
        of(rating["customer_id"]).threats.append(_bad_rating(_utc_day(rating["answered_at"])))
    for row in known:
        customers[str(row["id"])].dimensions = (row["region"], row["segment"], None)
    for row in accounts:
        customers[str(row["id"])].dimensions = (row["region"], row["segment"], row["channel"])
    return customers


def _utc_day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


async def facts_of_ledger(stack: LocalStack) -> tuple[Facts, Facts]:
    """Return the sums of the blocks, and those of the postings."""
    measures = sorted({measure for queries in SOURCES.values() for measure, _ in queries})
    measures += [f"relationship.{measure}" for measure in STANDING]
    blocks: Facts = Counter()
    postings: Facts = Counter()
    connection = await connect(stack, "metrics")
    try:
        for name in measures:
            kind, measure = name.split(".")
            rows = await connection.fetch(
                f"select dimension, coalesce(value, ''), day, {measure} from bi.{kind}_daily"
                " where dimension in ('all', 'region', 'segment', 'channel')"
            )
            for dimension, value, day, amount in rows:
                blocks[name, dimension, value, day] += int(amount)
            whole = "where not split" if kind in ("deal", "relationship") else ""
            for dimension in ("", "region", "segment", "channel"):
                rows = await connection.fetch(
                    # A posting has null, and not 0, for measures that it does not touch.
                    f"select {dimension or 'null'}, day, coalesce(sum({measure}), 0)"
                    f" from bi.{kind}_postings {whole} group by 1, 2"
                )
                for value, day, amount in rows:
                    postings[name, dimension or "all", value or "", day] += int(amount)
    finally:
        await connection.close()
    return _non_zero(blocks), _non_zero(postings)


async def outbox_rows(stack: LocalStack) -> int:
    """Events that are not in Kafka yet, of both services."""
    rows = 0
    for database in ("sales", "service"):
        connection = await connect(stack, database)
        try:
            rows += await connection.fetchval("select count(*) from outbox")
        finally:
            await connection.close()
    return rows


Ends = dict[TopicPartition, int]


async def log_ends(stack: LocalStack, parts: Iterable[TopicPartition]) -> Ends:
    """Return where these partitions end now."""
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.bootstrap_servers)
    await consumer.start()
    try:
        return dict(await consumer.end_offsets(list(parts)))
    finally:
        await consumer.stop()


async def stored_offsets(stack: LocalStack) -> dict[tuple[str, TopicPartition], int]:
    """Return the offsets that the consumers store, by consumer and partition; of a recreated topic the newest."""
    offsets = {}
    for database in DATABASES:
        connection = await connect(stack, database)
        try:
            for row in await connection.fetch(
                "select distinct on (consumer, topic, partition) consumer, topic, partition, next_offset"
                " from consumer_offset order by consumer, topic, partition, updated_at desc"
            ):
                offsets[row["consumer"], TopicPartition(row["topic"], row["partition"])] = row["next_offset"]
        finally:
            await connection.close()
    return offsets


async def records_unread(stack: LocalStack, ends: Ends | None = None) -> int:
    """Return how many records before these ends, or those of now, the consumers have not processed."""
    offsets = await stored_offsets(stack)
    if ends is None:
        ends = await log_ends(stack, {part for _, part in offsets})
    return sum(max(ends[part] - offset, 0) for (_, part), offset in offsets.items())


async def events_written(stack: LocalStack) -> dict[str, int]:
    """The version of every aggregate in the services' databases, by its subject: as many events must be in the log."""
    tables = {
        "sales": {
            "accounts": "account",
            "leads": "lead",
            "deals": "deal",
            "quotas": "quota",
            "activities": "activity",
        },
        "service": {"tickets": "ticket", "surveys": "survey", "upsells": "upsell_suggestion"},
    }
    versions: dict[str, int] = {}
    for database, nouns in tables.items():
        connection = await connect(stack, database)
        try:
            for noun, table in nouns.items():
                for row in await connection.fetch(f'select id, version from "{table}"'):
                    versions[f"{noun}/{row['id']}"] = row["version"]
        finally:
            await connection.close()
    return versions


async def dead_letters(stack: LocalStack) -> int:
    """Return the ledger's dead letters."""
    connection = await connect(stack, "metrics")
    try:
        return int(await connection.fetchval("select count(*) from authoritative.dead_letter"))
    finally:
        await connection.close()


async def connect(stack: LocalStack, database: str) -> asyncpg.Connection:
    """Return a connection to the database of sales, service or metrics."""
    return await asyncpg.connect(stack.database_url(database).replace("+asyncpg", ""))


def must_equal(one: Mapping[Any, int], other: Mapping[Any, int], what: str) -> None:
    """Raise AssertionError with the first few keys under which two sets of facts differ, and both values."""
    keys = [key for key in {**one, **other} if one.get(key) != other.get(key)]
    first = "".join(f"\n  {key}: {one.get(key)} and {other.get(key)}" for key in keys[:10])
    assert not keys, f"{what}: {len(keys)} differences{first}"


async def judge(
    stack: LocalStack,
    *,
    deals: list[str],
    tickets: list[str],
    bad_records: int = 0,
    keys_moved: bool = False,
    log_is_whole: bool = True,
) -> Log:
    """Raise AssertionError unless invariants 1 to 4 and 8 hold now. `deals` and `tickets` were answered with 2xx.

    Where the log was cut or lost (`log_is_whole` false), the ledger is compared with the sources only.
    """
    assert await outbox_rows(stack) == 0, "events wait in an outbox"
    log = await read_log(stack.bootstrap_servers, keys_moved=keys_moved)
    versions = await events_written(stack)
    missing = [each for each in deals if f"deals/{each}" not in versions]
    missing += [each for each in tickets if f"tickets/{each}" not in versions]
    assert missing == [], "I1: answered with 2xx, and not there"
    assert log.conflicts == {}, "I8: two events have the same sequence"
    sources = await facts_of_sources(stack)
    assert sources, "nothing happened: there is nothing to judge"
    if log_is_whole:
        in_log = {
            subject: sequence
            for subject, (_, sequence) in log.versions.items()
            if subject not in log.withdrawn and not _is_customer(subject)
        }
        must_equal(in_log, versions, "I1: the log and the databases do not hold the same writes")
        assert log.disordered == [], "I3: sequences were first seen out of order"
        must_equal(sources, facts_of_log(log), "I2: the services' databases differ from the log")
        await copies_for_timelines_must_equal(stack, log)
        await tasks_must_follow_risks(stack)
    blocks, postings = await facts_of_ledger(stack)
    must_equal(blocks, sources, "I2: the blocks differ from the services' databases")
    must_equal(postings, sources, "I2: the postings differ from the services' databases")
    assert await dead_letters(stack) == bad_records == log.bad_records, "I4: dead letters are not the bad records"
    return log


ABOUT_CUSTOMERS = {
    "sales": ("accounts", "leads", "deals", "activities", "referrals"),
    "service": (
        *("customers", "tickets", "surveys", "trainings", "maintenance", "deliveries", "reviews", "checkins"),
        "upsells",
    ),
}
"""The kinds of subjects that timelines are made of, by the service that publishes them."""
COPIED_TO = {"sales": "service", "service": "sales"}


async def copies_for_timelines_must_equal(stack: LocalStack, log: Log) -> None:
    """Raise AssertionError unless each service has a copy of each event about customers of the other, and of no more.

    A row is one event: that none is there twice is the table's key.
    """
    for source, database in COPIED_TO.items():
        published = {each for each in log.seen if each[0].partition("/")[0] in ABOUT_CUSTOMERS[source]}
        connection = await connect(stack, database)
        try:
            rows = await connection.fetch("select subject, epoch, sequence, event_id::text from timeline_entry")
        finally:
            await connection.close()
        copied = {tuple(row) for row in rows}
        differing = sorted(published ^ copied)
        assert differing == [], f"I2: of {source}, the log or timelines lack {len(differing)} events: {differing[:5]}"


async def tasks_must_follow_risks(stack: LocalStack) -> None:
    """Raise AssertionError unless each account that its facts put at risk today has one task with these reasons.

    By the oracle's own reckoning of who is at risk; and no other account has a task that is to be done.
    """
    today = datetime.now(UTC).date()
    at_risk = {}
    for name, customer in (await _customers_of_sources(stack)).items():
        reasons = {
            threat.replace("_", "-")
            for threat, first, end in customer.threats
            if first <= today and (end is None or today < end)
        }
        if reasons:
            at_risk[name] = sorted(reasons)
    connection = await connect(stack, "sales")
    try:
        accounts = {
            row["id"] for row in await connection.fetch("select id::text from account where merged_into is null")
        }
        tasks = await connection.fetch(
            "select account_id::text, reasons from activity where purpose = 'customer-at-risk' and status = 'planned'"
        )
    finally:
        await connection.close()
    expected = sorted((account, reasons) for account, reasons in at_risk.items() if account in accounts)
    found = sorted((row["account_id"], sorted(row["reasons"])) for row in tasks)
    assert found == expected, (
        "I2: tasks differ from who is at risk:"
        f" {[each for each in found if each not in expected][:5]} surplus,"
        f" {[each for each in expected if each not in found][:5]} missing, of {len(found)} and {len(expected)}"
    )


def _is_customer(subject: str) -> bool:
    return subject.startswith("customers/")
