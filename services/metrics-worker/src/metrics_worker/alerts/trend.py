"""When a leading KPI changes direction: a rule over its weekly values.

The individuals chart of statistical process control: the mean of the weeks before, and how far a value usually moves
from one week to the next. Nothing is assumed of how values are distributed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

from metrics_worker.kpis.formula import Direction

BASELINE_WEEKS: Final = 12
FEWEST_WEEKS: Final = 8
"""Weeks of the baseline that must have a value: fewer do not show what is usual."""
RUN_WEEKS: Final = 3
WEEKS: Final = BASELINE_WEEKS + RUN_WEEKS
"""The complete weeks that the rule reads."""
LIMIT: Final = Fraction(266, 100)
"""Mean moving ranges from the mean to the limit of what is usual: the constant of individuals charts."""


@dataclass(frozen=True)
class Trend:
    """A change for the worse, and for how many of the last weeks."""

    rule: Literal["beyond-usual-spread", "three-weeks-in-a-row"]
    weeks: int


def trend_of(values: Sequence[Fraction | None], direction: Direction) -> Trend | None:
    """Return whether the last weeks became worse, from `WEEKS` values of complete weeks, the oldest first.

    The baseline is the twelve weeks before the last three. Beyond the usual spread: the last week lies further on the
    wrong side of the baseline's mean than `LIMIT` times its mean moving range. Three weeks in a row: each of the last
    three was worse than the one before it, and all together by more than the mean moving range. A KPI that never moved
    has no usual spread and so no trend.
    """
    good = 1 if direction == "up" else -1
    signed = [None if value is None else good * value for value in values[-WEEKS:]]
    baseline = [value for value in signed[:-RUN_WEEKS] if value is not None]
    last = [value for value in signed[-RUN_WEEKS:] if value is not None]
    if len(signed) < WEEKS or len(baseline) < FEWEST_WEEKS or len(last) < RUN_WEEKS:
        return None
    moving = Fraction(sum(abs(one - other) for one, other in zip(baseline[1:], baseline, strict=False)))
    moving /= len(baseline) - 1
    if moving == 0:
        return None
    limit = sum(baseline) / Fraction(len(baseline)) - LIMIT * moving
    beyond = 0
    for value in reversed(last):
        if value >= limit:
            break
        beyond += 1
    if beyond:
        return Trend("beyond-usual-spread", beyond)
    before = signed[-RUN_WEEKS - 1]
    if before is not None and before > last[0] > last[1] > last[2] and before - last[2] > moving:
        return Trend("three-weeks-in-a-row", RUN_WEEKS)
    return None
