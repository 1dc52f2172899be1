"""The faults that the system has to survive: one row each, with what has to hold beyond the invariants."""

from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Row:
    """What is done to the system, and when it has passed, beyond the invariants."""

    fault: str
    condition: str = "the invariants alone"


ROWS = {
    1: Row(
        "kill -9 of a random process (APIs, relays, consumers) every 3 s, 40 times",
        "caught up within 30 s",
    ),
    2: Row(
        "exit at a failpoint: before and after commit, Kafka's acknowledgement, marking as published, the ledger's"
        " commit, writing a dead letter",
        "11 points × 20 runs without a violation",
    ),
    3: Row(
        "outbox gap: transaction A takes the lower position, B commits and is relayed, A commits 5 s later",
        "A is published; 1,000 interleavings",
    ),
    4: Row("two writers of one aggregate, the later to start commits first", "sequence order holds"),
    5: Row("an idle transaction stays open for 5 min", "publishing p99 at most 5 s, or an alert within 60 s"),
    6: Row("broker kill -9, down 20 s; then a clean restart", "writes stay 2xx; drained within 60 s without help"),
    7: Row("broker down for 10 min", "memory grows under 50 MB; stop within 10 s; an outbox alert"),
    8: Row("each database: immediate restart; all backends terminated", "healed within 10 s"),
    9: Row("SIGSTOP of broker, database or relay for 30 s", "no request takes over 10 s"),
    10: Row(
        "SIGSTOP of a consumer beyond its session time-out, then CONT (a zombie)", "its stale write changes 0 rows"
    ),
    11: Row(
        "a second consumer added and removed every 10 s, 12 times; one batch that takes 20 s",
        "a batch each 30 s at least; no livelock",
    ),
    12: Row("the whole log again; 30 % duplicates; shuffled", "balances identical to the last unit"),
    13: Row(
        "events 1 ms either side of day, month and daylight-saving boundaries; 90 days late; reopened, amended, merged,"
        " erased",
        "the right day",
    ),
    14: Row(
        "1 % bad records: broken JSON, unknown version, wrong type, null value, NUL in text, over 1 MiB",
        "dead letters = bad records; neighbours at most 5 s late",
    ),
    15: Row(
        "nothing but bad records for 60 s", "the consumer stops at its limit, alerts, resumes once they are mended"
    ),
    16: Row("an outbox row that cannot be sent", "its key is parked and counted, others flow"),
    17: Row("dead letters sent again, twice", "counted once"),
    18: Row("clocks ±1 h on one relay and one consumer"),
    19: Row("disk full for the database and for Kafka", "503; resumes when freed"),
    20: Row(
        "ten times the load for 60 s",
        "the excess gets 429 or 503; accepted p99 at most 2 s; drained within 5 min",
    ),
    21: Row("one hot customer, four writers, opposite key order", "deadlocks retried, none seen outside"),
    22: Row("rolling restart of everything under load by SIGTERM", "no failed request; exits within 20 s"),
    23: Row(
        "five replicas start on an empty database, 20 times; the migrator is killed half-way",
        "migrated once; all ready",
    ),
    24: Row(
        "topic deleted and re-created; new empty cluster; retention past the stored offset",
        "a loud stop or the declared reset; never a silent skip",
    ),
    25: Row("partitions 6 → 12", "found within 60 s; order as documented"),
    26: Row("1,000 requests aborted half-way", "database connections back to normal within 10 s"),
    27: Row("versions N and N−1 side by side"),
    28: Row(
        "a whole story (won, reopened, lost) read in one batch, then one of its earlier events again",
        "nothing new anywhere",
    ),
    29: Row(
        "a service's database loses commits that were published (failover, restore), then writes on",
        "the conflict alarms at once; `republish` mends",
    ),
    30: Row(
        "a relay stopped between reading and sending, its lease lost, an erasure published by the other, then CONT",
        "the compacted topic ends with the tombstone",
    ),
    31: Row("SIGSTOP of the active relay", "the standby takes over within 15 s; the API tells the outbox's age"),
    32: Row("statements of a large batch exceed their time-out", "the batch shrinks, progress within 30 s"),
    33: Row(
        "60 MiB of headers, a 20 MiB address, 300 half bodies, 100 half headers, 1,000 aborted writes",
        "bounded memory, closed within 30 s, others served at p99 under 1 s",
    ),
    34: Row("two partitions' owners change at once, blocks half written", "sums equal a recomputation"),
    35: Row("Kafka lost whole", "`republish` fills a new one; a ledger rebuilt from it equals the old"),
}


def fault(number: int) -> pytest.MarkDecorator:
    """Mark a test as a script of this row."""
    assert number in ROWS
    return pytest.mark.fault(number=number)
