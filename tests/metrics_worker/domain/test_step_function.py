"""Step functions behave as their values do, on every day."""

from hypothesis import given
from hypothesis import strategies as st

from metrics_worker.domain.step_function import Span, StepFunction

DAYS = range(14)
spans = st.tuples(st.integers(0, 10), st.none() | st.integers(0, 12))
levels = st.lists(st.tuples(spans, st.integers(-3, 3)), max_size=4).map(StepFunction.of)


def days_of(level: StepFunction) -> list[int]:
    return [level.on(day) for day in DAYS]


@given(levels, levels)
def test_step_functions_are_computed_as_their_values_of_each_day(one: StepFunction, other: StepFunction) -> None:
    pairs = list(zip(days_of(one), days_of(other), strict=True))
    assert days_of(one + other) == [left + right for left, right in pairs]
    assert days_of(one - other) == [left - right for left, right in pairs]
    assert days_of(one * other) == [left * right for left, right in pairs]
    assert days_of(one.positive()) == [int(left > 0) for left, _ in pairs]
    assert days_of(one.times(3)) == [3 * left for left, _ in pairs]
    assert days_of(one.later(2)) == [0, 0, *days_of(one)[:-2]]
    assert 0 not in (one * other).changes.values()


@given(st.lists(spans, max_size=4))
def test_days_that_several_spans_cover_are_covered_once(some: list[Span]) -> None:
    covered = [int(any(first <= day and (end is None or day < end) for first, end in some)) for day in DAYS]
    assert days_of(StepFunction.covering(some)) == covered


def test_a_step_function_that_falls_and_rises_on_one_day_does_not_end_there() -> None:
    assert StepFunction.of([((1, 3), 1), ((3, 5), 1)]).ends() == [5]
