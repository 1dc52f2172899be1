"""How the rows of a ticket become its history."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tandem_cli.imports.mapping import TicketMapping, load
from tandem_cli.imports.plan import Plan, Record
from tandem_cli.imports.tables import read
from tandem_cli.imports.tickets import plan_tickets
from tandem_cli.requests import Ref
from tests.tandem_cli.imports.samples import TICKET_COLUMNS, tickets_mapping, written

DEFAULTS = {
    "number": "T1",
    "opened": "01.02.2012 08:00",
    "changed": "01.02.2012 08:05",
    "state": "New",
    "reopened": "0",
    "by": "Phone",
    "urgency": "3",
    "caller": "Caller 7",
    "place": "Location 143",
    "thing": "?",
    "group": "Group 1",
    "person": "?",
    "resolved": "?",
    "solver": "?",
    "closed": "?",
}


def planned(folder: Path, *changes: dict[str, str]) -> Plan:
    mapping = tickets_mapping(folder)
    lines = []
    for number, change in enumerate(changes):
        row = {**DEFAULTS, "n": str(number), **change}
        lines.append(";".join(row[column] for column in TICKET_COLUMNS.split(";")))
    path = written(folder / "changes.csv", TICKET_COLUMNS, *lines)
    return plan_tickets(mapping, read([path], mapping.sources.changes))


def happenings(record: Record) -> list[tuple[str, str]]:
    return [(str(step.path[-1]), step.body["occurred_at"][8:16]) for step in record.steps[1:]]


def test_a_ticket_is_opened_resolved_and_closed_at_the_times_of_its_last_row(tmp_path: Path) -> None:
    known = {"resolved": "03.02.2012 10:00", "closed": "08.02.2012 12:00"}
    plan = planned(tmp_path, known, {**known, "state": "Closed", "changed": "08.02.2012 12:00"})
    (record,) = plan.records
    assert record.steps[0].body == {
        "customer_id": Ref("service/customers", "Caller 7"),
        "kind": "problem",
        "channel": "phone",
        "priority": "normal",
        "team_id": Ref("service/teams", "Group 1"),
        "external_ref": "small-tickets:T1",
        "occurred_at": "2012-02-01T08:00:00Z",
    }
    assert happenings(record) == [("resolve", "03T10:00"), ("close", "08T12:00")]
    customer = plan.needed[Ref("service/customers", "Caller 7")]
    assert (customer.body["region"], customer.body["occurred_at"]) == ("location-143", "2012-02-01T08:00:00Z")


def test_each_rise_of_the_reopen_count_is_a_reopening_after_a_resolution(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        {},
        {"state": "Resolved", "changed": "02.02.2012 09:00"},
        {"state": "Active", "changed": "03.02.2012 09:00", "reopened": "1"},
        {"state": "Active", "changed": "05.02.2012 09:00", "reopened": "3", "resolved": "06.02.2012 07:00"},
    )
    (record,) = plan.records
    assert happenings(record) == [
        ("resolve", "02T09:00"),
        ("reopen", "03T09:00"),
        ("resolve", "05T09:00"),  # no row has these resolved, and they must have been
        ("reopen", "05T09:00"),
        ("resolve", "05T09:00"),
        ("reopen", "05T09:00"),
        ("resolve", "06T07:00"),
    ]


def test_an_unknown_resolution_is_taken_from_the_state_of_the_rows(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        {"closed": "09.02.2012 09:00"},
        {"state": "Resolved", "changed": "02.02.2012 09:00", "closed": "09.02.2012 09:00"},
        {"state": "Closed", "changed": "09.02.2012 09:00", "closed": "09.02.2012 09:00"},
    )
    assert happenings(plan.records[0]) == [("resolve", "02T09:00"), ("close", "09T09:00")]


def test_a_resolution_from_before_the_last_reopening_did_not_hold(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        {"state": "Resolved", "changed": "02.02.2012 09:00"},
        {"state": "Active", "changed": "03.02.2012 09:00", "reopened": "1", "resolved": "02.02.2012 09:00"},
    )
    assert happenings(plan.records[0]) == [("resolve", "02T09:00"), ("reopen", "03T09:00")]


def test_a_ticket_passes_from_hand_to_hand_and_another_team_takes_it_from_its_agent(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        {"person": "Ann"},
        {"person": "Ann", "changed": "01.02.2012 09:00"},
        {"person": "?", "group": "Group 2", "changed": "01.02.2012 10:00"},
        {"person": "Bob", "group": "Group 2", "changed": "01.02.2012 11:00"},
        {"person": "?", "group": "?", "changed": "01.02.2012 12:00", "resolved": "02.02.2012 09:00", "solver": "Cy"},
    )
    given = [(step.body.get("team_id"), step.body.get("agent_id")) for step in plan.records[0].steps]
    team, agents = Ref("service/teams", "Group 2"), {name: Ref("service/agents", name) for name in ("Ann", "Bob", "Cy")}
    assert given == [
        (Ref("service/teams", "Group 1"), agents["Ann"]),
        (team, None),
        (team, agents["Bob"]),
        (team, agents["Cy"]),
        (None, None),
    ]


def test_rows_are_ordered_by_their_number_and_a_change_before_the_opening_counts_from_it(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        {"n": "2", "person": "Bob", "changed": "01.02.2012 07:00"},
        {"n": "1", "person": "Ann", "changed": "01.02.2012 07:30"},
    )
    create, assign = plan.records[0].steps
    assert create.body["agent_id"] == Ref("service/agents", "Ann")
    assert assign.body["occurred_at"] == "2012-02-01T08:00:00Z"


@pytest.mark.parametrize(
    ("change", "column", "reason"),
    [
        ({"changed": "soon"}, "changed", "'soon' is not of the form"),
        ({"reopened": "-1"}, "reopened", "is not a whole number"),
        ({"by": "Fax"}, "by", "'Fax' is none of the values"),
        ({"caller": "?"}, "caller", "is unknown, and cannot be"),
        ({"resolved": "01.01.2012 09:00"}, "resolved", "is before the ticket was opened"),
        ({"resolved": "03.02.2012 09:00", "closed": "02.02.2012 09:00"}, "closed", "is before the ticket was resolved"),
    ],
)
def test_a_bad_row_keeps_its_ticket_out_and_no_other(
    tmp_path: Path, change: dict[str, str], column: str, reason: str
) -> None:
    plan = planned(tmp_path, change, {"number": "T2"})
    assert [record.reference for record in plan.records] == ["T2"]
    (error,) = plan.errors
    assert (error.line, error.column, error.reference) == (2, column, "T1")
    assert reason in error.reason


def test_a_reopen_count_that_falls_is_an_error(tmp_path: Path) -> None:
    plan = planned(tmp_path, {"reopened": "2"}, {"reopened": "1"})
    assert plan.records == []
    assert plan.errors[0].reason == "is lower than in the change before"


@pytest.mark.parametrize("opened", ["29-02-2016 01:16", "29/2/2016 01:16"])
def test_the_incident_log_is_read_in_both_spellings_that_it_is_about_in(tmp_path: Path, opened: str) -> None:
    mapping = load("incidents")
    assert isinstance(mapping, TicketMapping)
    cells = {
        **dict.fromkeys(mapping.columns()["changes"], "?"),
        "number": "INC1",
        "sys_mod_count": "0",
        "reopen_count": "0",
        "contact_type": "Phone",
        "caller_id": "Caller 1",
        "priority": "4 - Low",
        "opened_at": opened,
        "sys_updated_at": opened,
    }
    path = written(tmp_path / "log.csv", ",".join(cells), ",".join(cells.values()))
    (record,) = plan_tickets(mapping, read([path], mapping.sources.changes)).records
    assert record.steps[0].body["occurred_at"] == "2016-02-29T01:16:00Z"


rows = st.lists(
    st.fixed_dictionaries(
        {
            "changed": st.integers(1, 28).map(lambda day: f"{day:02}.02.2012 09:00"),
            "state": st.sampled_from(["New", "Active", "Resolved", "Closed"]),
            "person": st.sampled_from(["?", "Ann", "Bob"]),
            "group": st.sampled_from(["?", "Group 1", "Group 2"]),
            "resolved": st.sampled_from(["?", "15.02.2012 09:00", "28.02.2012 09:00"]),
            "closed": st.sampled_from(["?", "28.02.2012 09:00"]),
        }
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=rows, rises=st.lists(st.integers(0, 1), min_size=8, max_size=8))
def test_whatever_is_in_the_rows_the_history_is_one_that_a_ticket_can_have(
    tmp_path: Path, changes: list[dict[str, str]], rises: list[int]
) -> None:
    count = 0
    for change, rise in zip(changes, rises, strict=False):
        count += rise
        change["reopened"] = str(count)
    for record in planned(tmp_path, *changes).records:
        times = [step.body["occurred_at"] for step in record.steps]
        assert all(earlier <= later for earlier, later in pairwise(times))
        status = "open"
        for step in record.steps[1:]:
            action = step.path[-1]
            allowed = {
                "resolve": ["open"],
                "reopen": ["resolved"],
                "close": ["resolved"],
                "assign": ["open", "resolved"],
            }
            assert status in allowed[str(action)]
            status = {"resolve": "resolved", "reopen": "open", "close": "closed"}.get(str(action), status)
        assert sum(step.path[-1] == "reopen" for step in record.steps) == count
