"""A trend follows from a rule that can be computed by hand."""

from fractions import Fraction
from typing import Any

import pytest

from metrics_worker.alerts.trend import Trend, trend_of
from metrics_worker.kpis.formula import Direction

# The mean is 100, and it moves by 4 from each week to the next: usual is down to 100 - 2.66 * 4 = 89.36.
USUAL = [98, 102] * 6


def turned(*last: Any, baseline: list[Any] = USUAL, direction: Direction = "up") -> Trend | None:
    return trend_of([None if value is None else Fraction(value) for value in [*baseline, *last]], direction)


@pytest.mark.parametrize(
    ("last", "turn"),
    [
        ((100, 100, "89.36"), None),
        ((100, 100, "89.35"), Trend("beyond-usual-spread", 1)),
        ((100, 89, 88), Trend("beyond-usual-spread", 2)),
        ((80, 80, 80), Trend("beyond-usual-spread", 3)),
        ((80, 100, 100), None),
        ((101, 99, 97), Trend("three-weeks-in-a-row", 3)),
        ((101, 101, 97), None),
        ((101, 99, 98), None),
        ((103, 104, 200), None),
        ((100, None, 50), None),
        ((100, 100, None), None),
    ],
)
def test_the_last_weeks_are_held_against_the_twelve_before(last: tuple[Any, ...], turn: Trend | None) -> None:
    assert turned(*last) == turn


def test_where_less_is_better_a_rise_is_wrong() -> None:
    assert turned(100, 100, 111, direction="down") == Trend("beyond-usual-spread", 1)
    assert turned(103, 104, 107, direction="down") == Trend("three-weeks-in-a-row", 3)
    assert turned(100, 100, 50, direction="down") is None


def test_there_is_no_trend_without_a_usual_range() -> None:
    assert turned(100, 100, 50, baseline=[None] * 5 + USUAL[:7]) is None
    assert turned(100, 100, 50, baseline=[None] * 4 + USUAL[:8]) == Trend("beyond-usual-spread", 1)
    assert turned(100, 100, 50, baseline=[100] * 12) is None, "what never moved has no usual spread"
    assert turned(50, baseline=USUAL) is None
