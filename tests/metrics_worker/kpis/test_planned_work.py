"""Planned work in the KPIs: what is overdue counts with time passing, without any event."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from event_contracts.catalogue import State
from event_contracts.planned_work import WorkMove, WorkMoving
from event_contracts.sales import Activity, ActivityCancelled, ActivityCompleted, ActivityMissed, ActivityMoved
from event_contracts.sales import ActivityPlanned as Planned
from event_contracts.service import CheckInPlanned, MaintenancePerformed, MaintenancePlanned, TrainingPlanned
from metrics_worker.domain.activity import postings_for_activity
from metrics_worker.domain.posting import Posting
from metrics_worker.ledger.aggregate import group_by_subject, net_postings
from metrics_worker.ledger.status import open_ledger
from sales_api.activities.model import Activity as ActivityRecord
from service_kit.identifiers import new_id
from service_kit.planned_work.model import WorkNotPlanned
from tests.metrics_worker import facts
from tests.metrics_worker.conftest import Metrics
from tests.metrics_worker.facts import MORNING, OTHER_REP, REP, VILNIUS, moment

pytestmark = pytest.mark.clock

PLANNED_AT = moment("2026-03-01T08:00")
DUE = moment("2026-03-10T16:00")


@pytest.fixture
async def metrics(metrics: Metrics) -> Metrics:
    """The ledger is opened: its zone tells which days are over."""
    await open_ledger(metrics.engine, VILNIUS)
    return metrics


def planned(event: type[Activity] = Planned, **state: Any) -> Any:
    """Return an event of a planned activity that is due on 10 March."""
    done = msgspec.structs.asdict(facts.activity(due_at=DUE, owner_id=REP))
    not_done = {"status": "planned", "planned_at": PLANNED_AT, "completed_at": None}
    return event(**(done | not_done | state))


async def on_time(metrics: Metrics, **asked: str) -> tuple[Any, Any]:
    answer = await metrics.ask("follow_ups_on_time", **asked)
    return answer["numerator"], answer["denominator"]


async def test_a_follow_up_counts_on_the_day_it_was_due_whatever_becomes_of_it(metrics: Metrics) -> None:
    one, two, three, four, five = (uuid4() for _ in range(5))
    await metrics.ingest(planned(id=one), planned(id=two), planned(id=three), planned(id=four), planned(id=five))
    assert await on_time(metrics) == (0, 5)
    assert await metrics.value("activities_completed") == "0"

    kept = planned(ActivityCompleted, id=one, status="done", completed_at=DUE - timedelta(hours=2))
    late = planned(ActivityCompleted, id=two, status="done", completed_at=DUE + timedelta(days=2))
    missed = planned(ActivityMissed, id=three, status="missed", missed_at=DUE)
    before = WorkMove(moved_at=DUE - timedelta(days=1), due_at=DUE)
    april = moment("2026-04-02T09:00")
    moved = planned(ActivityMoved, id=four, due_at=april, moves=[before], change=WorkMoving(previous=before))
    cancelled = planned(ActivityCancelled, id=five, status="cancelled", cancelled_at=DUE)
    await metrics.ingest(*((each, 2) for each in (kept, late, missed, moved, cancelled)))
    assert await on_time(metrics) == (1, 3)
    assert await on_time(metrics, **{"from": "2026-03-10", "to": "2026-03-10"}) == (1, 3)
    assert await on_time(metrics, **{"from": "2026-04-01", "to": "2026-04-30"}) == (0, 1)
    assert await metrics.value("activities_completed") == "2"
    explained = await metrics.get("/v1/kpis/follow_ups_on_time/explain", **{"from": "2026-03-01", "to": "2026-03-31"})
    assert (explained["numerator"], explained["denominator"]) == (1, 3)
    behind = {each["subject"] for each in explained["items"]}
    assert behind >= {f"activities/{each}" for each in (one, two, three)}

    too_late = WorkMove(moved_at=april + timedelta(days=1), due_at=april)
    again = planned(
        ActivityMoved,
        id=four,
        due_at=april + timedelta(days=7),
        moves=[before, too_late],
        change=WorkMoving(previous=too_late),
    )
    await metrics.ingest((again, 3))
    assert await on_time(metrics, **{"from": "2026-04-01", "to": "2026-04-30"}) == (0, 2)


async def test_work_is_overdue_when_its_day_is_over_now_and_as_of_then(metrics: Metrics) -> None:
    today = VILNIUS.day_of(datetime.now(UTC))
    noon = datetime.combine(today, datetime.min.time(), VILNIUS.zone) + timedelta(hours=12)
    around = {"from": str(today - timedelta(days=40)), "to": str(today + timedelta(days=40))}
    for days in (-40, -1, 0, 1, 40):
        await metrics.ingest(planned(due_at=noon + timedelta(days=days), owner_id=REP if days < -1 else OTHER_REP))
    assert await on_time(metrics, **around) == (0, 2)
    assert await on_time(metrics, **around | {"owner": str(REP)}) == (0, 1)
    assert await on_time(metrics, **around | {"owner": str(REP), "region": "EMEA"}) == (0, 1)
    assert await on_time(metrics, **around | {"interval": "month"}) == (0, 2)
    answer = await metrics.ask("follow_ups_on_time", **around | {"group_by": "owner"})
    assert {UUID(each["key"]): each["denominator"] for each in answer["groups"]} == {REP: 1, OTHER_REP: 1}
    explained = await metrics.get("/v1/kpis/follow_ups_on_time/explain", **around)
    assert (explained["denominator"], len(explained["items"])) == (2, 2)
    tomorrow = {"from": str(today), "to": str(today + timedelta(days=7))}
    assert (await metrics.ask("follow_ups_on_time", **tomorrow))["value"] is None

    # Done early, it counts on its day at once; as of a moment before, only what was over then.
    await metrics.ingest(planned(ActivityCompleted, status="done", completed_at=noon - timedelta(days=3), due_at=noon))
    assert await on_time(metrics, **around) == (1, 3)


async def test_as_of_a_past_moment_the_days_after_it_were_still_to_come(metrics: Metrics) -> None:
    recorded = facts.decoded(planned(due_at=DUE))
    two = facts.decoded(planned(due_at=DUE + timedelta(days=5)))
    await metrics.apply([each._replace(recorded_time=PLANNED_AT) for each in (*recorded, *two)])
    for as_of, overdue in (("2026-03-10T20:00:00Z", None), ("2026-03-10T22:00:00Z", 1), ("2026-03-15T22:00:00Z", 2)):
        answer = await metrics.ask("follow_ups_on_time", as_of=as_of)
        assert (answer["denominator"] or None, answer["now"]["denominator"]) == (overdue, 2), as_of
        explained = await metrics.get(
            "/v1/kpis/follow_ups_on_time/explain", **{"from": "2026-03-01", "to": "2026-03-31", "as_of": as_of}
        )
        assert (explained["denominator"] or None) == overdue, as_of


async def test_maintenance_check_ins_and_trainings_that_are_overdue_count(metrics: Metrics) -> None:
    not_done: dict[str, Any] = {"status": "planned", "planned_at": PLANNED_AT}
    visit, talk, lesson = (
        msgspec.structs.asdict(one) for one in (facts.maintenance(), facts.check_in(), facts.training())
    )
    overdue = MaintenancePlanned(**(visit | not_done | {"performed_at": None}))
    await metrics.ingest(
        overdue,
        CheckInPlanned(**(talk | not_done | {"completed_at": None, "due_on": DUE.date()})),
        TrainingPlanned(**(lesson | not_done | {"delivered_at": None, "due_at": DUE})),
    )
    for kpi, variant in (
        ("maintenance_done_on_time", "standard"),
        ("check_ins_on_time", "standard"),
        ("check_ins_completed", "on_time"),
        ("training_delivered", "on_time"),
    ):
        answer = await metrics.ask(kpi, variant=variant)
        assert (answer["value"], answer["numerator"], answer["denominator"]) == ("0", 0, 1), kpi
    assert await metrics.value("training_delivered") == "0"
    done = MaintenancePerformed(**(visit | not_done | {"status": "done", "performed_at": MORNING}))
    await metrics.ingest((done, 2))
    assert await metrics.value("maintenance_done_on_time") == "1"


STEPS = st.lists(
    st.tuples(st.sampled_from(["finish", "miss", "move", "cancel", "amend"]), st.integers(0, 30), st.integers(0, 2)),
    max_size=8,
)


@given(STEPS, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_any_order_of_steps_ends_with_the_books_of_a_recomputation(
    steps: list[tuple[str, int, int]], chance: Any
) -> None:
    now = PLANNED_AT
    work = ActivityRecord(
        id=new_id(), version=1, kind="call", status="planned", planned_at=now, due_at=DUE, account_id=UUID(int=5)
    )
    events = [work.planned_event()]
    for step, days, hours in steps:
        now += timedelta(hours=hours)
        status = work.status
        try:
            match step:
                case "finish":
                    found: State | None = work.finish({"owner_id": REP}, at=now)
                case "miss":
                    found = work.miss(at=now)
                case "move":
                    found = work.move(PLANNED_AT + timedelta(days=days), "busy", at=now)
                case "cancel":
                    found = work.cancel(None, at=now)
                case _:
                    found = work.amend({"due_at": PLANNED_AT + timedelta(days=days)}, at=now)
        except WorkNotPlanned:
            assert status != "planned"
            continue
        if found is not None:
            events.append(found)
        assert work.version == len(events)
        assert (work.status == "done") == (work.completed_at is not None)

    # Late, repeated and out of order, and each in a batch of its own or together.
    delivered = [facts.decoded(event, number) for number, event in enumerate(events, 1)]
    shuffled = [state for states in delivered for state in states] * 2
    chance.shuffle(shuffled)
    cut = chance.randrange(len(shuffled) + 1)
    posted: list[Any] = []
    newest, contribution = 0, list[Posting]()
    for batch in (shuffled[:cut], shuffled[cut:]):
        for of_kind in group_by_subject(batch).values():
            for states in of_kind.values():
                for state in states:
                    if state.sequence > newest:
                        posted += net_postings(contribution, state.postings)
                        newest, contribution = state.sequence, state.postings
    assert net_postings(postings_for_activity(cast("Activity", events[-1]), VILNIUS), posted) == []
    due = sum(each.measures[1] + each.measures[4] for each in contribution)
    moved_late = [each for each in work.moves if each.get("missed_at") or each["moved_at"] > each["due_at"]]
    assert due == (0 if work.status == "cancelled" else 1 + len(moved_late))
