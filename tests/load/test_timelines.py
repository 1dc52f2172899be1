"""What one more fact of a customer costs the ledger, by how many facts of that customer it holds already.

CPU time without a database: reading the timeline, and computing what the fact changes, alone and within a batch. The
peer is the same of a customer with 100 facts.
"""

import time
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import pytest

from metrics_worker.domain.customer_timeline import TimelineEntry
from metrics_worker.domain.posting import Reporting
from metrics_worker.ledger.customer_timelines import changes_of
from tests.load.report import report
from tests.metrics_worker.timelines import history_of_a_customer

REPORTING: Final = Reporting(ZoneInfo("UTC"), "EUR")
LENGTHS: Final = (100, 1000, 5000)
BATCH: Final = 50
ROUNDS: Final = 5
"""Of which the quickest counts: what else the host does only adds."""

pytestmark = pytest.mark.long


def test_a_fact_of_a_long_timeline() -> None:
    decoder = msgspec.json.Decoder(list[TimelineEntry])
    costs: dict[str, dict[int, float]] = {"decode": {}, "one": {}, "batch": {}}
    for length in LENGTHS:
        history = history_of_a_customer(length + BATCH, seed=1)
        known, new = history[:length], history[length:]
        written = msgspec.json.encode(known)
        for name, number, run in (
            ("decode", 1, lambda: decoder.decode(written)),  # noqa: B023 -- called within the turn
            ("one", 1, lambda: changes_of([known], new[:1], REPORTING)),  # noqa: B023
            ("batch", BATCH, lambda: changes_of([known], new, REPORTING)),  # noqa: B023
        ):
            seconds = []
            for _ in range(ROUNDS):
                began = time.process_time()
                run()
                seconds.append(time.process_time() - began)
            costs[name][length] = 1000 * min(seconds) / number
            report(f"timeline_of_{length}_{name}", costs[name][length], "ms")
        assert costs["one"][length] > 0
    for name, of_length in costs.items():
        report(f"timeline_{name}_{LENGTHS[-1]}_vs_{LENGTHS[0]}", of_length[LENGTHS[-1]] / of_length[LENGTHS[0]], "")
