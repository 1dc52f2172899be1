"""A customer at risk becomes a task of the account's owner, once for each reason, and recovery closes it."""

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa

from event_contracts import codec
from event_contracts.fields import Money
from event_contracts.metrics import CustomerAtRisk, CustomerRecovered, Risk
from event_contracts.sales import ActivityCancelled, ActivityPlanned, PlannedActivityAmended
from sales_api.from_service import CONSUMER, follow_service, is_followed, version_of
from service_kit.consumer.records import Record
from service_kit.consumer.seen_sequences import SeenSequences
from tests.sales_api.sales import ABSENT, Body, Sales

NOW = datetime.now(UTC).replace(microsecond=0)
_offsets = itertools.count()


def risk(customer_id: str, *reasons: str, at: datetime = NOW) -> Risk:
    state: dict[str, Any] = {
        "id": UUID(customer_id),
        "reasons": list(reasons),
        "revenue_at_risk": Money(Decimal("1200.00"), "EUR"),
        "at_risk_since": at - timedelta(days=1) if reasons else None,
        "judged_at": at,
    }
    return CustomerAtRisk(**state) if reasons else CustomerRecovered(**state)


async def consume(sales: Sales, *events: tuple[Risk, int]) -> None:
    """Give each event to the consumer's handler in a batch of its own, as the consumer does."""
    for data, sequence in events:
        value = codec.encode(
            data,
            event_id=uuid5(data.id, f"risk {sequence}"),
            time=data.judged_at,
            recorded_time=NOW,
            sequence=sequence,
            partition_key=data.id,
        )
        records = [Record("metrics.events", 0, next(_offsets), codec.decode(value), None)]
        async with sales.engine.begin() as connection:
            await connection.execute(sa.text("select"))
            relevant = [each for each in records if is_followed(each.value)]
            newest = await SeenSequences(CONSUMER).newest(connection, relevant, version_of)
            await follow_service(connection, newest, suggestion_days=30, risk_days=30)


async def tasks_of(sales: Sales, account: Body) -> list[Body]:
    """The tasks, the first one first."""
    page = await sales.get(f"/v1/activities?account_id={account['id']}&purpose=customer-at-risk")
    return list(reversed(page["items"]))


async def test_a_customer_at_risk_becomes_a_task_with_the_reasons_which_recovery_closes(sales: Sales) -> None:
    rep = await sales.rep()
    account = await sales.account(owner_id=rep["id"], region="north")
    begun = datetime.now(UTC)
    first = risk(account["id"], "sla-breached")
    await consume(sales, (first, 1), (first, 1))
    (task,) = await tasks_of(sales, account)
    assert (task["kind"], task["status"], task["reasons"]) == ("call", "planned", ["sla-breached"])
    assert (task["owner_id"], task["team_id"], task["region"]) == (rep["id"], rep["team_id"], "north")
    due, due_at = task["due_at"], datetime.fromisoformat(task["due_at"])
    assert begun <= due_at - timedelta(hours=24) <= datetime.now(UTC)
    # More reasons: the same task.
    await consume(sales, (risk(account["id"], "sla-breached", "badly-rated"), 2))
    (task,) = await tasks_of(sales, account)
    assert (task["reasons"], task["due_at"]) == (["sla-breached", "badly-rated"], due)
    await consume(sales, (risk(account["id"]), 3), (risk(account["id"]), 3))
    (task,) = await tasks_of(sales, account)
    assert (task["status"], task["cancel_reason"]) == ("cancelled", "customer-recovered")
    # Again at risk, for whatever reason: another task.
    await consume(sales, (risk(account["id"], "sla-breached"), 4))
    assert [each["status"] for each in await tasks_of(sales, account)] == ["cancelled", "planned"]
    events = await sales.events_of(task["id"], "activities")
    assert [type(event.data) for event in events] == [ActivityPlanned, PlannedActivityAmended, ActivityCancelled]


async def test_a_task_that_was_done_comes_again_only_for_a_new_reason(sales: Sales) -> None:
    account = await sales.account()
    await consume(sales, (risk(account["id"], "reopened"), 1))
    (task,) = await tasks_of(sales, account)
    assert task["owner_id"] is None
    await sales.post(f"/v1/activities/{task['id']}/done", {})
    await consume(sales, (risk(account["id"], "reopened"), 2))
    assert len(await tasks_of(sales, account)) == 1
    await consume(sales, (risk(account["id"], "badly-rated", "reopened"), 3))
    done, again = await tasks_of(sales, account)
    assert (done["status"], again["status"]) == ("done", "planned")
    assert again["reasons"] == ["badly-rated", "reopened"]
    # Recovery closes what is open, and leaves what was done.
    await consume(sales, (risk(account["id"]), 4))
    assert [each["status"] for each in await tasks_of(sales, account)] == ["done", "cancelled"]


async def test_which_risks_become_a_task(sales: Sales) -> None:
    survivor, merged, erased = [await sales.account() for _ in range(3)]
    await sales.post(f"/v1/accounts/{merged['id']}/merge", {"into": survivor["id"]})
    await sales.post(f"/v1/accounts/{erased['id']}/erase", {}, role="sales-manager")
    old = await sales.account()
    await consume(
        sales,
        (risk(merged["id"], "reopened"), 1),
        (risk(erased["id"], "reopened"), 1),
        (risk(ABSENT, "reopened"), 1),
        (risk(old["id"], "reopened", at=NOW - timedelta(days=31)), 1),
    )
    assert [len(await tasks_of(sales, each)) for each in (survivor, erased, old)] == [1, 0, 0]
    await consume(sales, (risk(merged["id"]), 2))
    assert (await tasks_of(sales, survivor))[0]["status"] == "cancelled"


async def test_a_second_reading_of_the_whole_log_plans_nothing(sales_apart: Sales) -> None:
    sales = sales_apart
    at_risk, recovered = [await sales.account() for _ in range(2)]
    events = [
        (risk(at_risk["id"], "reopened"), 1),
        (risk(recovered["id"], "reopened"), 1),
        (risk(recovered["id"]), 2),
        (risk(at_risk["id"], "reopened", "badly-rated"), 2),
    ]
    await consume(sales, *events)

    async def everything() -> list[tuple[Any, ...]]:
        found = (await sales.get("/v1/activities?limit=100"))["items"]
        return [(each["id"], each["status"], each["reasons"], each["version"]) for each in found]

    before = await everything()
    async with sales.engine.begin() as connection:
        await connection.execute(sa.text("DELETE FROM seen_sequence"))
    await consume(sales, *events)
    assert await everything() == before
