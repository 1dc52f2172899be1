"""Records that anyone could have written to service.events and metrics.events: all that the contract allows, and more.

What sales-consumer makes of them is what it makes of any: leads, tasks and copies for timelines. Nothing else changes,
no record stops it, and what cannot be an event becomes a dead letter.
"""

import itertools
from typing import Any
from uuid import UUID, uuid5

import msgspec
import sqlalchemy as sa
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from event_contracts import codec
from event_contracts.catalogue import EVENT_TYPES, METRICS_TOPIC, SERVICE_TOPIC, State
from event_contracts.fields import MAX_COUNT
from event_contracts.metrics import Risk
from event_contracts.service import UpsellSuggestion
from sales_api.database_roles import ROLES
from sales_api.from_service import CONSUMER, follow_service, is_followed, version_of
from sales_api.schema import metadata
from service_kit.consumer.records import Record
from service_kit.consumer.seen_sequences import SeenSequences, conflicting_event
from service_kit.timeline.entries import is_mirrored, keep_entries
from tests.event_contracts.strategies import MOMENTS, events
from tests.sales_api.sales import Sales
from tests.sales_api.test_risk_tasks import NOW, risk
from tests.sales_api.test_suggestions import encoded, suggested

FORGED = 150
_offsets = itertools.count()
TYPES = [each for each in EVENT_TYPES.values() if each.topic in (SERVICE_TOPIC, METRICS_TOPIC)]
FOLLOWED = [each for each in TYPES if issubclass(each.data, UpsellSuggestion | Risk)]
[CONSUMERS] = [role for role in ROLES if role.name == "sales_consumer"]
LOCKED_ONLY = {"account", "planning_rule", "custom_value"}
"""It may write these for other ends: an account is locked, and intervals are planned by rules."""


def forged_records(customers: list[UUID]) -> list[bytes]:
    """Return records of all types, most of those that sales acts on; half are about customers whom it knows."""
    found: list[bytes] = []

    @settings(max_examples=FORGED, database=None, derandomize=True, deadline=None, phases=[Phase.generate])
    @given(st.data())
    def draw(draws: st.DataObject) -> None:
        of = st.one_of(st.sampled_from(FOLLOWED), st.sampled_from(FOLLOWED), st.sampled_from(TYPES))
        data: State = draws.draw(of.flatmap(events))
        known = draws.draw(st.none() | st.sampled_from(customers))
        if known is not None and isinstance(data, Risk):
            judged_at = draws.draw(st.just(data.judged_at) | st.just(NOW))
            data = msgspec.structs.replace(data, id=known, judged_at=judged_at)
        elif known is not None and hasattr(data, "customer_id"):
            data = msgspec.structs.replace(data, customer_id=known)
        found.append(
            codec.encode(
                data,
                event_id=draws.draw(st.uuids()),
                time=draws.draw(MOMENTS),
                recorded_time=draws.draw(MOMENTS),
                sequence=draws.draw(st.integers(1, 5) | st.integers(1, MAX_COUNT)),
                partition_key=data.id,
                epoch=draws.draw(st.integers(1, 2) | st.integers(1, MAX_COUNT)),
            )
        )

    draw()
    return found


async def consume(sales: Sales, value: bytes) -> None:
    """Give a record to both of the consumer's handlers, as the consumer does."""
    record = Record("service.events", 0, next(_offsets), codec.decode(value), None)
    async with sales.engine.begin() as connection:
        await connection.execute(sa.text("select"))
        if is_followed(record.value):
            newest = await SeenSequences(CONSUMER).newest(connection, [record], version_of)
            await follow_service(connection, newest, suggestion_days=30, risk_days=30)
        if is_mirrored(record.value):
            await keep_entries(connection, [record])


async def test_a_forged_record_makes_what_an_event_makes_and_stops_nothing(sales_apart: Sales) -> None:
    sales = sales_apart
    customers = [UUID((await sales.account(owner_id=(await sales.rep())["id"]))["id"]) for _ in range(3)]
    customers.append(UUID((await sales.account())["id"]))
    await sales.post(f"/v1/accounts/{customers[-1]}/erase", {}, role="sales-manager")

    async def rows(tables: set[str]) -> dict[str, list[Any]]:
        async with sales.engine.connect() as connection:
            return {
                name: sorted(map(str, (await connection.execute(sa.select(metadata.tables[name]))).all()))
                for name in sorted(tables)
            }

    forged = forged_records(customers)
    # Among them what makes a lead and a task for certain: the drawn ones may all be of long ago, or be taken back.
    another = (await sales.account(owner_id=(await sales.rep())["id"]))["id"]
    forged[FORGED // 2 : 0] = [encoded(suggested(another), 1), encoded(risk(another, "unanswered-complaint"), 1)]

    untouched = (set(metadata.tables) - set(CONSUMERS.changes)) | LOCKED_ONLY
    before = await rows(untouched)
    failures = []
    for value in forged:
        try:
            await consume(sales, value)
        except Exception as error:
            failures.append(f"{type(error).__name__} {str(error)[:300]}: {value[:600]!r}")
    assert failures == []
    assert await rows(untouched) == before
    async with sales.engine.connect() as connection:
        made = {
            name: (await connection.execute(sa.text(query))).scalars().all()
            for name, query in {
                "leads": "select count(*) from lead group by upsell_suggestion_id",
                "tasks": "select count(*) from activity where purpose = 'customer-at-risk' and status = 'planned'"
                " group by account_id",
                "names": "select count(*) from lead where coalesce(name, company, email, phone) is not null",
                "of_erased": f"select count(*) from activity where account_id = '{customers[-1]}'",
                "entries": "select count(*) from timeline_entry",
            }.items()
        }
    assert made["leads"]
    assert set(made["leads"]) == {1}
    assert set(made["tasks"]) == {1}
    assert made["names"] == made["of_erased"] == [0]
    assert made["entries"][0] > 0


async def test_a_second_event_of_one_version_changes_nothing_and_is_kept_as_a_conflict(sales: Sales) -> None:
    account = await sales.account()
    true = suggested(account["id"])
    await consume(sales, encoded(true, 1))
    forged = msgspec.structs.replace(true, customer_id=UUID((await sales.account())["id"]))
    another = encoded(forged, 1).replace(str(uuid5(true.id, "1")).encode(), str(uuid5(true.id, "forged")).encode())
    await consume(sales, another)
    (lead,) = (await sales.get(f"/v1/leads?upsell_suggestion_id={true.id}"))["items"]
    assert (lead["account_id"], lead["suggestion"]["customer_id"], lead["version"]) == (account["id"], account["id"], 1)
    kept = conflicting_event.c
    query = sa.select(kept.event_id, kept.dropped_event_id).where(kept.subject == f"upsells/{true.id}")
    async with sales.engine.connect() as connection:
        rows = [tuple(row) for row in await connection.execute(query)]
    assert rows == [(uuid5(true.id, "1"), uuid5(true.id, "forged"))]
