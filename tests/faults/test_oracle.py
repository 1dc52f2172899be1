"""The oracle's reader of the log finds conflicts and gaps, and takes corrections for what they are."""

import json

from tests.faults.oracle import Log, take

Event = tuple[str, int, int, str]
"""A type, an epoch, a sequence and an id."""
OPENED: Event = ("sales.deal-opened", 1, 1, "a")
LOST: Event = ("sales.deal-closed", 1, 2, "b")


def log_of(*events: Event) -> Log:
    log = Log()
    for kind, epoch, sequence, event_id in events:
        event = {"subject": "deals/d1", "type": kind, "epoch": epoch, "sequence": sequence, "id": event_id}
        event |= {"recordedtime": "2026-03-01T12:00:00Z", "data": {"id": event_id}}
        take(log, json.dumps(event).encode(), 0)
    return log


def test_two_events_of_one_version_conflict_until_the_subject_is_restored() -> None:
    won: Event = ("sales.deal-closed", 1, 2, "c")
    assert list(log_of(OPENED, LOST, won).conflicts) == ["deals/d1"]
    assert log_of(OPENED, LOST, LOST).conflicts == {}
    log = log_of(OPENED, LOST, won, ("sales.deal-restored", 2, 2, "d"), ("sales.deal-amended", 2, 3, "e"))
    assert (log.conflicts, log.disordered, log.versions) == ({}, [], {"deals/d1": (2, 3)})
    assert log.states == {"deals/d1": {"id": "e"}}


def test_a_subject_that_was_withdrawn_has_no_state() -> None:
    log = log_of(OPENED, LOST, ("sales.deal-withdrawn", 1, 3, "c"))
    assert (log.states, log.withdrawn, log.disordered) == ({}, {"deals/d1"}, [])


def test_a_sequence_that_is_skipped_or_comes_too_late_is_found() -> None:
    assert log_of(OPENED, ("sales.deal-closed", 1, 3, "b")).disordered != []
    assert log_of(OPENED, ("sales.deal-restored", 2, 3, "b")).disordered != []
    assert log_of(OPENED, ("sales.deal-restored", 2, 1, "c"), LOST).disordered != []
