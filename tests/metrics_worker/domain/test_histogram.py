"""A histogram of durations is at most 2 % off in any quantile, and reversals leave no trace."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_worker.domain.histogram import ENDS, LONGEST_SECONDS, bucket_of, quantile, seconds_of

seconds = st.integers(0, LONGEST_SECONDS) | st.integers(0, 10_000)


@given(seconds)
def test_a_bucket_represents_each_of_its_durations_within_two_percent(duration: int) -> None:
    assert abs(seconds_of(bucket_of(duration)) - duration) * 100 <= 2 * duration


def test_the_ends_of_every_bucket_are_within_two_percent() -> None:
    for shortest, longest in zip([0, *(end + 1 for end in ENDS)], ENDS, strict=False):
        assert bucket_of(shortest) == bucket_of(longest)
        middle = seconds_of(bucket_of(longest))
        assert max(longest - middle, middle - shortest) * 100 <= 2 * shortest


def test_short_durations_are_exact() -> None:
    assert [seconds_of(bucket_of(duration)) for duration in range(50)] == list(range(50))


@given(st.lists(seconds, min_size=1), st.integers(1, 100))
def test_a_quantile_is_the_nearest_ranks_within_two_percent(durations: list[int], percent: int) -> None:
    exact = sorted(durations)[-(-len(durations) * percent // 100) - 1]
    found = quantile(Counter(map(bucket_of, durations)), percent)
    assert found is not None
    assert abs(found - exact) * 100 <= 2 * exact


@given(st.lists(seconds), st.lists(seconds))
def test_what_is_added_and_taken_back_changes_nothing(durations: list[int], passing: list[int]) -> None:
    counts = Counter(map(bucket_of, durations))
    moved = Counter(map(bucket_of, durations))
    moved.update(map(bucket_of, passing))
    moved.subtract(map(bucket_of, passing))
    assert quantile(moved, 50) == quantile(counts, 50)
    assert quantile(moved, 90) == quantile(counts, 90)


def test_nothing_has_no_quantile() -> None:
    assert quantile({}, 50) is None
    assert quantile({3: 0}, 50) is None


def test_a_negative_duration_has_no_bucket() -> None:
    with pytest.raises(ValueError, match="-1 seconds"):
        bucket_of(-1)


def test_what_is_longer_than_the_calendar_falls_into_the_last_bucket() -> None:
    assert bucket_of(10**12) == len(ENDS) - 1
