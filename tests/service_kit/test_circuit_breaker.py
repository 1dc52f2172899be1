"""When the circuit breaker opens: by both the number and the share of bad records among the latest ones."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from service_kit.consumer.circuit_breaker import MAX_BAD, WINDOW, BadRecords

RUNS = st.lists(st.tuples(st.booleans(), st.integers(1, 600)), max_size=12)
"""So many good or bad records in a row."""


def counted(*runs: tuple[bool, int]) -> BadRecords:
    records = BadRecords()
    for is_bad, length in runs:
        for _ in range(length):
            records.add(is_bad=is_bad)
    return records


@given(RUNS)
def test_the_bad_records_among_the_latest_are_counted(runs: list[tuple[bool, int]]) -> None:
    window: deque[bool] = deque(maxlen=WINDOW)
    for is_bad, length in runs:
        window.extend([is_bad] * length)
    records = counted(*runs)
    assert records.count() == sum(window)
    assert records.are_too_many() == (sum(window) > MAX_BAD and sum(window) > len(window) / 2)


def test_a_hundred_bad_records_are_not_too_many_and_one_more_is() -> None:
    assert not counted((True, MAX_BAD)).are_too_many()
    assert counted((True, MAX_BAD + 1)).are_too_many()


def test_half_of_the_latest_records_is_not_too_many_and_one_more_is() -> None:
    assert not counted((False, WINDOW), (True, WINDOW // 2)).are_too_many()
    assert counted((False, WINDOW), (True, WINDOW // 2 + 1)).are_too_many()


def test_what_a_copy_counts_leaves_the_original_alone() -> None:
    original = counted((True, 3))
    copy = original.copy()
    copy.add(is_bad=True)
    assert (original.count(), copy.count()) == (3, 4)
